/* stream.h - the bytes of a live capture on their way to the output: checked by the reader of their format, counted, and
 * written as whole blocks only.  What ends inside a block is kept back until the rest comes; so the output is a valid file at
 * every moment, however the command ends.  pcapng or classic pcap is told by the first byte. */
#ifndef PCAPLINE_CLI_STREAM_H
#define PCAPLINE_CLI_STREAM_H

#include "cli/counter.h"
#include "cli/output.h"
#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

struct stream;

/* Output and counter are borrowed.  stream_free accepts NULL. */
struct stream *stream_new(struct out *out, struct counter *counter, struct err *err);
void stream_free(struct stream *s);

/* stream_feed: ERR_INPUT (not a capture, broken), or what out_write says. */
int stream_feed(struct stream *s, const uint8_t *p, size_t n, struct err *err);

uint64_t stream_bytes(const struct stream *s); /* fed */
uint64_t stream_kept(const struct stream *s);  /* of these, not written: the beginning of a block that was cut off */

#endif
