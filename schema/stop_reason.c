/* stop_reason.c - why captures end, as names, as sentences and as the comment in the file. */
#include "schema/stop_reason.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define NOTE_BEGIN "capture ended ("

static const struct {
	const char *name, *text;
} reasons[] = {
	[STOP_NONE] = {"", "It is still running."},
	[STOP_USER] = {"user_stop", "The user stopped it."},
	[STOP_MAX_DURATION] = {"max_duration", "It ran for as long as it was allowed to."},
	[STOP_MAX_BYTES] = {"max_bytes", "It reached the largest size it was allowed to have."},
	[STOP_MAX_PACKETS] = {"max_packets", "It captured as many packets as it was allowed to."},
	[STOP_CLIENT_GONE] = {"client_gone", "Its viewer went away and did not come back in time."},
	[STOP_INSTANCES_ENDED] = {"instances_ended", "No instance is left to capture from."},
	[STOP_DEVICE_GONE] = {"device_gone", "The network device went away."},
	[STOP_AGENT_ERROR] = {"agent_error", "The agent reported a failure."},
	[STOP_AGENT_LOST] = {"agent_lost", "The connection to the agent broke or fell silent."},
	[STOP_AGENT_SHUTDOWN] = {"agent_shutdown", "The agent was told to end."},
	[STOP_GATEWAY_GONE] = {"gateway_gone", "The agent lost its gateway."},
	[STOP_GATEWAY_SHUTDOWN] = {"gateway_shutdown", "The gateway was told to end."},
	[STOP_INTERRUPTED] = {"interrupted", "The gateway died; the capture holds what had reached it until then."},
	[STOP_KILLED] = {"killed", "An operator killed it."},
	[STOP_DELETED] = {"deleted", "The user deleted it."},
	[STOP_STORAGE_FULL] = {"storage_full", "It reached the largest size that this gateway stores."},
	[STOP_SPOOL_FULL] = {"spool_full", "The room for what waits for the store was used up."},
	[STOP_STORAGE_FAILED] = {"storage_failed", "It could not be stored."},
	[STOP_START_FAILED] = {"start_failed", "No instance could be started."},
	[STOP_RIGHT_GONE] = {"right_gone", "Its user may not capture there any more."},
	[STOP_RIGHT_UNKNOWN] = {"right_unknown",
		"The platform could not be asked for too long whether its user may still capture there."},
	[STOP_TARGET_GONE] = {"target_gone", "What it captured from is not there any more."},
	[STOP_SWITCHED_OFF] = {"switched_off", "Captures there are switched off now."},
	[STOP_CONTAINER_GONE] = {"container_gone", "The app instance ended."},
	[STOP_INSTANCE_LEFT] = {"instance_left", "The platform does not list the instance any more."},
	[STOP_QUOTA] = {"quota", "What its user or org has stored reached the quota."},
	[STOP_POLICY] = {"policy_changed", "A stricter rule holds there now than the one it was started under."},
	[STOP_INTERNAL] = {"internal_error", "Something went wrong inside of the gateway or the agent."},
};
#define REASONS_N (sizeof(reasons) / sizeof(reasons[0]))

const char *stop_reason_name(enum stop_reason r)
{
	return (size_t)r < REASONS_N ? reasons[r].name : "";
}

const char *stop_reason_text(enum stop_reason r)
{
	return (size_t)r < REASONS_N ? reasons[r].text : "";
}

bool stop_reason_parse(const char *name, enum stop_reason *ret)
{
	for (size_t i = 0; i < REASONS_N; i++) {
		if (!strcmp(reasons[i].name, name)) {
			*ret = (enum stop_reason)i;
			return true;
		}
	}
	return false;
}

/* A text that had to be cut does not end within a UTF-8 character. */
static void trim_cut_character(char *s)
{
	size_t n = strlen(s), back = 0;
	uint8_t lead;

	while (back < n && back < 3 && ((uint8_t)s[n - 1 - back] & 0xC0) == 0x80)
		back++;
	if (back == n)
		return;
	lead = (uint8_t)s[n - 1 - back];
	if ((lead >= 0xC0 && back < 1) || (lead >= 0xE0 && back < 2) || (lead >= 0xF0 && back < 3))
		s[n - 1 - back] = '\0';
}

char *stop_note_format(enum stop_reason r, const char *text, char ret[STOP_NOTE_MAX])
{
	const bool has_text = text && *text;
	int n = snprintf(ret, STOP_NOTE_MAX, NOTE_BEGIN "%s)%s%s", stop_reason_name(r), has_text ? ": " : "",
		has_text ? text : "");

	if (n >= STOP_NOTE_MAX)
		trim_cut_character(ret);
	return ret;
}

bool stop_note_parse(const char *comment, enum stop_reason *ret, char *ret_text)
{
	char name[32];
	const char *begin, *end;
	enum stop_reason r;

	if (!comment || strncmp(comment, NOTE_BEGIN, strlen(NOTE_BEGIN)) != 0)
		return false;
	begin = comment + strlen(NOTE_BEGIN);
	end = strchr(begin, ')');
	if (!end || (size_t)(end - begin) >= sizeof(name))
		return false;
	memcpy(name, begin, (size_t)(end - begin));
	name[end - begin] = '\0';
	if (!stop_reason_parse(name, &r) || r == STOP_NONE)
		return false;
	end++;
	if (*end && strncmp(end, ": ", 2) != 0)
		return false;
	*ret = r;
	if (ret_text && snprintf(ret_text, STOP_NOTE_MAX, "%s", *end ? end + 2 : "") >= STOP_NOTE_MAX)
		trim_cut_character(ret_text);
	return true;
}
