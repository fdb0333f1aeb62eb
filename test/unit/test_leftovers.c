/* test_leftovers.c - jobs that a former process left: finished, erased, given up, and never two of these at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "gateway/audit/audit.h"
#include "gateway/storage/retention.h"
#include "schema/audit_db.h"
#include "test/unit/gateway_rig.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

static struct gateway_rig rig;
static struct retention *sweeper;
static struct err err;

static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	gateway_rig_init(&rig);
	sweeper = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	retention_stop(sweeper);
	gateway_rig_done(&rig);
	return 0;
}

/* A capture that runs to its end, but whose upload fails for good; so a spool is left, and a record that says it is being finished. */
static void leave_one(enum stop_reason reason)
{
	struct job *j;
	struct capture *c;

	rig.store.fail_parts = 1;
	rig.store.fail_code = ERR_STATE; /* no use in trying again */
	c = gateway_rig_start(&rig, JOB_STORE, &err);
	assert_non_null(c);
	gateway_rig_until(c, JOB_RUNNING);
	capture_stop(c, STOP_USER, "alice");
	gateway_rig_ended(&rig, c);
	j = gateway_rig_job(&rig);
	assert_int_equal(j->state, JOB_FINISHING);
	j->stop_reason = reason;
	assert_int_equal(job_db_save(rig.gw.db, j, &err), 0);
	job_free(j);
}

static void sweep(void)
{
	sweeper = retention_start(&rig.gw, &err);
	assert_non_null(sweeper);
}

static struct job *until(enum job_state state)
{
	for (unsigned ms = 0;; ms++) {
		struct job *j = gateway_rig_job(&rig);

		if (j->state == state)
			return j;
		if (ms > GATEWAY_RIG_WAIT_MS)
			fail_msg("state %s never came, it is %s", job_state_name(state), job_state_name(j->state));
		job_free(j);
		(void)poll(NULL, 0, 1);
	}
}

static void assert_nothing_left(void)
{
	struct err why = {0};
	struct spool *spool = spool_open(rig.store.spool, rig.store.job, &why);
	size_t n;

	assert_null(spool);
	assert_int_equal(why.code, ERR_NOT_FOUND);
	assert_null(store_rig_object(&rig.store, &n));
}

static void test_finished(void **state)
{
	uint8_t *bytes;
	size_t n = 0;

	(void)state;
	leave_one(STOP_USER);
	sweep();
	job_free(until(JOB_READY));
	bytes = store_rig_object(&rig.store, &n);
	assert_non_null(bytes);
	free(bytes);
}

/* As kill -9 leaves it. */
static void leave_running(enum job_mode mode)
{
	struct job *j;

	leave_one(STOP_NONE);
	j = gateway_rig_job(&rig);
	j->mode = mode;
	j->state = JOB_RUNNING;
	j->ended_at = 0;
	j->instances[0].state = INSTANCE_RUNNING;
	assert_int_equal(job_db_save(rig.gw.db, j, &err), 0);
	job_free(j);
}

/* Before the first request can be served nobody is told that a dead process's capture runs. */
static void test_not_running_after_start(void **state)
{
	struct job *j;

	(void)state;
	leave_running(JOB_LIVE);
	sweep();
	j = gateway_rig_job(&rig);
	assert_int_equal(j->state, JOB_FAILED);
	assert_int_equal(j->stop_reason, STOP_INTERRUPTED);
	assert_string_equal(j->error_code, "interrupted");
	assert_int_equal(j->instances[0].state, INSTANCE_ENDED);
	job_free(j);
}

static void test_stored_not_running_after_start(void **state)
{
	struct job *j;

	(void)state;
	leave_running(JOB_STORE);
	sweep();
	j = gateway_rig_job(&rig);
	assert_true(j->state == JOB_FINISHING || j->state == JOB_READY);
	assert_int_equal(j->stop_reason, STOP_INTERRUPTED);
	job_free(j);
	job_free(until(JOB_READY));
}

