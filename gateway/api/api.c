#include "gateway/api/api.h"

#include "common/clock.h"
#include "common/json_in.h"
#include "common/log.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/metrics/metrics.h"
#include "gateway/policy/approvals.h"
#include "gateway/storage/storage.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TOKEN_MAX    16384
#define SECOND_TOKEN "Pcap-Second-Token"

static const struct api_route routes[] = {
	{"GET", "/healthz", API_OPEN, api_healthz},
	{"GET", "/readyz", API_OPEN, api_readyz},
	{"GET", "/v1/info", API_OPEN, api_info},
	{"GET", "/admin", API_OPEN, api_page},
	{"POST", "/v1/login/token", API_OPEN, api_login_token},
	{"GET", "/v1/files/*", API_OPEN, api_file},
	{"POST", "/v1/resolve", API_USER, api_resolve},
	{"POST", "/v1/devices", API_USER, api_devices},
	{"POST", "/v1/captures", API_USER, api_captures_start},
	{"GET", "/v1/captures", API_USER, api_captures_list},
	{"GET", "/v1/captures/*", API_USER, api_captures_show},
	{"DELETE", "/v1/captures/*", API_USER, api_captures_delete},
	{"GET", "/v1/captures/*/events", API_USER, api_events},
	{"GET", "/v1/captures/*/live", API_USER, api_live},
	{"POST", "/v1/captures/*/start", API_USER, api_captures_begin},
	{"POST", "/v1/captures/*/stop", API_USER, api_captures_stop},
	{"POST", "/v1/captures/*/link", API_USER, api_link},
	{"GET", "/v1/captures/*/download", API_USER, api_download},
	{"GET", "/v1/admin/captures", API_OPERATOR, api_admin_list},
	{"GET", "/v1/admin/approvals", API_OPERATOR, api_admin_approvals},
	{"POST", "/v1/admin/captures/*/approve", API_OPERATOR, api_admin_approve},
	{"POST", "/v1/admin/captures/*/deny", API_OPERATOR, api_admin_deny},
	{"POST", "/v1/admin/kill", API_OPERATOR, api_admin_kill},
	{"POST", "/v1/admin/purge", API_OPERATOR, api_admin_purge},
	{"GET", "/v1/admin/agents", API_OPERATOR, api_admin_agents},
	{"GET", "/v1/admin/switches", API_OPERATOR, api_switches_list},
	{"GET", "/v1/admin/switches/platform", API_OPERATOR, api_switches_show},
	{"PUT", "/v1/admin/switches/platform", API_OPERATOR, api_switches_set},
	{"DELETE", "/v1/admin/switches/platform", API_OPERATOR, api_switches_delete},
	{"GET", "/v1/admin/switches/*/*", API_OPERATOR, api_switches_show},
	{"PUT", "/v1/admin/switches/*/*", API_OPERATOR, api_switches_set},
	{"DELETE", "/v1/admin/switches/*/*", API_OPERATOR, api_switches_delete},
	{"GET", "/v1/admin/switches/group/*/*", API_OPERATOR, api_switches_show},
	{"PUT", "/v1/admin/switches/group/*/*", API_OPERATOR, api_switches_set},
	{"DELETE", "/v1/admin/switches/group/*/*", API_OPERATOR, api_switches_delete},
	{"GET", "/v1/switches/*/*", API_USER, api_switches_allowed},
	{"PUT", "/v1/switches/*/*", API_USER, api_switches_allow},
	{"POST", "/v1/admin/halt", API_OPERATOR, api_admin_halt},
	{"POST", "/v1/admin/resume", API_OPERATOR, api_admin_resume},
	{"POST", "/v1/admin/hold", API_OPERATOR, api_admin_hold},
	{"POST", "/v1/admin/unhold", API_OPERATOR, api_admin_unhold},
	{"GET", "/v1/admin/audit", API_OPERATOR, api_admin_audit},
	{"POST", "/v1/admin/audit/verify", API_OPERATOR, api_admin_audit_verify},
};
#define ROUTES_N (sizeof(routes) / sizeof(routes[0]))
_Static_assert(ROUTES_N <= METRICS_ROUTES_MAX, "each route is counted by itself");

const struct api_route *api_routes(size_t *ret_n)
{
	*ret_n = ROUTES_N;
	return routes;
}

/* ---- routing ---- */

