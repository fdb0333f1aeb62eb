/* api.h - the gateway's HTTP API: which path is whose, who may call it, and what all handlers share.
 * Nothing is done for a caller before the token is checked: the router refuses in the headers. */
#ifndef PCAPLINE_GATEWAY_API_H
#define PCAPLINE_GATEWAY_API_H

#include "common/http_server.h"
#include "gateway/gateway.h"
#include "gateway/targets.h"
#include "schema/job.h"

#include <stdbool.h>

/* One request on its way through a handler. */
struct api_call {
	struct gateway *gw;
	struct http_request *rq;
	const struct api_route *route;
	struct people people;
	const struct identity *who; /* is asking: the first of people; empty for open calls */
	char param[256];            /* what stood for the * in the path */
};

enum api_access { API_OPEN, API_USER, API_OPERATOR };

struct api_route {
	const char *method, *path; /* one whole segment may be "*" */
	enum api_access access;
	void (*handle)(struct api_call *a);
};

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
	const char *why;           /* that somebody gave */
	const char *job;
	const struct scope_list *scopes;
	json_t *data;
};
int api_audit(struct api_call *a, const char *action, const struct api_audited *what, struct err *err);

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

/* api_list: GET of a list; admin: all users' jobs. */
void api_list(struct api_call *a, bool admin);

/* api_page_tell: adds to /v1/info's `login` how the status page logs people in. */
void api_page_tell(struct api_call *a, json_t *login);

/* api_stream_reply: answers with a viewer's stream (taken). */
struct live_viewer;
void api_stream_reply(struct api_call *a, struct live_viewer *v, enum job_format format, const char *job_id,
	uint64_t offset, size_t prelude_bytes);

#endif
