/* agents.h - which agents there are, as far as this gateway knows: those of the inventory, and those that it has dialled since it began.  A bounded table; the agent that was
 * dialled longest ago makes room.  Any thread. */
#ifndef PCAPLINE_GATEWAY_TARGETS_AGENTS_H
#define PCAPLINE_GATEWAY_TARGETS_AGENTS_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

#define AGENTS_MAX       1024u /* remembered */
#define AGENTS_ASKED_MAX 500u  /* in one list */
#define AGENTS_LIST_MS   6000u /* a list takes no longer: who has not been asked by then is not */

struct agents;
struct gateway;
struct target_instance;

struct agents *agents_new(struct err *err);
void agents_free(struct agents *a); /* accepts NULL */

/* agents_note: it is being dialled, or (answered) has answered just now.  a may be NULL. */
void agents_note(struct agents *a, const struct target_instance *i, bool answered);

/* agents_list: all that are known, each asked how it is, as the API shows them; *ret_more: known beyond AGENTS_ASKED_MAX.  NULL: no memory. */
json_t *agents_list(struct gateway *gw, size_t *ret_more, struct err *err);

/* agents_read_info: what an agent says of itself, from its answer to GET /v1/info, into its entry of the list; what is not as it should be is left out.  What a newer agent says
 * more is not looked at. */
void agents_read_info(const json_t *info, json_t *entry);

#endif
