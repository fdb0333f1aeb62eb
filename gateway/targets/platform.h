/* platform.h - asking a platform's API (Cloud Controller, the director) with a user's own token: GET, JSON, own CA, bounded time and size.
 * One call = one connection, blocking.  Any thread; a struct platform is fixed once made. */
#ifndef PCAPLINE_GATEWAY_TARGETS_PLATFORM_H
#define PCAPLINE_GATEWAY_TARGETS_PLATFORM_H

#include "common/err.h"
#include "common/tls_files.h"
#include "gateway/metrics/metrics.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define PLATFORM_BODY_MAX ((size_t)4 * 1024 * 1024)

struct platform {
	char *what; /* for people: "Cloud Controller", "the director" */
	char *url;  /* base, without a slash at its end */
	struct tls_files tls;
	uint64_t timeout_ms;           /* of one call */
	enum metrics_platform metrics; /* whose calls these are to monitoring */
};

/* platform_open: ca is a path; "": the system's CAs.  To monitoring it is Cloud Controller, unless metrics is set. */
int platform_open(
	struct platform *p, const char *what, const char *url, const char *ca, uint64_t timeout_ms, struct err *err);
void platform_close(struct platform *p);

struct platform_answer {
	int status;
	json_t *json;           /* the body; NULL when it is none (an answer of a proxy in front, or plain text) */
	char text[200];         /* what a body that is no JSON begins with, made printable */
	char location[512];     /* "" : none */
	uint64_t retry_after_s; /* Retry-After in seconds, else until X-RateLimit-Reset; at most an hour; 0: not said */
};

/* platform_get: path begins with a slash and is sent as it stands after the base: callers encode what users gave (platform_encode).  token NULL: none.
 * -1: ERR_NET, ERR_TIMEOUT, ERR_UNAVAILABLE: no answer came; msg names what did not answer, detail "platform_unreachable".  0: an answer, of whatever status;
 * platform_answer_done after it.  Redirects are not followed.  More than PLATFORM_BODY_MAX: ERR_NET, detail "platform_failed". */
int platform_get(
	const struct platform *p, const char *token, const char *path, struct platform_answer *ret, struct err *err);

/* platform_probe: the same where the status is what is asked for: of a 2xx body only the beginning is read, whatever its size: into text, json is NULL. */
int platform_probe(
	const struct platform *p, const char *token, const char *path, struct platform_answer *ret, struct err *err);

void platform_answer_done(struct platform_answer *a);

/* What cuts a thread's calls off from outside: whoever waits for the thread does not wait for a platform that hangs.  Life: init, platform_stop_bind by the thread whose
 * calls these are, platform_stop_now by anybody: the call under way and all later ones of that thread fail; done, when the thread has ended. */
struct platform_stop {
	pthread_mutex_t lock;
	struct http_call *call; /* by lock */
	bool stopped;           /* by lock */
};
int platform_stop_init(struct platform_stop *s, struct err *err);
void platform_stop_bind(struct platform_stop *s);
void platform_stop_now(struct platform_stop *s);
void platform_stop_done(struct platform_stop *s);

/* platform_refuse: err for an answer that is not what was asked for: 401 -> ERR_AUTH (platform_token), 403 -> ERR_PERM, 404 -> ERR_NOT_FOUND,
 * 429 -> ERR_BUSY (platform_busy), 503 -> ERR_UNAVAILABLE, else, also of a redirect, ERR_NET (platform_failed).  detail: what the platform's own error
 * says, "" : nothing.  -1. */
int platform_refuse(const struct platform *p, const struct platform_answer *a, const char *detail, struct err *err);

/* platform_encode: text for one segment of a path or one value of a query (RFC 3986); NULL: no memory.  Caller frees. */
char *platform_encode(const char *text);

#endif
