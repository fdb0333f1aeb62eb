/* test_json_in.c - common/json_in.c, json_in_parse.c: every refusal, word for word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/json_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const modes[] = {"live", "store", "auto", NULL};

/* What a reader of the shape below finds. */
struct found {
	const char *device;
	uint64_t snaplen;
	bool promisc;
	int mode;
	json_t *obj, *array, *any;
};

static int read_as(json_t *obj, const char *path, struct found *f, struct err *e)
{
	struct json_in in;

	*f = (struct found){.device = "unset", .snaplen = 42, .mode = -1};
	json_in_begin(&in, obj, path, e);
	json_in_u64(&in, "snaplen", 16, 262144, &f->snaplen);
	json_in_str(&in, "device", JSON_IN_OPTIONAL, 1, 15, &f->device);
	json_in_bool(&in, "promisc", &f->promisc);
	json_in_enum(&in, "mode", JSON_IN_OPTIONAL, modes, &f->mode);
	json_in_obj(&in, "o", JSON_IN_OPTIONAL, &f->obj);
	json_in_array(&in, "a", JSON_IN_OPTIONAL, 2, &f->array);
	json_in_any(&in, "x", &f->any);
	return json_in_end(&in);
}

static json_t *parsed(const char *text)
{
	struct err e = {0};
	json_t *v = json_in_parse(text, strlen(text), &e);

	if (v == NULL)
		fail_msg("%s: %s", text, e.msg);
	return v;
}

