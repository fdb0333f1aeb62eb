/* test_s3_credentials_file.c - the credentials file: its format, who may read it, and what happens when it changes. */
#include "test/unit/temp_file.h"
#include "uploader/s3/s3_credentials_internal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NEVER_MS 3600000u
#define AK       "aws_access_key_id"
#define SK       "aws_secret_access_key"
#define TK       "aws_session_token"
#define ONE      AK " = AKONE\n" SK " = SEcretone/+=\n"
#define TWO      AK "=AKTWO\n" SK "=SEcrettwo=\n" TK "=TKTWO==\n"

/* ---- the format ---- */

static int parse(const char *text, size_t n, const char *profile, struct s3_keys *ret, struct err *err)
{
	char *exact = malloc(n > 0 ? n : 1); /* so that a byte read too far is noticed */
	int rc;

	assert_non_null(exact);
	memcpy(exact, text, n);
	memset(ret, 0, sizeof(*ret));
	memset(err, 0, sizeof(*err));
	rc = s3_file_parse(exact, n, profile, ret, err);
	free(exact);
	return rc;
}

static void test_good_files(void **state)
{
	static const struct {
		const char *text, *profile, *access, *token;
	} rows[] = {
		{"[default]\n" ONE, "default", "AKONE", ""},
		{"[default]\n" ONE "[two]\n" TWO, "default", "AKONE", ""},
		{"[default]\n" ONE "[two]\n" TWO, "two", "AKTWO", "TKTWO=="},
		{"[two]\r\n" AK " = AKTWO\r\n" SK "\t=\tx\r\n", "two", "AKTWO", ""},
		{"[default]\n" AK "=A\n" SK "=x", "default", "A", ""}, /* no end of line at the end */
		{"# about\n\n; more\n[ default ] # this one\n  # indented\n" ONE "\n", "default", "AKONE", ""},
		{"[default]\nregion = eu-central-1\noutput=\n" ONE "x=y=z\n", "default", "AKONE", ""},
		{"[default]\n" ONE "s3 =\n  max_concurrent_requests = 20\n\n  x = y\n", "default", "AKONE", ""},
		{"[two]\n" AK " = \n  indented, who knows\n[default]\n" ONE, "default", "AKONE", ""},
		{"[two]\n[two]\n[default]\n" ONE, "default", "AKONE", ""},
		{"[default]\nAWS_Access_Key_ID = A\naws_SECRET_access_key = x\n", "default", "A", ""},
		{"[default]\n" ONE TK " =\n", "default", "AKONE", ""},
		{"[with space]\n" ONE, "with space", "AKONE", ""},
		{"[d\u00e9faut]\n" ONE, "d\u00e9faut", "AKONE", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct s3_keys k;
		struct err err;

		if (parse(rows[i].text, strlen(rows[i].text), rows[i].profile, &k, &err) < 0)
			fail_msg("row %zu: %s", i, err.msg);
		assert_string_equal(k.access, rows[i].access);
		assert_string_equal(k.token, rows[i].token);
		assert_true(k.secret[0]);
	}
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "no profile \"default\""},
		{"\n\n# x\n", "no profile \"default\""},
		{"[Default]\n" ONE, "no profile \"default\""},
		{"[profile default]\n" ONE, "no profile \"default\""},
		{"[default]\n", AK " is missing"},
		{"[default]\n" AK " = AKONE\n", SK " is missing"},
		{"[default]\n" AK " = AKONE\n" SK " =\n", SK " is missing"},
		{"[default]\nrole_arn = x\nsource_profile = y\n", AK " is missing"},
		{ONE, "line 1: \"[profile]\" or a comment"},
		{"[default]\nSEcret\n", "line 2: \"[profile]\", \"name = value\" or a comment"},
		{"[default]\n" ONE "= SEcret\n", "line 4: no name before '='"},
		{"[default\n" ONE, "line 1: '[' without ']'"},
		{"[default] SEcret\n" ONE, "line 1: text behind ']'"},
		{"[default]\n" ONE "[default]\n", "line 4: profile \"default\" stands there twice"},
		{"[default]\n" ONE AK " = SEcret\n", "line 4: " AK " stands there twice"},
		{"[default]\n" ONE " " TK " = SEcret\n", "line 4: begins with a blank"},
		{"[default]\n " AK " = SEcret\n", "line 2: begins with a blank"},
		{"[default]\n" ONE TK " =\n  SEcret\n", "line 5: begins with a blank"},
		{" [default]\n" ONE, "line 1: begins with a blank"},
		{"[default]\n" AK " = AKONE\n" SK " = SEcret # mine\n", SK ": byte 7"},
		{"[default]\n" AK " = AK/ONE\n" SK " = SEcret\n", AK ": byte 3"},
		{"[default]\n" AK " = AKONE\n" SK " = SEcret\x01\n", SK ": byte 7"},
		{"[default]\n" AK " = AKONE\n" SK " = SEcr\u00e9t\n", SK ": byte 5"},
		{"\xef\xbb\xbf[default]\n" ONE, "line 1"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct s3_keys k;
		struct err err;

		assert_int_equal(parse(rows[i].text, strlen(rows[i].text), "default", &k, &err), -1);
		assert_int_equal(err.code, ERR_INPUT);
		if (!strstr(err.msg, rows[i].says))
			fail_msg("row %zu: not \"%s\" but \"%s\"", i, rows[i].says, err.msg);
		assert_null(strstr(err.msg, "SEcr"));
		assert_string_equal(k.access, "");
	}
}

