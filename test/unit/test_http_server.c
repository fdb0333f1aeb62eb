/* test_http_server.c - common/http_server*.c and http_reply*.c: requests, refusals, answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buf.h"
#include "test/unit/http_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX 16384
#define HOST       "Host: x\r\n"
#define LAST       HOST "Connection: close\r\n\r\n"

static struct rig rig;
static char answer[ANSWER_MAX];

static int setup(void **state)
{
	(void)state;
	rig_init(&rig);
	rig_start(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static const char *ask(const char *text)
{
	rig_ask(http_server_port(rig.server), text, strlen(text), answer, sizeof(answer));
	return answer;
}

static int status_of(const char *text)
{
	return strncmp(text, "HTTP/1.1 ", 9) == 0 ? (int)strtol(text + 9, NULL, 10) : 0;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void a_request_is_told_with_all_its_parts(void **state)
{
	char port[32];

	(void)state;
	ask("POST /ec%68o/a%20b?q=1%2b1+x&z HTTP/1.1\r\nContent-Length: 4\r\nContent-Type: a/b\r\n" LAST "body");
	assert_int_equal(status_of(answer), 200);
	assert_has(answer, "\"method\":\"POST\"");
	assert_has(answer, "\"path\":\"/echo/a b\"");
	assert_has(answer, "\"q\":\"1+1 x\"");
	assert_has(answer, "\"body\":\"body\"");
	assert_has(answer, "\"type\":\"a/b\"");
	assert_has(answer, "\"peer\":\"127.0.0.1\"");
	assert_has(answer, "\"local\":\"127.0.0.1\"");
	snprintf(port, sizeof(port), "\"port\":%u", http_server_port(rig.server));
	assert_has(answer, port);
	assert_has(answer, "Content-Type: application/json\r\n");
	assert_int_equal(rig.headers, 1);
	assert_int_equal(rig.requests, 1);
}

static void a_chunked_body_is_put_together(void **state)
{
	(void)state;
	ask("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" LAST "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
	assert_int_equal(status_of(answer), 200);
	assert_has(answer, "\"body\":\"abcde\"");
}

static void a_connection_serves_one_request_after_the_other(void **state)
{
	int i, fd = rig_connect(http_server_port(rig.server));

	(void)state;
	for (i = 0; i < 3; i++) {
		rig_say(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
		rig_read(fd, answer, sizeof(answer), "\"type\":null}");
		assert_int_equal(status_of(answer), 200);
	}
	rig_say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nxGET /err?k=4 HTTP/1.1\r\n" LAST);
	rig_read(fd, answer, sizeof(answer), NULL);
	assert_has(answer, "\"body\":\"x\"");
	assert_has(answer, "HTTP/1.1 404 ");
	assert_int_equal(http_server_connections(rig.server) <= 1, 1);
	close(fd);
}

static const struct {
	const char *what, *request;
	int status;
	const char *says;
} refused[] = {
	{"two framings", "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n" LAST, 400,
		"one of them"},
	{"two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n" LAST "x", 400, ""},
	{"length is no number", "POST / HTTP/1.1\r\nContent-Length: 1x\r\n" LAST, 400, ""},
	{"length is negative", "POST / HTTP/1.1\r\nContent-Length: -1\r\n" LAST, 400, ""},
	{"length is over the limit", "POST / HTTP/1.1\r\nContent-Length: 1001\r\n" LAST, 413,
		"1001 bytes is over 1000"},
	{"length is absurd", "POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n" LAST, 413, ""},
	{"length is over 64 bits", "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n" LAST, 413, ""},
	{"unknown coding", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" LAST, 501, "only chunked"},
	{"two codings", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" LAST, 501, "only chunked"},
	{"chunk size is no number", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" LAST "zz\r\n", 400, ""},
	{"method not served", "PATCH / HTTP/1.1\r\n" LAST, 405, "Allow: GET, HEAD, POST, PUT, DELETE\r\n"},
	{"method not known", "BREW / HTTP/1.1\r\n" LAST, 501, "BREW"},
	{"method in lower case", "get / HTTP/1.1\r\n" LAST, 501, ""},
	{"cut percent", "GET /a% HTTP/1.1\r\n" LAST, 400, "two hexadecimal digits"},
	{"half percent", "GET /a%4 HTTP/1.1\r\n" LAST, 400, "two hexadecimal digits"},
	{"no hex", "GET /a%g0 HTTP/1.1\r\n" LAST, 400, "two hexadecimal digits"},
	{"percent in the query", "GET /a?q=%zz HTTP/1.1\r\n" LAST, 400, "query: "},
	{"encoded NUL", "GET /a%00b HTTP/1.1\r\n" LAST, 400, "a NUL byte"},
	{"encoded NUL in the query", "GET /a?x=%00 HTTP/1.1\r\n" LAST, 400, "a NUL byte"},
	{"line feed in the path", "GET /a%0ab HTTP/1.1\r\n" LAST, 400, "control characters"},
	{"bad UTF-8", "GET /%ff HTTP/1.1\r\n" LAST, 400, "UTF-8"},
	{"absolute form", "GET http://x/echo HTTP/1.1\r\n" LAST, 400, "must begin"},
	{"two hosts", "GET / HTTP/1.1\r\n" HOST LAST, 400, "Host"},
	{"two tokens", "GET / HTTP/1.1\r\nAuthorization: a\r\nAuthorization: b\r\n" LAST, 400, "Authorization"},
	{"no host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, ""},
};

static void what_is_in_doubt_is_refused(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		ask(refused[i].request);
		if (status_of(answer) != refused[i].status)
			fail_msg("%s: not %d but \"%s\"", refused[i].what, refused[i].status, answer);
		assert_has(answer, refused[i].says);
	}
	assert_int_equal(rig.headers, 1); /* only the bad chunk size comes after the headers */
	assert_int_equal(rig.requests, 0);
}

