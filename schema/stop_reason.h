/* stop_reason.h - the closed list of reasons why a capture, or one instance's part of it, ended.  The names stand in the job, in the
 * events, on the command line and in the file. */
#ifndef PCAPLINE_SCHEMA_STOP_REASON_H
#define PCAPLINE_SCHEMA_STOP_REASON_H

#include <stdbool.h>
#include <stddef.h>

enum stop_reason {
	STOP_NONE,             /* "" still running */
	STOP_USER,             /* "user_stop": the user asked for it */
	STOP_MAX_DURATION,     /* "max_duration" */
	STOP_MAX_BYTES,        /* "max_bytes" */
	STOP_MAX_PACKETS,      /* "max_packets" */
	STOP_CLIENT_GONE,      /* "client_gone": a live capture whose viewer did not come back in time */
	STOP_INSTANCES_ENDED,  /* "instances_ended": no instance is left to capture from */
	STOP_DEVICE_GONE,      /* "device_gone": the network device went away (instance) */
	STOP_AGENT_ERROR,      /* "agent_error": the agent reported a failure (instance) */
	STOP_AGENT_LOST,       /* "agent_lost": the connection to the agent broke or fell silent (instance) */
	STOP_AGENT_SHUTDOWN,   /* "agent_shutdown": the agent was told to end (instance) */
	STOP_GATEWAY_GONE,     /* "gateway_gone": the agent lost its gateway (instance) */
	STOP_GATEWAY_SHUTDOWN, /* "gateway_shutdown": drained */
	STOP_INTERRUPTED,      /* "interrupted": the gateway died; finished after its restart from what it had */
	STOP_KILLED,           /* "killed": by an operator */
	STOP_DELETED,          /* "deleted": by the user, who wanted nothing kept */
	STOP_STORAGE_FULL,     /* "storage_full": the largest size that the gateway stores */
	STOP_SPOOL_FULL, /* "spool_full": the store did not take it fast enough, or at all; disk or budget of the spool */
	STOP_STORAGE_FAILED, /* "storage_failed" */
	STOP_START_FAILED,   /* "start_failed": no instance could be started */
	STOP_RIGHT_GONE,     /* "right_gone": the platform says that the user may not capture this any more */
	STOP_RIGHT_UNKNOWN, /* "right_unknown": the platform could not be asked for too long, or not without a fresh token */
	STOP_TARGET_GONE,    /* "target_gone": the app or deployment is not there any more, or not visible */
	STOP_SWITCHED_OFF,   /* "switched_off": captures of it are forbidden now */
	STOP_CONTAINER_GONE, /* "container_gone": the app instance ended (instance) */
	STOP_INSTANCE_LEFT,  /* "instance_left": the platform does not list it any more (instance) */
	STOP_QUOTA,          /* "quota": what its user or org has stored reached the quota */
	STOP_POLICY,         /* "policy_changed": a stricter rule holds there now than it was started under */
	STOP_INTERNAL,       /* "internal_error" */
};

const char *stop_reason_name(enum stop_reason r);
bool stop_reason_parse(const char *name, enum stop_reason *ret);
const char *stop_reason_text(enum stop_reason r); /* one plain sentence for people */

#define STOP_NOTE_MAX 400

/* The comment that the last statistics block of an interface carries: "capture ended (max_packets): 100 packets". text may be NULL or "". */
char *stop_note_format(enum stop_reason r, const char *text, char ret[STOP_NOTE_MAX]);

/* Reads it back; false: not such a comment.  ret_text (STOP_NOTE_MAX bytes) may be NULL. */
bool stop_note_parse(const char *comment, enum stop_reason *ret, char *ret_text);

#endif
