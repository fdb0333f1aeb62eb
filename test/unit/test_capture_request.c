/* Options of a capture and the request to an agent: what is taken, what is refused with which words for which field, and the way back. */
#include "common/json_in.h"
#include "schema/capture_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err err;
static struct capture_options options;
static struct agent_request request, again;

static json_t *parse(const char *text)
{
	json_t *v;

	memset(&err, 0, sizeof(err));
	v = json_in_parse(text, strlen(text), &err);
	if (!v)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static int read_options(const char *text)
{
	json_t *v = parse(text);
	int rc = capture_options_from_json(v, "options", &options, &err);

	json_decref(v);
	return rc;
}

static void taken(const char *text)
{
	if (read_options(text) < 0)
		fail_msg("%s: %s", text, err.msg);
}

static void same_options(const struct capture_options *a, const struct capture_options *b)
{
	assert_string_equal(a->device, b->device);
	assert_string_equal(a->filter, b->filter);
	assert_int_equal(a->snaplen, b->snaplen);
	assert_int_equal(a->max_duration_s, b->max_duration_s);
	assert_int_equal(a->max_bytes, b->max_bytes);
	assert_int_equal(a->max_packets, b->max_packets);
}

static void refused(const char *text, const char *field, const char *says)
{
	const struct capture_options before = options;

	if (read_options(text) == 0)
		fail_msg("taken: %.200s", text);
	assert_int_equal(err.code, ERR_INPUT);
	assert_string_equal(err.field, field);
	if (says)
		assert_string_equal(err.msg, says);
	same_options(&options, &before);
}

/* ---- options ---- */

static void assert_defaults(void)
{
	assert_string_equal(options.device, "eth0");
	assert_string_equal(options.filter, "");
	assert_int_equal(options.snaplen, 65535);
	assert_int_equal(options.max_duration_s, 0);
	assert_int_equal(options.max_bytes, 0);
	assert_int_equal(options.max_packets, 0);
}

static void test_defaults(void **state)
{
	(void)state;
	memset(&options, 0xff, sizeof(options));
	assert_int_equal(capture_options_from_json(NULL, "options", &options, NULL), 0);
	assert_defaults();
	memset(&options, 0xff, sizeof(options));
	taken("{}");
	assert_defaults();
	taken("{\"device\":null,\"filter\":null,\"snaplen\":null,\"payload\":null,\"max_bytes\":null}");
	assert_defaults();
}

static void test_all_options(void **state)
{
	(void)state;
	taken("{\"device\":\"lo\",\"filter\":\"tcp port 8080\\tor udp\",\"snaplen\":96,\"payload\":\"full\","
	      "\"max_duration_s\":300,\"max_bytes\":104857600,\"max_packets\":7}");
	assert_string_equal(options.device, "lo");
	assert_string_equal(options.filter, "tcp port 8080\tor udp");
	assert_int_equal(options.snaplen, 96);
	assert_int_equal(options.max_duration_s, 300);
	assert_int_equal(options.max_bytes, 104857600);
	assert_int_equal(options.max_packets, 7);
}

static void test_devices(void **state)
{
	static const char *const good[] = {"a", "any", "eth0,lo", "a,b,c,d",
		"exactly15bytes_,exactly15bytes_,exactly15bytes_,exactly15bytes_", "eth0.100", "veth-1_2", "wlan0:1",
		"if@3", "...", "exactly15bytes_"};
	static const char *const bad[] = {"", ".", "..", "../../x", "/dev/null", "a b", "a;b", "$(id)",
		"exactly16bytes__", "eth0,", ",eth0", "eth0,,lo", "eth0, lo", "a,b,c,d,e", "eth0\\n", "eth0\\t",
		"\\u00fc", "-%n", "a*"};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), "{\"device\":\"%s\"}", good[i]);
		taken(text);
		assert_string_equal(options.device, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "{\"device\":\"%s\"}", bad[i]);
		refused(text, "options.device", NULL);
	}
	refused("{\"device\":\"../../x\"}", "options.device",
		"options.device: \"../../x\" is not the name of a network device: 1 to 15 letters, digits and ._:@-");
	refused("{\"device\":7}", "options.device", "options.device: must be a string, is 7");
}

static void test_lists_of_devices(void **state)
{
	char names[CAPTURE_DEVICES_MAX][CAPTURE_DEVICE_MAX];

	(void)state;
	taken("{}");
	assert_int_equal(capture_options_devices(&options, names), 1);
	assert_string_equal(names[0], "eth0");
	taken("{\"device\":\"lo,exactly15bytes_,lo,eth0\"}");
	assert_int_equal(capture_options_devices(&options, names), 3);
	assert_string_equal(names[0], "lo");
	assert_string_equal(names[1], "exactly15bytes_");
	assert_string_equal(names[2], "eth0");
}

