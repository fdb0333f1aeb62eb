/* text.h - values as people read them.  Every function writes a terminated string to ret (size bytes) and returns ret. */
#ifndef PCAPLINE_CLI_TEXT_H
#define PCAPLINE_CLI_TEXT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* text_clean: text from outside, fit for a terminal: valid UTF-8 without control characters stays, else printable ASCII. */
char *text_clean(const char *s, char *ret, size_t size);

size_t text_columns(const char *s); /* how many characters (not bytes) of UTF-8 */

char *text_age(uint64_t seconds, char *ret, size_t size); /* "42s", "5m", "3h", "12d" */

/* Age of, or time left until, an RFC 3339 time as the gateway gives it; "-" for none. */
char *text_since(const char *rfc3339, uint64_t now_ns, char *ret, size_t size);
char *text_until(const char *rfc3339, uint64_t now_ns, char *ret, size_t size);

char *text_count(uint64_t n, const char *one, const char *many, char *ret, size_t size); /* "1 packet", "2 packets" */

/* Members of a JSON object; the path is dotted ("packets.dropped.kernel").  Absent, null or of another type: "" or 0. */
const char *json_text(const json_t *obj, const char *path);
uint64_t json_count(const json_t *obj, const char *path);
json_t *json_at(const json_t *obj, const char *path); /* borrowed; NULL: absent */

#endif
