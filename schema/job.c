#include "schema/job.h"

#include <stdlib.h>
#include <string.h>

static const char *const job_states[] = {
	[JOB_STARTING] = "starting",
	[JOB_RUNNING] = "running",
	[JOB_FINISHING] = "finishing",
	[JOB_READY] = "ready",
	[JOB_STREAMED] = "streamed",
	[JOB_FAILED] = "failed",
	[JOB_KILLED] = "killed",
	[JOB_EXPIRED] = "expired",
	[JOB_PURGED] = "purged",
	[JOB_WAITING] = "waiting",
};

/* The owned strings, so that birth, death and nothing else need to know them all. */
static size_t job_strings(struct job *j, char **ret[], size_t most)
{
	char **const all[] = {&j->owner_user_id, &j->owner_user_name, &j->org, &j->space, &j->target, &j->note,
		&j->policy, &j->hold, &j->stop_by, &j->error_code, &j->error, &j->object_key, &j->object_store,
		&j->gateway};
	size_t n = sizeof(all) / sizeof(all[0]);

	if (n > most)
		return 0;
	memcpy(ret, all, sizeof(all));
	return n;
}

#define JOB_STRINGS_MAX 16

struct job *job_new(size_t instances_n)
{
	char **fields[JOB_STRINGS_MAX];
	struct job *j = calloc(1, sizeof(*j));
	size_t n, i;

	if (!j)
		return NULL;
	capture_options_init(&j->options);
	if (instances_n && !(j->instances = calloc(instances_n, sizeof(*j->instances))))
		goto fail;
	j->instances_n = j->instances_room = instances_n;
	for (i = 0; i < instances_n; i++)
		j->instances[i].link_type = -1;
	n = job_strings(j, fields, JOB_STRINGS_MAX);
	for (i = 0; i < n; i++)
		if (!(*fields[i] = strdup("")))
			goto fail;
	return j;
fail:
	job_free(j);
	return NULL;
}

int job_make_room(struct job *j, size_t instances, struct err *err)
{
	struct job_instance *more;

	if (instances <= j->instances_room)
		return 0;
	if (!(more = realloc(j->instances, instances * sizeof(*more))))
		return err_nomem(err);
	memset(more + j->instances_room, 0, (instances - j->instances_room) * sizeof(*more));
	for (size_t i = j->instances_room; i < instances; i++)
		more[i].link_type = -1;
	j->instances = more;
	j->instances_room = instances;
	return 0;
}

void job_free(struct job *j)
{
	char **fields[JOB_STRINGS_MAX];
	size_t n, i;

	if (!j)
		return;
	n = job_strings(j, fields, JOB_STRINGS_MAX);
	for (i = 0; i < n; i++)
		free(*fields[i]);
	free(j->instances);
	scope_list_done(&j->scopes);
	free(j);
}

int job_set(char **field, const char *value, struct err *err)
{
	char *copy = strdup(value ? value : "");

	if (!copy)
		return err_nomem(err);
	free(*field);
	*field = copy;
	return 0;
}

const char *job_state_name(enum job_state s)
{
	return (unsigned)s < sizeof(job_states) / sizeof(job_states[0]) ? job_states[s] : "unknown";
}

bool job_state_parse(const char *name, enum job_state *ret)
{
	for (size_t i = 0; i < sizeof(job_states) / sizeof(job_states[0]); i++) {
		if (!strcmp(name, job_states[i])) {
			*ret = (enum job_state)i;
			return true;
		}
	}
	return false;
}

bool job_state_is_end(enum job_state s)
{
	switch (s) {
	case JOB_WAITING:
	case JOB_STARTING:
	case JOB_RUNNING:
	case JOB_FINISHING:
		return false;
	case JOB_READY:
	case JOB_STREAMED:
	case JOB_FAILED:
	case JOB_KILLED:
	case JOB_EXPIRED:
	case JOB_PURGED:
		break;
	}
	return true;
}

const char *job_mode_name(enum job_mode m)
{
	return m == JOB_STORE ? "store" : "live";
}

const char *job_format_name(enum job_format f)
{
	return f == JOB_PCAP ? "pcap" : "pcapng";
}

const char *instance_state_name(enum instance_state s)
{
	switch (s) {
	case INSTANCE_STARTING:
		return "starting";
	case INSTANCE_RUNNING:
		return "running";
	case INSTANCE_ENDED:
		return "ended";
	case INSTANCE_FAILED:
		break;
	}
	return "failed";
}