/* Deleted while the sweeper finishes it: it must not come back. */
static void test_erased_while_being_finished(void **state)
{
	struct job *j;

	(void)state;
	leave_one(STOP_USER);
	rig.store.fail_parts = 60;
	rig.store.fail_code = ERR_NET;
	rig.store.store->retry = (struct store_retry){.tries = 1000, .first_ms = 5, .cap_ms = 5, .total_ms = 60000};
	sweep();
	while (jobs_claim(rig.gw.jobs, rig.store.job, 0, NULL) == 0) { /* until it is at it */
		jobs_unclaim(rig.gw.jobs, rig.store.job);
		(void)poll(NULL, 0, 1);
	}
	if (retention_erase(&rig.gw, rig.store.job, JOB_PURGED, "alice", NULL, &err) < 0)
		fail_msg("%s", err.msg);
	(void)poll(NULL, 0, 100); /* what the sweeper might still do */
	j = gateway_rig_job(&rig);
	assert_int_equal(j->state, JOB_PURGED);
	job_free(j);
	assert_nothing_left();
}

/* It is tried for as long as the object would have been kept, and no longer. */
static void test_given_up(void **state)
{
	struct job *j;

	(void)state;
	rig.gw.config.storage_retention_ms = 300;
	leave_one(STOP_USER);
	rig.store.fail_parts = 1000000;
	sweep();
	j = until(JOB_FAILED);
	assert_string_equal(j->error_code, "storage_failed");
	assert_string_equal(j->object_key, "");
	job_free(j);
	assert_nothing_left();
}

/* The former process died while it erased what was killed. */
static void test_killed(void **state)
{
	(void)state;
	leave_one(STOP_KILLED);
	sweep();
	job_free(until(JOB_KILLED));
	assert_nothing_left();
}

static void test_deleted(void **state)
{
	(void)state;
	leave_one(STOP_DELETED);
	sweep();
	job_free(until(JOB_PURGED));
	assert_nothing_left();
}

/* ---- the trail ---- */

static void open_trail(void)
{
	static char no_text[] = "", off[] = "off";
	struct config_gateway *c = &rig.gw.config;

	c->state_dir = rig.store.folder.dir;
	c->audit_file = c->audit_key_file = c->webhook_url = no_text;
	c->audit_syslog = off;
	c->audit_file_max_bytes = 1u << 30;
	c->audit_retention_ms = UINT64_C(3600) * 1000;
	if (!(rig.gw.audit = audit_open(&rig.gw, &err)))
		fail_msg("%s", err.msg);
}

/* How many records say that it has ended so. */
static size_t ends(const char *state)
{
	const struct audit_filter f = {.action = "capture.end", .job = rig.store.job};
	char text[64], **records = NULL;
	size_t n = 0, found = 0;

	snprintf(text, sizeof(text), "\"state\":\"%s\"", state);
	if (job_db_audit_list(rig.gw.db, &f, 100, &records, &n, &err) < 0)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < n; i++)
		found += strstr(records[i], text) != NULL;
	job_db_audit_list_free(records, n);
	return found;
}

static void close_trail(void)
{
	retention_stop(sweeper);
	sweeper = NULL;
	audit_close(rig.gw.audit);
	rig.gw.audit = NULL;
}

/* The process that killed them is dead: who finishes it tells, once. */
static void test_each_end_is_told(void **state)
{
	static const struct {
		enum stop_reason reason;
		enum job_state state;
	} all[] = {{STOP_KILLED, JOB_KILLED}, {STOP_DELETED, JOB_PURGED}, {STOP_USER, JOB_READY}};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (i > 0) {
			teardown(NULL);
			setup(NULL);
		}
		leave_one(all[i].reason);
		open_trail();
		sweep();
		job_free(until(all[i].state));
		close_trail();
		assert_int_equal(ends(job_state_name(all[i].state)), 1);
	}
}

