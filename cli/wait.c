/* wait.c - see wait.h. */
#include "cli/wait.h"

#include "cli/list.h"
#include "cli/stopper.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/parse.h"
#include "schema/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define POLL_FIRST_MS 200u
#define POLL_MOST_MS  1000u
#define PATIENCE_NS   (60 * CLOCK_NS_PER_S) /* a gateway that restarts needs seconds */

char *wait_line(const json_t *job, char *ret, size_t size)
{
	char bytes[32], state[32], storage[120];
	uint64_t dropped = json_count(job, "packets.dropped.kernel") + json_count(job, "packets.dropped.interface") +
			   json_count(job, "packets.dropped.agent") + json_count(job, "packets.dropped.gateway");

	list_storage(job, false, storage, sizeof(storage));
	snprintf(ret, size, "%s: %" PRIu64 " packets, %s, %" PRIu64 " dropped%s%s",
		text_clean(json_text(job, "state"), state, sizeof(state)), json_count(job, "packets.captured"),
		parse_format_bytes(json_count(job, "bytes"), bytes, sizeof(bytes)), dropped, *storage ? ", " : "",
		storage);
	return ret;
}

static bool has_ended(const json_t *job)
{
	enum job_state state;

	return job_state_parse(json_text(job, "state"), &state) && job_state_is_end(state);
}

static bool is_passing(const struct err *err)
{
	return err->code == ERR_NET || err->code == ERR_TIMEOUT || err->code == ERR_UNAVAILABLE ||
	       err->code == ERR_BUSY;
}

static bool is_decided(const json_t *job)
{
	return strcmp(json_text(job, "state"), "waiting") != 0 || !strcmp(json_text(job, "approval.state"), "approved");
}

static json_t *poll_job(const struct api *api, const char *path, bool (*is_over)(const json_t *job),
	struct stopper *stopper, struct err *err)
{
	uint64_t heard_ns = clock_mono_ns();
	unsigned delay_ms = POLL_FIRST_MS;
	char line[TALK_LINE_MAX];

	while (!stopper_is_leaving(stopper)) {
		struct err why = {0};
		json_t *job = NULL;

		if (api_call(api, "GET", path, NULL, &job, &why) == 0) {
			heard_ns = clock_mono_ns();
			if (is_over(job))
				return job;
			if (talk_is_live())
				talk_line(wait_line(job, line, sizeof(line)));
			json_decref(job);
		} else if (!is_passing(&why) || clock_mono_ns() - heard_ns > PATIENCE_NS) {
			if (err)
				*err = why;
			return NULL;
		}
		stopper_sleep(stopper, delay_ms);
		delay_ms = delay_ms * 2 < POLL_MOST_MS ? delay_ms * 2 : POLL_MOST_MS;
	}
	err_set(err, ERR_CANCELLED, "interrupted; the job stays at the gateway");
	return NULL;
}

static json_t *wait_until(const struct api *api, const char *job, bool (*is_over)(const json_t *job), struct err *err)
{
	struct stopper_options so = {.api = api, .stops_job = true};
	struct stopper *stopper = stopper_start(&so, err);
	json_t *ret = NULL;
	char path[64];

	if (!stopper)
		return NULL;
	stopper_set_job(stopper, job);
	snprintf(path, sizeof(path), "/v1/captures/%s", job);
	ret = poll_job(api, path, is_over, stopper, err);
	stopper_free(stopper);
	talk_clear();
	return ret;
}

json_t *wait_job(const struct api *api, const char *job, struct err *err)
{
	return wait_until(api, job, has_ended, err);
}

json_t *wait_approval(const struct api *api, const char *job, struct err *err)
{
	return wait_until(api, job, is_decided, err);
}