static void test_filters(void **state)
{
	static char text[2 * CAPTURE_FILTER_MAX], filter[CAPTURE_FILTER_MAX + 2];

	(void)state;
	for (size_t n = CAPTURE_FILTER_MAX; n <= CAPTURE_FILTER_MAX + 1; n++) {
		memset(filter, 'a', n);
		filter[n] = '\0';
		snprintf(text, sizeof(text), "{\"filter\":\"%s\"}", filter);
		if (n > CAPTURE_FILTER_MAX) {
			refused(text, "options.filter", "options.filter: 8193 bytes are over 8192");
		} else {
			taken(text);
			assert_string_equal(options.filter, filter);
		}
	}
	taken("{\"filter\":\"host g\xc3\xbcnther\"}");
	refused("{\"filter\":\"tcp\\nport 80\"}", "options.filter",
		"options.filter: must be plain text without control characters");
	refused("{\"filter\":\"tcp\\u007f\"}", "options.filter", NULL);
	refused("{\"filter\":\"\\u001b[31m\"}", "options.filter", NULL);
	refused("{\"filter\":[\"tcp\"]}", "options.filter", "options.filter: must be a string");
}

/* json_in_parse takes neither, but a value may come another way. */
static void test_filters_with_nul(void **state)
{
	json_t *v = json_pack("{s:o}", "filter", json_stringn_nocheck("tcp\0port", 8));

	(void)state;
	assert_non_null(v);
	memset(&err, 0, sizeof(err));
	assert_int_equal(capture_options_from_json(v, "options", &options, &err), -1);
	assert_string_equal(err.field, "options.filter");
	json_object_set_new(v, "filter", json_stringn_nocheck("tcp \xff", 5));
	assert_int_equal(capture_options_from_json(v, "options", &options, &err), -1);
	json_decref(v);
}

static void test_numbers(void **state)
{
	(void)state;
	taken("{\"snaplen\":0}");
	assert_int_equal(options.snaplen, PCAPNG_SNAPLEN_MAX);
	taken("{\"snaplen\":16}");
	taken("{\"snaplen\":262144}");
	assert_int_equal(options.snaplen, PCAPNG_SNAPLEN_MAX);
	refused("{\"snaplen\":15}", "options.snaplen", "options.snaplen: 15 is not within 16..262144 (0: the largest)");
	refused("{\"snaplen\":262145}", "options.snaplen", NULL);
	refused("{\"snaplen\":-1}", "options.snaplen", NULL);
	refused("{\"snaplen\":1.5}", "options.snaplen", NULL);
	refused("{\"snaplen\":\"96\"}", "options.snaplen", NULL);
	taken("{\"max_duration_s\":604800,\"max_bytes\":1125899906842624,\"max_packets\":9007199254740992}");
	assert_int_equal(options.max_packets, CAPTURE_PACKETS_MAX);
	refused("{\"max_duration_s\":604801}", "options.max_duration_s", NULL);
	refused("{\"max_bytes\":1125899906842625}", "options.max_bytes", NULL);
	refused("{\"max_packets\":9007199254740993}", "options.max_packets", NULL);
	refused("{\"max_packets\":true}", "options.max_packets", NULL);
}

static void test_payload(void **state)
{
	(void)state;
	taken("{}");
	assert_false(options.headers_only);
	taken("{\"payload\":\"headers\"}");
	assert_true(options.headers_only);
	taken("{\"payload\":\"full\"}");
	assert_false(options.headers_only);
	refused("{\"payload\":\"none\"}", "options.payload", "options.payload: \"none\" is neither full nor headers");
	refused("{\"payload\":\"header\"}", "options.payload", NULL);
	refused("{\"payload\":\"\"}", "options.payload", NULL);
	refused("{\"payload\":1}", "options.payload", NULL);
}

static void test_unknown_keys_are_named(void **state)
{
	(void)state;
	refused("{\"devise\":\"eth0\"}", "options.devise", NULL);
	refused("[]", "options", NULL);
	refused("\"eth0\"", "options", NULL);
}

static void test_options_read_back(void **state)
{
	struct capture_options before;
	json_t *v;

	(void)state;
	taken("{\"device\":\"any\",\"filter\":\"ip6 "
	      "\\\"\\\\\",\"snaplen\":0,\"max_duration_s\":1,\"max_bytes\":1125899906842624,"
	      "\"max_packets\":9007199254740992}");
	before = options;
	v = capture_options_to_json(&options);
	assert_non_null(v);
	memset(&options, 0xff, sizeof(options));
	assert_int_equal(capture_options_from_json(v, "options", &options, NULL), 0);
	same_options(&options, &before);
	json_decref(v);
}