static void test_reads_what_is_there(void **state)
{
	json_t *v = parsed("{\"snaplen\":16,\"device\":\"eth0\",\"promisc\":true,\"mode\":\"auto\",\"o\":{},"
			   "\"a\":[1,2],\"x\":1.5}");
	struct err e = {0};
	struct found f;

	(void)state;
	if (read_as(v, "options", &f, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(f.snaplen, 16);
	assert_string_equal(f.device, "eth0");
	assert_true(f.promisc);
	assert_int_equal(f.mode, 2);
	assert_true(json_is_object(f.obj));
	assert_int_equal(json_array_size(f.array), 2);
	assert_true(json_is_real(f.any));
	assert_int_equal(e.code, ERR_NONE);
	json_decref(v);
}

static void test_absent_and_null_leave_results(void **state)
{
	static const char *const texts[] = {"{}", "{\"snaplen\":null,\"device\":null,\"promisc\":null,\"mode\":null,"
						  "\"o\":null,\"a\":null,\"x\":null}"};
	struct err e = {0};
	struct found f;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		json_t *v = parsed(texts[i]);

		assert_int_equal(read_as(v, "", &f, &e), 0);
		assert_string_equal(f.device, "unset");
		assert_int_equal(f.snaplen, 42);
		assert_int_equal(f.mode, -1);
		assert_null(f.obj);
		assert_null(f.array);
		assert_null(f.any);
		json_decref(v);
	}
}

static void test_bounds_are_inside(void **state)
{
	static const char *const texts[] = {
		"{\"snaplen\":16}",
		"{\"snaplen\":262144}",
		"{\"device\":\"e\"}",
		"{\"device\":\"eth012345678901\"}",
		"{\"device\":\"\\u00e9\"}",
		"{\"a\":[]}",
	};
	struct err e = {0};
	struct found f;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *v = parsed(texts[i]);

		if (read_as(v, "", &f, &e) < 0)
			fail_msg("%s: %s", texts[i], e.msg);
		json_decref(v);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *field, *says;
	} rows[] = {
		{"[]", "options", "options: must be an object, is an array"},
		{"7", "options", "options: must be an object, is 7"},
		{"{\"snaplen\":15}", "options.snaplen", "options.snaplen: 15 is not within 16..262144"},
		{"{\"snaplen\":9999999}", "options.snaplen", "options.snaplen: 9999999 is not within 16..262144"},
		{"{\"snaplen\":-1}", "options.snaplen", "options.snaplen: -1 is not within 16..262144"},
		{"{\"snaplen\":\"abc\"}", "options.snaplen", "options.snaplen: must be a whole number, is \"abc\""},
		{"{\"snaplen\":64.0}", "options.snaplen", "options.snaplen: must be a whole number, is 64"},
		{"{\"snaplen\":1.5e3}", "options.snaplen", "options.snaplen: must be a whole number, is 1500"},
		{"{\"snaplen\":true}", "options.snaplen", "options.snaplen: must be a whole number, is true"},
		{"{\"snaplen\":{}}", "options.snaplen", "options.snaplen: must be a whole number, is an object"},
		{"{\"device\":5}", "options.device", "options.device: must be a string, is 5"},
		{"{\"device\":\"\"}", "options.device", "options.device: length 0 is not within 1..15 bytes"},
		{"{\"device\":\"0123456789abcdef\"}", "options.device",
			"options.device: length 16 is not within 1..15 bytes"},
		{"{\"device\":\"a\\nb\"}", "options.device", "options.device: must be text without control characters"},
		{"{\"device\":\"\\u0085\"}", "options.device",
			"options.device: must be text without control characters"},
		{"{\"promisc\":1}", "options.promisc", "options.promisc: must be true or false, is 1"},
		{"{\"promisc\":\"true\"}", "options.promisc", "options.promisc: must be true or false, is \"true\""},
		{"{\"mode\":\"lvie\"}", "options.mode", "options.mode: \"lvie\" is not one of live, store, auto"},
		{"{\"mode\":\"\"}", "options.mode", "options.mode: \"\" is not one of live, store, auto"},
		{"{\"mode\":false}", "options.mode", "options.mode: false is not one of live, store, auto"},
		{"{\"mode\":\"a\\u001bb\"}", "options.mode", "options.mode: \"a?b\" is not one of live, store, auto"},
		{"{\"o\":[]}", "options.o", "options.o: must be an object, is an array"},
		{"{\"a\":{}}", "options.a", "options.a: must be an array, is an object"},
		{"{\"a\":[1,2,3]}", "options.a", "options.a: 3 elements are more than the 2 allowed"},
		{"{\"snaplenn\":1}", "options.snaplenn", "options: unknown key \"snaplenn\""},
		{"{\"Snaplen\":64}", "options.Snaplen", "options: unknown key \"Snaplen\""},
		{"{\"zz\":null}", "options.zz", "options: unknown key \"zz\""},
		{"{\"\":1}", "options", "options: unknown key \"\""},
		{"{\"\\u001b[2J\":1}", "options.?[2J", "options: unknown key \"?[2J\""},
		/* The first in the order of reading wins over the unknown key. */
		{"{\"zz\":1,\"mode\":3,\"snaplen\":1}", "options.snaplen",
			"options.snaplen: 1 is not within 16..262144"},
	};
	struct found f;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *v = parsed(rows[i].text);
		struct err e = {0};

		assert_int_equal(read_as(v, "options", &f, &e), -1);
		assert_string_equal(e.msg, rows[i].says);
		assert_string_equal(e.field, rows[i].field);
		assert_int_equal(e.code, ERR_INPUT);
		json_decref(v);
	}
}

static void test_negative_is_not_a_great_number(void **state)
{
	json_t *v = parsed("{\"n\":-1}");
	struct err e = {0};
	struct json_in in;
	uint64_t n = 42;

	(void)state;
	json_in_begin(&in, v, "", &e);
	json_in_u64(&in, "n", 0, UINT64_MAX, &n);
	assert_int_equal(json_in_end(&in), -1);
	assert_string_equal(e.msg, "n: -1 is not within 0..18446744073709551615");
	assert_int_equal(n, 42);
	json_decref(v);
}

static void test_top_level_has_no_path(void **state)
{
	json_t *v = parsed("{\"bogus\":1}"), *w = parsed("{\"mode\":\"x\"}");
	struct err e = {0};
	struct found f;

	(void)state;
	assert_int_equal(read_as(v, "", &f, &e), -1);
	assert_string_equal(e.msg, "unknown key \"bogus\"");
	assert_string_equal(e.field, "bogus");
	assert_int_equal(read_as(w, "", &f, &e), -1);
	assert_string_equal(e.msg, "mode: \"x\" is not one of live, store, auto");
	assert_string_equal(e.field, "mode");
	assert_int_equal(read_as(NULL, "", &f, &e), -1);
	assert_string_equal(e.msg, "must be an object, is not there");
	assert_string_equal(e.field, "");
	json_decref(v);
	json_decref(w);
}

