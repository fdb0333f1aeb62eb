/* s3_canonical.c - a request in the one form that both sides sign: encoded, sorted, trimmed. */
#include "uploader/s3/s3_sign_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ASCII only, whatever the locale. */
static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_unreserved(unsigned char c)
{
	return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

void s3_buf_wipe(struct buf *b)
{
	if (b->data)
		digest_wipe(b->data, b->cap);
	buf_done(b);
}

/* ---- the query ---- */

int s3_encode(struct buf *dst, const char *text, bool slashes, struct err *err)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t before = dst->len;

	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		char three[3] = {'%', digits[*p >> 4], digits[*p & 15]};
		bool plain = is_unreserved(*p) || (slashes && *p == '/');

		if (buf_add(dst, plain ? (const void *)p : three, plain ? 1 : sizeof(three), err) < 0) {
			dst->len = before;
			return -1;
		}
	}
	return 0;
}

/* A pair, encoded: where its two terminated strings begin in the text. */
struct encoded {
	const char *base;
	size_t name, value;
};

static int encoded_compare(const void *a, const void *b)
{
	const struct encoded *x = a, *y = b;
	int order = strcmp(x->base + x->name, y->base + y->name);

	return order != 0 ? order : strcmp(x->base + x->value, y->base + y->value);
}

static int encode_all(struct buf *text, const struct s3_pair *query, size_t n, struct encoded *pairs, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		pairs[i].name = text->len;
		if (s3_encode(text, query[i].name, false, err) < 0 || buf_add(text, "", 1, err) < 0)
			return -1;
		pairs[i].value = text->len;
		if (s3_encode(text, query[i].value, false, err) < 0 || buf_add(text, "", 1, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		pairs[i].base = (const char *)text->data; /* only now: it has moved while it grew */
	return 0;
}

int s3_query(struct buf *dst, const struct s3_pair *query, size_t n, struct err *err)
{
	struct encoded pairs[S3_PAIRS_MAX];
	size_t before = dst->len;
	struct buf text;
	int rc;

	if (n > S3_PAIRS_MAX)
		return err_set(
			err, ERR_INPUT, "S3 request: %zu query parameters, at most %u are signed", n, S3_PAIRS_MAX);
	buf_init(&text, S3_TEXT_MAX);
	rc = encode_all(&text, query, n, pairs, err);
	if (rc == 0 && n > 1) /* "a" before "a-b": names are compared alone, for '=' is greater than '-' */
		qsort(pairs, n, sizeof(pairs[0]), encoded_compare);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if ((i > 0 && buf_add_str(dst, "&", err) < 0) ||
			buf_add_str(dst, pairs[i].base + pairs[i].name, err) < 0 || buf_add_str(dst, "=", err) < 0 ||
			buf_add_str(dst, pairs[i].base + pairs[i].value, err) < 0)
			rc = -1;
	}
	if (rc < 0)
		dst->len = before;
	s3_buf_wipe(&text);
	return rc;
}

/* ---- the headers ---- */

/* RFC 9110, 5.6.2. */
static bool is_token(const char *name)
{
	for (const char *p = name; *p; p++) {
		if (!is_alnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
			return false;
	}
	return *name != '\0';
}

static bool has_control(const char *value)
{
	for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
		if ((*p < ' ' && *p != '\t') || *p == 0x7f)
			return true;
	}
	return false;
}

/* Some stores sign runs of blanks as they are and some as one, so none are sent: both read the same. */
static size_t add_trimmed(char *to, const char *value)
{
	size_t n = 0;

	while (*value) {
		while (is_blank((unsigned char)*value))
			value++;
		if (*value && n > 0)
			to[n++] = ' ';
		while (*value && !is_blank((unsigned char)*value))
			to[n++] = *value++;
	}
	to[n] = '\0';
	return n;
}

int s3_line_make(struct s3_line *ret, const char *name, const char *value, size_t nth, struct err *err)
{
	size_t name_len = strnlen(name, S3_TEXT_MAX), value_len = strnlen(value, S3_TEXT_MAX);
	char *text;

	if (!is_token(name))
		return err_set(err, ERR_INPUT, "S3 request: \"%s\" is no name for a header", name);
	if (name_len + value_len >= S3_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "S3 request: header %s is too long", name);
	if (has_control(value)) /* the value is not shown: it may be the token */
		return err_set(err, ERR_INPUT, "S3 request: header %s has control characters in its value", name);
	text = malloc(name_len + value_len + sizeof(": "));
	if (!text)
		return err_nomem(err);
	for (size_t i = 0; i < name_len; i++)
		text[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
	memcpy(text + name_len, ": ", 2);
	*ret = (struct s3_line){.text = text, .name_len = name_len, .nth = nth};
	if (add_trimmed(text + name_len + 2, value) > 0)
		return 0;
	s3_line_done(ret);
	return err_set(err, ERR_INPUT, "S3 request: header %s has no value", name);
}

void s3_line_done(struct s3_line *l)
{
	digest_wipe_free(l->text);
	l->text = NULL;
}

static int line_compare(const void *a, const void *b)
{
	const struct s3_line *x = a, *y = b;
	size_t shorter = x->name_len < y->name_len ? x->name_len : y->name_len;
	int order = memcmp(x->text, y->text, shorter);

	if (order != 0)
		return order;
	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return x->nth < y->nth ? -1 : x->nth > y->nth;
}

static bool same_name(const struct s3_line *a, const struct s3_line *b)
{
	return a->name_len == b->name_len && memcmp(a->text, b->text, a->name_len) == 0;
}

/* One line per name; values of the same name are joined by commas. */
static int add_headers(struct buf *dst, struct buf *names, const struct s3_line *lines, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct s3_line *l = &lines[i];

		if (i > 0 && same_name(l - 1, l)) {
			if (buf_add_str(dst, ",", err) < 0)
				return -1;
		} else if ((i > 0 && (buf_add_str(dst, "\n", err) < 0 || buf_add_str(names, ";", err) < 0)) ||
			   buf_add(names, l->text, l->name_len, err) < 0 ||
			   buf_addf(dst, err, "%.*s:", (int)l->name_len, l->text) < 0) {
			return -1;
		}
		if (buf_add_str(dst, l->text + l->name_len + 2, err) < 0)
			return -1;
	}
	return buf_add_str(dst, "\n", err);
}

int s3_canonical(struct buf *dst, struct buf *names, const struct s3_signable *s, const char *query,
	struct s3_line *lines, size_t lines_n, struct err *err)
{
	qsort(lines, lines_n, sizeof(lines[0]), line_compare);
	if (buf_addf(dst, err, "%s\n%s\n%s\n", s->method, s->path, query) < 0 ||
		add_headers(dst, names, lines, lines_n, err) < 0 || buf_add_str(dst, "\n", err) < 0 ||
		buf_add(dst, names->data, names->len, err) < 0)
		return -1;
	return buf_addf(dst, err, "\n%s", s->payload_sha256);
}
