/* Links to stored captures: made, followed, and served when the store has no URLs of its own. */
#include "common/clock.h"
#include "common/json_in.h"
#include "gateway/api.h"
#include "gateway/storage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX 1024

struct link_wish {
	uint64_t ttl_s;
	bool once;
};

static int read_wish(struct api_call *a, json_t *body, struct link_wish *ret, struct err *err)
{
	struct json_in in;

	ret->ttl_s = a->gw->config.link_ttl_ms / 1000;
	json_in_begin(&in, body, "", err);
	json_in_u64(&in, "ttl_s", 1, a->gw->config.link_ttl_max_ms / 1000, &ret->ttl_s);
	json_in_bool(&in, "once", &ret->once);
	return json_in_end(&in);
}

static int check_ready(const struct job *j, const struct gateway *gw, struct err *err)
{
	if (j->state == JOB_READY && gw->store)
		return storage_is_elsewhere(gw, j, err) ? -1 : 0;
	if (j->state == JOB_READY)
		return err_set(err, ERR_UNAVAILABLE, "storage is switched off on this gateway");
	if (j->state == JOB_STARTING || j->state == JOB_RUNNING || j->state == JOB_FINISHING)
		err_set(err, ERR_STATE, "the capture is %s; its file is there when it is ready",
			job_state_name(j->state));
	else
		err_set(err, ERR_STATE, "the capture is %s: there is no file of it", job_state_name(j->state));
	return err_detail(err, "not_ready");
}

/* "web-<id>.pcapng": a name that means something in a downloads folder. */
static void file_name(const struct job *j, char *ret, size_t size)
{
	const char *from = j->instances_n > 0 ? j->instances[0].name : "capture";
	char stem[64];
	size_t n = 0;

	for (; from[n] && from[n] != '/' && n < sizeof(stem) - 1; n++)
		stem[n] = strchr("\"\\;%", from[n]) || from[n] <= ' ' || from[n] > '~' ? '_' : from[n];
	stem[n] = '\0';
	snprintf(ret, size, "%s-%s.%s", stem, j->id, job_format_name(j->format));
}

/* The URL (caller frees) and when it ends. */
static char *make_url(
	struct api_call *a, const struct job *j, struct link_wish *w, uint64_t *ret_expires_ns, struct err *err)
{
	uint64_t now = clock_wall_ns(), expires = now + w->ttl_s * CLOCK_NS_PER_S;
	struct link l = {0};
	char text[LINK_TEXT_MAX], name[160];
	const char *base = atomic_load(&a->gw->public_url);
	char *url;

	if (j->expires_at > 0 && expires > j->expires_at)
		expires = j->expires_at;
	*ret_expires_ns = expires;
	file_name(j, name, sizeof(name));
	if (!w->once && (url = store_object_url(a->gw->store, j->object_key, w->ttl_s, name, err)))
		return url;
	if (err->code != ERR_NONE)
		return NULL;
	if (!base) {
		err_set(err, ERR_UNAVAILABLE, "this gateway is just starting");
		return NULL;
	}
	memcpy(l.job, j->id, sizeof(l.job));
	l.expires_s = (expires + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;
	if (w->once) {
		id_new(l.nonce);
		if (job_db_link_add(a->gw->db, l.nonce, j->id, l.expires_s * CLOCK_NS_PER_S, err) < 0)
			return NULL;
	}
	if (link_sign(&a->gw->link_key, &l, text, err) < 0)
		return NULL;
	if (!(url = malloc(URL_MAX))) {
		err_nomem(err);
		return NULL;
	}
	snprintf(url, URL_MAX, "%s/v1/files/%s", base, text);
	return url;
}

void api_link(struct api_call *a)
{
	struct job *j = api_job(a, api_may_have);
	struct link_wish w = {0};
	struct err err = {0};
	char at[CLOCK_TEXT_MAX];
	uint64_t expires;
	char *url = NULL;
	json_t *body;

	if (!j)
		return;
	if (!(body = api_body(a))) {
		job_free(j);
		return;
	}
	if (read_wish(a, body, &w, &err) < 0 || check_ready(j, a->gw, &err) < 0 ||
		!(url = make_url(a, j, &w, &expires, &err)))
		http_reply_err(a->rq, &err);
	else
		http_reply_json(a->rq, 200,
			json_pack("{s:s, s:s, s:I, s:s}", "url", url, "expires_at", clock_rfc3339(expires, at),
				"size_bytes", (json_int_t)j->object_bytes, "sha256", j->object_sha256));
	free(url);
	json_decref(body);
	job_free(j);
}

void api_download(struct api_call *a)
{
	struct job *j = api_job(a, api_may_have);
	struct link_wish w = {.ttl_s = a->gw->config.link_ttl_ms / 1000};
	struct err err = {0};
	uint64_t expires;
	char *url = NULL;

	if (!j)
		return;
	if (check_ready(j, a->gw, &err) < 0 || !(url = make_url(a, j, &w, &expires, &err))) {
		http_reply_err(a->rq, &err);
	} else {
		http_reply_header(a->rq, "Location", url);
		http_reply_empty(a->rq, 303);
	}
	free(url);
	job_free(j);
}

/* ---- /v1/files: whoever holds the link ---- */

static void refuse_link(struct http_request *rq, const struct err *err)
{
	if (err->code == ERR_STATE)
		http_reply_error(rq, 410, err_api_code(err), NULL, "%s", err->msg);
	else
		http_reply_err(rq, err);
}

static void send_object(struct api_call *a, const struct job *j)
{
	char disposition[256], name[160], etag[DIGEST_SHA256_HEX_MAX + 2];
	struct err err = {0};
	uint64_t size;
	int fd;

	if ((fd = store_object_open(a->gw->store, j->object_key, &size, &err)) < 0) {
		http_reply_err(a->rq, &err);
		return;
	}
	file_name(j, name, sizeof(name));
	snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s\"", name);
	http_reply_header(a->rq, "Content-Disposition", disposition);
	snprintf(etag, sizeof(etag), "\"%s\"", j->object_sha256);
	http_reply_file(
		a->rq, fd, size, j->format == JOB_PCAP ? "application/vnd.tcpdump.pcap" : "application/x-pcapng", etag);
}

void api_file(struct api_call *a)
{
	struct err err = {0};
	struct job *j = NULL;
	struct link l;

	if (link_verify(&a->gw->link_key, a->param, clock_wall_ns() / CLOCK_NS_PER_S, &l, &err) < 0) {
		refuse_link(a->rq, &err);
		return;
	}
	j = job_db_get(a->gw->db, l.job, &err);
	if (!j || j->state != JOB_READY || !a->gw->store) {
		http_reply_error(a->rq, 410, "gone", NULL, "what this link led to has been erased");
	} else if (l.nonce[0] && !http_request_is_head(a->rq) && job_db_link_use(a->gw->db, l.nonce, l.job, &err) < 0) {
		if (err.code == ERR_NOT_FOUND)
			http_reply_error(a->rq, 410, "link_used", NULL,
				"this link was good for one download, which has happened");
		else
			http_reply_err(a->rq, &err);
	} else {
		send_object(a, j);
	}
	job_free(j);
}