static void test_required(void **state)
{
	static const char *const texts[] = {"{}", "{\"k\":null}"};
	const char *s = "unset";
	json_t *sub = NULL;
	int n = -1;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		json_t *v = parsed(texts[i % 2]);
		struct err e = {0};
		struct json_in in;

		json_in_begin(&in, v, "target", &e);
		if (i == 0)
			json_in_str(&in, "k", JSON_IN_REQUIRED, 0, 10, &s);
		else if (i == 1)
			json_in_enum(&in, "k", JSON_IN_REQUIRED, modes, &n);
		else if (i == 2)
			json_in_obj(&in, "k", JSON_IN_REQUIRED, &sub);
		else
			json_in_array(&in, "k", JSON_IN_REQUIRED, 10, &sub);
		assert_int_equal(json_in_end(&in), -1);
		assert_string_equal(e.msg, "target.k: is required");
		assert_string_equal(e.field, "target.k");
		json_decref(v);
	}
	assert_string_equal(s, "unset");
	assert_null(sub);
}

static void test_own_refusal_sticks(void **state)
{
	json_t *v = parsed("{\"a\":\"x\",\"b\":1}");
	const char *a = NULL, *b = "unset";
	struct err e = {0};
	struct json_in in;

	(void)state;
	json_in_begin(&in, v, "", &e);
	json_in_str(&in, "a", JSON_IN_REQUIRED, 1, 9, &a);
	assert_int_equal(json_in_fail(&in, "a", "\"%s\" is not a GUID", a), -1);
	json_in_str(&in, "b", JSON_IN_REQUIRED, 1, 9, &b);
	assert_int_equal(json_in_fail(&in, "b", "second"), -1);
	assert_int_equal(json_in_end(&in), -1);
	assert_string_equal(e.msg, "a: \"x\" is not a GUID");
	assert_string_equal(e.field, "a");
	assert_string_equal(b, "unset");
	json_decref(v);
}

static void test_long_values_are_cut_in_messages(void **state)
{
	char text[2100], filler[2001];
	struct err e = {0};
	struct found f;
	json_t *v;

	(void)state;
	memset(filler, 'k', 2000);
	filler[2000] = '\0';
	snprintf(text, sizeof(text), "{\"mode\":\"%s\"}", filler);
	v = parsed(text);
	assert_int_equal(read_as(v, "options", &f, &e), -1);
	assert_true(strlen(e.msg) < 120);
	assert_non_null(strstr(e.msg, "kkk...\" is not one of live, store, auto"));
	json_decref(v);
	snprintf(text, sizeof(text), "{\"%s\":1}", filler);
	v = parsed(text);
	assert_int_equal(read_as(v, "options", &f, &e), -1);
	assert_non_null(strstr(e.msg, "options: unknown key \"kkk"));
	assert_int_equal(strlen(e.field), ERR_FIELD_MAX - 1);
	json_decref(v);
}

static void test_more_keys_than_the_reader_holds(void **state)
{
	char keys[JSON_IN_KEYS_MAX + 1][8];
	json_t *v = parsed("{}"), *any = NULL;
	struct err e = {0};
	struct json_in in;

	(void)state;
	json_in_begin(&in, v, "", &e);
	for (int i = 0; i < JSON_IN_KEYS_MAX; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		json_in_any(&in, keys[i], &any);
	}
	assert_int_equal(json_in_end(&in), 0);
	json_in_any(&in, "one more", &any);
	assert_int_equal(json_in_end(&in), -1);
	assert_int_equal(e.code, ERR_INTERNAL);
	json_decref(v);
}

