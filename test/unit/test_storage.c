/* test_storage.c - gateway/storage/storage.c, store_health.c, examination.c: what is known of a store that answers late, badly or not at all, and what strict makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "gateway/gateway.h"
#include "gateway/storage/examination.h"
#include "gateway/storage/storage.h"
#include "gateway/storage/store_health.h"
#include "test/unit/temp_file.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 30000u

/* A store that is no folder, and does as told. */
struct fake {
	struct driver driver;
	atomic_bool hangs, down, bad, open;
	atomic_uint checks, examinations;
};

static struct fake fake;
static struct temp_file folder;
static struct gateway gw;
static struct err err;

static void nap(void)
{
	(void)poll(NULL, 0, 1);
}

static int fake_check(struct driver *d, struct err *e)
{
	(void)d;
	atomic_fetch_add(&fake.checks, 1);
	while (atomic_load(&fake.hangs))
		nap();
	return atomic_load(&fake.down) ? err_set(e, ERR_NET, "connection refused") : 0;
}

static void add(struct driver_findings *f, enum driver_severity severity, const char *check, const char *text)
{
	struct driver_finding *one = &f->items[f->n++];

	one->severity = severity;
	snprintf(one->check, sizeof(one->check), "%s", check);
	snprintf(one->text, sizeof(one->text), "%s", text);
}

static int fake_examine(struct driver *d, struct driver_findings *ret, struct err *e)
{
	(void)d;
	atomic_fetch_add(&fake.examinations, 1);
	while (atomic_load(&fake.hangs))
		nap();
	if (atomic_load(&fake.down))
		return err_set(e, ERR_NET, "connection refused");
	add(ret, DRIVER_GOOD, "writable", "objects can be written");
	add(ret, DRIVER_NOTE, "versioning", "is off");
	if (atomic_load(&fake.open))
		add(ret, DRIVER_ERROR, "public_access", "everybody may read");
	if (atomic_load(&fake.bad))
		add(ret, DRIVER_WARNING, "encryption", "nothing is encrypted");
	return 0;
}

static void fake_cancel(struct driver *d)
{
	(void)d;
	atomic_store(&fake.down, true);
	atomic_store(&fake.hangs, false);
}

static void fake_free(struct driver *d)
{
	(void)d;
}

static int fake_read(struct driver *d, const char *key, uint64_t offset, void *dst, size_t n, struct err *e)
{
	(void)d, (void)key, (void)offset, (void)dst, (void)n;
	return err_set(e, ERR_NOT_FOUND, "nothing is here");
}

static int setup(void **state)
{
	static const struct driver_ops ops = {.name = "fake",
		.check = fake_check,
		.examine = fake_examine,
		.cancel = fake_cancel,
		.free = fake_free,
		.read = fake_read};
	struct store_options o = {.chunk_bytes = 65536, .job_bytes_max = 1 << 30, .driver = &fake.driver};
	char *db, *spool;

	(void)state;
	memset(&fake, 0, sizeof(fake));
	memset(&gw, 0, sizeof(gw));
	err = (struct err){0};
	fake.driver.ops = &ops;
	temp_file_init(&folder);
	db = fs_path("%s/jobs.db", folder.dir);
	spool = fs_path("%s/spool", folder.dir);
	assert_non_null(gw.db = job_db_open(db, &err));
	o.spool_dir = spool;
	o.db = gw.db;
	if (!(gw.store = store_open(&o, &err)))
		fail_msg("%s", err.msg);
	free(db);
	free(spool);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	atomic_store(&fake.hangs, false);
	storage_close(&gw);
	job_db_close(gw.db);
	temp_file_done(&folder);
	return 0;
}

/* ---- health ---- */

static void watch(void)
{
	if (storage_watch(&gw, &err) < 0)
		fail_msg("%s", err.msg);
}

static void a_store_that_answers_is_usable(void **state)
{
	(void)state;
	watch();
	if (storage_usable(&gw, WAIT_MS, &err) < 0)
		fail_msg("%s", err.msg);
}

static void a_store_that_is_down_is_not(void **state)
{
	(void)state;
	atomic_store(&fake.down, true);
	watch();
	assert_int_equal(storage_usable(&gw, WAIT_MS, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "connection refused"));
}

static void who_asks_does_not_wait_for_a_store_that_hangs(void **state)
{
	(void)state;
	atomic_store(&fake.hangs, true);
	watch();
	assert_int_equal(storage_usable(&gw, 20, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "the store has not answered for 20 ms"));
	atomic_store(&fake.hangs, false);
	if (storage_usable(&gw, WAIT_MS, &err) < 0)
		fail_msg("%s", err.msg);
}

