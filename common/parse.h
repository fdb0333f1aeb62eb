/* parse.h - numbers, sizes and durations in text: the whole string, base 10, within bounds, or ERR_INPUT whose message
 * quotes the text and names the interval. */
#ifndef PCAPLINE_COMMON_PARSE_H
#define PCAPLINE_COMMON_PARSE_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int parse_u64(const char *text, uint64_t least, uint64_t most, uint64_t *ret, struct err *err);

/* "100", "100K", "100M", "2G", "64MiB", "10MB": K, M, G and KiB... are powers of 1024, KB, MB, GB of 1000. */
int parse_size(const char *text, uint64_t least, uint64_t most, uint64_t *ret_bytes, struct err *err);

/* "90" (seconds), "500ms", "60s", "5m", "2h", "7d". */
int parse_duration_ms(const char *text, uint64_t least, uint64_t most, uint64_t *ret_ms, struct err *err);

/* "true"/"false" (also yes/no, on/off). */
int parse_bool(const char *text, bool *ret, struct err *err);

/* parse_printable: copies s into ret (size bytes) with everything but printable ASCII as '?'; cut with "...".  Returns ret. */
char *parse_printable(const char *s, char *ret, size_t size);

/* Valid UTF-8 without NUL, control characters (other than \t when tabs) or surrogates? */
bool parse_is_text(const char *s, size_t n, bool tabs);

/* "host:port", "1.2.3.4:80", "[::1]:80", "host" (port = fallback; 0 = a port is required). Host without brackets. */
int parse_host_port(const char *text, uint16_t fallback, char ret_host[256], uint16_t *ret_port, struct err *err);

/* Writes "host:port", with brackets around an IPv6 address.  Returns ret. */
char *parse_join_host_port(const char *host, uint16_t port, char *ret, size_t size);

/* Human text for counters: "1.2 MB", "12.3k"... into ret.  Returns ret. */
char *parse_format_bytes(uint64_t bytes, char *ret, size_t size);

#endif
