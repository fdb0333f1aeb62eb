/* test_audit.c - gateway/audit/audit.c: a trail that cannot be written for a while, that is found damaged, and whose strangers are many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "gateway/audit/audit_internal.h"
#include "test/unit/temp_file.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct gateway gw;
static struct temp_file folder;
static char db_path[200], file_path[200], no_text[] = "", off[] = "off";

static void open_trail(void)
{
	struct err err = {0};

	if (!(gw.audit = audit_open(&gw, &err)))
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	struct config_gateway *c = &gw.config;

	(void)state;
	memset(&gw, 0, sizeof(gw));
	temp_file_init(&folder);
	snprintf(db_path, sizeof(db_path), "%s/jobs.db", folder.dir);
	snprintf(file_path, sizeof(file_path), "%s/audit.jsonl", folder.dir);
	c->state_dir = folder.dir;
	c->audit_file = c->audit_key_file = c->webhook_url = no_text;
	c->audit_syslog = off;
	c->audit_file_max_bytes = 1u << 30;
	c->audit_retention_ms = UINT64_C(365) * 24 * 3600 * 1000;
	c->audit_refused_per_minute = 5;
	snprintf(gw.id, sizeof(gw.id), "gateway");
	gw.db = job_db_open(db_path, NULL);
	assert_non_null(gw.db);
	open_trail();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	audit_close(gw.audit);
	job_db_close(gw.db);
	temp_file_done(&folder);
	return 0;
}

static int say(const char *action, const char *outcome, struct err *err)
{
	const struct audit_record r = {.action = action, .outcome = outcome, .user_id = "alice"};

	return audit_write(gw.audit, &r, err);
}

static size_t count(const char *text)
{
	char *all = fs_read_text(file_path, 64u << 20, NULL);
	size_t n = 0;

	assert_non_null(all);
	for (const char *at = all; (at = strstr(at, text)); at += strlen(text))
		n++;
	free(all);
	return n;
}

static void assert_whole(void)
{
	struct audit_check database, file;
	struct err err = {0};

	assert_int_equal(audit_look(gw.audit, &database, &file, &err), 0);
	if (database.fault != AUDIT_WHOLE || file.fault != AUDIT_WHOLE)
		fail_msg("database: %s; file: %s", database.message, file.message);
	assert_string_equal(database.head, file.head);
}

/* From now on the disk is full, or has room again. */
static void set_full(bool full)
{
	static int real = -1;

	if (full) {
		real = gw.audit->file.fd;
		gw.audit->file.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
		assert_true(gw.audit->file.fd >= 0);
	} else {
		close(gw.audit->file.fd);
		gw.audit->file.fd = real;
	}
}

