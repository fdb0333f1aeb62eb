/* test_driver_file.c - objects in a folder: made of parts, checked, never written over, erased without a trace; and keys that do not get out. */
#include "test/unit/temp_file.h"
#include "uploader/driver.h"
#include "uploader/file_tree.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/id.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY   "captures/acme/2026/01/05/job.pcapng"
#define PARTS 4u

struct fixture {
	struct temp_file folder;
	char root[TEMP_FILE_PATH_MAX + 16];
	struct driver *d;
	char job[ID_MAX];
	struct driver_tags tags;
	uint8_t bytes[PARTS * 1000];
	char *parts[PARTS];
	struct driver_object whole; /* of all parts */
	struct driver_erased erased;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = {0};

	assert_non_null(f);
	temp_file_init(&f->folder);
	snprintf(f->root, sizeof(f->root), "%s/objects", f->folder.dir);
	assert_non_null(f->d = driver_file_new(f->root, &err));
	id_new(f->job);
	f->tags = (struct driver_tags){
		.job = f->job, .user = "alice \"quoted\" \xc3\xa9", .org = "acme", .space = "dev", .source = "host"};
	for (size_t i = 0; i < sizeof(f->bytes); i++)
		f->bytes[i] = (uint8_t)(i * 31 >> 3);
	f->whole.bytes = sizeof(f->bytes);
	digest_sha256_hex(f->bytes, sizeof(f->bytes), f->whole.sha256);
	*state = f;
	return 0;
}

static void parts_forget(struct fixture *f)
{
	for (size_t i = 0; i < PARTS; i++) {
		free(f->parts[i]);
		f->parts[i] = NULL;
	}
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	parts_forget(f);
	f->d->ops->free(f->d);
	temp_file_done(&f->folder);
	free(f);
	return 0;
}

static void *begin(struct fixture *f, const char *resume)
{
	struct err err = {0};
	void *u = f->d->ops->upload_begin(f->d, KEY, &f->tags, resume, &err);

	if (!u)
		fail_msg("%s", err.msg);
	return u;
}

/* Part seq out of n bytes at p, through a file as the store has it. */
static int put(struct fixture *f, void *u, uint32_t seq, const void *p, size_t n, char **ret, struct err *err)
{
	char sha256[DIGEST_SHA256_HEX_MAX];
	int fd, rc;

	temp_file_write(&f->folder, p, n);
	digest_sha256_hex(p, n, sha256);
	fd = open(f->folder.path, O_RDONLY);
	assert_true(fd >= 0);
	rc = f->d->ops->upload_part(u, seq, false, fd, n, sha256, ret, err);
	close(fd);
	return rc;
}

static void put_part(struct fixture *f, void *u, uint32_t seq)
{
	struct err err = {0};
	char *text = NULL;

	if (put(f, u, seq, f->bytes + (seq - 1) * 1000, 1000, &text, &err) < 0)
		fail_msg("%s", err.msg);
	free(f->parts[seq - 1]);
	f->parts[seq - 1] = text;
}

static int complete(struct fixture *f, void *u, uint32_t n, const struct driver_object *expect, struct err *err)
{
	return f->d->ops->upload_complete(u, n, (const char *const *)f->parts, expect, err);
}

static void assert_object(struct fixture *f, bool there)
{
	struct err err = {0};
	uint8_t got[sizeof(f->bytes) + 1];
	uint64_t bytes;
	int fd = f->d->ops->open(f->d, KEY, &bytes, &err);

	if (!there) {
		assert_int_equal(fd, -1);
		assert_int_equal(err.code, ERR_NOT_FOUND);
		return;
	}
	assert_true(fd >= 0);
	assert_int_equal(bytes, sizeof(f->bytes));
	assert_int_equal(read(fd, got, sizeof(got)), sizeof(f->bytes));
	assert_memory_equal(got, f->bytes, sizeof(f->bytes));
	close(fd);
}

static bool in_root(const struct fixture *f, const char *format, const char *arg)
{
	char name[256], path[512];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", arg, format);
	snprintf(path, sizeof(path), "%s/%s", f->root, name);
	return stat(path, &st) == 0;
}

static void assert_uploads_empty(const struct fixture *f)
{
	char name[64];

	snprintf(name, sizeof(name), ".uploads/%s", f->job);
	assert_false(in_root(f, ".part", name));
	assert_false(in_root(f, ".index", name));
}

static void whole_object(struct fixture *f)
{
	struct err err = {0};
	void *u = begin(f, "");

	for (uint32_t seq = 1; seq <= PARTS; seq++)
		put_part(f, u, seq);
	assert_object(f, false);
	if (complete(f, u, PARTS, &f->whole, &err) < 0)
		fail_msg("%s", err.msg);
	f->d->ops->upload_free(u);
}

