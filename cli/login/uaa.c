/* uaa.c - see uaa.h. */
#include "cli/login/uaa.h"

#include "cli/api.h"
#include "cli/login/token.h"
#include "cli/text.h"
#include "common/buf.h"
#include "common/digest.h"
#include "common/http_client.h"

#include <stdlib.h>
#include <string.h>

#define CONNECT_MS   10000u
#define TOTAL_MS     15000u
#define ANSWER_BYTES ((size_t)1024 * 1024)
#define FORM_BYTES   ((size_t)256 * 1024)

static struct http_call *run_once(
	struct http_call_options *o, const struct tls_files *ca, struct halt *halt, struct err *err)
{
	struct http_call *call;

	o->tls = ca;
	call = http_call_new(o, err);
	if (call && halt_run(halt, call, err) == 0)
		return call;
	http_call_free(call);
	return NULL;
}

/* An answer, whatever its status; NULL with ERR_NET or ERR_TIMEOUT. */
static struct http_call *run(struct http_call_options *o, const struct trust *trust, const char *what, struct err *err)
{
	struct http_call *call;
	struct err why = {0};

	o->connect_timeout_ms = CONNECT_MS;
	o->total_timeout_ms = TOTAL_MS;
	o->body_bytes_max = ANSWER_BYTES;
	o->use_proxy = !api_is_plain(o->url);
	o->tls_insecure = trust->insecure;
	if (http_client_global_init(err) < 0)
		return NULL;
	call = run_once(o, trust->ca, trust->halt, &why);
	if (!call && why.code == ERR_AUTH && trust->also)
		call = run_once(o, trust->also, trust->halt, &why);
	if (!call) {
		if (why.code == ERR_AUTH) {
			why.code = ERR_NET;
			err_detail(&why, API_CERTIFICATE);
		}
		err_in(&why, "%s", what);
		if (err)
			*err = why;
	}
	return call;
}

json_t *uaa_get(const char *url, const struct trust *trust, const char *what, struct err *err)
{
	static const char *const headers[] = {"Accept: application/json", NULL};
	struct http_call_options o = {.method = "GET", .url = url, .headers = headers};
	struct http_call *call = run(&o, trust, what, err);
	json_t *ret = NULL;

	if (!call)
		return NULL;
	if (http_call_status(call) != 200)
		err_set(err, ERR_NET, "%s answered HTTP %d", what, http_call_status(call));
	else if (!(ret = http_call_json(call, err)))
		err_in(err, "%s's answer is not understood", what);
	if (ret && !json_is_object(ret)) {
		json_decref(ret);
		ret = NULL;
		err_set(err, ERR_NET, "%s's answer is not understood", what);
	}
	http_call_free(call);
	return ret;
}

/* ---- the token endpoint ---- */

static int add_field(struct buf *b, const char *name, const char *value, struct err *err)
{
	char *escaped = api_escape(value, err);
	int rc = escaped ? buf_addf(b, err, "%s%s=%s", b->len ? "&" : "", name, escaped) : -1;

	digest_wipe_free(escaped);
	return rc;
}

static int build_form(const struct uaa *u, const char *refresh, struct buf *b, struct err *err)
{
	if (add_field(b, "grant_type", refresh ? "refresh_token" : "client_credentials", err) < 0)
		return -1;
	if (refresh && add_field(b, "refresh_token", refresh, err) < 0)
		return -1;
	if (!u->secret_in_body)
		return 0;
	return add_field(b, "client_id", u->client, err) < 0 ? -1 : add_field(b, "client_secret", u->secret, err);
}

/* "Authorization: Basic ...", new string. */
static char *basic(const struct uaa *u, struct err *err)
{
	char *plain = api_path(err, "%s:%s", u->client, u->secret), *coded = NULL, *ret = NULL;
	size_t n = plain ? strlen(plain) : 0;

	if (plain && (coded = malloc(n / 3 * 4 + 5))) {
		digest_base64(plain, n, coded);
		ret = api_path(err, "Authorization: Basic %s", coded);
	}
	if (!ret)
		err_nomem(err);
	digest_wipe_free(coded);
	digest_wipe_free(plain);
	return ret;
}

/* What it says may hold the very token ("Invalid refresh token: ..."): only a word that is a code is repeated. */
static int refused(const struct http_call *call, struct err *err)
{
	int status = http_call_status(call);
	json_t *answer = http_call_json(call, NULL);
	const char *code = json_text(answer, "error");
	size_t n = strlen(code);

	if (!n || n > 40 || strspn(code, "abcdefghijklmnopqrstuvwxyz_") != n)
		code = "no reason given";
	if (status == 400 || status == 401 || status == 403) {
		err_set(err, ERR_AUTH, "the login server refuses it (HTTP %d, %s)", status, code);
		err_detail(err, UAA_REFUSED);
	} else {
		err_set(err, status == 429 ? ERR_BUSY : ERR_NET, "the login server answered HTTP %d (%s)", status,
			code);
	}
	json_decref(answer);
	return -1;
}

static char *copy_token(const json_t *answer, const char *name)
{
	const char *text = json_text(answer, name);

	return token_is_plain(text) ? strdup(text) : NULL;
}

static int read_answer(const struct http_call *call, struct uaa_answer *ret, struct err *err)
{
	json_t *answer;

	if (http_call_status(call) != 200)
		return refused(call, err);
	answer = http_call_json(call, NULL);
	ret->access_token = copy_token(answer, "access_token");
	ret->refresh_token = copy_token(answer, "refresh_token");
	json_decref(answer);
	if (!ret->access_token) {
		uaa_answer_done(ret);
		return err_set(err, ERR_NET, "the login server's answer holds no token");
	}
	return 0;
}

static int post(const struct uaa *u, const char *url, struct buf *form, const char *authorization,
	struct uaa_answer *ret, struct err *err)
{
	const char *headers[] = {"Accept: application/json", authorization, NULL};
	struct http_call_options o = {
		.method = "POST",
		.url = url,
		.headers = headers,
		.body = form->data,
		.body_len = form->len,
		.content_type = "application/x-www-form-urlencoded",
	};
	struct http_call *call = run(&o, &u->trust, "the login server", err);
	int rc;

	if (!call)
		return -1;
	rc = read_answer(call, ret, err);
	http_call_free(call);
	return rc;
}

int uaa_ask(const struct uaa *u, const char *refresh, struct uaa_answer *ret, struct err *err)
{
	char *url = NULL, *authorization = NULL;
	size_t n = strlen(u->url);
	struct buf form;
	int rc = -1;

	*ret = (struct uaa_answer){0};
	if (!api_may_carry_secrets(u->url))
		return err_set(err, ERR_PERM, "the login is not sent to %s: it is not https://", u->url);
	while (n && u->url[n - 1] == '/')
		n--;
	buf_init(&form, FORM_BYTES);
	url = api_path(err, "%.*s/oauth/token", (int)n, u->url);
	if (url && build_form(u, refresh, &form, err) == 0 && (u->secret_in_body || (authorization = basic(u, err))))
		rc = post(u, url, &form, authorization, ret, err);
	if (form.data)
		digest_wipe(form.data, form.len);
	buf_done(&form);
	digest_wipe_free(authorization);
	free(url);
	return rc;
}

void uaa_answer_done(struct uaa_answer *a)
{
	digest_wipe_free(a->access_token);
	digest_wipe_free(a->refresh_token);
	*a = (struct uaa_answer){0};
}
