/* id.h - identifiers that sort by time and cannot be guessed: 48 bits of Unix milliseconds and 80 random bits, as 26
 * lower-case characters of Crockford's base 32 (the ULID layout).  Used for jobs, captures, requests. */
#ifndef PCAPLINE_COMMON_ID_H
#define PCAPLINE_COMMON_ID_H

#include <stdbool.h>

#define ID_LEN 26
#define ID_MAX (ID_LEN + 1)

/* id_new: writes a fresh id.  Aborts only if the system has no randomness. Later calls in a process sort after earlier ones. */
void id_new(char ret[ID_MAX]);

/* id_is_valid: exactly 26 characters of [0-9a-hjkmnp-tv-z], the first of them <= '7'? */
bool id_is_valid(const char *text);

#endif
