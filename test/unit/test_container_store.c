/* test_container_store.c - collector/container_store.c: whose container it is, from stores as silk writes them and as nobody should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/container_store.h"
#include "common/clock.h"
#include "test/unit/temp_file.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HANDLE "3f1b9c52-7d0e-4c1a-5e2b-77aa"
#define OTHER  "4a1b9c52-7d0e-4c1a-5e2b-77bb"
#define APP    "1c0f0a52-6a55-4b9f-8b2e-2f0d7c6a1111"

#define ENTRY(handle, ip, metadata)                                                                                    \
	"\"" handle "\":{\"handle\":\"" handle "\",\"ip\":\"" ip "\",\"metadata\":{" metadata "}}"
#define OF_APP  "\"app_id\":\"" APP "\",\"container_workload\":\"app\",\"ports\":\"8080\""
#define LOGS(x) ",\"log_config\":" x

static int look(const char *text, const char *handle, const char *address, struct container_entry *e, struct err *err)
{
	const struct container_key key = {.handle = handle, .address = address};

	*err = (struct err){0};
	return container_store_parse(text, strlen(text), &key, e, err);
}

static void test_entry_as_silk_writes_it(void **state)
{
	static const char text[] = "{" ENTRY(OTHER, "10.255.40.8", OF_APP) "," ENTRY(HANDLE, "10.255.40.7",
		OF_APP LOGS("\"{\\\"guid\\\":\\\"g\\\",\\\"index\\\":3,\\\"tags\\\":{\\\"instance_id\\\":\\\"3\\\"}}"
			    "\"")) "}";
	struct container_entry e;
	struct err err;

	(void)state;
	assert_int_equal(look(text, HANDLE, "", &e, &err), 1);
	assert_string_equal(e.handle, HANDLE);
	assert_string_equal(e.ip, "10.255.40.7");
	assert_string_equal(e.app, APP);
	assert_string_equal(e.workload, "app");
	assert_int_equal(e.index, 3);
	assert_false(e.ip_shared);
	assert_int_equal(look(text, "", "10.255.40.8", &e, &err), 1);
	assert_string_equal(e.handle, OTHER);
	assert_true(e.index == AGENT_INDEX_ANY);
	assert_int_equal(look(text, "", "10.255.40.9", &e, &err), 0);
	assert_int_equal(look(text, "5a1b9c52-7d0e-4c1a-5e2b-77bb", "", &e, &err), 0);
	assert_int_equal(look("{}", HANDLE, "", &e, &err), 0);
	assert_int_equal(look("", HANDLE, "", &e, &err), 0);
}

static void test_addresses_are_compared_as_numbers(void **state)
{
	static const char text[] = "{" ENTRY(HANDLE, "2001:db8:0:0::7", OF_APP) "}";
	struct container_entry e;
	struct err err;

	(void)state;
	assert_int_equal(look(text, "", "2001:db8::7", &e, &err), 1);
	assert_int_equal(look(text, "", "2001:db8::8", &e, &err), 0);
	assert_int_equal(look(text, "", "0.0.0.7", &e, &err), 0);
}

static void test_address_of_two(void **state)
{
	static const char text[] =
		"{" ENTRY(HANDLE, "10.255.40.7", OF_APP) "," ENTRY(OTHER, "10.255.40.7", "\"app_id\":\"x\"") "}";
	struct container_entry e;
	struct err err;

	(void)state;
	assert_int_equal(look(text, HANDLE, "", &e, &err), 1);
	assert_true(e.ip_shared);
	assert_int_equal(look(text, "", "10.255.40.7", &e, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, "10.255.40.7"));
}

static void test_index_only_where_it_is_one(void **state)
{
	static const char *const configs[] = {
		"3",
		"null",
		"{}",
		"[]",
		"\"\"",
		"\"{\"",
		"\"3\"",
		"\"[3]\"",
		"\"{\\\"index\\\":\\\"3\\\"}\"",
		"\"{\\\"index\\\":-1}\"",
		"\"{\\\"index\\\":3.0}\"",
		"\"{\\\"index\\\":4294967295}\"",
		"\"{\\\"index\\\":99999999999999999999}\"",
		"\"{\\\"index\\\":1,\\\"index\\\":2}\"",
		"\"{\\\"index\\\":1}\\u0000\"",
	};
	struct container_entry e;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "{\"%s\":{\"metadata\":{\"app_id\":\"a\",\"log_config\":%s}}}", HANDLE,
			configs[i]);
		if (strstr(text, "\\u0000")) { /* such a file is no store of ours at all */
			assert_int_equal(look(text, HANDLE, "", &e, &err), -1);
			continue;
		}
		if (look(text, HANDLE, "", &e, &err) != 1 || e.index != AGENT_INDEX_ANY)
			fail_msg("%s: %u %s", configs[i], e.index, err.msg);
		assert_string_equal(e.app, "a");
	}
}

