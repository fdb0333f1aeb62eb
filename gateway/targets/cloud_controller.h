/* cloud_controller.h - Cloud Controller (API v3) asked with a user's own token: an app with its space and org, who develops in a space, switches, processes, and
 * where their instances run.  cloud_controller.c asks; cloud_controller_read.c takes answers apart and touches no network.
 *
 * What an answer lacks or has in a wrong type is missing, or the answer is refused as one that is not understood (ERR_NET, platform_failed): it is a stranger's as much
 * as a user's text is.  Errors of all calls that ask:
 *   ERR_NOT_FOUND          Cloud Controller's own word that it is not there or not visible; any other 404 is a proxy's and ERR_NET
 *   ERR_PERM, ERR_AUTH     the same of 403 and 401
 *   ERR_BUSY               with the seconds after which to ask again, where they were said
 *   ERR_NET, ERR_TIMEOUT, ERR_UNAVAILABLE  as of platform_get and platform_refuse */
#ifndef PCAPLINE_GATEWAY_TARGETS_CLOUD_CONTROLLER_H
#define PCAPLINE_GATEWAY_TARGETS_CLOUD_CONTROLLER_H

#include "gateway/targets/platform.h"
#include "schema/capture_request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CC_NAME_MAX      1024 /* of apps: 255 characters */
#define CC_TYPE_MAX      256  /* of processes */
#define CC_REASON_MAX    161
#define CC_LABEL_MAX     64     /* a label's value */
#define CC_PAGES_MAX     20     /* of one list */
#define CC_PROCESSES_MAX 200    /* of one app that have instances */
#define CC_INDEX_MAX     999999 /* of an instance */

/* Whom to ask, and with which token; both borrowed. */
struct cloud_controller {
	const struct platform *platform;
	const char *token;
};

/* ---- apps ---- */

enum cc_word { CC_SILENT, CC_ALLOW, CC_DENY, CC_OTHER };

struct cc_label {
	enum cc_word word;
	char text[CC_LABEL_MAX]; /* what it says, printable */
};
struct cc_place {
	char guid[AGENT_GUID_MAX];
	bool suspended;
	struct cc_label label;
};
struct cc_app {
	char guid[AGENT_GUID_MAX];
	char name[CC_NAME_MAX]; /* text as by parse_is_text */
	bool stopped;
	struct cc_label label;
	struct cc_place space, org;
};

/* cc_app_get: by its GUID (cc_is_guid).  label: key of the labels to read, "": none.  One request. */
int cc_app_get(
	const struct cloud_controller *c, const char *guid, const char *label, struct cc_app *ret, struct err *err);

/* cc_app_find: by its exact name in a space.  One request. */
int cc_app_find(const struct cloud_controller *c, const char *name, const char *space, const char *label,
	struct cc_app *ret, struct err *err);

/* cc_space_get: a space and its org, without their labels.  One request. */
int cc_space_get(const struct cloud_controller *c, const char *guid, struct cc_place *ret_space,
	struct cc_place *ret_org, struct err *err);

/* cc_is_developer: is the user (his id, or a client's) a developer of the space?  One request. */
int cc_is_developer(const struct cloud_controller *c, const char *space, const char *user, bool *ret, struct err *err);

/* cc_ssh_enabled: may the app be entered by cf ssh, and why not; reason is printable, "": not said.  One request. */
int cc_ssh_enabled(
	const struct cloud_controller *c, const char *app, bool *ret, char ret_reason[CC_REASON_MAX], struct err *err);

/* ---- processes and instances ---- */

struct cc_process {
	char guid[AGENT_GUID_MAX];
	char type[CC_TYPE_MAX]; /* text as by parse_is_text */
	char created_at[32];
	uint32_t instances; /* wanted, not running; more than CC_INDEX_MAX + 1 are counted as so many */
};
struct cc_processes {
	struct cc_process *list; /* those that have instances; the types in order, the older ones of a type first */
	size_t n;
	size_t empty; /* how many have none */
};

/* cc_processes_get: those of a type, "": all.  A request per page of 50.  ERR_LIMIT: more than CC_PROCESSES_MAX. */
int cc_processes_get(
	const struct cloud_controller *c, const char *app, const char *type, struct cc_processes *ret, struct err *err);
void cc_processes_done(struct cc_processes *p);

enum cc_state { CC_DOWN, CC_CRASHED, CC_STOPPING, CC_STARTING, CC_RUNNING };

struct cc_instance {
	uint32_t index; /* up to CC_INDEX_MAX */
	enum cc_state state;
	char host[46];                 /* numeric address of its cell, "": not said */
	char handle[AGENT_HANDLE_MAX]; /* of its container, "": not said (before API 3.192) */
	char address[46];              /* its own in the overlay, "": not said (before API 3.149) */
	const char *fault;             /* what of these is there, needed and cannot be right; NULL: nothing */
};
struct cc_stats {
	struct cc_instance *list; /* by index, each once: of several the one that runs */
	size_t n;
};

/* cc_stats_get: one request.  A process that is not there any more has no instances. */
int cc_stats_get(const struct cloud_controller *c, const char *process, struct cc_stats *ret, struct err *err);
void cc_stats_done(struct cc_stats *s);

/* ---- answers taken apart ----
 * Of any JSON, NULL too.  -1: not understood, err says what is missing. */

bool cc_is_guid(const char *s);

int cc_read_app(json_t *answer, const char *label, struct cc_app *ret, struct err *err);

int cc_read_space(json_t *answer, struct cc_place *ret_space, struct cc_place *ret_org, struct err *err);

/* cc_read_found: from a page of apps the one of exactly this name and space; *ret_found. */
int cc_read_found(json_t *answer, const char *name, const char *space, const char *label, struct cc_app *ret,
	bool *ret_found, struct err *err);
int cc_read_developer(json_t *answer, const char *space, const char *user, bool *ret, struct err *err);
int cc_read_ssh(json_t *answer, bool *ret, char ret_reason[CC_REASON_MAX], struct err *err);

/* cc_read_processes: adds those of one page. */
int cc_read_processes(json_t *answer, const char *app, const char *type, struct cc_processes *ret, struct err *err);
int cc_read_stats(json_t *answer, struct cc_stats *ret, struct err *err);

/* cc_read_next: path and query of a list's next page below base, "": it was the last.  One that leads anywhere else is refused: the token goes where it was meant to
 * go. */
int cc_read_next(json_t *answer, const char *base, char ret[2048], struct err *err);

/* cc_read_error: title and text of Cloud Controller's own refusal, printable; false: it is none of its own. */
bool cc_read_error(json_t *answer, char ret[CC_REASON_MAX]);

#endif
