/* counter.h - what has come so far, per interface of the stream ("web/3 eth0"): packets, bytes, losses, why it ended; and how
 * that reads as one live line.  Fed by the stream's readers; pure, no terminal, no clock.  One thread at a time. */
#ifndef PCAPLINE_CLI_COUNTER_H
#define PCAPLINE_CLI_COUNTER_H

#include "common/err.h"
#include "schema/pcap_file.h"
#include "schema/pcapng.h"
#include "schema/stop_reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNTER_NAME_MAX 300

/* One row: an interface.  The same name in a later section goes on in the same row. */
struct counter_row {
	char name[COUNTER_NAME_MAX]; /* printable */
	uint64_t packets, bytes;     /* bytes: captured ones */
	uint64_t received;           /* by the filter, from the latest statistics */
	uint64_t dropped_os, dropped_interface;
	uint64_t dropped_agent; /* shed on purpose, by the latest note that says so */
	bool has_received;
	bool has_end; /* it said why it ended */
	enum stop_reason end;
	char end_text[STOP_NOTE_MAX];
};

struct counter;

struct counter *counter_new(struct err *err);
void counter_free(struct counter *c);

/* counter_is_early: it ended, and by anything but the user's stop or a limit. */
bool counter_is_early(const struct counter_row *row);

/* Feeding: as the readers' callbacks, ctx being the counter. */
int counter_block(void *ctx, const struct pcapng_block *b, struct err *err);
int counter_pcap_packet(void *ctx, const struct pcap_file_packet *p, struct err *err);

void counter_stream_bytes(struct counter *c, uint64_t n); /* n more bytes of the stream came */

size_t counter_rows_n(const struct counter *c);
const struct counter_row *counter_row(const struct counter *c, size_t i);

/* All rows together; name is "". */
void counter_total(const struct counter *c, struct counter_row *ret);
uint64_t counter_bytes(const struct counter *c); /* of the stream */

/* counter_line: "1234 packets, 1.2 MB, 85.3 kB/s, 0 dropped | web/0 eth0: 600, web/1 eth0: 634" in at most width characters;
 * rows that do not fit are counted ("+3").  The rate is that of the last second or so; mono_ns is the time now.
 * size must be more than width. */
char *counter_line(struct counter *c, uint64_t mono_ns, unsigned width, char *ret, size_t size);

#endif
