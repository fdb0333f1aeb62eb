/* page_login.h - logging in with a browser: an authorization code, which the issuer gave to the status page, is changed for a token (RFC 6749 section 4.1.3, RFC 7636).
 * A browser could do it itself only where the issuer allows it across origins, which UAA does for few; so the gateway passes on exactly this one request, as the public
 * client that its configuration names, and keeps nothing of it.  All functions may be called by several threads at once. */
#ifndef PCAPLINE_GATEWAY_PAGE_PAGE_LOGIN_H
#define PCAPLINE_GATEWAY_PAGE_PAGE_LOGIN_H

#include "common/err.h"
#include "schema/config_gateway.h"

#include <jansson.h>

#define LOGIN_CODE_MAX     2048 /* bytes of a code */
#define LOGIN_VERIFIER_MIN 43   /* RFC 7636, 4.1 */
#define LOGIN_VERIFIER_MAX 128
#define LOGIN_FETCH_MS     5000u /* longest wait for the issuer */
/* Of each peer, so that no stranger locks out others; and of all together, so that the issuer is asked only so often, whoever asks. */
#define LOGIN_AT_ONCE     8u  /* requests that wait for it */
#define LOGIN_BURST       20u /* requests in a row, then LOGIN_PER_S */
#define LOGIN_PER_S       5u
#define LOGIN_ALL_AT_ONCE 32u
#define LOGIN_ALL_BURST   80u
#define LOGIN_ALL_PER_S   20u

struct page_login;

/* page_login_new: *ret NULL where the configuration names no client.  ERR_INPUT: it names an issuer that is not there, or of which the addresses are not known. */
int page_login_new(const struct config_gateway *c, struct page_login **ret, struct err *err);
int page_login_reload(struct page_login *l,
	struct err *err);                   /* the file of issuers again; what was stays on failure; l may be NULL */
void page_login_free(struct page_login *l); /* accepts NULL */

/* page_login_json: what the page needs to send somebody to the issuer, who is sent back to redirect_uri; NULL on no memory. */
json_t *page_login_json(struct page_login *l, const char *redirect_uri);

/* page_login_exchange: peer: whose connection it is (http_request_peer; behind a router that is the router, whose clients share what a peer may).  {"access_token", "token_type", "expires_in"} and nothing else of the issuer's answer; caller decrefs.  NULL: ERR_AUTH (login_refused: the issuer does not
 * take this code), ERR_BUSY, ERR_UNAVAILABLE (issuer_away). */
json_t *page_login_exchange(struct page_login *l, const char *peer, const char *redirect_uri, const char *code,
	const char *verifier, struct err *err);

#endif
