/* What was asked. */
#include "common/http_server_internal.h"
#include "common/parse.h"

#include <string.h>

const char *http_request_id(const struct http_request *rq)
{
	return rq->id;
}

const char *http_request_method(const struct http_request *rq)
{
	return rq->method;
}

bool http_request_is_head(const struct http_request *rq)
{
	return rq->is_head;
}

const char *http_request_path(const struct http_request *rq)
{
	return rq->path;
}

const char *http_request_query(const struct http_request *rq, const char *name)
{
	size_t i;

	for (i = 0; i < rq->query_n; i++) {
		if (strcmp(rq->query[i].name, name) == 0)
			return rq->query[i].value;
	}
	return NULL;
}

int http_request_query_known(const struct http_request *rq, const char *const *names, struct err *err)
{
	char shown[48];
	size_t i, j;

	for (i = 0; i < rq->query_n; i++) {
		parse_printable(rq->query[i].name, shown, sizeof(shown));
		for (j = 0; names[j] && strcmp(names[j], rq->query[i].name) != 0; j++)
			;
		if (!names[j]) {
			err_set(err, ERR_INPUT, "unknown query parameter \"%s\"", shown);
			return err_field(err, shown);
		}
		for (j = 0; j < i; j++) {
			if (strcmp(rq->query[j].name, rq->query[i].name) == 0) {
				err_set(err, ERR_INPUT, "query parameter \"%s\" is given twice", shown);
				return err_field(err, shown);
			}
		}
	}
	return 0;
}

const char *http_request_header(const struct http_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->mhd, MHD_HEADER_KIND, name);
}

const void *http_request_body(const struct http_request *rq, size_t *ret_len)
{
	*ret_len = rq->body.len;
	return rq->body.data ? (const void *)rq->body.data : "";
}

const char *http_request_peer(const struct http_request *rq)
{
	return rq->conn->peer;
}

const char *http_request_local(const struct http_request *rq, uint16_t *ret_port)
{
	if (ret_port)
		*ret_port = rq->conn->local_port;
	return rq->conn->local;
}

bool http_request_is_reserved(const struct http_request *rq)
{
	return http_guard_is_reserved(rq->conn);
}

int http_request_fd(const struct http_request *rq)
{
	return rq->conn->fd;
}

void http_request_set_user(struct http_request *rq, void *user)
{
	rq->user = user;
}

void *http_request_user(const struct http_request *rq)
{
	return rq->user;
}

bool http_request_answered(const struct http_request *rq)
{
	return rq->answered;
}

int http_request_status(const struct http_request *rq)
{
	return rq->status;
}

const struct err *http_request_refusal(const struct http_request *rq)
{
	return rq->refusal.code != ERR_NONE ? &rq->refusal : NULL;
}
