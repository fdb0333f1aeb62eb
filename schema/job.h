/* job.h - a capture job as it is kept and shown: its states, its figures, its instances; and its JSON (design, section 3).
 *
 *   WAITING -approved, and started again by its user-> STARTING;   WAITING -> FAILED (denied, too late)
 *   STARTING -first instance runs-> RUNNING -stop, limit, last instance ended-> FINISHING -object complete-> READY
 *                                                                                 |- live only -> STREAMED
 *   STARTING, RUNNING, FINISHING -> FAILED | KILLED;   READY -> EXPIRED | PURGED;   FAILED, KILLED, STREAMED -> PURGED
 *
 *              agents   spool   object   link
 *   STARTING   asked    0..1    no       no
 *   RUNNING    some     0..1    no       no
 *   FINISHING  none     0..1    no       no
 *   READY      none     no      yes      yes
 *   others     none     no      no       no */
#ifndef PCAPLINE_SCHEMA_JOB_H
#define PCAPLINE_SCHEMA_JOB_H

#include "common/digest.h"
#include "common/err.h"
#include "common/id.h"
#include "schema/capture_request.h"
#include "schema/scope.h"
#include "schema/stop_reason.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum job_state {
	JOB_STARTING,
	JOB_RUNNING,
	JOB_FINISHING,
	JOB_READY,
	JOB_STREAMED,
	JOB_FAILED,
	JOB_KILLED,
	JOB_EXPIRED,
	JOB_PURGED,
	JOB_WAITING, /* for an operator's approval: nothing runs, nothing is there */
};
#define JOB_STATES_N (JOB_WAITING + 1)
enum job_mode { JOB_LIVE, JOB_STORE };
enum job_format { JOB_PCAPNG, JOB_PCAP };
enum instance_state { INSTANCE_STARTING, INSTANCE_RUNNING, INSTANCE_ENDED, INSTANCE_FAILED };

struct job_drops {
	uint64_t kernel;    /* in the agent's ring: capture could not keep up */
	uint64_t interface; /* by the device or its driver */
	uint64_t agent;     /* shed by the agent on purpose */
	uint64_t gateway;   /* a live viewer too slow for the traffic */
};

struct job_instance {
	char name[CAPTURE_NAME_MAX];
	char agent[272]; /* "host:port" */
	char device[CAPTURE_DEVICE_MAX];
	int link_type; /* -1: not known yet */
	enum instance_state state;
	enum stop_reason stop_reason;
	uint64_t packets;      /* that reached the gateway */
	uint64_t bytes;        /* captured bytes of these */
	uint64_t late_packets; /* came after the merge window had passed them: out of order in the file */
	struct job_drops dropped;
	char error_code[32]; /* "" : none */
	char error[ERR_MSG_MAX];
};

/* Strings are owned; job_free frees them and the struct. */
struct job {
	char id[ID_MAX];
	enum job_state state;
	enum job_mode mode;
	enum job_format format;
	char *owner_user_id, *owner_user_name;
	char *org, *space;        /* "" : none; those of the first scope that has any */
	struct scope_list scopes; /* of all its targets */
	char *target;             /* JSON text as asked */
	struct capture_options options;
	char *note;
	char *policy;         /* what operators force on it: JSON text of a list of texts; "" : nothing */
	uint64_t retention_s; /* how long its object is kept; 0: as the gateway is configured when it ends */
	char *hold;           /* legal hold: why it must not be erased; "" : there is none */
	uint64_t created_at, started_at, ended_at, expires_at; /* wall ns; 0: not (yet) */
	enum stop_reason stop_reason;
	char *stop_by;            /* who stopped or killed it, "" : nobody */
	char *error_code, *error; /* "" : none */
	uint64_t bytes;           /* of the stream or object so far */
	uint64_t packets;         /* captured: those in the output */
	struct job_drops dropped;
	char *object_key; /* "" : none */
	char *object_store; /* which store the key is of, as the gateway names it; "" : not known (older than this column) */
	uint64_t object_bytes;
	char object_sha256[DIGEST_SHA256_HEX_MAX];
	char limited_by[32]; /* limit that slowed it, "limits.rate"; "" : none did */
	char *gateway;       /* id of the gateway process that runs it */
	uint64_t heartbeat_at;
	size_t instances_n;
	size_t instances_room; /* allocated: more may join a running capture */
	struct job_instance *instances;
};

struct job *job_new(size_t instances_n); /* all strings "", link types -1; NULL: no memory */
/* job_make_room: for so many instances in all, before anybody else knows of j. */
int job_make_room(struct job *j, size_t instances, struct err *err);
void job_free(struct job *j);
int job_set(char **field, const char *value, struct err *err); /* replaces an owned string */

const char *job_state_name(enum job_state s);
bool job_state_parse(const char *name, enum job_state *ret);
bool job_state_is_end(enum job_state s); /* READY counts: nothing runs any more */
const char *job_mode_name(enum job_mode m);
const char *job_format_name(enum job_format f);
const char *instance_state_name(enum instance_state s);

/* The job as the API shows it; new reference, NULL on no memory.  brief leaves the instances out. */
json_t *job_to_json(const struct job *j, bool brief);

#endif