static void test_parse_refuses(void **state)
{
	static const struct {
		const char *what, *bytes;
		size_t n;
		const char *says; /* the beginning */
	} rows[] = {
		{"nothing", "", 0, "empty, where JSON is expected"},
		{"spaces only", "  ", 2, "line 1 column "},
		{"cut off", "{\"a\":", 5, "line 1 column 5: "},
		{"on the second line", "{\n\"a\" 1}", 8, "line 2 column 5: '"},
		{"more after the value", "{} {}", 5, "line 1 column 4: end of file expected"},
		{"duplicate key", "{\"a\":1,\"a\":2}", 13, "line 1 column 10: duplicate object key near"},
		{"duplicate key, escaped", "{\"a\":1,\"\\u0061\":2}", 18,
			"line 1 column 15: duplicate object key near"},
		{"NUL after the value", "{}\0", 3, "line 1 column "},
		{"NUL in a string", "\"a\0b\"", 5, "line 1 column "},
		{"escaped NUL in a string", "\"\\u0000\"", 8, "line 1 column "},
		{"escaped NUL in a key", "{\"\\u0000\":1}", 12, "line 1 column "},
		{"bad UTF-8", "\"\xff\"", 3, "line 1 column "},
		{"overlong UTF-8", "\"\xc0\xaf\"", 4, "line 1 column "},
		{"lone surrogate", "\"\\ud800\"", 8, "line 1 column "},
		{"a comment", "/* */ 1", 7, "line 1 column "},
		{"single quotes", "{'a':1}", 7, "line 1 column "},
		{"trailing comma", "[1,]", 4, "line 1 column "},
		{"NaN", "NaN", 3, "line 1 column "},
		{"over 64 bits", "99999999999999999999", 20, "line 1 column 20: too big integer"},
		{"real too large", "1e999", 5, "line 1 column 5: real number overflow"},
		{"leading zero", "01", 2, "line 1 column "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		json_t *v = json_in_parse(rows[i].bytes, rows[i].n, &e);

		if (v != NULL)
			fail_msg("%s was taken", rows[i].what);
		if (strncmp(e.msg, rows[i].says, strlen(rows[i].says)) != 0)
			fail_msg("%s: \"%s\" instead of \"%s\"", rows[i].what, e.msg, rows[i].says);
		assert_int_equal(e.code, ERR_INPUT);
	}
}

/* levels times '[' or {"a":, and as many ends. */
static char *nested(const char *open, const char *close, int levels)
{
	struct buf b;
	char *text;

	buf_init(&b, 1000000);
	for (int i = 0; i < levels; i++)
		assert_int_equal(buf_add_str(&b, open, NULL), 0);
	assert_int_equal(buf_add_str(&b, "1", NULL), 0);
	for (int i = 0; i < levels; i++)
		assert_int_equal(buf_add_str(&b, close, NULL), 0);
	text = strdup(buf_str(&b));
	assert_non_null(text);
	buf_done(&b);
	return text;
}

static void test_depth(void **state)
{
	struct err e = {0};
	json_t *v;
	char *text;

	(void)state;
	text = nested("{\"[[[\\\"[\":", "}", JSON_IN_DEPTH_MAX); /* brackets in strings do not count */
	v = json_in_parse(text, strlen(text), &e);
	if (v == NULL)
		fail_msg("%s", e.msg);
	json_decref(v);
	free(text);
	text = nested("[\n", "]", JSON_IN_DEPTH_MAX + 1);
	assert_null(json_in_parse(text, strlen(text), &e));
	assert_string_equal(e.msg, "line 17 column 1: nested deeper than 16 levels");
	free(text);
	text = nested("[", "]", 20000);
	assert_null(json_in_parse(text, strlen(text), &e));
	assert_string_equal(e.msg, "line 1 column 17: nested deeper than 16 levels");
	free(text);
	v = parsed("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]"); /* side by side is not deep */
	json_decref(v);
}

static void test_size(void **state)
{
	size_t n = JSON_IN_BYTES_MAX + 1;
	char *text = malloc(n);
	struct err e = {0};
	json_t *v;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', n);
	text[0] = '1';
	assert_null(json_in_parse(text, n, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_string_equal(e.msg, "4194305 bytes of JSON are more than the 4194304 allowed");
	v = json_in_parse(text, n - 1, &e);
	assert_non_null(v);
	json_decref(v);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_what_is_there),
		cmocka_unit_test(test_absent_and_null_leave_results),
		cmocka_unit_test(test_bounds_are_inside),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_negative_is_not_a_great_number),
		cmocka_unit_test(test_top_level_has_no_path),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_own_refusal_sticks),
		cmocka_unit_test(test_long_values_are_cut_in_messages),
		cmocka_unit_test(test_more_keys_than_the_reader_holds),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
