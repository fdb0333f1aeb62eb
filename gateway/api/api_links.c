/* Links to stored captures: made, followed, and served when the store has no URLs of its own. */
#include "common/clock.h"
#include "common/fs.h"
#include "common/json_in.h"
#include "gateway/api/api.h"
#include "gateway/storage/storage.h"

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

/* A URL of this gateway's own, which sees who comes. */
static char *gateway_url(struct api_call *a, const struct job *j, bool once, uint64_t expires_ns, struct err *err)
{
	const char *base = atomic_load(&a->gw->public_url);
	char text[LINK_TEXT_MAX], *url;
	struct link l = {0};

	if (!base) {
		err_set(err, ERR_UNAVAILABLE, "this gateway is just starting");
		return NULL;
	}
	memcpy(l.job, j->id, sizeof(l.job));
	l.expires_s = (expires_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;
	if (once) {
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

/* The URL (caller frees) and when it ends: never after the file, nor after the keys that signed it.  The store's own URLs know no "once". */
static char *make_url(
	struct api_call *a, const struct job *j, const struct link_wish *w, uint64_t *ret_expires_ns, struct err *err)
{
	uint64_t now = clock_wall_ns(), expires = now + w->ttl_s * CLOCK_NS_PER_S, ttl_s;
	bool direct = !w->once && strcmp(a->gw->config.storage_links, "direct") == 0;
	char name[160], *url;

	if (j->expires_at > 0 && j->expires_at <= now) {
		err_set(err, ERR_STATE, "the capture has expired; its file is just being erased");
		err_detail(err, "not_ready");
		return NULL;
	}
	if (j->expires_at > 0 && expires > j->expires_at)
		expires = j->expires_at;
	*ret_expires_ns = expires;
	ttl_s = (expires - now + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;
	file_name(j, name, sizeof(name));
	if (direct && (url = store_object_url(a->gw->store, j->object_key, &ttl_s, name, err))) {
		if (now + ttl_s * CLOCK_NS_PER_S < expires) /* the store's keys end before */
			*ret_expires_ns = now + ttl_s * CLOCK_NS_PER_S;
		return url;
	}
	return err->code == ERR_NONE ? gateway_url(a, j, w->once, expires, err) : NULL;
}

/* With a link to the store itself this is the last that is known of the download. */
static int audit_link(
	struct api_call *a, const char *action, const struct job *j, const struct link_wish *w, struct err *err)
{
	bool direct = !w->once && strcmp(a->gw->config.storage_links, "direct") == 0 &&
		      !store_objects_are_files(a->gw->store);

	return api_audit_job(a, action, j,
		json_pack("{s:I, s:b, s:b, s:I}", "ttl_s", (json_int_t)w->ttl_s, "once", w->once, "direct", direct,
			"size_bytes", (json_int_t)j->object_bytes),
		err);
}

static void refuse(struct api_call *a, const char *action, const struct job *j, const struct err *err)
{
	api_audit(a, action, &(struct api_audited){.refused = err, .job = j->id, .scopes = &j->scopes}, NULL);
	http_reply_err(a->rq, err);
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
		audit_link(a, "link.create", j, &w, &err) < 0 || !(url = make_url(a, j, &w, &expires, &err)))
		refuse(a, "link.create", j, &err);
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
	if (check_ready(j, a->gw, &err) < 0 || audit_link(a, "download", j, &w, &err) < 0 ||
		!(url = make_url(a, j, &w, &expires, &err))) {
		refuse(a, "download", j, &err);
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

/* An object that is no file, read block by block as the peer takes it. */
struct object_reader {
	struct store *store;
	char *key;
};

static int object_read(void *ctx, uint64_t offset, void *dst, size_t n, struct err *err)
{
	const struct object_reader *o = ctx;

	return store_object_read(o->store, o->key, offset, dst, n, err);
}

static void object_close(void *ctx)
{
	struct object_reader *o = ctx;

	free(o->key);
	free(o);
}

static void send_blocks(struct api_call *a, const struct job *j, const char *type, const char *etag)
{
	static const struct http_reader ops = {.read = object_read, .close = object_close};
	struct object_reader *o = calloc(1, sizeof(*o));
	struct err err = {0};

	if (!o || !(o->key = strdup(j->object_key))) {
		free(o);
		err_nomem(&err);
		http_reply_err(a->rq, &err);
		return;
	}
	o->store = a->gw->store;
	http_reply_reader(a->rq, &ops, o, j->object_bytes, type, etag);
}

/* While a refusal can still be said: is the object where it should be?  A file is opened then; *ret_fd -1: it is none. */
static int find_object(const struct gateway *gw, const struct job *j, int *ret_fd, uint64_t *ret_size, struct err *err)
{
	uint8_t first;

	*ret_fd = -1;
	if (storage_is_elsewhere(gw, j, err))
		return -1;
	if (store_objects_are_files(gw->store))
		return (*ret_fd = store_object_open(gw->store, j->object_key, ret_size, err)) < 0 ? -1 : 0;
	return j->object_bytes > 0 ? store_object_read(gw->store, j->object_key, 0, &first, 1, err) : 0;
}

static void send_object(struct api_call *a, const struct job *j, int fd, uint64_t size)
{
	const char *type = j->format == JOB_PCAP ? "application/vnd.tcpdump.pcap" : "application/x-pcapng";
	char disposition[256], name[160], etag[DIGEST_SHA256_HEX_MAX + 2];

	file_name(j, name, sizeof(name));
	snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s\"", name);
	http_reply_header(a->rq, "Content-Disposition", disposition);
	snprintf(etag, sizeof(etag), "\"%s\"", j->object_sha256);
	if (fd >= 0)
		http_reply_file(a->rq, fd, size, type, etag);
	else
		send_blocks(a, j, type, etag);
}

/* A link for one download is used up when the download can begin. */
static int use_link(struct api_call *a, const struct link *l, struct err *err)
{
	if (!l->nonce[0] || http_request_is_head(a->rq) || job_db_link_use(a->gw->db, l->nonce, l->job, err) == 0)
		return 0;
	if (err->code == ERR_NOT_FOUND)
		http_reply_error(
			a->rq, 410, "link_used", NULL, "this link was good for one download, which has happened");
	else
		http_reply_err(a->rq, err);
	return -1;
}

void api_file(struct api_call *a)
{
	struct err err = {0};
	struct job *j = NULL;
	uint64_t size = 0;
	struct link l;
	int fd = -1;

	if (link_verify(&a->gw->link_key, a->param, clock_wall_ns() / CLOCK_NS_PER_S, &l, &err) < 0) {
		api_audit_stranger(a, "link.use", &err);
		refuse_link(a->rq, &err);
		return;
	}
	j = job_db_get(a->gw->db, l.job, &err);
	if (!j || j->state != JOB_READY || !a->gw->store) {
		http_reply_error(a->rq, 410, "gone", NULL, "what this link led to has been erased");
	} else if (find_object(a->gw, j, &fd, &size, &err) < 0) {
		http_reply_err(a->rq, &err);
	} else if (use_link(a, &l, &err) < 0) {
		api_audit(a, "link.use",
			&(struct api_audited){
				.refused = &err, .job = j->id, .scopes = &j->scopes, .is_strangers = true},
			NULL);
		fs_close(fd);
	} else if (!http_request_is_head(a->rq) && api_audit_link(a, j, l.nonce[0], &err) < 0) {
		fs_close(fd);
		http_reply_err(a->rq, &err);
	} else {
		send_object(a, j, fd, size);
	}
	job_free(j);
}