static void a_raw_nul_in_the_target_is_refused(void **state)
{
	static const char request[] = "GET /echo\0/../x HTTP/1.1\r\n" LAST;

	(void)state;
	rig_ask(http_server_port(rig.server), request, sizeof(request) - 1, answer, sizeof(answer));
	assert_int_equal(status_of(answer), 400);
	assert_int_equal(rig.headers, 0);
}

/* A request whose line and headers are n bytes. */
static void ask_with_headers(size_t n)
{
	static const char begin[] = "GET /echo HTTP/1.1\r\n" HOST "Connection: close\r\nX: ", end[] = "\r\n\r\n";
	char *text = malloc(n + 1);

	assert_non_null(text);
	memset(text, 'x', n);
	memcpy(text, begin, sizeof(begin) - 1);
	memcpy(text + n - (sizeof(end) - 1), end, sizeof(end));
	rig_ask(http_server_port(rig.server), text, n, answer, sizeof(answer));
	free(text);
}

static void headers_are_bounded(void **state)
{
	(void)state;
	ask_with_headers(RIG_HEADER_MAX);
	assert_int_equal(status_of(answer), 200);
	ask_with_headers(RIG_HEADER_MAX + 1);
	assert_int_equal(status_of(answer), 431);
	ask_with_headers(4 * 1024 * 1024);
	assert_true(status_of(answer) == 431 || answer[0] == '\0'); /* or reset while it still sends */
	assert_int_equal(rig.headers, 1);
}

