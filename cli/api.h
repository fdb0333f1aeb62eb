/* api.h - the gateway's API as the command sees it: one struct says where it is and who asks; a call is JSON in, JSON out,
 * and every refusal an err whose code fits the status.
 *
 * The token travels in the Authorization header only (that of a second login in Pcap-Second-Token), never over plain HTTP to another machine. */
#ifndef PCAPLINE_CLI_API_H
#define PCAPLINE_CLI_API_H

#include "common/err.h"
#include "common/http_client.h"
#include "common/tls_files.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define API_TOKEN_MAX       16384u              /* bytes; tokens of an identity provider are a few thousand */
#define API_BODY_MAX        (16u * 1024 * 1024) /* of a JSON answer: a page of 1000 jobs is about 2 MB */
#define API_CALL_TIMEOUT_MS 60000u
#define API_LONG_TIMEOUT_MS 900000u /* what a gorouter cuts after, too */
#define API_LIVE_GRACE_S    30u     /* when the gateway does not say */

struct identity;
struct login;

struct api {
	char *base;                /* "https://pcap.example.org", without a slash at the end */
	struct login *login;       /* who asks; NULL: nobody.  Each call takes its token as it is then */
	struct login *second;      /* the same person at another platform, for Pcap-Second-Token; NULL: none */
	struct identity *identity; /* what both are out of, freed by api_close; NULL: the caller's matter */
	struct tls_files tls;      /* a private CA, or nothing */
	bool has_ca;
	bool plain; /* http, on this machine */
};

/* api_open: a is zeroed, or holds an identity; gateway and cacert as given.  api_close frees also after a failure.  ERR_INPUT: not a usable URL. */
int api_open(struct api *a, const char *gateway, const char *cacert, struct err *err);
void api_close(struct api *a);

/* api_login: from now on as these; second may be NULL.  ERR_INPUT: not a usable token; ERR_PERM: a token for another machine over plain HTTP. */
int api_login(struct api *a, struct login *login, struct login *second, struct err *err);

/* api_is_plain: http to this very machine; api_may_carry_secrets: https, or that. */
bool api_is_plain(const char *url);
bool api_may_carry_secrets(const char *url);

/* api_call: body is stolen (NULL: none); the answer is a new reference in *ret (NULL when empty); ret itself may be NULL. */
int api_call(const struct api *a, const char *method, const char *path, json_t *body, json_t **ret, struct err *err);

/* api_call_long: as api_call, of what may rightly take the gateway longer: up to API_LONG_TIMEOUT_MS. */
int api_call_long(
	const struct api *a, const char *method, const char *path, json_t *body, json_t **ret, struct err *err);

/* A call whose answer is handled piece by piece. */
struct api_stream {
	const char *method, *path;
	const char *body;   /* JSON text, borrowed until the call is freed; NULL: none */
	bool present_token; /* as it is until it has expired: the call is in a hurry, a renewal would hold it up */
	unsigned answer_timeout_ms;
	unsigned idle_timeout_ms;
	int (*on_answer)(void *ctx, const struct http_call *call);
	int (*on_data)(void *ctx, const uint8_t *p, size_t n);
	void *ctx;
};
struct http_call *api_stream_new(const struct api *a, const struct api_stream *s, struct err *err);

/* api_stream_run: as http_call_run, with failures of TLS as ERR_NET, detail API_CERTIFICATE: no proof of ours was refused. */
#define API_CERTIFICATE "certificate"
int api_stream_run(struct http_call *call, struct err *err);

/* api_is_ours: does this absolute URL point at the gateway itself (so that its private CA applies)? */
bool api_is_ours(const struct api *a, const char *url);

/* api_path: a new string from the format; NULL with err on no memory.  api_escape: percent-encoded for a query, new string. */
char *api_path(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *api_escape(const char *text, struct err *err);

/* api_live_grace_s: how long the gateway keeps a live job whose connection broke.  ERR_NET... when it does not answer. */
int api_live_grace_s(const struct api *a, unsigned *ret, struct err *err);

#endif
