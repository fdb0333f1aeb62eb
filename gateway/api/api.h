/* api.h - the gateway's HTTP API: which path is whose, who may call it, and what all handlers share.
 * Nothing is done for a caller before the token is checked: the router refuses in the headers. */
#ifndef PCAPLINE_GATEWAY_API_API_H
#define PCAPLINE_GATEWAY_API_API_H

#include "common/http_server.h"
#include "gateway/gateway.h"
#include "gateway/targets/targets.h"
#include "schema/job.h"

#include <stdbool.h>

/* One request on its way through a handler. */
struct api_call {
	struct gateway *gw;
	struct http_request *rq;
	const struct api_route *route;
	struct people people;
	const struct identity *who; /* is asking: the first of people; empty for open calls */
	char param[256];            /* what stood for the last * in the path */
	bool waits;                 /* a start that was answered with "waiting" */
	bool begun, refused;        /* the trail has a record of what it does; of its refusal or failure */
	uint64_t spent_ns;          /* on what its headers ask for */
};

enum api_access { API_OPEN, API_USER, API_OPERATOR };

struct api_route {
	const char *method, *path; /* whole segments may be "*" */
	enum api_access access;
	void (*handle)(struct api_call *a);
};

/* api_routes: all of them, in the order that monitoring numbers them by. */
const struct api_route *api_routes(size_t *ret_n);
/* So many connections, beyond those of limits.connections, are kept for operators: their calls are served also when viewers have taken up all places. */
#define API_RESERVED 16u

/* Callbacks for http_server_options; ctx is the gateway. */
void api_on_headers(void *ctx, struct http_request *rq);
void api_on_request(void *ctx, struct http_request *rq);
void api_on_done(void *ctx, struct http_request *rq);

/* ---- shared by handlers ---- */

/* May this user see the job: own, shared by policy, or operator (the record, never the packets)? */
bool api_may_see(const struct api_call *a, const struct job *j);
/* May this user have the packets: own, or shared by policy? */
bool api_may_have(const struct api_call *a, const struct job *j);
/* May this user stop or delete it: own only. */
bool api_may_end(const struct api_call *a, const struct job *j);

/* api_job: the job named in the path when may() says so; else the 404 is already answered and NULL returned.  Caller frees. */
struct job *api_job(struct api_call *a, bool (*may)(const struct api_call *, const struct job *));

/* api_job_json: its newest figures, from the running capture when there is one. */
json_t *api_job_json(struct gateway *gw, const struct job *j, bool brief);

/* api_job_json_for: the same for who asks: operators see why it is on hold. */
json_t *api_job_json_for(const struct api_call *a, const struct job *j, bool brief);

/* api_is_operator: on an open call, does the caller show an operator's token?  A wrong token counts as none. */
bool api_is_operator(struct api_call *a);

/* api_caller: on an open call, who the caller's token says it is; NULL: none, or a wrong one.  Borrowed from a. */
const struct identity *api_caller(struct api_call *a);

/* api_body: the body as a JSON object ({} when empty); answered and NULL when it is none. Caller decrefs. */
json_t *api_body(struct api_call *a);

/* api_audit: a record of what this request did, or was refused; texts, job, scopes and data (all optional) are borrowed.  -1: as audit_write; what is not recorded must not
 * happen, so whatever starts, ends, erases, hands out or changes something is recorded before it does. */
struct api_audited {
	const struct err *refused; /* NULL: it is done */
	bool was_begun;            /* refused is why it failed on the way */
	bool begins;               /* whether it is done comes in another record */
	const char *why;           /* that somebody gave */
	const char *job;
	const struct scope_list *scopes;
	json_t *data;
	bool is_strangers; /* see audit.h */
};
int api_audit(struct api_call *a, const char *action, const struct api_audited *what, struct err *err);

/* api_audit_job: the same of something done to a job; data is stolen, may be NULL. */
int api_audit_job(struct api_call *a, const char *action, const struct job *j, json_t *data, struct err *err);

/* api_audit_start: of a start that is just about to happen; of one that is refused, r NULL when its body could not be read. */
struct start_request;
int api_audit_start(struct api_call *a, const struct start_request *r, const struct job *j,
	const struct target_set *targets, struct err *err);
int api_audit_ask(struct api_call *a, const struct start_request *r, const struct job *j,
	const struct target_set *targets, const char *because, struct err *err); /* of one that waits for an approval */
