/* test_cli_output.c - cli/output.c: the file of a capture, whole writes or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/output.h"
#include "common/fs.h"
#include "test/unit/temp_file.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int setup(void **state)
{
	struct temp_file *t = calloc(1, sizeof(*t));

	temp_file_init(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	temp_file_done(*state);
	free(*state);
	return 0;
}

static void assert_content(const char *path, const char *expected)
{
	char *text = fs_read_text(path, 4096, NULL);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void test_new_file(void **state)
{
	struct temp_file *t = *state;
	struct out o;
	struct stat st;

	umask(0);
	assert_int_equal(out_open(&o, t->path, false, NULL), 0);
	assert_int_equal(out_begin(&o, NULL), 0);
	assert_int_equal(out_write(&o, "ab", 2, "cd", 2, NULL), 0);
	assert_int_equal(out_write(&o, NULL, 0, "ef", 2, NULL), 0);
	assert_int_equal(o.bytes, 6);
	assert_int_equal(out_close(&o, NULL), 0);
	assert_int_equal(out_close(&o, NULL), 0);
	assert_content(t->path, "abcdef");
	assert_int_equal(stat(t->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* A capture that is refused leaves what was there, and nothing where nothing was. */
static void test_not_begun(void **state)
{
	struct temp_file *t = *state;
	struct out o;

	assert_int_equal(out_open(&o, t->path, false, NULL), 0);
	out_close(&o, NULL);
	assert_int_equal(access(t->path, F_OK), -1);
	temp_file_write(t, "old", 3);
	assert_int_equal(out_open(&o, t->path, false, NULL), 0);
	out_close(&o, NULL);
	assert_content(t->path, "old");
	assert_int_equal(out_open(&o, t->path, false, NULL), 0);
	assert_int_equal(out_begin(&o, NULL), 0);
	out_close(&o, NULL);
	assert_content(t->path, "");
}

static void test_fresh_only(void **state)
{
	struct temp_file *t = *state;
	struct err err = {0};
	struct out o;

	temp_file_write(t, "old", 3);
	assert_int_equal(out_open(&o, t->path, true, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err.msg, "File exists"));
	assert_content(t->path, "old");
}

static void test_cannot_open(void **state)
{
	struct temp_file *t = *state;
	struct err err = {0};
	char path[512];
	struct out o;

	snprintf(path, sizeof(path), "%s/not/there", t->dir);
	assert_int_equal(out_open(&o, path, false, &err), -1);
	assert_int_equal(err.code, ERR_IO); /* not ERR_NOT_FOUND: that is the gateway's word */
	assert_false(out_is_open(&o));
}

/* The disk is full in the middle of a write: the file ends where the write before ended. */
static void test_full(void **state)
{
	struct temp_file *t = *state;
	struct rlimit old, small;
	struct err err = {0};
	struct out o;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(out_open(&o, t->path, false, NULL), 0);
	assert_int_equal(out_begin(&o, NULL), 0);
	small = (struct rlimit){10, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(out_write(&o, "abc", 3, "def", 3, NULL), 0);
	assert_int_equal(out_write(&o, "ghi", 3, "jkl", 3, &err), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(o.bytes, 6);
	assert_content(t->path, "abcdef");
	assert_int_equal(out_write(&o, "X", 1, NULL, 0, NULL), 0); /* goes on at the cut */
	out_close(&o, NULL);
	assert_content(t->path, "abcdefX");
}

static void test_full_device(void **state)
{
	struct err err = {0};
	struct out o;

	(void)state;
	assert_int_equal(out_open(&o, "/dev/full", false, NULL), 0);
	assert_int_equal(out_begin(&o, NULL), 0);
	assert_int_equal(out_write(&o, "abc", 3, NULL, 0, &err), -1);
	assert_int_equal(err.code, ERR_FULL);
	out_close(&o, NULL);
}

static void test_closed_pipe(void **state)
{
	struct out o = {.path = NULL};
	struct err err = {0};
	int fds[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fds), 0);
	o.fd = fds[1];
	o.is_stdout = true;
	close(fds[0]);
	assert_int_equal(out_write(&o, "abc", 3, NULL, 0, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_string_equal(err.detail, OUTPUT_PIPE_CLOSED);
	close(fds[1]);
}

static void test_rewind(void **state)
{
	struct temp_file *t = *state;
	struct out o, pipe_out = {.path = (char *)(uintptr_t) "-", .is_stdout = true, .bytes = 1};
	struct err err = {0};

	assert_int_equal(out_open(&o, t->path, false, NULL), 0);
	assert_int_equal(out_begin(&o, NULL), 0);
	assert_int_equal(out_write(&o, "abc", 3, NULL, 0, NULL), 0);
	assert_int_equal(out_rewind(&o, NULL), 0);
	assert_int_equal(out_write(&o, "d", 1, NULL, 0, NULL), 0);
	out_close(&o, NULL);
	assert_content(t->path, "d");
	assert_int_equal(out_rewind(&pipe_out, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	pipe_out.bytes = 0;
	assert_int_equal(out_rewind(&pipe_out, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_new_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_begun, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fresh_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cannot_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test(test_full_device),
		cmocka_unit_test(test_closed_pipe),
		cmocka_unit_test_setup_teardown(test_rewind, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