/* What is no text of the right length is not there: then no app fits it. */
static void test_members_of_other_types(void **state)
{
	static const char *const entries[] = {
		"{}",
		"{\"metadata\":[]}",
		"{\"metadata\":{\"app_id\":7}}",
		"{\"metadata\":{\"app_id\":null,\"container_workload\":true}}",
		"{\"ip\":7,\"metadata\":\"app\"}",
		"{\"metadata\":{\"app_id\":\"0123456789012345678901234567890123456789012345678901234567890123\"}}",
		"{\"metadata\":{\"app_id\":{\"a\":1},\"container_workload\":\"01234567890123456789012345678901\"}}",
	};
	static const char *const nobody[] = {
		"7", "null", "[]", "\"x\"", ("{\"handle\":\"" OTHER "\"}"), "{\"handle\":7}"};
	struct container_entry e;
	struct err err;
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		snprintf(text, sizeof(text), "{\"%s\":%s}", HANDLE, entries[i]);
		assert_int_equal(look(text, HANDLE, "", &e, &err), 1);
		assert_string_equal(e.app, "");
		assert_string_equal(e.workload, "");
		assert_string_equal(e.ip, "");
	}
	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		snprintf(text, sizeof(text), "{\"%s\":%s}", HANDLE, nobody[i]);
		assert_int_equal(look(text, HANDLE, "", &e, &err), 0);
	}
}

static void test_what_is_no_store(void **state)
{
	static const char *const texts[] = {"[]", "7", "null", "{", ("{\"" HANDLE "\":"), "{}{}", "x", "\"\""};
	struct container_entry e;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (look(texts[i], HANDLE, "", &e, &err) != -1 || err.code != ERR_INPUT)
			fail_msg("%s: %s", texts[i], err.msg);
	}
	/* What a parser quotes is another app's. */
	assert_int_equal(look("{\"x\":{\"app_id\":\"secret\"", HANDLE, "", &e, &err), -1);
	assert_null(strstr(err.msg, "secret"));
	assert_int_equal(look("{\"x\":secret}", HANDLE, "", &e, &err), -1);
	assert_string_equal(err.msg, "is half written, or no store");
}

