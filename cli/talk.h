/* talk.h - all that is said on stderr: whole lines, and on a terminal one live line that is redrawn in place.
 * Redrawing uses \r and blanks only; without a terminal there is no live line and not one control character.
 * Any thread may call. */
#ifndef PCAPLINE_CLI_TALK_H
#define PCAPLINE_CLI_TALK_H

#include <stdbool.h>
#include <stddef.h>

#define TALK_LINE_MAX 512 /* bytes of the live line, with the terminator */

bool talk_is_live(void);   /* is stderr a terminal, so that a live line is shown? */
unsigned talk_width(void); /* characters a live line may take; 0 without a terminal */

/* talk_say: "pcap: " is not added; the newline is.  Text from outside must have been made printable (text_clean). */
void talk_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void talk_line(const char *text); /* shows text as the live line, cut to the width */
void talk_clear(void);            /* takes the live line away */

#endif
