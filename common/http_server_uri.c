/* The request target: path and query, percent-decoded, or refused. */
#include "common/http_server_internal.h"
#include "common/parse.h"

#include <string.h>

static int uri_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* uri_decode: in place.  what names the part in the refusal. */
static int uri_decode(char *text, bool plus_is_space, const char *what, struct err *err)
{
	char *w = text;
	const char *r;
	int hi, lo;

	for (r = text; *r; r++) {
		if (*r == '%') {
			hi = uri_hex(r[1]);
			lo = hi < 0 ? -1 : uri_hex(r[2]);
			if (lo < 0)
				return err_set(
					err, ERR_INPUT, "%s: \"%%\" must be followed by two hexadecimal digits", what);
			if (hi == 0 && lo == 0)
				return err_set(err, ERR_INPUT, "%s: a NUL byte", what);
			*w++ = (char)(hi << 4 | lo);
			r += 2;
		} else {
			*w++ = *r == '+' && plus_is_space ? ' ' : *r;
		}
	}
	*w = '\0';
	if (!parse_is_text(text, (size_t)(w - text), false))
		return err_set(err, ERR_INPUT, "%s: not UTF-8 text without control characters", what);
	return 0;
}

static int uri_split_query(struct http_request *rq, char *text, struct err *err)
{
	char *pair, *value, *rest = text;

	while ((pair = strsep(&rest, "&"))) {
		if (!*pair)
			continue;
		if (rq->query_n == HTTP_QUERY_MAX)
			return err_set(err, ERR_INPUT, "query: more than %d parameters", HTTP_QUERY_MAX);
		value = strchr(pair, '=');
		if (value)
			*value++ = '\0';
		else
			value = pair + strlen(pair);
		if (uri_decode(pair, true, "query", err) < 0 || uri_decode(value, true, "query", err) < 0)
			return -1;
		rq->query[rq->query_n].name = pair;
		rq->query[rq->query_n].value = value;
		rq->query_n++;
	}
	return 0;
}

int http_uri_split(struct http_request *rq, struct err *err)
{
	char *query;

	/* Only the origin form (RFC 9112, 3.2.1): this is no proxy. */
	if (rq->uri[0] != '/')
		return err_set(err, ERR_INPUT, "path: must begin with \"/\"");
	query = strchr(rq->uri, '?');
	if (query)
		*query++ = '\0';
	if (uri_decode(rq->uri, false, "path", err) < 0)
		return -1;
	rq->path = rq->uri;
	return query ? uri_split_query(rq, query, err) : 0;
}
