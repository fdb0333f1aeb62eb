/* test_container_runc.c - collector/container_runc.c: states as runc writes them and as nobody should; processes that are still the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/container_runc.h"
#include "common/fs.h"
#include "test/unit/temp_file.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANDLE "3f1b9c52-7d0e-4c1a-5e2b-77aa"

static int parse(const char *text, struct container_process *p, struct err *err)
{
	*err = (struct err){0};
	return container_runc_parse(text, strlen(text), HANDLE, p, err);
}

static void test_state_as_runc_writes_it(void **state)
{
	static const char text[] = "{\"id\":\"" HANDLE "\",\"init_process_pid\":48211,\"init_process_start\":9917342,"
				   "\"created\":\"2026-01-05T09:58:00.123456789Z\","
				   "\"config\":{\"rlimits\":[{\"type\":9,\"hard\":18446744073709551615,\"soft\":1}]},"
				   "\"namespace_paths\":{\"NEWNET\":\"/proc/48211/ns/net\"}}";
	struct container_process p;
	struct err err;

	(void)state;
	if (parse(text, &p, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(p.pid, 48211);
	assert_int_equal(p.start, 9917342);
}

static void test_hostile_states(void **state)
{
#define STATE(rest) "{\"id\":\"" HANDLE "\"," rest "}"
	static const char *const texts[] = {"", "{", "[]", "null", "7", "{}", "{\"id\":7}",
		"{\"id\":\"another\",\"init_process_pid\":1,\"init_process_start\":1}",
		"{\"init_process_pid\":1,\"init_process_start\":1}", STATE("\"init_process_pid\":1"),
		STATE("\"init_process_pid\":0,\"init_process_start\":1"),
		STATE("\"init_process_pid\":-1,\"init_process_start\":1"),
		STATE("\"init_process_pid\":1.5,\"init_process_start\":1"),
		STATE("\"init_process_pid\":\"1\",\"init_process_start\":1"),
		STATE("\"init_process_pid\":4294967297,\"init_process_start\":1"),
		STATE("\"init_process_pid\":1e300,\"init_process_start\":1"),
		STATE("\"init_process_pid\":1,\"init_process_start\":0"),
		STATE("\"init_process_pid\":1,\"init_process_start\":-5"),
		STATE("\"init_process_pid\":1,\"init_process_start\":18446744073709551615"),
		STATE("\"init_process_pid\":1,\"init_process_start\":null"),
		STATE("\"init_process_pid\":1,\"init_process_pid\":2,\"init_process_start\":1")};
	struct container_process p;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (parse(texts[i], &p, &err) != -1 || err.code != ERR_INPUT || !err.msg[0])
			fail_msg("%s: %s", texts[i], err.msg);
	}
}

static void test_start_of_a_process(void **state)
{
#define FIELDS_4_TO_21 "1 1 1 0 -1 4194560 900 0 0 0 1 2 0 0 20 0 1 0"
	static const struct {
		const char *stat;
		int rc;
		uint64_t start;
	} rows[] = {
		{"42 (sleep) S " FIELDS_4_TO_21 " 9917342 8192 100\n", 1, 9917342},
		{"42 (a) b (c) S 1) R " FIELDS_4_TO_21 " 7 8192\n", 1, 7},
		{"42 () S " FIELDS_4_TO_21 " 18446744073709551615 0", 1, UINT64_MAX},
		{"42 (sleep) Z " FIELDS_4_TO_21 " 9917342 0 0\n", 0, 0},
		{"42 (sleep) X " FIELDS_4_TO_21 " 9917342 0 0\n", 0, 0},
		{"42 (sleep) S " FIELDS_4_TO_21 " 99999999999999999999999999 0\n", -1, 0},
		{"42 (sleep) S " FIELDS_4_TO_21 " -7 0\n", -1, 0},
		{"42 (sleep) S " FIELDS_4_TO_21, -1, 0},
		{"42 (sleep) S " FIELDS_4_TO_21 " ", -1, 0},
		{"42 (sleep)", -1, 0},
		{"42 (sleep) ", -1, 0},
		{"42 sleep S 1 2 3", -1, 0},
		{"", -1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t start = 0;

		if (container_process_start(rows[i].stat, &start) != rows[i].rc)
			fail_msg("%s", rows[i].stat);
		if (rows[i].rc > 0)
			assert_true(start == rows[i].start);
	}
}

/* ---- with real processes ---- */

struct fixture {
	struct temp_file t;
	char roots[2][TEMP_FILE_PATH_MAX + 8];
	char *items[2];
	struct config_list list;
	struct container_process own;
};

