/* err.h - what failed, why, and with which value.
 * Library code does not log: it fills a struct err; callers put the place in front (err_in) and the outer layer logs
 * it once or answers with it.  Every function that takes an err accepts NULL.  A function that returns -1 (or NULL)
 * has filled the err; on success the err is untouched. */
#ifndef PCAPLINE_COMMON_ERR_H
#define PCAPLINE_COMMON_ERR_H

#include <stdarg.h>

/* The kinds of failure a caller can tell apart.  The name (err_code_name) is what the APIs show as error.code when
 * nothing more exact was set. */
enum err_code {
	ERR_NONE = 0,
	ERR_INPUT,       /* malformed or out of range: the sender must change it */
	ERR_LIMIT,       /* larger than we take */
	ERR_BUSY,        /* more at once, or per time, than we take: again later */
	ERR_NOT_FOUND,   /* not there, or not visible to the asker */
	ERR_AUTH,        /* no proof of identity, or a wrong one */
	ERR_PERM,        /* identity known, not allowed */
	ERR_STATE,       /* right request, wrong moment */
	ERR_IO,          /* a local file, device or database failed */
	ERR_FULL,        /* no space: disk, spool budget */
	ERR_NET,         /* a peer could not be reached, or broke off */
	ERR_TIMEOUT,     /* a peer or an operation took too long */
	ERR_UNAVAILABLE, /* ours is down or draining: try again later */
	ERR_CANCELLED,   /* somebody on our side asked for the end */
	ERR_NOMEM,
	ERR_INTERNAL, /* our own mistake */
};

#define ERR_MSG_MAX   512
#define ERR_FIELD_MAX 64

struct err {
	enum err_code code;
	char msg[ERR_MSG_MAX];     /* always printable, always terminated */
	char field[ERR_FIELD_MAX]; /* the input field at fault, dotted ("options.filter"), or "" */
	char detail[32];           /* a narrower code for the API ("bad_filter"), or "" for err_code_name(code) */
};

/* err_set: the cause.  Replaces what was there; text is made printable and cut at ERR_MSG_MAX.  Returns -1. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_vset(struct err *e, enum err_code code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* err_in: the place, put before the cause as "place: cause".  Returns -1. */
int err_in(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* err_field: names the input field at fault, keeping message and code.  Returns -1. */
int err_field(struct err *e, const char *field);

/* err_detail: a narrower machine-readable code, [a-z_]{1,31}.  Returns -1. */
int err_detail(struct err *e, const char *detail);

/* err_sys: ERR_IO (ENOSPC, EDQUOT: ERR_FULL; EACCES, EPERM: ERR_PERM; ENOENT: ERR_NOT_FOUND; ENOMEM: ERR_NOMEM) with
 * "fmt: strerror(errnum)".  Returns -1. */
int err_sys(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* err_nomem: ERR_NOMEM "out of memory".  Returns -1. */
int err_nomem(struct err *e);

/* The stable name of a kind ("input", "limit", "not_found"...); err_api_code is detail when set, else that name. */
const char *err_code_name(enum err_code code);
const char *err_api_code(const struct err *e);

#endif