static void an_answer_is_good_for_a_while(void **state)
{
	unsigned asked;

	(void)state;
	watch();
	assert_int_equal(storage_usable(&gw, WAIT_MS, &err), 0);
	asked = atomic_load(&fake.checks);
	for (int i = 0; i < 100; i++)
		assert_int_equal(storage_usable(&gw, WAIT_MS, &err), 0);
	assert_in_range(atomic_load(&fake.checks), asked, asked + 50); /* however slow this machine is */
}

/* ---- examination ---- */

static json_t *findings(void)
{
	json_t *list;

	for (;;) {
		list = examination_json(gw.examination);
		assert_non_null(list);
		if (json_array_size(list) > 0)
			return list;
		json_decref(list);
		nap();
	}
}

static void what_is_found_is_kept(void **state)
{
	const char *severity, *check, *message;
	json_t *list;

	(void)state;
	atomic_store(&fake.bad, true);
	watch();
	list = findings();
	assert_int_equal(json_array_size(list), 3);
	assert_int_equal(json_unpack(json_array_get(list, 2), "{s:s, s:s, s:s!}", "severity", &severity, "check",
				 &check, "message", &message),
		0);
	assert_string_equal(severity, "warning");
	assert_string_equal(check, "encryption");
	assert_string_equal(message, "nothing is encrypted");
	json_decref(list);
	assert_int_equal(storage_usable(&gw, WAIT_MS, &err), 0); /* not strict */
}

static void a_store_that_cannot_be_asked_is_a_finding(void **state)
{
	const char *severity, *check, *message;
	json_t *list;

	(void)state;
	atomic_store(&fake.down, true);
	watch();
	list = findings();
	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(json_unpack(json_array_get(list, 0), "{s:s, s:s, s:s!}", "severity", &severity, "check",
				 &check, "message", &message),
		0);
	assert_string_equal(severity, "error");
	assert_string_equal(check, "reachable");
	assert_non_null(strstr(message, "connection refused"));
	json_decref(list);
}

static void strict_refuses_until_all_is_good(void **state)
{
	struct examination_options o = {.store = gw.store, .strict = true, .every_ms = WAIT_MS, .again_ms = 5};

	(void)state;
	atomic_store(&fake.bad, true);
	atomic_store(&fake.open, true);
	assert_non_null(gw.examination = examination_start(&o, &err));
	assert_int_equal(storage_usable(&gw, WAIT_MS, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err_api_code(&err), "storage_unsafe");
	assert_non_null(strstr(err.msg, "public_access, encryption;"));
	assert_null(strstr(err.msg, "versioning"));
	atomic_store(&fake.open, false);
	while (storage_usable(&gw, WAIT_MS, &err) < 0 && strstr(err.msg, "public_access"))
		nap();
	assert_int_equal(storage_usable(&gw, WAIT_MS, &err), -1); /* a warning is enough */
	assert_non_null(strstr(err.msg, ": encryption;"));
	atomic_store(&fake.bad, false);
	while (storage_usable(&gw, WAIT_MS, &err) < 0)
		nap();
}

static void strict_refuses_what_was_never_examined(void **state)
{
	(void)state;
	gw.config.storage_strict = true;
	atomic_store(&fake.hangs, true);
	assert_non_null(gw.examination = examination_start(
				&(struct examination_options){.store = gw.store, .strict = true}, &err));
	assert_int_equal(examination_allows(gw.examination, 5, &err), -1);
	assert_string_equal(err_api_code(&err), "storage_unsafe");
	atomic_store(&fake.hangs, false);
	assert_int_equal(examination_allows(gw.examination, WAIT_MS, &err), 0);
}

/* ---- the end ---- */

static void the_end_waits_for_no_store(void **state)
{
	struct driver_findings found;

	(void)state;
	atomic_store(&fake.hangs, true);
	watch();
	assert_int_equal(storage_usable(&gw, 1, &err), -1);
	while (atomic_load(&fake.checks) == 0 || atomic_load(&fake.examinations) == 0)
		nap();
	store_cancel(gw.store, NULL);
	/* What it says then is no finding. */
	assert_int_equal(store_examine(gw.store, &found, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	storage_close(&gw);
	assert_false(atomic_load(&fake.hangs));
}

static void closing_gives_up_what_is_asked(void **state)
{
	(void)state;
	atomic_store(&fake.hangs, true);
	watch();
	while (atomic_load(&fake.examinations) == 0)
		nap();
	storage_close(&gw);
	assert_false(atomic_load(&fake.hangs));
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_store_that_answers_is_usable),
		test(a_store_that_is_down_is_not),
		test(who_asks_does_not_wait_for_a_store_that_hangs),
		test(an_answer_is_good_for_a_while),
		test(what_is_found_is_kept),
		test(a_store_that_cannot_be_asked_is_a_finding),
		test(strict_refuses_until_all_is_good),
		test(strict_refuses_what_was_never_examined),
		test(the_end_waits_for_no_store),
		test(closing_gives_up_what_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
