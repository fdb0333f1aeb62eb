/* test_agents.c - gateway/targets/agents.c: what is believed of what an agent says, and a table that has an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http_client.h"
#include "common/version.h"
#include "gateway/gateway.h"
#include "gateway/targets/agents.h"
#include "gateway/targets/targets.h"
#include "test/unit/http_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *read_info(const char *text)
{
	json_t *info = json_loads(text, JSON_DECODE_ANY, NULL), *entry = json_object();

	assert_non_null(info);
	agents_read_info(info, entry);
	json_decref(info);
	return entry;
}

static void assert_entry(const char *info, const char *wanted)
{
	json_t *entry = read_info(info);
	char *text = json_dumps(entry, JSON_SORT_KEYS | JSON_COMPACT);

	assert_string_equal(text, wanted);
	free(text);
	json_decref(entry);
}

static void test_info(void **state)
{
	(void)state;
	assert_entry("{\"version\":\"" PCAPLINE_VERSION "\",\"api_level\":1,\"captures\":2,\"captures_max\":16,"
		     "\"targets\":[\"host\"],\"instance\":\"\",\"enters\":false}",
		"{\"api_level\":1,\"captures\":2,\"captures_max\":16,\"instance\":\"\",\"targets\":[\"host\"],"
		"\"version\":\"" PCAPLINE_VERSION "\"}");
	assert_entry("{\"version\":\"0.0.1\",\"api_level\":1}",
		"{\"api_level\":1,\"skew\":\"version\",\"targets\":[],\"version\":\"0.0.1\"}");
	assert_entry("{\"version\":\"0.0.1\",\"api_level\":0}",
		"{\"api_level\":0,\"skew\":\"older\",\"targets\":[],\"version\":\"0.0.1\"}");
	assert_entry("{\"version\":\"9\",\"api_level\":2,\"new\":{}}",
		"{\"api_level\":2,\"skew\":\"newer\",\"targets\":[],\"version\":\"9\"}");
}

static void test_nonsense(void **state)
{
	static const char *const infos[] = {
		"{}",
		"[]",
		"null",
		"5",
		"\"x\"",
		"{\"version\":5,\"captures\":-1,\"captures_max\":1.5,\"targets\":{},\"instance\":[]}",
		"{\"api_level\":\"1\",\"targets\":[1,null,{}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(infos) / sizeof(infos[0]); i++)
		assert_entry(infos[i], "{\"targets\":[]}");
}

/* What a terminal or a page would choke on. */
static void test_long_and_unprintable(void **state)
{
	char info[5000], *at = info;
	json_t *entry;

	(void)state;
	at += snprintf(info, sizeof(info), "{\"instance\":\"a\\u001b[2Jb\",\"targets\":[");
	for (unsigned i = 0; i < 100; i++)
		at += snprintf(at, sizeof(info) - (size_t)(at - info), "\"target%u\",", i);
	at += snprintf(at, sizeof(info) - (size_t)(at - info), "\"x\"],\"version\":\"");
	memset(at, 'v', 3000);
	memcpy(at + 3000, "\"}", 3);
	entry = read_info(info);
	assert_null(strchr(json_string_value(json_object_get(entry, "instance")), 0x1b));
	assert_int_equal(json_array_size(json_object_get(entry, "targets")), 8);
	assert_true(json_string_length(json_object_get(entry, "version")) < 128);
	json_decref(entry);
}

/* ---- the table ---- */

static void note(struct agents *a, unsigned number, bool answered)
{
	struct target_instance i = {.port = 9494, .agent_name = "pcap-agent"};

	snprintf(i.host, sizeof(i.host), "127.%u.%u.1", number / 256, number % 256);
	agents_note(a, &i, answered);
}

/* All that were dialled long ago make room; nobody listens on any of them. */
static void test_table(void **state)
{
	struct gateway gw = {.agents = agents_new(NULL), .targets = targets_of(NULL, 0)};
	size_t more;
	json_t *list, *first;

	(void)state;
	assert_int_equal(http_client_global_init(NULL), 0);
	assert_non_null(gw.agents);
	assert_non_null(gw.targets);
	note(NULL, 1, true);
	list = agents_list(&gw, &more, NULL);
	assert_int_equal(json_array_size(list), 0);
	assert_int_equal(more, 0);
	json_decref(list);

	note(gw.agents, 1, true);
	note(gw.agents, 1, false);
	note(gw.agents, 2, false);
	list = agents_list(&gw, &more, NULL);
	assert_int_equal(json_array_size(list), 2);
	first = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(first, "agent")), "127.0.1.1:9494");
	assert_true(json_is_string(json_object_get(first, "last_seen_at")));
	assert_true(json_is_object(json_object_get(first, "error")));
	assert_true(json_is_null(json_object_get(first, "version")));
	assert_true(json_is_null(json_object_get(json_array_get(list, 1), "last_seen_at")));
	json_decref(list);

	for (unsigned n = 0; n < AGENTS_MAX + 10; n++)
		note(gw.agents, n, false);
	list = agents_list(&gw, &more, NULL);
	assert_int_equal(json_array_size(list), AGENTS_ASKED_MAX);
	assert_int_equal(more, AGENTS_MAX - AGENTS_ASKED_MAX);
	json_decref(list);
	agents_free(gw.agents);
	agents_free(NULL);
	targets_free(gw.targets);
}

/* ---- asking ---- */

static void on_request(void *ctx, struct http_request *rq)
{
	(void)ctx;
	http_reply_json(rq, 200, json_pack("{s:s, s:i}", "version", PCAPLINE_VERSION, "api_level", PCAPLINE_API_LEVEL));
}

/* A machine that is reached by the second of its addresses only. */
static void test_other_address(void **state)
{
	struct target_instance i = {.host = "127.0.0.99", .agent_name = "localhost", .others = {"127.0.0.1"}};
	struct rig_certs certs;
	struct http_server_options o = {
		.address = "127.0.0.1",
		.tls = &certs.server,
		.client_name = RIG_CLIENT_NAME,
		.connections_max = 8,
		.header_timeout_s = 10,
		.body_timeout_s = 10,
		.header_bytes_max = 16u * 1024,
		.body_bytes_max = 1024,
		.stream_block_bytes = 4096,
		.on_request = on_request,
	};
	struct gateway gw = {.agents = agents_new(NULL), .targets = targets_of(NULL, 0)};
	struct http_server *server;
	json_t *list, *one;
	size_t more;

	(void)state;
	rig_certs_init(&certs);
	gw.agents_tls = certs.client[RIG_RIGHT];
	server = http_server_start(&o, NULL);
	assert_non_null(server);
	i.port = http_server_port(server);
	i.others_n = 1;
	agents_note(gw.agents, &i, false);
	list = agents_list(&gw, &more, NULL);
	assert_int_equal(json_array_size(list), 1);
	one = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(one, "version")), PCAPLINE_VERSION);
	assert_true(json_is_null(json_object_get(one, "error")));
	assert_true(json_is_string(json_object_get(one, "last_seen_at")));
	json_decref(list);
	http_server_stop(server);
	rig_certs_done(&certs);
	agents_free(gw.agents);
	targets_free(gw.targets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_long_and_unprintable),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_other_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