static void test_lengths(void **state)
{
	static const struct {
		const char *name;
		size_t most;
	} rows[] = {{AK, 128}, {SK, 128}, {TK, 4096}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t more = 0; more < 2; more++) {
			char value[4100], text[4400];
			struct s3_keys k;
			struct err err;

			memset(value, 'v', sizeof(value));
			value[rows[i].most + more] = '\0';
			snprintf(text, sizeof(text), "[default]\n%s%s%s=%s\n", i == 0 ? "" : AK "=A\n",
				i == 1 ? "" : SK "=S\n", rows[i].name, value);
			assert_int_equal(parse(text, strlen(text), "default", &k, &err), more ? -1 : 0);
			if (more)
				assert_non_null(strstr(err.msg, "bytes long, at most"));
		}
	}
}

static void test_nul(void **state)
{
	static const char text[] = "[default]\n" ONE "\0# x\n";
	struct s3_keys k;
	struct err err;

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1, "default", &k, &err), -1);
	assert_non_null(strstr(err.msg, "NUL"));
}

/* ---- the file ---- */

static struct temp_file file;

static int setup(void **state)
{
	(void)state;
	temp_file_init(&file);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	temp_file_done(&file);
	return 0;
}

static void write_file(const char *text)
{
	temp_file_write(&file, text, strlen(text));
}

/* As careful writers do: aside, then renamed over. */
static void replace_file(const char *text)
{
	struct temp_file aside = file;

	snprintf(aside.path, sizeof(aside.path), "%s/aside", file.dir);
	temp_file_write(&aside, text, strlen(text));
	assert_int_equal(rename(aside.path, file.path), 0);
}

static struct s3_credentials *open_file(const char *profile, struct err *err)
{
	struct s3_credentials_options o = {.source = S3_SOURCE_FILE, .file = file.path, .profile = profile};

	memset(err, 0, sizeof(*err));
	return s3_credentials_new(&o, err);
}

