/* The status page, and the one request that logging in with it needs.  The page has no rights of its own: what it shows and does goes through the same calls, with the token that somebody gave it. */
#include "common/fs.h"
#include "common/json_in.h"
#include "common/log.h"
#include "gateway/api/api.h"
#include "gateway/page/page.h"
#include "gateway/page/page_login.h"

#include <stdlib.h>
#include <string.h>

static void not_here(struct api_call *a)
{
	http_reply_error(a->rq, 404, "not_found", NULL, "there is no such path in this API");
}

void api_page(struct api_call *a)
{
	const struct page *p = a->gw->page;

	if (!p) {
		not_here(a);
		return;
	}
	http_reply_header(a->rq, "Content-Security-Policy", page_policy(p));
	http_reply_header(a->rq, "Cross-Origin-Opener-Policy", "same-origin");
	http_reply_header(a->rq, "Cross-Origin-Resource-Policy", "same-origin");
	http_reply_header(a->rq, "Referrer-Policy", "no-referrer");
	http_reply_header(a->rq, "X-Frame-Options", "DENY");
	http_reply_text(a->rq, 200, "text/html; charset=utf-8", page_document(p));
}

/* Where the issuer sends people back to: NULL (no memory, or the gateway is just starting). */
static char *page_url(const struct gateway *gw)
{
	const char *base = atomic_load(&gw->public_url);

	return base ? fs_path("%s/admin", base) : NULL;
}

void api_page_tell(struct api_call *a, json_t *login)
{
	char *url = a->gw->login ? page_url(a->gw) : NULL;

	if (url)
		json_object_set_new(login, "page", page_login_json(a->gw->login, url));
	free(url);
}

/* The characters of a verifier (RFC 7636, 4.1). */
static int check_verifier(struct json_in *in, const char *verifier)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	if (verifier && verifier[strspn(verifier, allowed)])
		return json_in_fail(in, "code_verifier", "is not of letters, digits and -._~ alone");
	return 0;
}

static json_t *exchange(struct api_call *a, json_t *body, struct err *err)
{
	const char *code = NULL, *verifier = NULL;
	json_t *ret = NULL;
	struct json_in in;
	char *url;

	json_in_begin(&in, body, "", err);
	json_in_str(&in, "code", JSON_IN_REQUIRED, 1, LOGIN_CODE_MAX, &code);
	json_in_str(&in, "code_verifier", JSON_IN_REQUIRED, LOGIN_VERIFIER_MIN, LOGIN_VERIFIER_MAX, &verifier);
	if (check_verifier(&in, verifier) < 0 || json_in_end(&in) < 0)
		return NULL;
	if (!(url = page_url(a->gw))) {
		err_set(err, ERR_UNAVAILABLE, "this gateway is just starting");
		return NULL;
	}
	ret = page_login_exchange(a->gw->login, http_request_peer(a->rq), url, code, verifier, err);
	free(url);
	return ret;
}

void api_login_token(struct api_call *a)
{
	struct err err = {0};
	json_t *body, *token;

	if (!a->gw->login) {
		not_here(a);
		return;
	}
	if (!(body = api_body(a)))
		return;
	if ((token = exchange(a, body, &err))) {
		http_reply_json(a->rq, 200, token);
	} else {
		log_err(LOG_LEVEL_INFO, "login.refused", &err, json_pack("{s:s}", "peer", http_request_peer(a->rq)));
		http_reply_err(a->rq, &err);
	}
	json_decref(body);
}