static void test_what_is_purged_before_its_end_has_ended(void **state)
{
	(void)state;
	leave_one(STOP_USER);
	open_trail();
	if (retention_erase(&rig.gw, rig.store.job, JOB_PURGED, "olga", NULL, &err) < 0)
		fail_msg("%s", err.msg);
	close_trail();
	assert_int_equal(ends("purged"), 1);
}

/* ---- killed while it is being finished ---- */

static void test_what_nobody_runs_can_be_killed(void **state)
{
	struct err why = {0};
	struct job *j;

	(void)state;
	leave_one(STOP_USER);
	open_trail();
	err_set(&why, ERR_CANCELLED, "killed by olga: too much");
	assert_int_equal(retention_kill(&rig.gw, rig.store.job, "olga", &why, &err), 0);
	j = until(JOB_KILLED);
	assert_int_equal(j->stop_reason, STOP_KILLED);
	assert_string_equal(j->stop_by, "olga");
	assert_string_equal(j->error_code, "killed");
	assert_string_equal(j->error, "killed by olga: too much");
	assert_string_equal(j->object_key, "");
	job_free(j);
	assert_nothing_left();
	assert_int_equal(retention_kill(&rig.gw, rig.store.job, "olga", &why, &err), 1);
	close_trail();
	assert_int_equal(ends("killed"), 1);
}

static void test_what_is_held_is_not_killed(void **state)
{
	struct err why = {0};

	(void)state;
	leave_one(STOP_USER);
	assert_int_equal(job_db_hold(rig.gw.db, rig.store.job, "case 1", &err), 0);
	err_set(&why, ERR_CANCELLED, "killed by olga");
	assert_int_equal(retention_kill(&rig.gw, rig.store.job, "olga", &why, &err), -1);
	assert_string_equal(err.detail, "on_hold");
	job_free(until(JOB_FINISHING));
	sweep();
	job_free(until(JOB_READY));
}

static void store_one(void)
{
	leave_one(STOP_USER);
	sweep();
	job_free(until(JOB_READY));
}

