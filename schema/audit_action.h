/* audit_action.h - what the audit trail tells of: the closed list of actions, and which of them must not happen when they cannot be recorded. */
#ifndef PCAPLINE_SCHEMA_AUDIT_ACTION_H
#define PCAPLINE_SCHEMA_AUDIT_ACTION_H

#include <stdbool.h>

bool audit_action_is_known(const char *action);

/* audit_action_can_wait: it happens, or has happened, whether it can be recorded or not: what ends captures, what is refused, what the gateway does by itself.  Its record is kept
 * until it can be written.  Whatever starts, hands out, erases or changes something cannot wait. */
bool audit_action_can_wait(const char *action);

#endif
