/* rules.h - what operators force on a capture, told to its user. */
#ifndef PCAPLINE_CLI_RULES_H
#define PCAPLINE_CLI_RULES_H

#include <jansson.h>

/* rules_say: "note: org acme: headers only (GDPR case 12)", a line for each of the list; once, whoever hears of it first.  Any thread may call. */
void rules_say(const json_t *rules);

#endif