static bool path_matches(const char *pattern, const char *path, char *ret_param, size_t size)
{
	ret_param[0] = '\0';
	while (*pattern && *path) {
		if (*pattern == '*') {
			size_t n = strcspn(path, "/");

			if (n == 0 || n >= size)
				return false;
			memcpy(ret_param, path, n);
			ret_param[n] = '\0';
			path += n;
			pattern++;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *pattern == *path;
}

/* The route, or NULL with the refusal given. */
static const struct api_route *route_find(struct http_request *rq, char *ret_param, size_t size)
{
	char allow[64] = "";

	for (size_t i = 0; i < ROUTES_N; i++) {
		if (!path_matches(routes[i].path, http_request_path(rq), ret_param, size))
			continue;
		if (strcmp(routes[i].method, http_request_method(rq)) == 0)
			return &routes[i];
		snprintf(allow + strlen(allow), sizeof(allow) - strlen(allow), "%s%s", allow[0] ? ", " : "",
			routes[i].method);
	}
	if (allow[0]) {
		http_reply_header(rq, "Allow", allow);
		http_reply_error(rq, 405, "method_not_allowed", NULL, "this path takes %s", allow);
	} else {
		http_reply_error(rq, 404, "not_found", NULL, "there is no such path in this API");
	}
	return NULL;
}

/* From "Bearer TOKEN" to one more of a->people. */
static int identify(struct api_call *a, const char *header, const char *name, struct err *err)
{
	if (strncasecmp(header, "Bearer ", 7) != 0)
		return err_set(err, ERR_AUTH, "the %s header must be \"Bearer TOKEN\"", name);
	header += 7 + strspn(header + 7, " ");
	if (!*header || strlen(header) > TOKEN_MAX)
		return err_set(err, ERR_AUTH, "the token is not valid here");
	if (a->gw->identities->ops->check(a->gw->identities, header, &a->people.who[a->people.n], err) < 0)
		return -1;
	a->people.n++;
	return 0;
}

/* The caller, and who the caller is to a platform with an issuer of its own. */
static int identify_all(struct api_call *a, struct err *err)
{
	const char *first = http_request_header(a->rq, "Authorization");
	const char *second = http_request_header(a->rq, SECOND_TOKEN);

	if (!first)
		return err_set(err, ERR_AUTH, "an Authorization header with a bearer token is needed");
	if (identify(a, first, "Authorization", err) < 0)
		return -1;
	if (!second || identify(a, second, SECOND_TOKEN, err) == 0)
		return 0;
	err_in(err, SECOND_TOKEN);
	return err_field(err, SECOND_TOKEN);
}

static int authenticate(struct api_call *a, struct err *err)
{
	if (identify_all(a, err) < 0)
		return -1;
	if (a->route->access == API_OPERATOR && !a->who->is_operator)
		return err_set(err, ERR_PERM, "this call is for operators");
	return 0;
}

static void call_free(struct api_call *a)
{
	if (!a)
		return;
	people_done(&a->people);
	free(a);
}

/* For monitoring: what was answered, how soon. */
static void count_answer(const struct api_route *route, struct http_request *rq, uint64_t spent_ns)
{
	const char *range = http_request_header(rq, "Range");
	const struct api_call *a = http_request_user(rq);
	int status = http_request_status(rq);

	metrics_request(route ? (size_t)(route - routes) : METRICS_ROUTE_OTHER, status, spent_ns);
	if (!route)
		return;
	if (route->handle == api_captures_start || route->handle == api_captures_begin)
		metrics_start(a && a->waits ? METRICS_START_WAITS : status);
	if (route->handle == api_download && status == 303)
		metrics_download(false);
	/* A download in several pieces is one, and begins with the first. */
	if (route->handle == api_file && !http_request_is_head(rq) &&
		(status == 200 || (status == 206 && range && strncmp(range, "bytes=0-", 8) == 0)))
		metrics_download(true);
}

void api_on_headers(void *ctx, struct http_request *rq)
{
	const uint64_t begun_ns = clock_mono_ns();
	struct api_call *a = calloc(1, sizeof(*a));
	struct err err = {0};

	log_context_request(http_request_id(rq));
	if (!a) {
		err_nomem(&err);
		http_reply_err(rq, &err);
		return;
	}
	a->gw = ctx;
	a->who = &a->people.who[0];
	a->rq = rq;
	if (!(a->route = route_find(rq, a->param, sizeof(a->param)))) {
		count_answer(NULL, rq, clock_mono_ns() - begun_ns);
		call_free(a);
		return;
	}
	if (http_request_is_reserved(rq) && a->route->access != API_OPERATOR) {
		http_reply_header(rq, "Retry-After", "10");
		http_reply_error(rq, 503, "too_many_connections", NULL,
			"this gateway serves as many connections as it may (limits.connections); try again later");
		call_free(a);
		return;
	}
	if (a->route->access != API_OPEN && authenticate(a, &err) < 0) {
		log_err(LOG_LEVEL_INFO, "request.refused", &err,
			json_pack("{s:s, s:s, s:s}", "method", a->route->method, "path", a->route->path, "peer",
				http_request_peer(rq)));
		api_audit_stranger(a, err.code == ERR_PERM ? "request.refused" : "token.refused", &err);
		if (err.code == ERR_UNAVAILABLE)
			http_reply_header(rq, "Retry-After", "10");
		http_reply_err(rq, &err);
		metrics_token_refused(&err, http_request_header(rq, "Authorization") != NULL);
		count_answer(a->route, rq, clock_mono_ns() - begun_ns);
		call_free(a);
		return;
	}
	a->spent_ns = clock_mono_ns() - begun_ns;
	http_request_set_user(rq, a);
}

void api_on_request(void *ctx, struct http_request *rq)
{
	const uint64_t begun_ns = clock_mono_ns();
	struct api_call *a = http_request_user(rq);

	(void)ctx;
	log_context_request(http_request_id(rq));
	a->route->handle(a);
	api_audit_refusal(a);
	count_answer(a->route, rq, a->spent_ns + clock_mono_ns() - begun_ns);
}

void api_on_done(void *ctx, struct http_request *rq)
{
	struct api_call *a = http_request_user(rq);

	(void)ctx;
	if (a)
		api_audit_refusal(a); /* its body was not even taken */
	call_free(a);
	http_request_set_user(rq, NULL);
	log_context_request(NULL);
}

/* ---- rights ---- */

static bool is_shared(const struct api_call *a, const struct job *j)
{
	const char *share = a->gw->config.share;
	bool same_org = j->org[0] && strcmp(j->org, a->who->org) == 0;

	for (size_t n = 0; n < j->scopes.n; n++) {
		if (strcmp(j->scopes.items[n].org, a->who->org) != 0)
			return false;
		if (strcmp(share, "space") == 0 && strcmp(j->scopes.items[n].space, a->who->space) != 0)
			return false;
	}
	if (strcmp(share, "org") == 0)
		return same_org;
	if (strcmp(share, "space") == 0)
		return same_org && j->space[0] && strcmp(j->space, a->who->space) == 0;
	return false;
}

bool api_may_end(const struct api_call *a, const struct job *j)
{
	return strcmp(j->owner_user_id, a->who->user_id) == 0;
}

bool api_may_have(const struct api_call *a, const struct job *j)
{
	return api_may_end(a, j) || is_shared(a, j);
}

bool api_may_see(const struct api_call *a, const struct job *j)
{
	return api_may_have(a, j) || a->who->is_operator;
}

const struct identity *api_caller(struct api_call *a)
{
	if (!a->who->user_id && a->route->access == API_OPEN && identify_all(a, NULL) < 0)
		return NULL;
	return a->who->user_id ? a->who : NULL;
}

bool api_is_operator(struct api_call *a)
{
	return api_caller(a) && a->who->is_operator;
}

/* ---- shared ---- */

struct job *api_job(struct api_call *a, bool (*may)(const struct api_call *, const struct job *))
{
	struct err err = {0};
	struct job *j = id_is_valid(a->param) ? job_db_get(a->gw->db, a->param, &err) : NULL;
	struct capture *c;

	if (j && !api_may_see(a, j)) {
		job_free(j);
		j = NULL;
	}
	if (!j) {
		if (err.code == ERR_NONE || err.code == ERR_NOT_FOUND)
			err_set(&err, ERR_NOT_FOUND, "there is no capture of this id that you may see");
		api_audit_stranger(a, "request.refused", &err);
		http_reply_err(a->rq, &err);
		return NULL;
	}
	if (api_may_end(a, j) && (c = jobs_find(a->gw->jobs, j->id))) {
		capture_renew(
			c, &a->people); /* whoever asks for it has a token, which may be newer than what it goes by */
		capture_unref(c);
	}
	if (!may(a, j)) {
		err_set(&err, ERR_PERM, "you may see this capture, but not this of it");
		err_detail(&err, "not_yours");
		api_audit_stranger(a, "request.refused", &err);
		http_reply_err(a->rq, &err);
		job_free(j);
		return NULL;
	}
	return j;
}

json_t *api_job_json(struct gateway *gw, const struct job *j, bool brief)
{
	struct capture *c = jobs_find(gw->jobs, j->id);
	json_t *json;

	json = c ? capture_to_json(c, brief) : job_to_json(j, brief);
	if (!c && json && !job_state_is_end(j->state)) /* one of a former process may be on its way */
		storage_tell(gw, j->id, json);
	if (json && (!brief || j->state == JOB_WAITING))
		approvals_tell(gw, j->id, json);
	capture_unref(c);
	return json;
}

json_t *api_job_json_for(const struct api_call *a, const struct job *j, bool brief)
{
	json_t *json = api_job_json(a->gw, j, brief);

	if (json && j->hold[0] && a->who->is_operator)
		json_object_set_new(json, "hold_reason", json_string(j->hold));
	return json;
}

json_t *api_body(struct api_call *a)
{
	struct err err = {0};
	size_t n;
	const void *p = http_request_body(a->rq, &n);
	json_t *body = n == 0 ? json_object() : json_in_parse(p, n, &err);

	if (!body && err.code == ERR_NONE)
		err_nomem(&err);
	if (!body)
		http_reply_err(a->rq, &err);
	return body;
}
