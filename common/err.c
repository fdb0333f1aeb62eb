/* err.c - see err.h. */
#include "common/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Everything but printable ASCII becomes '?': the text goes to terminals, logs and answers alike, and may quote a
 * stranger. */
static void err_make_printable(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
			*s = '?';
}

/* Puts text that was cut at size an end that shows it. */
static void err_mark_cut(char *text, size_t size)
{
	memcpy(text + size - 4, "...", 4);
}

static void __attribute__((format(printf, 3, 0))) err_format(char *ret, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(ret, size, fmt, ap);

	if (n < 0)
		ret[0] = '\0';
	else if ((size_t)n >= size)
		err_mark_cut(ret, size);
	err_make_printable(ret);
}

/* Joins place and cause into ret, which neither of them may be. */
static void err_join(char ret[ERR_MSG_MAX], const char *place, const char *cause)
{
	size_t place_len = strnlen(place, ERR_MSG_MAX - 1);
	int n = snprintf(ret, ERR_MSG_MAX, "%.*s: %s", (int)place_len, place, cause);

	if (n >= ERR_MSG_MAX)
		err_mark_cut(ret, ERR_MSG_MAX);
}

int err_vset(struct err *e, enum err_code code, const char *fmt, va_list ap)
{
	char msg[ERR_MSG_MAX];

	if (e == NULL)
		return -1;
	/* Formatted aside: an argument may be the old message itself. */
	err_format(msg, sizeof(msg), fmt, ap);
	*e = (struct err){.code = code};
	memcpy(e->msg, msg, sizeof(msg));
	return -1;
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_vset(e, code, fmt, ap);
	va_end(ap);
	return -1;
}

int err_in(struct err *e, const char *fmt, ...)
{
	char place[ERR_MSG_MAX], joined[ERR_MSG_MAX];
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	err_format(place, sizeof(place), fmt, ap);
	va_end(ap);
	err_join(joined, place, e->msg);
	memcpy(e->msg, joined, sizeof(joined));
	return -1;
}

int err_field(struct err *e, const char *field)
{
	if (e == NULL)
		return -1;
	if (snprintf(e->field, sizeof(e->field), "%s", field) >= (int)sizeof(e->field))
		err_mark_cut(e->field, sizeof(e->field));
	err_make_printable(e->field);
	return -1;
}

int err_detail(struct err *e, const char *detail)
{
	if (e == NULL)
		return -1;
	snprintf(e->detail, sizeof(e->detail), "%s", detail);
	return -1;
}

static enum err_code err_code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
		return ERR_FULL;
	case EACCES:
	case EPERM:
		return ERR_PERM;
	case ENOENT:
		return ERR_NOT_FOUND;
	case ENOMEM:
		return ERR_NOMEM;
	default:
		return ERR_IO;
	}
}

int err_sys(struct err *e, int errnum, const char *fmt, ...)
{
	char place[ERR_MSG_MAX], why[128], joined[ERR_MSG_MAX];
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	err_format(place, sizeof(place), fmt, ap);
	va_end(ap);
	err_join(joined, place, strerror_r(errnum, why, sizeof(why)));
	return err_set(e, err_code_of_errno(errnum), "%s", joined);
}

int err_nomem(struct err *e)
{
	return err_set(e, ERR_NOMEM, "out of memory");
}

const char *err_code_name(enum err_code code)
{
	switch (code) {
	case ERR_NONE:
		return "none";
	case ERR_INPUT:
		return "input";
	case ERR_LIMIT:
		return "limit";
	case ERR_BUSY:
		return "busy";
	case ERR_NOT_FOUND:
		return "not_found";
	case ERR_AUTH:
		return "auth";
	case ERR_PERM:
		return "perm";
	case ERR_STATE:
		return "state";
	case ERR_IO:
		return "io";
	case ERR_FULL:
		return "full";
	case ERR_NET:
		return "net";
	case ERR_TIMEOUT:
		return "timeout";
	case ERR_UNAVAILABLE:
		return "unavailable";
	case ERR_CANCELLED:
		return "cancelled";
	case ERR_NOMEM:
		return "nomem";
	case ERR_INTERNAL:
		return "internal";
	}
	return "internal";
}

const char *err_api_code(const struct err *e)
{
	if (e == NULL)
		return err_code_name(ERR_INTERNAL);
	return e->detail[0] != '\0' ? e->detail : err_code_name(e->code);
}