static void test_what_was_erased_is_said(void **state)
{
	struct erase_report r = {0};

	(void)state;
	store_one();
	if (retention_erase(&rig.gw, rig.store.job, JOB_PURGED, "alice", &r, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(r.store.objects, 1);
	assert_true(r.store.bytes > 1000);
	assert_string_equal(r.note, "");
	assert_nothing_left();
}

static void test_that_nothing_was_there_is_said_too(void **state)
{
	struct erase_report r = {0};

	(void)state;
	store_one();
	assert_int_equal(store_erase(rig.gw.store, rig.store.job, rig.store.key, NULL, &err), 0);
	if (retention_erase(&rig.gw, rig.store.job, JOB_PURGED, "alice", &r, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(r.store.objects, 0);
	assert_non_null(strstr(r.note, "no object of it any more"));
}

/* As if what there is of it lay in a store that the configuration does not name any more. */
static void move_elsewhere(void)
{
	struct job *j = gateway_rig_job(&rig);

	assert_int_equal(job_set(&j->object_store, "s3 bucket caps", NULL), 0);
	assert_int_equal(job_set(&j->error_code, "", NULL), 0);
	assert_int_equal(job_db_save(rig.gw.db, j, &err), 0);
	job_free(j);
}

static struct job *until_told_elsewhere(void)
{
	for (unsigned ms = 0;; ms++) {
		struct job *j = until(JOB_FINISHING);

		if (strcmp(j->error_code, "storage_elsewhere") == 0)
			return j;
		assert_true(ms < GATEWAY_RIG_WAIT_MS);
		job_free(j);
		(void)poll(NULL, 0, 1);
	}
}

/* The configuration names another store now. */
static void test_an_object_elsewhere_is_not_called_erased(void **state)
{
	struct erase_report r = {0};
	struct job *j;

	(void)state;
	store_one();
	j = gateway_rig_job(&rig);
	assert_string_equal(j->object_store, "file");
	job_free(j);
	move_elsewhere();
	assert_int_equal(retention_erase(&rig.gw, rig.store.job, JOB_PURGED, "alice", &r, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err_api_code(&err), "storage_elsewhere");
	assert_non_null(strstr(err.msg, "s3 bucket caps"));
	job_free(until(JOB_READY));
	/* Its time is over: it is not tried again and again, and the record says what became of it. */
	if (retention_erase(&rig.gw, rig.store.job, JOB_EXPIRED, NULL, &r, &err) < 0)
		fail_msg("%s", err.msg);
	assert_non_null(strstr(r.note, "s3 bucket caps"));
	j = until(JOB_EXPIRED);
	assert_string_equal(j->error_code, "storage_elsewhere");
	job_free(j);
}

/* Some parts of it may be in the other store: here they would seem to be lost. */
static void test_an_upload_elsewhere_waits(void **state)
{
	struct erase_report r = {0};
	struct job *j;

	(void)state;
	leave_one(STOP_USER);
	move_elsewhere();
	sweep();
	j = until_told_elsewhere();
	assert_non_null(strstr(j->error, "s3 bucket caps"));
	assert_int_equal(retention_erase(&rig.gw, rig.store.job, JOB_PURGED, "alice", &r, &err), -1);
	assert_string_equal(err_api_code(&err), "storage_elsewhere");
	/* The old configuration is back. */
	assert_int_equal(job_set(&j->object_store, "file", NULL), 0);
	assert_int_equal(job_db_save(rig.gw.db, j, &err), 0);
	job_free(j);
	job_free(until(JOB_READY));
}

/* However long that takes: what is there is known to nobody else. */
static void test_an_old_upload_elsewhere_waits_too(void **state)
{
	struct job *j;

	(void)state;
	leave_one(STOP_USER);
	move_elsewhere();
	rig.gw.config.storage_retention_ms = 1;
	(void)poll(NULL, 0, 5);
	sweep();
	j = until_told_elsewhere();
	assert_true(j->object_key[0] != '\0');
	job_free(j);
}

/* Nothing has left the spool: it goes where captures go now. */
static void test_a_spool_goes_to_the_store_of_now(void **state)
{
	struct job *j;

	(void)state;
	leave_one(STOP_USER);
	move_elsewhere();
	assert_int_equal(job_db_upload_set(rig.gw.db, rig.store.job, "", &err), 0);
	sweep();
	j = until(JOB_READY);
	assert_string_equal(j->object_store, "file");
	job_free(j);
}

/* Storage was switched off: it waits, and does not look as if it ran. */
static void test_without_a_store(void **state)
{
	struct job *j;

	(void)state;
	leave_one(STOP_NONE);
	j = gateway_rig_job(&rig);
	j->state = JOB_RUNNING;
	assert_int_equal(job_db_save(rig.gw.db, j, &err), 0);
	job_free(j);
	rig.gw.store = NULL;
	sweep();
	j = until(JOB_FINISHING);
	for (unsigned ms = 0; !j->error_code[0] && ms < GATEWAY_RIG_WAIT_MS; ms++) {
		job_free(j);
		(void)poll(NULL, 0, 1);
		j = until(JOB_FINISHING);
	}
	assert_int_equal(j->stop_reason, STOP_INTERRUPTED);
	assert_string_equal(j->error_code, "storage_failed");
	job_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_finished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_running_after_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stored_not_running_after_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_erased_while_being_finished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_end_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_purged_before_its_end_has_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_nobody_runs_can_be_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_held_is_not_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_was_erased_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(test_that_nothing_was_there_is_said_too, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_object_elsewhere_is_not_called_erased, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_upload_elsewhere_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_old_upload_elsewhere_waits_too, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_spool_goes_to_the_store_of_now, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_a_store, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