void api_audit_start_refused(struct api_call *a, const struct start_request *r, const struct err *why);

/* api_audit_erased: how the erasing came out that "capture.delete" was the beginning of; why NULL: all of it is gone.  Never refused. */
struct erase_report;
void api_audit_erased(struct api_call *a, const struct job *j, const struct erase_report *r, bool purge, bool record,
	const struct err *why);

/* api_audit_refusal: when this request was to change something and is answered with an error that the trail has not been told of. */
void api_audit_refusal(struct api_call *a);

/* api_audit_shown: what there is about j, to an operator whose own it is not; once in a while for each operator. */
void api_audit_shown(struct api_call *a, const struct job *j, const char *what);

/* api_audit_looked: at a list of what is other users', filtered by such members of its query; once in a while for each operator and filter. */
void api_audit_looked(struct api_call *a, const char *what, const char *const *names);

/* api_audit_link: somebody with a good link is about to get the bytes of j; the first of many ranges of one peer counts for a minute. */
int api_audit_link(struct api_call *a, const struct job *j, bool once, struct err *err);

/* api_audit_stranger: a token or link that is refused (never the token), or a capture that is not the asker's; so many a minute. */
void api_audit_stranger(struct api_call *a, const char *action, const struct err *why);

/* ---- handlers, by file ---- */
void api_resolve(struct api_call *a);
void api_devices(struct api_call *a);
void api_captures_start(struct api_call *a);
void api_captures_list(struct api_call *a);
void api_captures_show(struct api_call *a);
void api_captures_stop(struct api_call *a);
void api_captures_delete(struct api_call *a);
void api_live(struct api_call *a);
void api_events(struct api_call *a);
void api_link(struct api_call *a);
void api_download(struct api_call *a);
void api_file(struct api_call *a);
void api_info(struct api_call *a);
void api_healthz(struct api_call *a);
void api_readyz(struct api_call *a);
void api_page(struct api_call *a);
void api_login_token(struct api_call *a);
void api_admin_list(struct api_call *a);
void api_admin_kill(struct api_call *a);
void api_admin_purge(struct api_call *a);
void api_admin_agents(struct api_call *a);
void api_switches_list(struct api_call *a);
void api_switches_show(struct api_call *a);
void api_switches_set(struct api_call *a);
void api_switches_delete(struct api_call *a);
void api_switches_allowed(struct api_call *a); /* developers', api_own_switches.c */
void api_switches_allow(struct api_call *a);

/* api_switch_put, api_switch_remove: recorded, then done; what runs is not looked at yet (enforcer_now).  ret_replaced: the row that r stands in place of, as JSON, or
 * null; the caller's, NULL: not wanted. */
struct switch_row;
int api_switch_put(struct api_call *a, const struct switch_row *r, json_t **ret_replaced, struct err *err);
int api_switch_remove(struct api_call *a, const struct switch_row *old, struct err *err);
void api_captures_begin(struct api_call *a); /* one that waited, and is approved */
void api_admin_approvals(struct api_call *a);
void api_admin_approve(struct api_call *a);
void api_admin_deny(struct api_call *a);

/* api_kill_waiting: those of the filter that wait for an approval end; their ids are added to killed.  api_stop_waiting: the one j ends, by its user; ERR_STATE: it waits no more. */
void api_kill_waiting(struct api_call *a, const struct job_filter *filter, const struct err *why, json_t *killed);
int api_stop_waiting(struct api_call *a, struct job *j, struct err *err);
void api_admin_halt(struct api_call *a);
void api_admin_resume(struct api_call *a);
void api_admin_hold(struct api_call *a);
void api_admin_unhold(struct api_call *a);
void api_admin_audit(struct api_call *a);
void api_admin_audit_verify(struct api_call *a);

/* api_list: GET of a list; admin: all users' jobs. */
void api_list(struct api_call *a, bool admin);

/* api_page_tell: adds to /v1/info's `login` how the status page logs people in. */
void api_page_tell(struct api_call *a, json_t *login);

/* api_stream_reply: answers with a viewer's stream (taken). */
struct live_viewer;
void api_stream_reply(struct api_call *a, struct live_viewer *v, enum job_format format, const char *job_id,
	uint64_t offset, size_t prelude_bytes);

#endif