static void test_full(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(say("capture.start", "ok", &err), 0);
	set_full(true);
	assert_int_equal(say("capture.start", "ok", &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.detail, "audit_failed");
	assert_int_equal(say("link.create", "ok", &err), -1);
	assert_int_equal(say("switch.set", "ok", &err), -1);
	assert_int_equal(say("capture.delete", "begun", &err), -1);
	assert_int_equal(say("what nobody knows", "ok", &err), -1);
	assert_int_equal(say("capture.stop", "ok", &err), 0);
	assert_int_equal(say("capture.end", "failed", &err), 0);
	assert_int_equal(say("capture.start", "refused", &err), 0);
	assert_int_equal(audit_usable(gw.audit, &err), -1);
	assert_int_equal(gw.audit->held_n, 3);
	assert_int_equal(gw.audit->seq, 1);
	set_full(false);
	assert_int_equal(audit_usable(gw.audit, &err), 0);
	assert_int_equal(gw.audit->held_n, 0);
	assert_int_equal(gw.audit->seq, 1 + 3 + 1);
	assert_int_equal(count("\"audit.resumed\""), 1);
	assert_int_equal(count("\"waited\":3"), 1);
	assert_int_equal(count("\"link.create\""), 0);
	assert_whole();
}

static void test_what_waits_is_bounded(void **state)
{
	(void)state;
	set_full(true);
	gw.config.audit_refused_per_minute = AUDIT_HELD_MAX;
	/* Refusals cannot push out what has happened. */
	for (unsigned i = 0; i < AUDIT_HELD_MAX / 2 + 2; i++)
		assert_int_equal(say("capture.start", "refused", NULL), 0);
	assert_int_equal(gw.audit->held_n, AUDIT_HELD_MAX / 2);
	for (unsigned i = 0; i < AUDIT_HELD_MAX / 2 + 5; i++)
		assert_int_equal(say("capture.stop", "ok", NULL), 0);
	assert_int_equal(gw.audit->held_n, AUDIT_HELD_MAX);
	set_full(false);
	assert_int_equal(say("capture.start", "ok", NULL), 0);
	assert_int_equal(gw.audit->seq, AUDIT_HELD_MAX + 2);
	assert_int_equal(count("\"lost\":7"), 1);
	assert_whole();
}

/* From now on the database takes a record, and then does not commit it. */
static void refuse_commits(void)
{
	static const char sql[] =
		"CREATE TABLE child (job TEXT REFERENCES jobs (id) DEFERRABLE INITIALLY DEFERRED);"
		"CREATE TRIGGER late AFTER INSERT ON audit BEGIN INSERT INTO child VALUES ('none'); END";
	sqlite3 *other;

	assert_int_equal(sqlite3_open(db_path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
}

/* The database says no after the file has it: then it is not in the file either. */
static void test_commit_fails(void **state)
{
	(void)state;
	assert_int_equal(say("capture.start", "ok", NULL), 0);
	refuse_commits();
	assert_int_equal(say("capture.start", "ok", NULL), -1);
	assert_int_equal(count("\n"), 1);
	assert_whole();
}

static void test_both_or_none(void **state)
{
	struct job_db *db = gw.db;
	struct audit_row r = {
		.seq = 2, .action = "x", .outcome = "ok", .user_id = "", .job_id = "", .record = "{}", .hash = "h"};

	(void)state;
	assert_int_equal(say("capture.start", "ok", NULL), 0);
	assert_int_equal(job_db_audit_add(db, &r, NULL, NULL, NULL), 0); /* in the way of the next one */
	assert_int_equal(say("capture.start", "ok", NULL), -1);
	assert_int_equal(count("\n"), 1);
}

static void test_strangers(void **state)
{
	const struct audit_record r = {.action = "token.refused", .outcome = "refused", .is_strangers = true};

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(audit_write(gw.audit, &r, NULL), 0);
	assert_int_equal(gw.audit->seq, 5);
	audit_settle(gw.audit);
	assert_int_equal(gw.audit->seq, 6);
	assert_int_equal(count("\"more\":995"), 1);
	audit_settle(gw.audit);
	assert_int_equal(gw.audit->seq, 6);
}

/* Who is known may be refused ten times as often, and none of strangers' refusals counts for it. */
static void test_refusals_of_the_known(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(say("capture.start", "refused", NULL), 0);
	assert_int_equal(gw.audit->seq, 50);
	assert_int_equal(say("capture.stop", "ok", NULL), 0);
	audit_settle(gw.audit);
	assert_int_equal(gw.audit->seq, 52);
	assert_int_equal(count("\"more\":950"), 1);
}

static void test_large_data_is_left_out(void **state)
{
	char *huge = malloc(AUDIT_LINE_MAX + 1);
	struct audit_record r = {.action = "capture.start", .outcome = "ok"};

	(void)state;
	memset(huge, 'x', AUDIT_LINE_MAX);
	huge[AUDIT_LINE_MAX] = '\0';
	r.data = json_string(huge);
	assert_int_equal(audit_write(gw.audit, &r, NULL), 0);
	assert_int_equal(count("\"data_left_out\":true"), 1);
	json_decref(r.data);
	free(huge);
	assert_whole();
}

/* Whatever a former process, or somebody, has left at the end: it goes on, and says what it found. */
static void test_damaged_ends(void **state)
{
	static const char *const ends[] = {"{\"action\"", "garbage\n", "\n", "{\"seq\":3}\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		uint64_t before;
		FILE *f;

		assert_int_equal(say("capture.start", "ok", NULL), 0);
		before = gw.audit->seq;
		audit_close(gw.audit);
		assert_non_null(f = fopen(file_path, "ae"));
		fputs(ends[i], f);
		fclose(f);
		open_trail();
		assert_int_equal(gw.audit->seq, before + 1);
		assert_int_equal(count("\"audit.mended\""), i + 1);
	}
}

/* ---- where a file begins ---- */

/* Four records, and then what is done to the file: with the gateway away, while it runs, or followed by SIGHUP. */
enum meanwhile { AWAY, RUNNING, REOPENED };

static void emptied(void)
{
	assert_int_equal(truncate(file_path, 0), 0);
}

static void cut(void)
{
	char *all = fs_read_text(file_path, 1u << 20, NULL);

	assert_non_null(all);
	assert_int_equal(truncate(file_path, strchr(all, '\n') + 5 - all), 0);
	free(all);
}

static void removed(void)
{
	assert_int_equal(unlink(file_path), 0);
}

static void renamed_to(const char *end)
{
	char to[sizeof(file_path) + 16];

	snprintf(to, sizeof(to), "%s%s", file_path, end);
	assert_int_equal(rename(file_path, to), 0);
}

static void renamed(void)
{
	renamed_to(".1");
}

static void renamed_and_made(void)
{
	renamed_to("-20260105");
	assert_int_equal(fs_write_new(file_path, "", 0, 0600, NULL), 0);
}

/* Under another name, but not all of it. */
static void renamed_and_cut(void)
{
	cut();
	renamed_to("-20260105");
}

static void do_to_file(void (*deed)(void), enum meanwhile meanwhile)
{
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(say("capture.start", "ok", NULL), 0);
	if (meanwhile == AWAY)
		audit_close(gw.audit);
	deed();
	if (meanwhile == AWAY)
		open_trail();
	else if (meanwhile == REOPENED)
		audit_reopen(gw.audit);
	assert_int_equal(say("capture.stop", "ok", NULL), 0);
}

static void assert_file(const char *fault)
{
	struct audit_check database, file;
	struct err err = {0};

	assert_int_equal(audit_look(gw.audit, &database, &file, &err), 0);
	assert_string_equal(audit_fault_name(database.fault), "");
	assert_string_equal(audit_fault_name(file.fault), fault);
}

static void test_each_file_says_why_it_begins(void **state)
{
	static const struct {
		void (*deed)(void);
		enum meanwhile meanwhile;
		const char *how, *fault; /* how "": nothing is told */
	} all[] = {
		{emptied, AWAY, "unexplained", "missing"},
		{removed, AWAY, "unexplained", "missing"},
		{renamed, AWAY, "rotated", ""},
		{renamed_and_made, AWAY, "rotated", ""},
		{renamed_and_cut, AWAY, "unexplained", "missing"},
		{cut, AWAY, "", ""}, /* mended, which is told otherwise */
		{emptied, RUNNING, "unexplained", "missing"},
		{removed, RUNNING, "unexplained", "missing"},
		{cut, RUNNING, "cut", "missing"},
		{renamed, RUNNING, "", ""}, /* it is written to under its new name until it is told */
		{renamed, REOPENED, "rotated", ""},
		{renamed_and_made, REOPENED, "rotated", ""},
		{renamed_and_cut, REOPENED, "unexplained", "missing"},
		{emptied, REOPENED, "unexplained", "missing"},
		{removed, REOPENED, "unexplained", "missing"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char text[64];

		if (i > 0) {
			teardown(NULL);
			setup(NULL);
		}
		do_to_file(all[i].deed, all[i].meanwhile);
		if (all[i].deed == renamed && all[i].meanwhile == RUNNING) {
			assert_file("");
			continue;
		}
		snprintf(text, sizeof(text), "\"how\":\"%s\"", all[i].how);
		if (count("\"audit.file\"") != (all[i].how[0] != '\0') || (all[i].how[0] && count(text) != 1))
			fail_msg("case %zu: not told: %s", i, all[i].how);
		if (strcmp(all[i].how, "cut") != 0 && all[i].how[0]) {
			char *lines = fs_read_text(file_path, 1u << 20, NULL);

			assert_non_null(lines);
			assert_non_null(strstr(lines, "\"after\":4"));
			*strchr(lines, '\n') = '\0';
			assert_non_null(strstr(lines, text)); /* the first line */
			free(lines);
		}
		assert_file(all[i].fault);
		/* Said once. */
		audit_close(gw.audit);
		open_trail();
		assert_int_equal(say("capture.stop", "ok", NULL), 0);
		assert_int_equal(count("\"audit.file\""), all[i].how[0] != '\0');
		assert_file(all[i].fault);
	}
}

static void test_put_aside_is_said(void **state)
{
	(void)state;
	gw.config.audit_file_max_bytes = 1000;
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(say("capture.start", "ok", NULL), 0);
	assert_int_equal(count("\"how\":\"put_aside\""), 1);
	assert_whole();
}

static void test_retention(void **state)
{
	char **records;
	size_t n;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(say("capture.start", "ok", NULL), 0);
	clock_fake(clock_wall_ns() + UINT64_C(366) * 24 * 3600 * CLOCK_NS_PER_S);
	audit_tick(gw.audit);
	clock_fake(0);
	assert_int_equal(job_db_audit_list(gw.db, &(struct audit_filter){0}, 10, &records, &n, NULL), 0);
	assert_int_equal(n, 1); /* the newest stays: the chain goes on from it */
	job_db_audit_list_free(records, n);
	assert_whole();
	assert_int_equal(count("\n"), 3);
}

static void test_again(void **state)
{
	(void)state;
	assert_false(audit_knows(gw.audit, "one", 60));
	audit_remember(gw.audit, "one");
	assert_true(audit_knows(gw.audit, "one", 60));
	assert_false(audit_knows(gw.audit, "two", 60));
	for (unsigned i = 0; i < AUDIT_AGAIN_MAX; i++)
		audit_remember(gw.audit, "two");
	assert_false(audit_knows(gw.audit, "one", 60));
}

int main(void)
{
#define EACH(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		EACH(test_full),
		EACH(test_what_waits_is_bounded),
		EACH(test_commit_fails),
		EACH(test_both_or_none),
		EACH(test_strangers),
		EACH(test_refusals_of_the_known),
		EACH(test_large_data_is_left_out),
		EACH(test_damaged_ends),
		EACH(test_each_file_says_why_it_begins),
		EACH(test_put_aside_is_said),
		EACH(test_retention),
		EACH(test_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
