/* The signed link of a download.  It is its own permission: the token goes to the gateway that makes it and never along with it. */
#include "cli/fetch/fetch_internal.h"
#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_url(struct fetch_task *t, const char *url, char **ret, struct err *err)
{
	if (!strncmp(url, "https://", 8) || !strncmp(url, "http://", 7))
		*ret = api_path(err, "%s", url);
	else if (*url == '/')
		*ret = api_path(err, "%s%s", t->f->api->base, url);
	else
		return err_set(err, ERR_NET, "the gateway's link is no http(s) URL");
	return *ret ? 0 : -1;
}

/* Another link must lead to the same file: what is here already is of that one. */
static int take_answer(struct fetch_task *t, const json_t *answer, struct err *err)
{
	const char *url = json_text(answer, "url"), *sha = json_text(answer, "sha256");
	const json_t *size = json_at(answer, "size_bytes");
	struct fetch_link *l = &t->link;
	char *fresh = NULL;

	if (!*url || !json_is_integer(size) || json_integer_value(size) < 0 || strlen(sha) != DIGEST_SHA256_HEX_MAX - 1)
		return err_set(err, ERR_NET, "the gateway's link lacks url, size_bytes or sha256");
	if (l->url && ((uint64_t)json_integer_value(size) != l->size || strcmp(sha, l->sha256)))
		return err_set(err, ERR_INTERNAL, "the gateway's new link leads to another file");
	if (read_url(t, url, &fresh, err) < 0)
		return -1;
	l->size = (uint64_t)json_integer_value(size);
	memcpy(l->sha256, sha, sizeof(l->sha256));
	free(l->url);
	l->url = fresh;
	l->generation++;
	return 0;
}

static int read_answer(struct fetch_task *t, const struct http_call *call, struct err *err)
{
	json_t *answer;
	int rc;

	if (http_call_error(call, err) < 0)
		return -1;
	answer = http_call_json(call, err);
	if (!answer) {
		if (err)
			err->code = ERR_NET; /* nothing that the user typed */
		return -1;
	}
	rc = take_answer(t, answer, err);
	json_decref(answer);
	return rc;
}

/* Not by api_call: Ctrl-C must not wait for a gateway that does not answer. */
static int ask_locked(struct fetch_task *t, struct err *err)
{
	char path[64];
	struct api_stream o = {
		.method = "POST",
		.path = path,
		.body = "{}",
		.answer_timeout_ms = FETCH_TIMEOUT_MS,
		.idle_timeout_ms = FETCH_TIMEOUT_MS,
	};
	struct http_call *call;
	int rc = -1;

	snprintf(path, sizeof(path), "/v1/captures/%s/link", t->f->job);
	call = api_stream_new(t->f->api, &o, err);
	if (call && stopper_run(t->stopper, call, err) == 0)
		rc = read_answer(t, call, err);
	http_call_free(call);
	return rc;
}

int fetch_link_ask(struct fetch_task *t, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&t->link.lock);
	if (!t->link.url)
		rc = ask_locked(t, err);
	pthread_mutex_unlock(&t->link.lock);
	return rc;
}

int fetch_link_renew(struct fetch_task *t, unsigned generation, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&t->link.lock);
	if (t->link.generation == generation)
		rc = ask_locked(t, err);
	pthread_mutex_unlock(&t->link.lock);
	return rc;
}

char *fetch_link_url(struct fetch_task *t, unsigned *ret_generation, struct err *err)
{
	char *url;

	pthread_mutex_lock(&t->link.lock);
	url = api_path(err, "%s", t->link.url);
	*ret_generation = t->link.generation;
	pthread_mutex_unlock(&t->link.lock);
	return url;
}

int fetch_link_check_etag(struct fetch_task *t, const char *etag, struct err *err)
{
	struct fetch_link *l = &t->link;
	char cut[FETCH_ETAG_MAX];
	int rc = 0;

	snprintf(cut, sizeof(cut), "%s", etag ? etag : "");
	pthread_mutex_lock(&l->lock);
	if (!l->has_etag)
		memcpy(l->etag, cut, sizeof(cut));
	else if (strcmp(l->etag, cut))
		rc = err_set(err, ERR_NET,
			"the file was replaced at the server while it was fetched (its ETag is another one now)");
	l->has_etag = true;
	pthread_mutex_unlock(&l->lock);
	return rc;
}
