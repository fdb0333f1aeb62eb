/* test_netns.c - collector/netns.c: work in another network namespace, and nobody stays there.  Needs CAP_SYS_ADMIN: without it tests are
 * skipped, and say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/netns.h"
#include "test/unit/temp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process in a namespace of its own, for as long as the test runs. */
struct other {
	pid_t pid;
	char path[64];
};

static struct other other_or_skip(void)
{
	struct other o = {0};
	int ready[2];
	char byte = 0;

	assert_int_equal(pipe(ready), 0);
	o.pid = fork();
	assert_true(o.pid >= 0);
	if (o.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		byte = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	snprintf(o.path, sizeof(o.path), "/proc/%d/ns/net", (int)o.pid);
	if (byte == 'y')
		return o;
	kill(o.pid, SIGKILL);
	waitpid(o.pid, NULL, 0);
	print_message("skipped: needs CAP_SYS_ADMIN\n");
	skip();
	return o;
}

static void other_done(const struct other *o)
{
	kill(o->pid, SIGKILL);
	waitpid(o->pid, NULL, 0);
}

static int where_am_i(void *ctx, struct err *err)
{
	return netns_own(ctx, err) < 0 ? -1 : 7;
}

static int fails(void *ctx, struct err *err)
{
	(void)ctx;
	return err_set(err, ERR_STATE, "on purpose");
}

static void test_work_is_done_there_and_nobody_stays(void **state)
{
	struct other o = other_or_skip();
	struct netns_id before, there, id, after, again;
	struct err err = {0};
	int fd;

	(void)state;
	assert_int_equal(netns_own(&before, &err), 0);
	fd = netns_open(o.path, &id, &err);
	assert_true(fd >= 0);
	assert_int_equal(netns_stat(o.path, &again), 0);
	assert_true(netns_same(&id, &again));
	assert_false(netns_same(&id, &before));
	assert_int_equal(netns_run(fd, where_am_i, &there, &err), 7);
	assert_true(netns_same(&there, &id));
	assert_int_equal(netns_run(fd, fails, NULL, &err), -1);
	assert_string_equal(err.msg, "on purpose");
	assert_int_equal(netns_run(fd, fails, NULL, NULL), -1);
	assert_int_equal(netns_own(&after, &err), 0);
	assert_true(netns_same(&before, &after));
	assert_true(netns_can_enter());
	close(fd);
	other_done(&o);
}

static void test_own_namespace_is_not_entered(void **state)
{
	struct netns_id id, there;
	struct err err = {0};
	int fd = netns_open("/proc/self/ns/net", &id, &err);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(netns_run(fd, where_am_i, &there, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	close(fd);
}

static void test_what_is_no_network_namespace(void **state)
{
	struct temp_file t;
	struct netns_id id;
	struct err err = {0};

	(void)state;
	temp_file_init(&t);
	temp_file_write(&t, "", 0);
	assert_int_equal(netns_open(t.path, &id, &err), -1);
	assert_int_equal(err.code, ERR_INPUT);
	assert_non_null(strstr(err.msg, t.path));
	assert_int_equal(netns_open("/proc/self/ns/mnt", &id, &err), -1);
	assert_int_equal(err.code, ERR_INPUT);
	assert_int_equal(netns_open("/nonexistent", &id, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(netns_stat("/nonexistent", &id), -1);
	temp_file_done(&t);
}

/* In a child, for the identity is given up. */
static void test_without_the_right(void **state)
{
	struct other o = other_or_skip();
	struct netns_id id;
	int fd = netns_open(o.path, &id, NULL), status = 0;
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err err = {0};

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(1);
		if (netns_can_enter() || netns_run(fd, where_am_i, &id, &err) != -1)
			_exit(2);
		_exit(err.code == ERR_PERM && strcmp(err.detail, "needs_entry") == 0 ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(fd);
	other_done(&o);
}

/* In a child, for the limit stays. */
static void test_want_of_descriptors_is_no_refusal(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit few = {3, 3};
		struct netns_id id;
		struct err err = {0};

		if (setrlimit(RLIMIT_NOFILE, &few) < 0 || netns_open("/proc/self/ns/net", &id, &err) >= 0)
			_exit(1);
		if (err.code == ERR_PERM || err.code == ERR_NOT_FOUND || err.code == ERR_INPUT)
			_exit(2);
		_exit(netns_can_enter() ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work_is_done_there_and_nobody_stays),
		cmocka_unit_test(test_own_namespace_is_not_entered),
		cmocka_unit_test(test_what_is_no_network_namespace),
		cmocka_unit_test(test_without_the_right),
		cmocka_unit_test(test_want_of_descriptors_is_no_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