static void get_is(struct s3_credentials *c, const char *access)
{
	struct s3_keys k;
	struct err err = {0};

	if (s3_credentials_get(c, &k, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(k.access, access);
}

static void get_fails(struct s3_credentials *c, const char *says)
{
	struct s3_keys k;
	struct err err = {0};

	assert_int_equal(s3_credentials_get(c, &k, &err), -1);
	if (!strstr(err.msg, says) || !strstr(err.msg, file.path))
		fail_msg("not \"%s\" but \"%s\"", says, err.msg);
	assert_int_equal(err.code, ERR_UNAVAILABLE); /* may pass, and is no "not found" of the store's */
	assert_string_equal(err.detail, "no_keys");
}

static void test_profiles(void **state)
{
	struct s3_credentials *c;
	struct err err;
	char text[200];

	(void)state;
	write_file("[default]\n" ONE "[two]\n" TWO);
	c = open_file("", &err);
	assert_non_null(c);
	get_is(c, "AKONE");
	assert_int_equal(s3_credentials_expiry(c), 0);
	s3_credentials_describe(c, text, sizeof(text));
	assert_non_null(strstr(text, file.path));
	s3_credentials_free(c);
	c = open_file("two", &err);
	assert_non_null(c);
	get_is(c, "AKTWO");
	s3_credentials_free(c);
	assert_null(open_file("three", &err));
	assert_non_null(strstr(err.msg, file.path));
	assert_non_null(strstr(err.msg, "three"));
}

static void test_what_is_no_such_file(void **state)
{
	struct s3_credentials_options o = {.source = S3_SOURCE_FILE, .file = ""};
	struct err err;
	char *large;

	(void)state;
	assert_null(s3_credentials_new(&o, &err));
	assert_string_equal(err.field, "s3.credentials_file");
	assert_null(open_file("", &err));
	assert_int_equal(err.code, ERR_INPUT);
	assert_int_equal(mkdir(file.path, 0700), 0);
	assert_null(open_file("", &err));
	assert_int_equal(err.code, ERR_INPUT);
	assert_int_equal(rmdir(file.path), 0);
	assert_int_equal(mkfifo(file.path, 0600), 0); /* nor does it wait for a writer */
	assert_null(open_file("", &err));
	assert_int_equal(err.code, ERR_INPUT);
	assert_int_equal(unlink(file.path), 0);
	large = malloc(S3_CREDENTIALS_FILE_MAX + 2);
	assert_non_null(large);
	memset(large, '\n', S3_CREDENTIALS_FILE_MAX + 1);
	memcpy(large, "[default]\n" ONE, strlen("[default]\n" ONE));
	large[S3_CREDENTIALS_FILE_MAX + 1] = '\0';
	write_file(large);
	assert_null(open_file("", &err));
	assert_non_null(strstr(err.msg, "larger"));
	large[S3_CREDENTIALS_FILE_MAX] = '\0';
	write_file(large);
	s3_credentials_free(open_file("", &err));
	assert_int_equal(err.code, ERR_NONE);
	free(large);
}

static void test_who_may_read(void **state)
{
	static const struct {
		mode_t mode;
		bool fine;
	} rows[] = {{0600, true}, {0400, true}, {0640, true}, {0440, true}, {0644, false}, {0604, false}, {0602, false},
		{0601, false}, {0660, false}, {0666, false}};

	(void)state;
	write_file("[default]\n" ONE);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct s3_credentials *c;
		struct err err;

		assert_int_equal(chmod(file.path, rows[i].mode), 0);
		c = open_file("", &err);
		assert_int_equal(c != NULL, rows[i].fine);
		if (!c) {
			assert_int_equal(err.code, ERR_PERM);
			assert_non_null(strstr(err.msg, "others may not read it"));
		}
		s3_credentials_free(c);
	}
}

static void test_changes(void **state)
{
	struct s3_credentials *c;
	struct err err;

	(void)state;
	write_file("[default]\n" ONE);
	c = open_file("", &err);
	assert_non_null(c);
	get_is(c, "AKONE");
	write_file("[default]\n" TWO); /* of another size */
	get_is(c, "AKTWO");
	replace_file("[default]\n" AK "=AKTWA\n" SK "=SEcrettwo=\n" TK "=TKTWO==\n"); /* of the same: another inode */
	get_is(c, "AKTWA");
	s3_credentials_free(c);
}

/* Half-written, gone, open to all: the last good keys stay, and the next good file counts. */
static void test_changes_for_the_worse(void **state)
{
	struct s3_credentials *c;
	struct err err;

	(void)state;
	write_file("[default]\n" ONE);
	c = open_file("", &err);
	assert_non_null(c);
	write_file("[default]\n" AK "=AKTWO\naws_sec");
	get_is(c, "AKONE");
	write_file("[default]\n" TWO);
	get_is(c, "AKTWO");
	assert_int_equal(unlink(file.path), 0);
	get_is(c, "AKTWO");
	get_is(c, "AKTWO");
	write_file("[default]\n" ONE);
	assert_int_equal(chmod(file.path, 0644), 0);
	get_is(c, "AKTWO");
	assert_int_equal(chmod(file.path, 0600), 0);
	get_is(c, "AKONE");
	s3_credentials_free(c);
}

static void test_refused(void **state)
{
	struct s3_credentials *c;
	struct err err;

	(void)state;
	write_file("[default]\n" ONE);
	c = open_file("", &err);
	assert_non_null(c);
	assert_true(s3_credentials_refused(c));
	get_is(c, "AKONE"); /* read again, and the same: there are no others */
	write_file("[default]\nwrong");
	get_is(c, "AKONE");
	s3_credentials_refused(c);
	c->again_ms = NEVER_MS;
	get_fails(c, "line 2");
	assert_int_equal(unlink(file.path), 0);
	get_fails(c, "No such file");
	write_file("[default]\n" TWO);
	get_is(c, "AKTWO"); /* a change is looked at at once */
	s3_credentials_free(c);
}

/* Within one tick of the file system's clock a file can change without a sign: a refusal has it read again. */
static void test_refused_reads_again(void **state)
{
	struct s3_credentials *c;
	struct err err;

	(void)state;
	write_file("[default]\n" TWO);
	c = open_file("", &err);
	assert_non_null(c);
	write_file("[default]\n" ONE);
	c->seen = s3_file_look(file.path); /* as if it looked as before */
	get_is(c, "AKTWO");
	s3_credentials_refused(c);
	get_is(c, "AKONE");
	s3_credentials_refused(c);
	write_file("[default]\n" TWO);
	c->seen = s3_file_look(file.path);
	c->again_ms = NEVER_MS;
	get_is(c, "AKONE"); /* too soon */
	s3_credentials_free(c);
}

static void test_each_sign_of_a_change(void **state)
{
	const struct s3_file_seen old = {.there = true};
	struct s3_file_seen now[10];

	(void)state;
	for (size_t i = 0; i < COUNT(now); i++)
		now[i] = old;
	assert_true(s3_file_same(&old, &now[9]));
	now[0].there = false;
	now[1].dev = 1;
	now[2].ino = 1;
	now[3].mode = 1;
	now[4].size = 1;
	now[5].mtime.tv_sec = 1;
	now[6].mtime.tv_nsec = 1;
	now[7].ctime.tv_sec = 1;
	now[8].ctime.tv_nsec = 1;
	for (size_t i = 0; i < 9; i++)
		assert_false(s3_file_same(&old, &now[i]));
}

/* ---- threads ---- */

#define ROUNDS 300

static void *get_many(void *arg)
{
	struct s3_credentials *c = arg;
	struct s3_keys k;
	size_t wrong = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if (s3_credentials_get(c, &k, NULL) < 0 ||
			(strcmp(k.access, "AKONE") == 0) != (strcmp(k.secret, "SEcretone/+=") == 0))
			wrong++;
		if (i % 16 == 0)
			s3_credentials_refused(c);
	}
	return wrong ? c : NULL;
}

static void test_threads(void **state)
{
	struct s3_credentials *c;
	pthread_t threads[4];
	struct err err;
	void *wrong;

	(void)state;
	write_file("[default]\n" ONE);
	c = open_file("", &err);
	assert_non_null(c);
	c->again_ms = 0;
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, get_many, c), 0);
	for (int i = 0; i < ROUNDS / 4; i++)
		replace_file(i % 2 ? "[default]\n" ONE : "[default]\n" TWO);
	for (size_t i = 0; i < COUNT(threads); i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	s3_credentials_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_files),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_nul),
		cmocka_unit_test_setup_teardown(test_profiles, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_such_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_may_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes_for_the_worse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_reads_again, setup, teardown),
		cmocka_unit_test(test_each_sign_of_a_change),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
