/* test_privileges.c - collector/privileges.c, in child processes, for what is given up does not come back.  Only root has something to
 * give up: for others those tests are skipped, and say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/privileges.h"

#include <cap-ng.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOMEBODY "nobody"

enum { GOOD, WRONG_RESULT, WRONG_TEXT, WRONG_CAPS, WRONG_BOUNDS, WRONG_PRIVS, WRONG_CORE, WRONG_IDS };

static int in_child(int (*fn)(void))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void root_or_skip(void)
{
	capng_get_caps_process();
	if (geteuid() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_RAW) &&
		capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID))
		return;
	print_message("skipped: needs root\n");
	skip();
}

static int check_dropped(const char *expected_caps)
{
	struct rlimit core;
	char text[256];

	if (strcmp(privileges_text(text, sizeof(text)), expected_caps) != 0) {
		fprintf(stderr, "capabilities: %s\n", text);
		return WRONG_CAPS;
	}
	for (int c = 0; c <= CAP_LAST_CAP; c++) {
		if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
			return WRONG_BOUNDS;
	}
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return WRONG_PRIVS;
	return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 ? GOOD : WRONG_CORE;
}

static int drop_as_root(void)
{
	const struct privileges_options o = {.run_as = ""};

	return privileges_drop(&o, NULL) == 0 ? check_dropped("net_raw") : WRONG_RESULT;
}

static int drop_with_low_port(void)
{
	const struct privileges_options o = {.run_as = "", .low_port = true};

	return privileges_drop(&o, NULL) == 0 ? check_dropped("net_bind_service, net_raw") : WRONG_RESULT;
}

#define FOR_CONTAINERS "dac_read_search, net_raw, sys_ptrace, sys_admin"

static int drop_for_containers(void)
{
	const struct privileges_options o = {.run_as = SOMEBODY, .containers = true, .enter = true, .processes = true};
	char missing[128];

	if (privileges_drop(&o, NULL) < 0 || *privileges_missing(&o, missing, sizeof(missing)))
		return WRONG_RESULT;
	return check_dropped(FOR_CONTAINERS);
}

/* Root of an unprivileged job: what it does not have it does without, and says so. */
static int drop_for_containers_with_less(void)
{
	const struct privileges_options o = {.run_as = "", .containers = true, .enter = true, .processes = true};
	char missing[128], little[8];

	capng_get_caps_process();
	capng_updatev(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_ADMIN, CAP_SYS_PTRACE, -1);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || privileges_drop(&o, NULL) < 0)
		return WRONG_RESULT;
	if (strcmp(privileges_missing(&o, missing, sizeof(missing)), "CAP_SYS_ADMIN, CAP_SYS_PTRACE") != 0 ||
		strcmp(privileges_missing(&o, little, sizeof(little)), "CAP_SYS") != 0)
		return WRONG_TEXT;
	return check_dropped("dac_read_search, net_raw");
}

/* Reading the records takes one of them, entering without processes two. */
static int drop_for_records_alone(void)
{
	const struct privileges_options o = {.run_as = SOMEBODY, .containers = true};
	char missing[128];

	if (privileges_drop(&o, NULL) < 0 || *privileges_missing(&o, missing, sizeof(missing)))
		return WRONG_RESULT;
	return check_dropped("dac_read_search, net_raw");
}

static int drop_for_mounts(void)
{
	const struct privileges_options o = {.run_as = "", .containers = true, .enter = true};
	char missing[128];

	if (privileges_drop(&o, NULL) < 0 || *privileges_missing(&o, missing, sizeof(missing)))
		return WRONG_RESULT;
	return check_dropped("dac_read_search, net_raw, sys_admin");
}