static void ask_with_body(size_t n, bool chunked)
{
	struct buf b;
	size_t i;

	buf_init(&b, 64 * 1024);
	if (chunked)
		buf_add_str(&b, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" LAST, NULL);
	else
		buf_addf(&b, NULL, "POST /echo HTTP/1.1\r\nContent-Length: %zu\r\n" LAST, n);
	for (i = 0; i < n; i++)
		buf_add_str(&b, chunked ? "1\r\nx\r\n" : "x", NULL);
	if (chunked)
		buf_add_str(&b, "0\r\n\r\n", NULL);
	rig_ask(http_server_port(rig.server), b.data, b.len, answer, sizeof(answer));
	buf_done(&b);
}

static void bodies_are_bounded(void **state)
{
	(void)state;
	ask_with_body(RIG_BODY_MAX, false);
	assert_int_equal(status_of(answer), 200);
	ask_with_body(RIG_BODY_MAX, true);
	assert_int_equal(status_of(answer), 200);
	ask_with_body(RIG_BODY_MAX + 1, false);
	assert_int_equal(status_of(answer), 413);
	ask_with_body(RIG_BODY_MAX + 1, true);
	assert_int_equal(status_of(answer), 413);
	assert_int_equal(rig.requests, 2);
}

static void an_endless_body_is_cut(void **state)
{
	int fd = rig_connect(http_server_port(rig.server));

	(void)state;
	rig_say(fd, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
	while (rig_try_send(fd, "5\r\nabcde\r\n", 10))
		;
	close(fd);
	rig_wait(&rig.done, 1);
	assert_int_equal(rig.requests, 0);
}

static void a_query_is_bounded(void **state)
{
	struct buf b;
	int i, n;

	(void)state;
	for (n = 64; n <= 65; n++) {
		buf_init(&b, 4096);
		buf_add_str(&b, "GET /echo?q=7", NULL);
		for (i = 1; i < n; i++)
			buf_add_str(&b, "&a=b", NULL);
		buf_add_str(&b, " HTTP/1.1\r\n" LAST, NULL);
		ask(buf_str(&b));
		assert_int_equal(status_of(answer), n == 64 ? 200 : 400);
		buf_done(&b);
	}
}

static void an_early_answer_leaves_the_body_unread(void **state)
{
	int fd;

	(void)state;
	ask("POST /early HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n"); /* the server ends it */
	assert_int_equal(status_of(answer), 401);
	assert_has(answer, "WWW-Authenticate: Bearer\r\n");
	assert_has(answer, "\"code\":\"auth\",\"message\":\"no token\",\"request_id\":\"");
	assert_int_equal(rig.requests, 0);
	/* Without a body the connection lives on. */
	fd = rig_connect(http_server_port(rig.server));
	rig_say(fd, "GET /early HTTP/1.1\r\n" HOST "\r\n");
	rig_read(fd, answer, sizeof(answer), "\"}}");
	assert_int_equal(status_of(answer), 401);
	rig_say(fd, "GET /echo HTTP/1.1\r\n" LAST);
	rig_read(fd, answer, sizeof(answer), NULL);
	assert_int_equal(status_of(answer), 200);
	close(fd);
}

static void the_request_id_of_a_router_is_kept(void **state)
{
	(void)state;
	ask("GET /early HTTP/1.1\r\nX-Vcap-Request-Id: 7ab2d8a1-0000-4000-8000-0123456789ab\r\n" LAST);
	assert_has(answer, "X-Vcap-Request-Id: 7ab2d8a1-0000-4000-8000-0123456789ab\r\n");
	assert_has(answer, "\"request_id\":\"7ab2d8a1-0000-4000-8000-0123456789ab\"");
	ask("GET /early HTTP/1.1\r\nX-Vcap-Request-Id: \"}evil{\"0123456789\r\n" LAST);
	assert_has(answer, "\"request_id\":\"0");
	assert_null(strstr(answer, "evil"));
	ask("GET /early HTTP/1.1\r\nX-Vcap-Request-Id: 0123456789abcde\r\n" LAST); /* one too short */
	assert_null(strstr(answer, "0123456789abcde"));
}

static const struct {
	enum err_code code;
	int status;
	const char *says;
} errs[] = {
	{ERR_INPUT, 400, "\"code\":\"input\",\"message\":\"the secret reason\""},
	{ERR_AUTH, 401, "WWW-Authenticate: Bearer\r\n"},
	{ERR_PERM, 403, "the secret reason"},
	{ERR_NOT_FOUND, 404, "the secret reason"},
	{ERR_STATE, 409, "the secret reason"},
	{ERR_LIMIT, 413, "the secret reason"},
	{ERR_BUSY, 429, "Retry-After: 1\r\n"},
	{ERR_NET, 502, "the secret reason"},
	{ERR_TIMEOUT, 502, "the secret reason"},
	{ERR_UNAVAILABLE, 503, "the secret reason"},
	{ERR_FULL, 503, "the secret reason"},
	{ERR_CANCELLED, 503, "the secret reason"},
	{ERR_IO, 500, "\"message\":\"internal error\""},
	{ERR_NOMEM, 500, "\"message\":\"internal error\""},
	{ERR_INTERNAL, 500, "\"message\":\"internal error\""},
};

static void errors_have_their_status(void **state)
{
	char request[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		snprintf(request, sizeof(request), "GET /err?k=%d HTTP/1.1\r\n" LAST, (int)errs[i].code);
		ask(request);
		assert_int_equal(status_of(answer), errs[i].status);
		assert_has(answer, errs[i].says);
		if (errs[i].status == 500)
			assert_null(strstr(answer, "secret"));
	}
	ask("GET /err?k=1&field=options.filter HTTP/1.1\r\n" LAST);
	assert_has(answer, "\"field\":\"options.filter\"");
}

static void added_headers_cannot_split_the_answer(void **state)
{
	char request[64];

	(void)state;
	snprintf(request, sizeof(request), "GET /err?k=%d&header=1 HTTP/1.1\r\n" LAST, (int)ERR_BUSY);
	ask(request);
	assert_has(answer, "Retry-After: 77\r\n");
	assert_null(strstr(answer, "Injected"));
	assert_null(strstr(answer, "Retry-After: 1\r\n"));
}

static void a_forgotten_answer_is_a_500(void **state)
{
	(void)state;
	ask("GET /forget HTTP/1.1\r\n" LAST);
	assert_int_equal(status_of(answer), 500);
	assert_has(answer, "internal error");
}

static const struct {
	const char *what, *range;
	int status;
	const char *content_range, *body;
} ranges[] = {
	{"none", "", 200, NULL, RIG_FILE_TEXT},
	{"first byte", "Range: bytes=0-0\r\n", 206, "bytes 0-0/20", "0"},
	{"middle", "Range: bytes=5-9\r\n", 206, "bytes 5-9/20", "56789"},
	{"open end", "Range: bytes=18-\r\n", 206, "bytes 18-19/20", "ij"},
	{"last byte", "Range: bytes=19-19\r\n", 206, "bytes 19-19/20", "j"},
	{"end behind the end", "Range: bytes=19-20\r\n", 206, "bytes 19-19/20", "j"},
	{"begin behind the end", "Range: bytes=20-\r\n", 416, "bytes */20", NULL},
	{"suffix", "Range: bytes=-3\r\n", 206, "bytes 17-19/20", "hij"},
	{"long suffix", "Range: bytes=-21\r\n", 206, "bytes 0-19/20", RIG_FILE_TEXT},
	{"empty suffix", "Range: bytes=-0\r\n", 416, "bytes */20", NULL},
	{"backwards", "Range: bytes=9-5\r\n", 416, "bytes */20", NULL},
	{"no number", "Range: bytes=a-b\r\n", 416, "bytes */20", NULL},
	{"signed", "Range: bytes=+1-2\r\n", 416, "bytes */20", NULL},
	{"no dash", "Range: bytes=5\r\n", 416, "bytes */20", NULL},
	{"over 64 bits", "Range: bytes=99999999999999999999-\r\n", 416, "bytes */20", NULL},
	{"several", "Range: bytes=0-1,3-4\r\n", 200, NULL, RIG_FILE_TEXT},
	{"another unit", "Range: lines=0-1\r\n", 200, NULL, RIG_FILE_TEXT},
	{"same file", "Range: bytes=5-9\r\nIf-Range: \"v1\"\r\n", 206, "bytes 5-9/20", "56789"},
	{"another file", "Range: bytes=5-9\r\nIf-Range: \"v2\"\r\n", 200, NULL, RIG_FILE_TEXT},
};

static void check_ranges(const char *path)
{
	char request[256], header[64];
	const char *body;
	size_t i;

	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n%s" LAST, path, ranges[i].range);
		ask(request);
		if (status_of(answer) != ranges[i].status)
			fail_msg("%s: not %d but \"%s\"", ranges[i].what, ranges[i].status, answer);
		assert_has(answer, "Accept-Ranges: bytes\r\n");
		if (ranges[i].content_range) {
			snprintf(header, sizeof(header), "Content-Range: %s\r\n", ranges[i].content_range);
			assert_has(answer, header);
		} else {
			assert_null(strstr(answer, "Content-Range"));
		}
		body = strstr(answer, "\r\n\r\n");
		assert_non_null(body);
		if (ranges[i].body) {
			assert_string_equal(body + 4, ranges[i].body);
			assert_has(answer, "ETag: \"v1\"\r\n");
		}
	}
	snprintf(request, sizeof(request), "GET %s?empty HTTP/1.1\r\n" LAST, path);
	ask(request);
	assert_has(answer, "Content-Length: 0\r\n");
	snprintf(request, sizeof(request), "GET %s?empty HTTP/1.1\r\nRange: bytes=-1\r\n" LAST, path);
	ask(request);
	assert_has(answer, "Content-Range: bytes */0\r\n");
}

static void a_file_is_served_whole_or_in_part(void **state)
{
	(void)state;
	check_ranges("/file");
}

static void so_is_what_a_reader_gives(void **state)
{
	(void)state;
	check_ranges("/reader");
}

/* Bytes of the body from byte first on, which the peer may end early; how many came. */
static size_t read_bytes(const char *text, uint64_t first, size_t most)
{
	const size_t size = most + RIG_HEADER_MAX;
	char *all = malloc(size), *body;
	size_t n = rig_ask(http_server_port(rig.server), text, strlen(text), all, size);

	assert_non_null(all);
	body = memmem(all, n, "\r\n\r\n", 4);
	assert_non_null(body);
	body += 4;
	n -= (size_t)(body - all);
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)body[i] != rig_byte(first + i))
			fail_msg("byte %zu is another", i);
	free(all);
	return n;
}

