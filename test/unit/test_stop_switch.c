/* test_stop_switch.c - the global stop: what the file says holds, and nothing that cannot be read is taken for "go". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fs.h"
#include "gateway/policy/stop_switch.h"
#include "test/unit/temp_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct temp_file file;
static struct stop_switch s;
static struct err err;
static char path[sizeof(file.dir) + 16];

static int setup(void **state)
{
	(void)state;
	temp_file_init(&file);
	memset(&s, 0, sizeof(s));
	memset(&err, 0, sizeof(err));
	pthread_mutex_init(&s.lock, NULL);
	snprintf(path, sizeof(path), "%s/halt.json", file.dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stop_switch_close(&s);
	pthread_mutex_destroy(&s.lock);
	temp_file_done(&file);
	return 0;
}

static void again(void)
{
	stop_switch_close(&s);
	s.on = false;
	assert_int_equal(stop_switch_open(&s, file.dir, &err), 0);
}

static void it_holds_until_it_is_lifted(void **state)
{
	struct stat st;
	json_t *j;

	(void)state;
	assert_int_equal(stop_switch_open(&s, file.dir, &err), 0);
	assert_int_equal(stop_switch_check(&s, &err), 0);
	j = stop_switch_json(&s, STOP_SWITCH_OPERATOR);
	assert_true(json_is_null(j));
	json_decref(j);
	stop_switch_set(&s, "olga", "a \"leak\"");
	assert_int_equal(stop_switch_keep(&s, &err), 0);
	again();
	assert_int_equal(stop_switch_check(&s, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.detail, "halted");
	assert_non_null(strstr(err.msg, "by olga: a \"leak\""));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	j = stop_switch_json(&s, STOP_SWITCH_ANYBODY);
	assert_true(json_object_size(j) == 1 && json_object_get(j, "since"));
	json_decref(j);
	j = stop_switch_json(&s, STOP_SWITCH_USER);
	assert_null(json_object_get(j, "by"));
	assert_string_equal(json_string_value(json_object_get(j, "reason")), "a \"leak\"");
	json_decref(j);
	assert_int_equal(stop_switch_lift(&s, &err), 0);
	assert_int_equal(stop_switch_lift(&s, &err), 0);
	assert_int_equal(stop_switch_check(&s, &err), 0);
	again();
	assert_int_equal(stop_switch_check(&s, &err), 0);
}

static void what_cannot_be_read_is_an_error(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "{}",
		"{\"by\":\"o\",\"reason\":\"r\",\"since\":\"yesterday\"}",
		"{\"by\":1,\"reason\":\"r\",\"since\":\"2026-01-05T10:00:00Z\"}",
		"{\"by\":\"o\",\"reason\":\"r\",\"since\":\"2026-01-05T10:00:00Z\",\"more\":1}"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(fs_write_new(path, bad[i], strlen(bad[i]), 0600, &err), 0);
		memset(&err, 0, sizeof(err));
		assert_int_equal(stop_switch_open(&s, file.dir, &err), -1);
		assert_non_null(strstr(err.msg, "halt.json"));
		stop_switch_close(&s);
	}
}

/* It holds all the same, and who asked for it is told. */
static void a_disk_that_refuses(void **state)
{
	(void)state;
	assert_int_equal(stop_switch_open(&s, file.dir, &err), 0);
	free(s.path);
	s.path = fs_path("%s/not/there", file.dir);
	stop_switch_set(&s, "olga", "why");
	assert_int_equal(stop_switch_keep(&s, &err), -1);
	assert_int_equal(stop_switch_check(&s, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_holds_until_it_is_lifted, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_disk_that_refuses, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