static void test_what_a_configuration_wants(void **state)
{
	static struct {
		char target[16], enter[8], proc[8];
		struct privileges_options wants;
	} rows[] = {
		{"host", "auto", "/proc", {.containers = false}},
		{"container", "auto", "/proc", {.containers = true, .enter = true, .processes = true}},
		{"container", "auto", "", {.containers = true, .enter = true}},
		{"container", "never", "/proc", {.containers = true}},
	};
	char user[] = SOMEBODY;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *target = rows[i].target;
		const struct config_agent config = {.run_as = user,
			.listen_port = i ? 9494 : 443,
			.targets = {.items = &target, .n = 1},
			.containers_enter = rows[i].enter,
			.containers_proc = rows[i].proc};
		const struct privileges_options o = privileges_wanted(&config);

		assert_string_equal(o.run_as, SOMEBODY);
		assert_true(o.low_port == (i == 0));
		assert_true(o.containers == rows[i].wants.containers && o.enter == rows[i].wants.enter &&
			    o.processes == rows[i].wants.processes);
	}
}

static int drop_to_somebody(void)
{
	const struct privileges_options o = {.run_as = SOMEBODY};
	const struct passwd *pw = getpwnam(SOMEBODY);
	struct err err = {0};

	if (!pw || privileges_drop(&o, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return WRONG_RESULT;
	}
	if (getuid() != pw->pw_uid || geteuid() != pw->pw_uid || getegid() != pw->pw_gid || setuid(0) == 0)
		return WRONG_IDS;
	return check_dropped("net_raw");
}

static int drop_without_net_raw(void)
{
	const struct privileges_options o = {.run_as = ""};
	struct err err = {0};

	capng_get_caps_process();
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_RAW);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || privileges_drop(&o, &err) == 0 || err.code != ERR_PERM)
		return WRONG_RESULT;
	return strstr(err.msg, "CAP_NET_RAW") ? GOOD : WRONG_TEXT;
}

static int become_nobody_known(void)
{
	const struct privileges_options o = {.run_as = "no-such-user-here"};
	struct err err = {0};

	if (privileges_drop(&o, &err) == 0 || err.code != ERR_NOT_FOUND)
		return WRONG_RESULT;
	return strstr(err.msg, "no-such-user-here") ? GOOD : WRONG_TEXT;
}

static int become_without_root(void)
{
	const struct privileges_options o = {.run_as = SOMEBODY};
	const struct passwd *pw = getpwnam(SOMEBODY);
	struct err err = {0};

	if (geteuid() == 0 && (!pw || setuid(pw->pw_uid) < 0))
		return WRONG_IDS;
	if (privileges_drop(&o, &err) == 0 || err.code != ERR_PERM)
		return WRONG_RESULT;
	return strstr(err.msg, "root") ? GOOD : WRONG_TEXT;
}

static void test_root_keeps_net_raw_only(void **state)
{
	(void)state;
	root_or_skip();
	assert_int_equal(in_child(drop_as_root), GOOD);
}

static void test_low_port_keeps_the_right_to_bind(void **state)
{
	(void)state;
	root_or_skip();
	assert_int_equal(in_child(drop_with_low_port), GOOD);
}

static void test_containers_keep_what_entering_takes(void **state)
{
	(void)state;
	root_or_skip();
	assert_int_equal(in_child(drop_for_containers), GOOD);
	assert_int_equal(in_child(drop_for_containers_with_less), GOOD);
	assert_int_equal(in_child(drop_for_records_alone), GOOD);
	assert_int_equal(in_child(drop_for_mounts), GOOD);
}

static void test_run_as(void **state)
{
	(void)state;
	root_or_skip();
	assert_int_equal(in_child(drop_to_somebody), GOOD);
	assert_int_equal(in_child(become_nobody_known), GOOD);
	assert_int_equal(in_child(become_without_root), GOOD);
}

static void test_missing_capability_is_named(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_without_net_raw), GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_keeps_net_raw_only),
		cmocka_unit_test(test_low_port_keeps_the_right_to_bind),
		cmocka_unit_test(test_containers_keep_what_entering_takes),
		cmocka_unit_test(test_what_a_configuration_wants),
		cmocka_unit_test(test_run_as),
		cmocka_unit_test(test_missing_capability_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
