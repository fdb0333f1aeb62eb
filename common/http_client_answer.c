/* Reading the answer. */
#include "common/http_client_internal.h"
#include "common/json_in.h"

#include <string.h>

int http_call_status(const struct http_call *c)
{
	return c->answered ? c->status : 0;
}

const char *http_call_header(const struct http_call *c, const char *name)
{
	struct curl_header *h = NULL;

	if (!c->answered || curl_easy_header(c->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return NULL;
	return h->value;
}

const struct buf *http_call_body(const struct http_call *c)
{
	return &c->body;
}

bool http_call_sent(const struct http_call *c)
{
	return c->sent;
}

static enum err_code answer_kind(int status)
{
	switch (status) {
	case 401:
		return ERR_AUTH;
	case 403:
		return ERR_PERM;
	case 404:
	case 410:
		return ERR_NOT_FOUND;
	case 409:
		return ERR_STATE;
	case 413:
	case 431:
		return ERR_LIMIT;
	case 429:
		return ERR_BUSY;
	case 502:
		return ERR_NET;
	case 503:
		return ERR_UNAVAILABLE;
	case 408:
	case 504:
		return ERR_TIMEOUT;
	}
	return status < 500 ? ERR_INPUT : ERR_INTERNAL;
}

static const char *answer_text(json_t *error, const char *key)
{
	return json_string_value(json_object_get(error, key));
}

static bool answer_is_code(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	return n > 0 && n < sizeof(((struct err *)NULL)->detail) && strspn(s, "abcdefghijklmnopqrstuvwxyz_") == n;
}

int http_call_error(const struct http_call *c, struct err *err)
{
	const char *message, *code, *field;
	json_t *body, *error;
	enum err_code kind;

	if (http_call_status(c) < 400)
		return 0;
	kind = answer_kind(c->status);
	body = c->body.len > 0 ? json_in_parse(c->body.data, c->body.len, NULL) : NULL;
	error = json_object_get(body, "error"); /* NULL unless there is one, whatever body is */
	message = answer_text(error, "message");
	code = answer_text(error, "code");
	field = answer_text(error, "field");
	if (message && answer_is_code(code)) {
		err_set(err, kind, "%s", message);
		err_detail(err, code);
		if (field)
			err_field(err, field);
	} else {
		err_set(err, kind, "HTTP %d from %s", c->status, c->host);
	}
	json_decref(body);
	return -1;
}

json_t *http_call_json(const struct http_call *c, struct err *err)
{
	json_t *j = json_in_parse(c->body.data ? (const void *)c->body.data : "", c->body.len, err);

	if (!j)
		err_in(err, "answer of %s", c->host);
	return j;
}