static void test_object(void **state)
{
	struct fixture *f = *state;
	char path[512];
	struct stat st;
	json_t *meta;

	whole_object(f);
	assert_object(f, true);
	assert_uploads_empty(f);
	assert_int_equal(stat(f->root, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s/" KEY, f->root);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_nlink, 1);
	snprintf(path, sizeof(path), "%s/" KEY ".meta", f->root);
	assert_non_null(meta = json_load_file(path, JSON_REJECT_DUPLICATES, NULL));
	assert_string_equal(json_string_value(json_object_get(meta, "job")), f->job);
	assert_string_equal(json_string_value(json_object_get(meta, "user")), f->tags.user);
	assert_string_equal(json_string_value(json_object_get(meta, "sha256")), f->whole.sha256);
	assert_int_equal(json_integer_value(json_object_get(meta, "size_bytes")), f->whole.bytes);
	json_decref(meta);
	assert_int_equal(f->d->ops->check(f->d, NULL), 0);
}

static void test_erase(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	char path[512];

	assert_int_equal(f->d->ops->erase(f->d, KEY, &f->erased, &err), 0);
	whole_object(f);
	snprintf(path, sizeof(path), "%s/captures/acme/notes", f->root);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	assert_int_equal(f->erased.objects, 0);
	assert_int_equal(f->d->ops->erase(f->d, KEY, &f->erased, &err), 0);
	assert_int_equal(f->erased.objects, 1);
	assert_int_equal(f->erased.bytes, f->whole.bytes);
	assert_object(f, false);
	assert_false(in_root(f, ".meta", KEY));
	assert_false(in_root(f, "", "captures/acme/2026"));
	assert_true(in_root(f, "", "captures/acme/notes")); /* what is not ours stays, and its folder with it */
	assert_int_equal(unlink(path), 0);
	parts_forget(f);
	whole_object(f);
	assert_int_equal(f->d->ops->erase(f->d, KEY, &f->erased, &err), 0);
	assert_false(in_root(f, "", "captures"));
	assert_true(in_root(f, "", ".uploads"));
	assert_int_equal(f->d->ops->erase(f->d, KEY, &f->erased, &err), 0);
	assert_int_equal(f->erased.objects, 2); /* it adds */
	assert_int_equal(f->erased.bytes, 2 * f->whole.bytes);
	assert_int_equal(f->d->ops->parallel(f->d), 1);
}

static void test_never_overwrites(void **state)
{
	struct fixture *f = *state;
	struct driver_tags other = f->tags;
	struct err err = {0};
	char job[ID_MAX];
	void *early, *u;

	id_new(job);
	other.job = job;
	early = f->d->ops->upload_begin(f->d, KEY, &other, "", &err); /* began before the object stood */
	assert_non_null(early);
	whole_object(f);
	assert_null(f->d->ops->upload_begin(f->d, KEY, &other, "", &err));
	assert_int_equal(err.code, ERR_STATE);

	char *text = NULL;
	struct driver_object expect = {.bytes = 3};
	assert_int_equal(put(f, early, 1, "abc", 3, &text, &err), 0);
	digest_sha256_hex("abc", 3, expect.sha256);
	assert_int_equal(f->d->ops->upload_complete(early, 1, (const char *const *)&text, &expect, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	free(text);
	f->d->ops->upload_free(early);
	assert_object(f, true);

	/* After a crash the one who made it finds it, and that it is his. */
	u = begin(f, f->job);
	assert_int_equal(complete(f, u, 0, &f->whole, &err), 0);
	f->d->ops->upload_free(u);
	assert_object(f, true);
	assert_uploads_empty(f);
}

/* Pitfall 1 and 3: whatever does not match, nothing stands at the key. */
static void test_mismatches(void **state)
{
	static const struct {
		const char *what;
		int64_t bytes; /* added to what is expected */
		bool sum;      /* another sum is expected */
		uint32_t n;    /* parts named */
		int part;      /* this one is named otherwise, -1: none */
	} cases[] = {
		{"one byte less", -1, false, PARTS, -1},
		{"one byte more", 1, false, PARTS, -1},
		{"another sum", 0, true, PARTS, -1},
		{"a part less", 0, false, PARTS - 1, -1},
		{"no part", 0, false, 0, -1},
		{"first part another", 0, false, PARTS, 0},
		{"last part another", 0, false, PARTS, PARTS - 1},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct driver_object expect = f->whole;
		struct err err = {0};
		void *u = begin(f, "");

		for (uint32_t seq = 1; seq <= PARTS; seq++)
			put_part(f, u, seq);
		expect.bytes = (uint64_t)((int64_t)expect.bytes + cases[i].bytes);
		if (cases[i].sum)
			expect.sha256[0] = expect.sha256[0] == '0' ? '1' : '0';
		if (cases[i].part >= 0)
			f->parts[cases[i].part][0]++;
		if (complete(f, u, cases[i].n, &expect, &err) == 0 || err.code != ERR_IO)
			fail_msg("%s: %s", cases[i].what, err.msg);
		assert_object(f, false);
		assert_false(in_root(f, "", "captures"));
		assert_int_equal(f->d->ops->upload_abort(u, &err), 0);
		f->d->ops->upload_free(u);
		assert_uploads_empty(f);
	}
}

/* What the disk gives back is checked, not what was sent. */
static void test_bytes_change_on_disk(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	void *u = begin(f, "");
	char path[512];
	int fd;

	for (uint32_t seq = 1; seq <= PARTS; seq++)
		put_part(f, u, seq);
	snprintf(path, sizeof(path), "%s/.uploads/%s.part", f->root, f->job);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "x", 1, 1234), 1);
	close(fd);
	assert_int_equal(complete(f, u, PARTS, &f->whole, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_object(f, false);
	/* The parts from there on are sent once more. */
	for (uint32_t seq = 2; seq <= PARTS; seq++)
		put_part(f, u, seq);
	assert_int_equal(complete(f, u, PARTS, &f->whole, &err), 0);
	f->d->ops->upload_free(u);
	assert_object(f, true);
}

static void test_order_of_parts(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	void *u = begin(f, "");
	char *text = NULL;

	assert_int_equal(put(f, u, 0, "abc", 3, &text, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_int_equal(put(f, u, 2, "abc", 3, &text, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	put_part(f, u, 1);
	put_part(f, u, 2);
	put_part(f, u, 3);
	/* Again, first with other bytes of another length: the one that came last counts. */
	assert_int_equal(put(f, u, 2, "abc", 3, &text, &err), 0);
	free(text);
	put_part(f, u, 2);
	put_part(f, u, 2);
	put_part(f, u, 3);
	put_part(f, u, 4);
	assert_int_equal(complete(f, u, PARTS, &f->whole, &err), 0);
	f->d->ops->upload_free(u);
	assert_object(f, true);
}

static void test_part_shorter_than_told(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	void *u = begin(f, "");
	char *text = NULL;
	int fd;

	temp_file_write(&f->folder, "abc", 3);
	fd = open(f->folder.path, O_RDONLY);
	assert_int_equal(f->d->ops->upload_part(u, 1, true, fd, 4, "00", &text, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	close(fd);
	for (uint32_t seq = 1; seq <= PARTS; seq++)
		put_part(f, u, seq);
	assert_int_equal(complete(f, u, PARTS, &f->whole, &err), 0);
	f->d->ops->upload_free(u);
	assert_object(f, true);
}

/* A crash at any byte of the last line of the index, with bytes of a part that nobody knows of behind the data. */
static void test_resume(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	char index[512], data[512];
	struct stat st;
	char *text;

	snprintf(index, sizeof(index), "%s/.uploads/%s.index", f->root, f->job);
	snprintf(data, sizeof(data), "%s/.uploads/%s.part", f->root, f->job);
	for (off_t cut = 0;; cut += 7) {
		void *u = begin(f, "");
		off_t two;
		int fd;

		put_part(f, u, 1);
		put_part(f, u, 2);
		assert_int_equal(stat(index, &st), 0);
		two = st.st_size;
		put_part(f, u, 3);
		assert_int_equal(stat(index, &st), 0);
		text = f->d->ops->upload_state(u, &err);
		assert_non_null(text);
		f->d->ops->upload_free(u);
		if (two + cut >= st.st_size) {
			free(text);
			break;
		}
		assert_int_equal(truncate(index, two + cut), 0);
		fd = open(data, O_WRONLY | O_APPEND);
		assert_int_equal(write(fd, "rubbish", 7), 7);
		close(fd);

		u = begin(f, text);
		free(text);
		char *none = NULL;
		assert_int_equal(put(f, u, 4, "abc", 3, &none, &err), -1); /* part 3 is not there */
		put_part(f, u, 3);
		put_part(f, u, 4);
		assert_int_equal(complete(f, u, PARTS, &f->whole, &err), 0);
		f->d->ops->upload_free(u);
		assert_object(f, true);
		assert_int_equal(f->d->ops->erase(f->d, KEY, &f->erased, &err), 0);
	}
}

static void test_resume_refuses(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};

	assert_null(f->d->ops->upload_begin(f->d, KEY, &f->tags, "another job", &err));
	assert_int_equal(err.code, ERR_INPUT);
}

static void test_tags(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};

	f->tags.user = "bad \xff utf-8";
	assert_null(f->d->ops->upload_begin(f->d, KEY, &f->tags, "", &err));
	assert_int_equal(err.code, ERR_INPUT);
	f->tags.user = NULL;
	void *u = begin(f, "");
	assert_int_equal(f->d->ops->upload_abort(u, &err), 0);
	f->d->ops->upload_free(u);
	static const char *const jobs[] = {"", "..", "../x", "a/b", ".hidden"};
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		f->tags.job = jobs[i];
		assert_null(f->d->ops->upload_begin(f->d, KEY, &f->tags, "", &err));
	}
	f->tags.job = f->job;
}

#define A10  "aaaaaaaaaa"
#define A50  A10 A10 A10 A10 A10
#define A200 A50 A50 A50 A50

static void test_keys(void **state)
{
	static const struct {
		const char *key;
		bool good;
	} cases[] = {
		{"a", true},
		{"a/b", true},
		{"captures/a-b_c.d/x..y/z.", true},
		{A200, true},
		{A200 "a", false},
		{"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", true},
		{"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", false},
		{A200 "/" A200 "/" A200 "/" A200 "/" A200 "/" A10 "aaaaaaaaa", true},
		{A200 "/" A200 "/" A200 "/" A200 "/" A200 "/" A10 A10, false},
		{"", false},
		{"/", false},
		{"/a", false},
		{"a/", false},
		{"a//b", false},
		{".", false},
		{"..", false},
		{"a/../b", false},
		{"../a", false},
		{"a/..", false},
		{".uploads/x", false},
		{"a/.hidden", false},
		{"a b", false},
		{"a\\b", false},
		{"a\nb", false},
		{"\xc3\xa9", false},
		{"a.meta", false},
		{"a/b.meta", false},
		{"a.meta/b", true},
		{"a.metal", true},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		uint64_t bytes;

		if ((file_tree_check(cases[i].key, &err) == 0) != cases[i].good)
			fail_msg("key \"%s\"", cases[i].key);
		err.code = ERR_NONE;
		assert_int_equal(f->d->ops->open(f->d, cases[i].key, &bytes, &err), -1);
		assert_int_equal(err.code, cases[i].good ? ERR_NOT_FOUND : ERR_INPUT);
		if (cases[i].good)
			continue;
		assert_int_equal(f->d->ops->erase(f->d, cases[i].key, &f->erased, &err), -1);
		assert_null(f->d->ops->upload_begin(f->d, cases[i].key, &f->tags, "", &err));
		assert_int_equal(err.code, ERR_INPUT);
	}
}

/* A link that somebody laid into the store is not followed, neither as folder nor as object. */
static void test_links_are_not_followed(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	char path[512], outside[512];
	uint64_t bytes;

	snprintf(outside, sizeof(outside), "%s/outside", f->folder.dir);
	assert_int_equal(mkdir(outside, 0700), 0);
	snprintf(path, sizeof(path), "%s/captures", f->root);
	assert_int_equal(symlink(outside, path), 0);
	assert_null(f->d->ops->upload_begin(f->d, KEY, &f->tags, "", &err));
	assert_int_equal(f->d->ops->open(f->d, KEY, &bytes, &err), -1);
	assert_int_equal(f->d->ops->erase(f->d, KEY, &f->erased, &err), -1);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/x", f->root);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(f->d->ops->open(f->d, "x", &bytes, &err), -1);
}

static void test_roots(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	struct driver *d;
	char path[512];

	assert_null(driver_file_new("/", &err));
	assert_int_equal(err.code, ERR_INPUT);
	snprintf(path, sizeof(path), "%s/file/x", f->folder.dir);
	temp_file_write(&f->folder, "x", 1);
	assert_null(driver_file_new(path, &err));            /* a file is in the way */
	assert_non_null(d = driver_file_new(f->root, &err)); /* twice the same one is fine */
	d->ops->free(d);
	snprintf(path, sizeof(path), "%s/.uploads", f->root);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(f->d->ops->check(f->d, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_object, setup, teardown),
		cmocka_unit_test_setup_teardown(test_erase, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_overwrites, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mismatches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes_change_on_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order_of_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_part_shorter_than_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resume, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resume_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_are_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roots, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