static void a_reader_is_asked_for_one_block_after_the_other(void **state)
{
	const size_t all = 2 * HTTP_READER_BLOCK + 12345;
	char request[200];

	(void)state;
	snprintf(request, sizeof(request), "GET /reader?n=%zu HTTP/1.1\r\n" LAST, all);
	assert_int_equal(read_bytes(request, 0, all), all);
	assert_in_range(atomic_load(&rig.largest_read), 1, HTTP_READER_BLOCK);
	snprintf(request, sizeof(request), "GET /reader?n=%zu HTTP/1.1\r\nRange: bytes=77-%zu\r\n" LAST, all, all - 2);
	assert_int_equal(read_bytes(request, 77, all), all - 2 - 77 + 1);
}

static void a_reader_that_fails_cuts_the_answer(void **state)
{
	const size_t all = 2 * HTTP_READER_BLOCK;
	char request[200];

	(void)state;
	snprintf(request, sizeof(request), "GET /reader?n=%zu&cut=%u HTTP/1.1\r\n" LAST, all, HTTP_READER_BLOCK);
	assert_int_equal(read_bytes(request, 0, all), HTTP_READER_BLOCK);
	snprintf(request, sizeof(request), "GET /reader?n=%zu&cut=0 HTTP/1.1\r\n" LAST, all);
	assert_int_equal(read_bytes(request, 0, all), 0);
	snprintf(request, sizeof(request), "HEAD /reader?n=%zu&cut=0 HTTP/1.1\r\n" LAST, all);
	assert_int_equal(read_bytes(request, 0, all), 0);
}

