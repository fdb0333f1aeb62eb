/* test_fs.c - common/fs.c, fs_tree.c in a folder of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/pcapline-fs-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return fs_remove_tree(dir, NULL);
}

/* A path below the test's folder; the caller frees. */
static char *below(const char *name)
{
	char *path = fs_path("%s/%s", dir, name);

	assert_non_null(path);
	return path;
}

static int count_entries(void)
{
	DIR *d = opendir(dir);
	int n = 0;

	assert_non_null(d);
	for (struct dirent *entry; (entry = readdir(d)) != NULL;)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void test_write_then_read(void **state)
{
	char *path = below("a");
	struct err e = {0};
	struct buf b;
	struct stat st;

	(void)state;
	assert_int_equal(fs_write_new(path, "one", 3, 0640, &e), 0);
	assert_int_equal(fs_write_new(path, "second", 6, 0644, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	buf_init(&b, 100);
	assert_int_equal(buf_add_str(&b, ">", &e), 0);
	assert_int_equal(fs_read(path, &b, &e), 0);
	assert_string_equal(buf_str(&b), ">second");
	assert_int_equal(count_entries(), 1); /* nothing left aside */
	buf_done(&b);
	free(path);
}

static void test_read_bound(void **state)
{
	char *path = below("a"), *text, says[200];
	struct err e = {0};
	struct buf b;

	(void)state;
	assert_int_equal(fs_write_new(path, "12345", 5, 0600, &e), 0);
	buf_init(&b, 6);
	assert_int_equal(buf_add_str(&b, ">", &e), 0);
	assert_int_equal(fs_read(path, &b, &e), 0);
	assert_int_equal(b.len, 6);
	buf_clear(&b);
	assert_int_equal(buf_add_str(&b, ">>", &e), 0);
	assert_int_equal(fs_read(path, &b, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	snprintf(says, sizeof(says), "%s has 5 bytes, more than the 4 allowed", path);
	assert_string_equal(e.msg, says);
	assert_int_equal(b.len, 2);
	buf_done(&b);

	text = fs_read_text(path, 5, &e);
	assert_non_null(text);
	assert_string_equal(text, "12345");
	free(text);
	assert_null(fs_read_text(path, 4, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	free(path);
}

static void test_size_in_stat_is_a_hint(void **state)
{
	struct err e = {0};
	struct buf b;
	char *text;

	(void)state;
	/* Files in /proc have size 0 and content. */
	text = fs_read_text("/proc/self/status", 65536, &e);
	assert_non_null(text);
	assert_non_null(strstr(text, "Name:"));
	free(text);
	assert_null(fs_read_text("/proc/self/status", 10, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_string_equal(e.msg, "/proc/self/status is larger than the 10 bytes allowed");
	buf_init(&b, 10);
	assert_int_equal(buf_add_str(&b, ">>", &e), 0);
	assert_int_equal(fs_read("/proc/self/status", &b, &e), -1);
	assert_string_equal(buf_str(&b), ">>");
	buf_done(&b);
}

static void test_text_edges(void **state)
{
	char *path = below("a"), *text;
	struct err e = {0};

	(void)state;
	assert_int_equal(fs_write_new(path, "", 0, 0600, &e), 0);
	text = fs_read_text(path, 0, &e);
	assert_non_null(text);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(fs_write_new(path, "a\0b", 3, 0600, &e), 0);
	assert_null(fs_read_text(path, 10, &e));
	assert_int_equal(e.code, ERR_INPUT);
	free(path);
}

static void test_regular_files_only(void **state)
{
	char *fifo = below("fifo");
	struct err e = {0};

	(void)state;
	assert_null(fs_read_text(dir, 10, &e));
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_null(fs_read_text(fifo, 10, &e)); /* and does not hang */
	assert_int_equal(e.code, ERR_INPUT);
	assert_null(fs_read_text("/dev/zero", 10, &e));
	assert_int_equal(e.code, ERR_INPUT);
	free(fifo);
}

static void test_missing_names_the_path(void **state)
{
	struct err e = {0};

	(void)state;
	assert_null(fs_read_text("/nowhere/a", 10, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_string_equal(e.msg, "open /nowhere/a: No such file or directory");
	assert_int_equal(fs_write_new("/nowhere/a", "x", 1, 0600, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(fs_sync_dir("/nowhere", &e), -1);
	assert_string_equal(e.msg, "open /nowhere: No such file or directory");
}

static void test_failed_write_keeps_the_old(void **state)
{
	char *path = below("folder"), *inner = below("folder/a");
	struct err e = {0};

	(void)state;
	/* A folder with content cannot be replaced by a file. */
	assert_int_equal(fs_mkdir_p(path, 0700, &e), 0);
	assert_int_equal(fs_write_new(inner, "x", 1, 0600, &e), 0);
	assert_int_equal(fs_write_new(path, "new", 3, 0600, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(access(inner, F_OK), 0);
	assert_int_equal(count_entries(), 1);
	free(inner);
	free(path);
}

static void test_full_disk_is_told_apart(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct err e = {0};

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, "x", 1, &e), -1);
	assert_int_equal(e.code, ERR_FULL);
	assert_string_equal(e.msg, "write: No space left on device");
	assert_int_equal(fs_write_all(fd, "", 0, &e), 0);
	fs_close(fd);
	fs_close(-1);
}

static void test_mkdir_p(void **state)
{
	char *deep = below("a/b//c/"), *file = below("file"), *under = below("file/x");
	struct err e = {0};
	struct stat st;

	(void)state;
	assert_int_equal(fs_mkdir_p(deep, 0750, &e), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(fs_mkdir_p(deep, 0750, &e), 0);
	assert_int_equal(fs_mkdir_p("/", 0750, &e), 0);
	assert_int_equal(fs_write_new(file, "x", 1, 0600, &e), 0);
	assert_int_equal(fs_mkdir_p(file, 0750, &e), -1);
	assert_int_equal(fs_mkdir_p(under, 0750, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(fs_mkdir_p("", 0750, &e), -1);
	free(deep);
	free(file);
	free(under);
}

static void test_remove_tree(void **state)
{
	char *tree = below("tree"), *deep = below("tree/a/b/c"), *file = below("tree/a/f"),
	     *link = below("tree/a/link");
	char *outside = below("outside"), *kept = below("outside/kept");
	struct err e = {0};

	(void)state;
	assert_int_equal(fs_mkdir_p(deep, 0700, &e), 0);
	assert_int_equal(fs_mkdir_p(outside, 0700, &e), 0);
	assert_int_equal(fs_write_new(file, "x", 1, 0600, &e), 0);
	assert_int_equal(fs_write_new(kept, "x", 1, 0600, &e), 0);
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(fs_remove_tree(tree, &e), 0);
	assert_int_equal(access(tree, F_OK), -1);
	assert_int_equal(access(kept, F_OK), 0); /* what a link pointed at stays */
	assert_int_equal(fs_remove_tree(tree, &e), 0);

	/* A link itself, and a plain file, go alone. */
	assert_int_equal(symlink(outside, tree), 0);
	assert_int_equal(fs_remove_tree(tree, &e), 0);
	assert_int_equal(access(kept, F_OK), 0);
	assert_int_equal(fs_remove_tree(kept, &e), 0);
	assert_int_equal(access(kept, F_OK), -1);
	free(tree);
	free(deep);
	free(file);
	free(link);
	free(outside);
	free(kept);
}

static void test_remove_many(void **state)
{
	char *tree = below("many"), name[32];
	struct err e = {0};

	(void)state;
	assert_int_equal(fs_mkdir_p(tree, 0700, &e), 0);
	for (int i = 0; i < 2000; i++) {
		char *path;
		int fd;

		snprintf(name, sizeof(name), "many/%d", i);
		path = below(name);
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		fs_close(fd);
		free(path);
	}
	if (fs_remove_tree(tree, &e) < 0)
		fail_msg("%s", e.msg);
	free(tree);
}

static void test_free_bytes(void **state)
{
	struct err e = {0};
	uint64_t n = 0;

	(void)state;
	assert_int_equal(fs_free_bytes(dir, &n, &e), 0);
	assert_true(n > 0);
	n = 42;
	assert_int_equal(fs_free_bytes("/nowhere", &n, &e), -1);
	assert_int_equal(n, 42);
	assert_string_equal(e.msg, "statvfs /nowhere: No such file or directory");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_write_then_read),
		CASE(test_read_bound),
		CASE(test_size_in_stat_is_a_hint),
		CASE(test_text_edges),
		CASE(test_regular_files_only),
		CASE(test_missing_names_the_path),
		CASE(test_failed_write_keeps_the_old),
		CASE(test_full_disk_is_told_apart),
		CASE(test_mkdir_p),
		CASE(test_remove_tree),
		CASE(test_remove_many),
		CASE(test_free_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
