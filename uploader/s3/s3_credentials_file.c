/* s3_credentials_file.c - the format of ~/.aws/credentials: profiles in brackets, "name = value", comments on lines of their own.
 * Stricter than AWS's tools where they would guess: a line that is none of these, a profile or key that stands twice. */
#include "uploader/s3/s3_credentials_internal.h"

#include "common/digest.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- text ---- */

struct slice {
	const char *p;
	size_t n;
};

enum { KEY_ACCESS, KEY_SECRET, KEY_TOKEN, KEYS };
static const char *const key_names[KEYS] = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"};

struct reading {
	const char *profile;
	unsigned line;
	bool begun;  /* a profile, any */
	bool found;  /* ours */
	bool inside; /* ours */
	bool nested; /* the last option had no value: indented lines below are its own */
	bool set[KEYS];
	struct slice values[KEYS];
	struct err *err;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice trimmed(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool is_comment(struct slice s)
{
	return s.n == 0 || s.p[0] == '#' || s.p[0] == ';';
}

static bool slice_is(struct slice s, const char *text)
{
	return strlen(text) == s.n && memcmp(s.p, text, s.n) == 0;
}

static int read_profile(struct reading *r, struct slice line)
{
	const char *end = memchr(line.p, ']', line.n);
	struct slice name, rest;

	if (!end)
		return err_set(r->err, ERR_INPUT, "line %u: '[' without ']'", r->line);
	name = trimmed((struct slice){line.p + 1, (size_t)(end - line.p) - 1});
	rest = trimmed((struct slice){end + 1, line.n - (size_t)(end - line.p) - 1});
	if (!is_comment(rest))
		return err_set(r->err, ERR_INPUT, "line %u: text behind ']'", r->line);
	r->begun = true;
	r->nested = false;
	r->inside = slice_is(name, r->profile);
	if (r->inside && r->found)
		return err_set(r->err, ERR_INPUT, "line %u: profile \"%s\" stands there twice", r->line, r->profile);
	r->found = r->found || r->inside;
	return 0;
}

static int read_option(struct reading *r, struct slice line)
{
	const char *equals = memchr(line.p, '=', line.n);
	struct slice name, value;

	if (!equals || !r->begun)
		return err_set(r->err, ERR_INPUT, "line %u: \"[profile]\"%s or a comment was expected", r->line,
			r->begun ? ", \"name = value\"" : "");
	name = trimmed((struct slice){line.p, (size_t)(equals - line.p)});
	value = trimmed((struct slice){equals + 1, line.n - (size_t)(equals - line.p) - 1});
	if (name.n == 0)
		return err_set(r->err, ERR_INPUT, "line %u: no name before '='", r->line);
	r->nested = value.n == 0;
	for (int i = 0; r->inside && i < KEYS; i++) {
		if (strlen(key_names[i]) != name.n || strncasecmp(name.p, key_names[i], name.n) != 0)
			continue;
		if (r->set[i])
			return err_set(r->err, ERR_INPUT, "line %u: %s stands there twice", r->line, key_names[i]);
		r->set[i] = true;
		r->nested = false;
		r->values[i] = value;
	}
	return 0;
}

static int read_line(struct reading *r, struct slice line)
{
	struct slice text;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	text = trimmed(line);
	if (is_comment(text))
		return 0;
	if (!is_blank(line.p[0]))
		return text.p[0] == '[' ? read_profile(r, text) : read_option(r, text);
	/* Some readers take an indented line as more of the value above it, others as an option: a key must not hang on that. */
	if (r->nested || (r->begun && !r->inside))
		return 0;
	return err_set(r->err, ERR_INPUT, "line %u: begins with a blank", r->line);
}

/* A copy of a value; the caller wipes it. */
static char *value_dup(struct slice s)
{
	return strndup(s.p ? s.p : "", s.n);
}

static int reading_take(const struct reading *r, struct s3_keys *ret)
{
	static const struct s3_key_names names = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"};
	char *access, *secret, *token;
	int rc;

	if (!r->found)
		return err_set(r->err, ERR_INPUT, "there is no profile \"%s\"", r->profile);
	access = value_dup(r->values[KEY_ACCESS]);
	secret = value_dup(r->values[KEY_SECRET]);
	token = value_dup(r->values[KEY_TOKEN]);
	if (!access || !secret || !token)
		rc = err_nomem(r->err);
	else if ((rc = s3_keys_set(ret, &names, access, secret, token, r->err)) < 0)
		err_in(r->err, "profile \"%s\"", r->profile);
	digest_wipe_free(access);
	digest_wipe_free(secret);
	digest_wipe_free(token);
	return rc;
}

int s3_file_parse(const char *text, size_t n, const char *profile, struct s3_keys *ret, struct err *err)
{
	struct reading r = {.profile = profile, .err = err};
	const char *end = text + n, *next;

	if (n > 0 && memchr(text, '\0', n))
		return err_set(err, ERR_INPUT, "is no text: there is a NUL byte in it");
	for (const char *p = text; p < end; p = next + 1) {
		if (!(next = memchr(p, '\n', (size_t)(end - p))))
			next = end;
		r.line++;
		if (read_line(&r, (struct slice){p, (size_t)(next - p)}) < 0)
			return -1;
	}
	return reading_take(&r, ret);
}

/* ---- the file ---- */

static struct s3_file_seen seen_of(const struct stat *st)
{
	return (struct s3_file_seen){.there = true,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.mode = st->st_mode,
		.size = st->st_size,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim};
}

struct s3_file_seen s3_file_look(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? seen_of(&st) : (struct s3_file_seen){0};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool s3_file_same(const struct s3_file_seen *a, const struct s3_file_seen *b)
{
	return a->there == b->there && a->dev == b->dev && a->ino == b->ino && a->mode == b->mode &&
	       a->size == b->size && same_time(&a->mtime, &b->mtime) && same_time(&a->ctime, &b->ctime);
}

/* Up to max bytes of fd into to; how many, or -1. */
static ssize_t read_all(int fd, char *to, size_t max)
{
	size_t n = 0;
	ssize_t got;

	while (n < max) {
		got = read(fd, to + n, max - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

static int read_fd(int fd, const char *profile, struct s3_keys *ret, struct err *err)
{
	char *text = malloc(S3_CREDENTIALS_FILE_MAX + 1);
	ssize_t n;
	int rc;

	if (!text)
		return err_nomem(err);
	n = read_all(fd, text, S3_CREDENTIALS_FILE_MAX + 1);
	if (n < 0)
		rc = err_sys(err, errno, "reading");
	else if ((size_t)n > S3_CREDENTIALS_FILE_MAX)
		rc = err_set(err, ERR_INPUT, "is larger than the %zu bytes allowed", S3_CREDENTIALS_FILE_MAX);
	else
		rc = s3_file_parse(text, (size_t)n, profile, ret, err);
	digest_wipe(text, S3_CREDENTIALS_FILE_MAX + 1);
	free(text);
	return rc;
}

int s3_file_read(
	const char *path, const char *profile, struct s3_keys *ret, struct s3_file_seen *ret_seen, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), rc = -1; /* a fifo must not hang us */
	struct stat st;

	*ret_seen = s3_file_look(path);
	if (fd < 0) {
		err_sys(err, errno, "opening");
	} else if (fstat(fd, &st) < 0) {
		err_sys(err, errno, "looking at it");
	} else {
		*ret_seen = seen_of(&st);
		if (!S_ISREG(st.st_mode))
			err_set(err, ERR_INPUT, "is not a file");
		else if (st.st_mode & (S_IWGRP | S_IRWXO))
			err_set(err, ERR_PERM, "mode is %04o, others may not read it (0600 or 0640)",
				(unsigned)st.st_mode & 07777u);
		else
			rc = read_fd(fd, profile, ret, err);
	}
	fs_close(fd);
	return rc < 0 ? err_in(err, "credentials file %s", path) : 0;
}