static void head_is_get_without_the_body(void **state)
{
	(void)state;
	ask("HEAD /file HTTP/1.1\r\n" LAST);
	assert_int_equal(status_of(answer), 200);
	assert_has(answer, "Content-Length: 20\r\n");
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	ask("HEAD /reader HTTP/1.1\r\n" LAST);
	assert_has(answer, "Content-Length: 20\r\n");
	assert_has(answer, "ETag: \"v1\"\r\n");
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	ask("HEAD /echo HTTP/1.1\r\n" LAST);
	assert_has(answer, "Content-Type: application/json\r\n");
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	ask("HEAD /stream HTTP/1.1\r\n" LAST);
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void query_parameters_must_be_known(void **state)
{
	(void)state;
	ask("GET /known?a=1&b HTTP/1.1\r\n" LAST);
	assert_int_equal(status_of(answer), 200);
	ask("GET /known?a=1&c%22=2 HTTP/1.1\r\n" LAST);
	assert_int_equal(status_of(answer), 400);
	assert_has(answer, "unknown query parameter \\\"c\\\"\\\"");
	ask("GET /known?a=1&b=2&a=1 HTTP/1.1\r\n" LAST);
	assert_int_equal(status_of(answer), 400);
	assert_has(answer, "\"field\":\"a\"");
	assert_has(answer, "given twice");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_request_is_told_with_all_its_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_chunked_body_is_put_together, setup, teardown),
		cmocka_unit_test_setup_teardown(a_connection_serves_one_request_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_in_doubt_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_raw_nul_in_the_target_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(headers_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(bodies_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(an_endless_body_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(a_query_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(query_parameters_must_be_known, setup, teardown),
		cmocka_unit_test_setup_teardown(an_early_answer_leaves_the_body_unread, setup, teardown),
		cmocka_unit_test_setup_teardown(the_request_id_of_a_router_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(errors_have_their_status, setup, teardown),
		cmocka_unit_test_setup_teardown(added_headers_cannot_split_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(a_forgotten_answer_is_a_500, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_is_served_whole_or_in_part, setup, teardown),
		cmocka_unit_test_setup_teardown(so_is_what_a_reader_gives, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_is_asked_for_one_block_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_that_fails_cuts_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(head_is_get_without_the_body, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