/* ---- the request to an agent ---- */

#define ID_A      "01jgy0000000000000000000aa"
#define ID_B      "01jgy0000000000000000000bb"
#define REQUIRED  "\"id\":\"" ID_A "\",\"job\":\"" ID_B "\",\"name\":\"web/3\",\"target\":{\"type\":\"host\"}"
#define WITH(...) "{" REQUIRED "," __VA_ARGS__ "}"

static int read_request(const char *text)
{
	json_t *v = parse(text);
	int rc = agent_request_from_json(v, &request, &err);

	json_decref(v);
	return rc;
}

static void test_request(void **state)
{
	json_t *v;

	(void)state;
	if (read_request(WITH("\"options\":{\"device\":\"lo\"},\"max_rate\":65536,\"exclude\":[{\"address\":\"10.0.0."
			      "1\",\"port\":9494},"
			      "{\"address\":\"fd00::1\",\"port\":65534,\"port_last\":65535}]")) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(request.id, ID_A);
	assert_string_equal(request.job, ID_B);
	assert_string_equal(request.name, "web/3");
	assert_string_equal(request.options.device, "lo");
	assert_int_equal(request.max_rate, 65536);
	assert_int_equal(request.excludes_n, 2);
	assert_string_equal(request.excludes[0].address, "10.0.0.1");
	assert_int_equal(request.excludes[0].port, 9494);
	assert_string_equal(request.excludes[1].address, "fd00::1");
	assert_int_equal(request.excludes[0].port_last, 0);
	assert_int_equal(request.excludes[1].port, 65534);
	assert_int_equal(request.excludes[1].port_last, 65535);

	v = agent_request_to_json(&request);
	assert_non_null(v);
	assert_int_equal(agent_request_from_json(v, &again, NULL), 0);
	same_options(&again.options, &request.options);
	assert_string_equal(again.id, request.id);
	assert_string_equal(again.job, request.job);
	assert_string_equal(again.name, request.name);
	assert_int_equal(again.max_rate, request.max_rate);
	assert_int_equal(again.excludes_n, request.excludes_n);
	for (size_t i = 0; i < request.excludes_n; i++) {
		assert_string_equal(again.excludes[i].address, request.excludes[i].address);
		assert_int_equal(again.excludes[i].port, request.excludes[i].port);
		assert_int_equal(again.excludes[i].port_last, request.excludes[i].port_last);
	}
	json_decref(v);
}

static void target_taken(const char *text, struct agent_target *ret)
{
	struct agent_target back;
	json_t *v = parse(text), *w;

	if (agent_target_from_json(v, ret, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	w = agent_target_to_json(ret);
	assert_true(json_equal(v, w));
	assert_int_equal(agent_target_from_json(w, &back, &err), 0);
	assert_string_equal(back.handle, ret->handle);
	assert_int_equal(back.index, ret->index);
	json_decref(v);
	json_decref(w);
}

#define HANDLE "3f1b9c52-7d0e-4c1a-5e2b-77aa"

static void test_targets(void **state)
{
	static const struct {
		const char *text, *field;
	} bad[] = {
		{"{\"type\":\"container\",\"app\":\"a\"}", "target.handle"},
		{"{\"type\":\"container\",\"app\":\"a\",\"handle\":\"" HANDLE "\",\"address\":\"10.0.0.1\"}",
			"target.handle"},
		{"{\"type\":\"container\",\"app\":\"a\",\"handle\":\"../../etc/passwd-aaaaaaaaaaaaaaaa\"}",
			"target.handle"},
		{"{\"type\":\"container\",\"app\":\"a\",\"handle\":\"3F1B9C52-7D0E-4C1A-5E2B-77AA\"}", "target.handle"},
		{"{\"type\":\"container\",\"app\":\"a\",\"address\":\"web\"}", "target.address"},
		{"{\"type\":\"container\",\"app\":\"../x\",\"handle\":\"" HANDLE "\"}", "target.app"},
		{"{\"type\":\"container\",\"app\":\"a\",\"handle\":\"" HANDLE "\",\"index\":-1}", "target.index"},
		{"{\"type\":\"container\",\"app\":\"a\",\"handle\":\"" HANDLE "\",\"instance\":\"x\"}",
			"target.instance"},
		{"{\"type\":\"host\",\"handle\":\"" HANDLE "\"}", "target.handle"},
	};
	struct agent_target t;

	(void)state;
	target_taken("{\"type\":\"host\"}", &t);
	assert_string_equal(t.instance, "");
	target_taken("{\"type\":\"host\",\"instance\":\"5d0a6f0e-1234\"}", &t);
	assert_string_equal(t.instance, "5d0a6f0e-1234");
	target_taken("{\"type\":\"container\",\"handle\":\"" HANDLE "\",\"app\":\"1c0f\",\"index\":7}", &t);
	assert_int_equal(t.type, AGENT_TARGET_CONTAINER);
	assert_string_equal(t.handle, HANDLE);
	assert_string_equal(t.app, "1c0f");
	assert_int_equal(t.index, 7);
	target_taken("{\"type\":\"container\",\"address\":\"10.255.0.7\",\"app\":\"1c0f\"}", &t);
	assert_string_equal(t.address, "10.255.0.7");
	assert_int_equal(t.index, AGENT_INDEX_ANY);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *v = parse(bad[i].text);

		if (agent_target_from_json(v, &t, &err) == 0)
			fail_msg("taken: %s", bad[i].text);
		assert_string_equal(err.field, bad[i].field);
		json_decref(v);
	}
}

static void test_forced(void **state)
{
	json_t *v;

	(void)state;
	if (read_request(
		    WITH("\"forced\":[{\"filter\":\"udp\",\"by\":\"org acme\"},{\"filter\":\"port 1\",\"by\":\"the "
			 "whole platform\"}]")) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(request.forced_n, 2);
	assert_string_equal(request.forced[1].filter, "port 1");
	v = agent_request_to_json(&request);
	assert_non_null(v);
	assert_int_equal(agent_request_from_json(v, &again, NULL), 0);
	assert_int_equal(again.forced_n, 2);
	assert_string_equal(again.forced[0].filter, "udp");
	assert_string_equal(again.forced[0].by, "org acme");
	json_decref(v);
	request.forced_n = 0;
	v = agent_request_to_json(&request);
	assert_null(json_object_get(v, "forced")); /* older agents do not know it */
	json_decref(v);
}

static void test_smallest_request(void **state)
{
	(void)state;
	assert_int_equal(read_request("{" REQUIRED "}"), 0);
	assert_string_equal(request.options.device, "eth0");
	assert_int_equal(request.excludes_n, 0);
	assert_int_equal(request.forced_n, 0);
}

static void test_request_refusals(void **state)
{
	static const struct {
		const char *text, *field, *says;
	} bad[] = {
		{"{}", "id", "id: is required"},
		{"[]", "", "must be an object, is an array"},
		{"{\"id\":\"" ID_A "\"}", "job", "job: is required"},
		{"{\"id\":\"../../etc/passwd\"}", "id", "id: \"../../etc/passwd\" is not an id"},
		{"{\"id\":\"" ID_A "x\"}", "id", "id: length 27 is not within 1..26 bytes"},
		{WITH("\"shell\":1"), "shell", "unknown key \"shell\""},
		{WITH("\"options\":{\"device\":\"..\"}"), "options.device", NULL},
		{WITH("\"options\":[]"), "options", NULL},
		{WITH("\"exclude\":{}"), "exclude", NULL},
		{WITH("\"exclude\":[1]"), "exclude[0]", NULL},
		{WITH("\"exclude\":[{\"address\":\"::1\",\"port\":1},{\"port\":1}]"), "exclude[1].address",
			"exclude[1].address: is required"},
		{WITH("\"exclude\":[{\"address\":\"::1\"}]"), "exclude[0].port", "exclude[0].port: is required"},
		{WITH("\"exclude\":[{\"address\":\"::1\",\"port\":0}]"), "exclude[0].port", NULL},
		{WITH("\"exclude\":[{\"address\":\"::1\",\"port\":65536}]"), "exclude[0].port", NULL},
		{WITH("\"exclude\":[{\"address\":\"::1\",\"port\":2,\"port_last\":1}]"), "exclude[0].port_last", NULL},
		{WITH("\"exclude\":[{\"address\":\"::1\",\"port\":2,\"port_last\":65536}]"), "exclude[0].port_last",
			NULL},
		{WITH("\"exclude\":[{\"address\":\"localhost\",\"port\":1}]"), "exclude[0].address",
			"exclude[0].address: \"localhost\" is not a numeric address"},
		{WITH("\"exclude\":[{\"address\":\"1.2.3.4) or (tcp\",\"port\":1}]"), "exclude[0].address", NULL},
		{WITH("\"exclude\":[{\"address\":\"::1%eth0\",\"port\":1}]"), "exclude[0].address", NULL},
		{WITH("\"exclude\":[{\"address\":\"::1\",\"port\":1,\"x\":1}]"), "exclude[0].x", NULL},
		{WITH("\"forced\":{}"), "forced", NULL},
		{WITH("\"forced\":[{\"by\":\"x\"}]"), "forced[0].filter", "forced[0].filter: is required"},
		{WITH("\"forced\":[{\"filter\":\"\",\"by\":\"x\"}]"), "forced[0].filter", NULL},
		{WITH("\"forced\":[{\"filter\":\"udp\"}]"), "forced[0].by", "forced[0].by: is required"},
		{WITH("\"forced\":[{\"filter\":\"udp\",\"by\":\"x\",\"or\":1}]"), "forced[0].or", NULL},
		{WITH("\"forced\":[1,1,1,1,1,1,1,1,1]"), "forced", NULL},
		{"{\"id\":\"" ID_A "\",\"job\":\"" ID_B "\",\"name\":\"\"}", "name", NULL},
		{"{\"id\":\"" ID_A "\",\"job\":\"" ID_B "\",\"name\":\"a\"}", "target", "target: is required"},
		{"{\"id\":\"" ID_A "\",\"job\":\"" ID_B "\",\"name\":\"a\",\"target\":{}}", "target.type",
			"target.type: is required"},
		{"{\"id\":\"" ID_A "\",\"job\":\"" ID_B "\",\"name\":\"a\",\"target\":{\"type\":\"container\"}}",
			"target.app", "target.app: is required"},
		{"{\"id\":\"" ID_A "\",\"job\":\"" ID_B "\",\"name\":\"a\",\"target\":{\"type\":\"vm\"}}",
			"target.type", "target.type: \"vm\" is not one of host, container"},
		{WITH("\"options\":{\"device\":\"eth0,lo\"}"), "options.device",
			"options.device: an agent's capture is of one device"},
		{"{\"id\":\"" ID_A "\",\"job\":\"" ID_B "\",\"name\":\"a\",\"target\":{\"type\":\"host\",\"pid\":1}}",
			"target.pid", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (read_request(bad[i].text) == 0)
			fail_msg("taken: %s", bad[i].text);
		assert_int_equal(err.code, ERR_INPUT);
		assert_string_equal(err.field, bad[i].field);
		if (bad[i].says)
			assert_string_equal(err.msg, bad[i].says);
	}
}

static void test_number_of_excludes(void **state)
{
	json_t *v, *list;

	(void)state;
	v = parse("{" REQUIRED "}");
	list = json_array();
	json_object_set_new(v, "exclude", list);
	for (int i = 0; i < CAPTURE_EXCLUDES_MAX; i++)
		json_array_append_new(list, json_pack("{s:s, s:i}", "address", "::1", "port", i + 1));
	assert_int_equal(agent_request_from_json(v, &request, &err), 0);
	assert_int_equal(request.excludes_n, CAPTURE_EXCLUDES_MAX);
	json_array_append_new(list, json_pack("{s:s, s:i}", "address", "::1", "port", 1));
	assert_int_equal(agent_request_from_json(v, &request, &err), -1);
	assert_string_equal(err.field, "exclude");
	json_decref(v);
}

/* What the gateway may send at most must fit what the agent takes. */
static void test_largest_request_fits_a_body(void **state)
{
	char *text;
	json_t *v;

	(void)state;
	assert_int_equal(read_request("{" REQUIRED "}"), 0);
	memset(request.name, '"', CAPTURE_NAME_MAX - 1);
	memset(request.options.filter, '"', CAPTURE_FILTER_MAX);
	request.excludes_n = CAPTURE_EXCLUDES_MAX;
	for (size_t i = 0; i < CAPTURE_EXCLUDES_MAX; i++)
		request.excludes[i] =
			(struct capture_exclude){"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 65534, 65535};
	v = agent_request_to_json(&request);
	assert_non_null(v);
	assert_int_equal(agent_request_from_json(v, &again, &err), 0);
	text = json_dumps(v, 0);
	assert_non_null(text);
	assert_in_range(strlen(text), 1, CAPTURE_BODY_MAX);
	free(text);
	json_decref(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all_options),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_lists_of_devices),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_filters_with_nul),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_payload),
		cmocka_unit_test(test_unknown_keys_are_named),
		cmocka_unit_test(test_options_read_back),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_forced),
		cmocka_unit_test(test_smallest_request),
		cmocka_unit_test(test_request_refusals),
		cmocka_unit_test(test_number_of_excludes),
		cmocka_unit_test(test_largest_request_fits_a_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