static uint64_t start_of(pid_t pid)
{
	char path[64], *text;
	uint64_t start = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	text = fs_read_text(path, 4096, NULL);
	assert_non_null(text);
	assert_int_equal(container_process_start(text, &start), 1);
	free(text);
	return start;
}

static int setup(void **state)
{
	static struct fixture f;

	temp_file_init(&f.t);
	for (int i = 0; i < 2; i++) {
		snprintf(f.roots[i], sizeof(f.roots[i]), "%s/%d", f.t.dir, i);
		f.items[i] = f.roots[i];
	}
	f.list = (struct config_list){.items = f.items, .n = 2};
	f.own = (struct container_process){.pid = getpid(), .start = start_of(getpid())};
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	temp_file_done(&((struct fixture *)*state)->t);
	return 0;
}

static void write_state(const struct fixture *f, int root, const struct container_process *p)
{
	char dir[256], path[320], text[256];
	int n;

	snprintf(dir, sizeof(dir), "%s/%s", f->roots[root], HANDLE);
	snprintf(path, sizeof(path), "%s/state.json", dir);
	n = snprintf(text, sizeof(text), "{\"id\":\"%s\",\"init_process_pid\":%d,\"init_process_start\":%llu}", HANDLE,
		(int)p->pid, (unsigned long long)p->start);
	assert_int_equal(fs_mkdir_p(dir, 0700, NULL), 0);
	assert_int_equal(fs_write_new(path, text, (size_t)n, 0600, NULL), 0);
}

static int find(const struct fixture *f, struct container_process *p, struct err *err)
{
	*err = (struct err){0};
	return container_runc_find(&f->list, "/proc", HANDLE, p, err);
}

static void test_both_roots(void **state)
{
	const struct fixture *f = *state;
	const struct container_process reused = {.pid = f->own.pid, .start = f->own.start + 1};
	struct container_process p;
	struct err err;

	assert_int_equal(find(f, &p, &err), 0);
	write_state(f, 1, &f->own);
	assert_int_equal(find(f, &p, &err), 1);
	assert_int_equal(p.pid, getpid());
	/* A state that lay about in the other root does no harm, */
	write_state(f, 0, &reused);
	assert_int_equal(find(f, &p, &err), 1);
	/* but alone, or twice, it says that the container has ended. */
	write_state(f, 1, &reused);
	assert_int_equal(find(f, &p, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_int_equal(p.pid, 0);
	assert_int_equal(container_runc_find(&f->list, "/proc", "../../etc", &p, &err), 0);
	assert_int_equal(container_runc_find(&f->list, "/nonexistent", HANDLE, &p, &err), -1);
}

static void test_zombies_have_ended(void **state)
{
	const struct fixture *f = *state;
	struct container_process child = {0}, p;
	siginfo_t info;
	struct err err;

	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		pause();
		_exit(0);
	}
	child.start = start_of(child.pid);
	write_state(f, 0, &child);
	assert_int_equal(find(f, &p, &err), 1);
	assert_int_equal(kill(child.pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(find(f, &p, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
	assert_int_equal(find(f, &p, &err), -1);
}

/* What cannot be looked at has not ended: a folder of processes where files stand in for the kernel's. */
static void test_cannot_look_is_no_end(void **state)
{
	const struct fixture *f = *state;
	struct container_process p = {.pid = 42, .start = 7};
	char proc[256], path[300];
	struct err err = {0};

	snprintf(proc, sizeof(proc), "%s/proc", f->t.dir);
	snprintf(path, sizeof(path), "%s/42/stat", proc);
	assert_int_equal(container_process_life(proc, &p), CONTAINER_ENDED);
	assert_int_equal(fs_mkdir_p(path, 0700, NULL), 0); /* EISDIR */
	assert_int_equal(container_process_life(proc, &p), CONTAINER_UNKNOWN);
	write_state(f, 0, &p);
	assert_int_equal(container_runc_find(&f->list, proc, HANDLE, &p, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	p = (struct container_process){.pid = 42, .start = 7};
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(fs_write_new(path, "42 (", 4, 0600, NULL), 0);
	assert_int_equal(container_process_life(proc, &p), CONTAINER_UNKNOWN);
	/* ... and one that has ended in the other root does not outweigh it */
	p.pid = 43;
	write_state(f, 1, &p);
	assert_int_equal(container_runc_find(&f->list, proc, HANDLE, &p, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state_as_runc_writes_it),
		cmocka_unit_test(test_hostile_states),
		cmocka_unit_test(test_start_of_a_process),
		cmocka_unit_test_setup_teardown(test_both_roots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zombies_have_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cannot_look_is_no_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