/* A key of the file becomes part of a path when an address led to it. */
static void test_handles_that_are_none(void **state)
{
	static const char *const bad[] = {"", "a", "../../../../../../../../etc/x", "3F1B9C52-7D0E-4C1A-5E2B-77AA",
		"3f1b9c52-7d0e-4c1a-5e2b-77a", "3f1b9c52-7d0e-4c1a-5e2b-77aa0123456789", "3f1b9c52/7d0e-4c1a-5e2b-77aa",
		"3f1b9c52-7d0e-4c1a-5e2b-77a."};
	struct container_entry e;
	struct err err;
	char text[512];

	(void)state;
	assert_true(container_handle_is_valid(HANDLE));
	assert_true(container_handle_is_valid("3f1b9c52-7d0e-4c1a-5e2b-77aa01234567"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(container_handle_is_valid(bad[i]));
		snprintf(text, sizeof(text), "{\"%s\":{\"ip\":\"10.0.0.1\",\"metadata\":{\"app_id\":\"a\"}}}", bad[i]);
		assert_int_equal(look(text, "", "10.0.0.1", &e, &err), 0);
		if (*bad[i])
			assert_int_equal(look(text, bad[i], "", &e, &err), 0);
	}
}

/* ---- the file ---- */

static const char whole[] = "{" ENTRY(HANDLE, "10.255.40.7", OF_APP) "}";
static const struct container_key by_handle = {.handle = HANDLE, .address = ""};

static int setup(void **state)
{
	static struct temp_file t;
	char lock[sizeof(t.path) + 8];

	temp_file_init(&t);
	temp_file_write(&t, whole, sizeof(whole) - 1);
	snprintf(lock, sizeof(lock), "%s_lock", t.path);
	close(open(lock, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	temp_file_done(*state);
	return 0;
}

static void test_file(void **state)
{
	const struct temp_file *t = *state;
	struct container_entry e;
	struct err err = {0};
	char gone[sizeof(t->path) + 8];

	assert_int_equal(container_store_read(t->path, true, &by_handle, &e, &err), 1);
	snprintf(gone, sizeof(gone), "%s.not", t->path);
	assert_int_equal(container_store_read(gone, true, &by_handle, &e, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(container_store_read(t->dir, true, &by_handle, &e, &err), -1);
	/* Broken for good: named, and soon enough. */
	temp_file_write(t, whole, sizeof(whole) - 2);
	assert_int_equal(container_store_read(t->path, true, &by_handle, &e, &err), -1);
	assert_int_equal(err.code, ERR_INPUT);
	assert_non_null(strstr(err.msg, t->path));
	/* Empty: who is in a hurry cannot tell whether it is just being written. */
	temp_file_write(t, "", 0);
	assert_int_equal(container_store_read(t->path, false, &by_handle, &e, &err), -1);
	assert_int_equal(err.code, ERR_INPUT);
	assert_int_equal(container_store_read(t->path, true, &by_handle, &e, &err), 0);
}

static void test_file_that_is_too_large(void **state)
{
	const struct temp_file *t = *state;
	struct container_entry e;
	struct err err = {0};

	assert_int_equal(truncate(t->path, (off_t)CONTAINER_STORE_BYTES_MAX + 1), 0);
	assert_int_equal(container_store_read(t->path, true, &by_handle, &e, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

static void *write_late(void *arg)
{
	(void)poll(NULL, 0, 100);
	temp_file_write(arg, whole, sizeof(whole) - 1);
	return NULL;
}

static void test_file_that_is_being_written(void **state)
{
	static const size_t parts[] = {0, 1, sizeof(whole) / 2, sizeof(whole) - 2};
	struct container_entry e;
	struct err err = {0};
	pthread_t writer;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		temp_file_write(*state, whole, parts[i]);
		assert_int_equal(pthread_create(&writer, NULL, write_late, *state), 0);
		assert_int_equal(
			container_store_read(((struct temp_file *)*state)->path, true, &by_handle, &e, &err), 1);
		pthread_join(writer, NULL);
	}
}

/* Somebody who never gives the lock back holds up nobody for long; and ours is not held when we are done. */
static void test_lock(void **state)
{
	const struct temp_file *t = *state;
	char lock[sizeof(t->path) + 8];
	struct container_entry e;
	struct err err = {0};
	int fd;

	snprintf(lock, sizeof(lock), "%s_lock", t->path);
	fd = open(lock, O_RDONLY | O_CLOEXEC);
	assert_int_equal(container_store_read(t->path, true, &by_handle, &e, &err), 1);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(container_store_read(t->path, true, &by_handle, &e, &err), 1);
	assert_int_equal(container_store_read(t->path, false, &by_handle, &e, &err), 1);
	close(fd);
	/* Something else in the lock's place is not waited for either. */
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(mkfifo(lock, 0600), 0);
	assert_int_equal(container_store_read(t->path, true, &by_handle, &e, &err), 1);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(container_store_read(t->path, true, &by_handle, &e, &err), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry_as_silk_writes_it),
		cmocka_unit_test(test_addresses_are_compared_as_numbers),
		cmocka_unit_test(test_address_of_two),
		cmocka_unit_test(test_index_only_where_it_is_one),
		cmocka_unit_test(test_members_of_other_types),
		cmocka_unit_test(test_what_is_no_store),
		cmocka_unit_test(test_handles_that_are_none),
		cmocka_unit_test_setup_teardown(test_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_that_is_too_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_that_is_being_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
