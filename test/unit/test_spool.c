/* test_spool.c - the chunk files of one job. */
#include "test/unit/store_rig.h"
#include "uploader/spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct temp_file folder;
	struct store_rig_stream s;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	temp_file_init(&f->folder);
	store_rig_stream_make(&f->s, FRAME_PCAPNG, 1, 8);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_rig_stream_done(&f->s);
	temp_file_done(&f->folder);
	free(f);
	return 0;
}

static void file_path(const struct fixture *f, const char *name, char ret[TEMP_FILE_PATH_MAX + 64])
{
	snprintf(ret, TEMP_FILE_PATH_MAX + 64, "%s/job/%s", f->folder.dir, name);
}

static off_t file_size(const struct fixture *f, const char *name)
{
	char path[TEMP_FILE_PATH_MAX + 64];
	struct stat st;

	file_path(f, name, path);
	return stat(path, &st) < 0 ? -1 : st.st_size;
}

static void file_make(const struct fixture *f, const char *name, const void *p, size_t n)
{
	char path[TEMP_FILE_PATH_MAX + 64];
	int fd;

	file_path(f, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

static void test_life(void **state)
{
	struct fixture *f = *state;
	struct spool *sp;
	struct err err = {0};
	char path[TEMP_FILE_PATH_MAX + 64];
	struct stat st;
	uint64_t bytes;
	int fd;

	assert_null(spool_open(f->folder.dir, "job", &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(sp = spool_begin(f->folder.dir, "job", &err));
	assert_null(spool_begin(f->folder.dir, "job", &err));
	assert_int_equal(err.code, ERR_STATE);
	file_path(f, "", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);

	assert_int_equal(spool_start(sp, 1, &err), 0);
	assert_int_equal(spool_append(sp, "abc", 3, &err), 0);
	assert_int_equal(file_size(f, "000001.open"), 3); /* no buffer of ours: it is in the file at once */
	assert_int_equal(spool_append(sp, "de", 2, &err), 0);
	assert_int_equal(spool_seal(sp, false, &err), 0);
	assert_int_equal(file_size(f, "000001.open"), -1);
	assert_int_equal(file_size(f, "000001.chunk"), 5);
	assert_int_equal(spool_start(sp, 999999, &err), 0);
	assert_int_equal(spool_seal(sp, true, &err), 0);
	assert_int_equal(file_size(f, "999999.last"), 0);
	assert_int_equal(spool_start(sp, 1000000, &err), -1);
	assert_int_equal(err.code, ERR_FULL);

	fd = spool_chunk_fd(sp, 1, SPOOL_CHUNK, &bytes, &err);
	assert_true(fd >= 0);
	assert_int_equal(bytes, 5);
	close(fd);
	assert_int_equal(spool_chunk_fd(sp, 2, SPOOL_CHUNK, &bytes, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(spool_unlink(sp, 1, SPOOL_CHUNK, &err), 0);
	assert_int_equal(spool_unlink(sp, 1, SPOOL_CHUNK, &err), 0);
	assert_int_equal(file_size(f, "000001.chunk"), -1);
	spool_close(sp);
	assert_int_equal(spool_remove(f->folder.dir, "job", &err), 0);
	assert_int_equal(spool_remove(f->folder.dir, "job", &err), 0);
	assert_int_equal(stat(path, &st), -1);
}

static void test_open_chunk_is_never_replaced(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	struct spool *sp = spool_begin(f->folder.dir, "job", &err);

	file_make(f, "000001.open", "abc", 3);
	assert_int_equal(spool_start(sp, 1, &err), -1);
	assert_int_equal(file_size(f, "000001.open"), 3);
	spool_close(sp);
}

static void test_short_write_is_cut_back(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	struct spool *sp = spool_begin(f->folder.dir, "job", &err);
	struct rlimit old, small;

	assert_int_equal(spool_start(sp, 1, &err), 0);
	assert_int_equal(spool_append(sp, "0123456789", 10, &err), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 15;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(spool_append(sp, "0123456789", 10, &err), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(file_size(f, "000001.open"), 10);
	assert_int_equal(spool_append(sp, "abc", 3, &err), 0);
	assert_int_equal(file_size(f, "000001.open"), 13);
	spool_close(sp);
}

static void test_scan(void **state)
{
	static const char *const foreign[] = {"1.chunk", "0000001.chunk", "000000.chunk", "000001.chunk~",
		"000001.chun", "000001.bad", "00000a.open", "000001", ".000001.open", "notes"};
	static const struct {
		const char *name;
		struct spool_file want;
	} ours[] = {
		{"000001.chunk", {1, SPOOL_CHUNK, 1}},
		{"000002.open", {2, SPOOL_OPEN, 2}},
		{"000002.chunk", {2, SPOOL_CHUNK, 3}},
		{"000002.last", {2, SPOOL_LAST, 4}},
		{"000010.open", {10, SPOOL_OPEN, 5}},
		{"999999.open", {999999, SPOOL_OPEN, 6}},
	};
	struct fixture *f = *state;
	struct err err = {0};
	struct spool *sp = spool_begin(f->folder.dir, "job", &err);
	char path[TEMP_FILE_PATH_MAX + 64];
	struct spool_file *files;
	size_t n;

	assert_int_equal(spool_scan(sp, &files, &n, &err), 0);
	assert_int_equal(n, 0);
	free(files);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		file_make(f, foreign[i], "x", 1);
	file_path(f, "000003.chunk", path);
	assert_int_equal(mkdir(path, 0700), 0);
	file_path(f, "000004.chunk", path);
	assert_int_equal(symlink("000001.chunk", path), 0);
	file_path(f, "000005.chunk", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	for (size_t i = sizeof(ours) / sizeof(ours[0]); i > 0; i--)
		file_make(f, ours[i - 1].name, "xxxxxx", i);
	assert_int_equal(spool_scan(sp, &files, &n, &err), 0);
	assert_int_equal(n, sizeof(ours) / sizeof(ours[0]));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(files[i].seq, ours[i].want.seq);
		assert_int_equal(files[i].kind, ours[i].want.kind);
		assert_int_equal(files[i].bytes, ours[i].want.bytes);
	}
	assert_int_equal(spool_set_aside(sp, &files[0], &err), 0);
	assert_int_equal(file_size(f, "000001.chunk"), -1);
	assert_int_equal(file_size(f, "000001.bad"), 1);
	free(files);
	/* Not regular files are not opened either, and a FIFO does not hang us. */
	uint64_t bytes;
	for (uint32_t seq = 3; seq <= 5; seq++)
		assert_int_equal(spool_chunk_fd(sp, seq, SPOOL_CHUNK, &bytes, &err), -1);
	spool_close(sp);
}

/* A file cut at every byte is measured up to its last whole block. */
static void test_measure_every_cut(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	struct spool *sp = spool_begin(f->folder.dir, "job", &err);
	char path[TEMP_FILE_PATH_MAX + 64];

	file_make(f, "000001.open", f->s.bytes, f->s.n);
	file_path(f, "000001.open", path);
	for (size_t n = f->s.n + 1; n-- > 0;) {
		struct frame frame = {0}, same = {0};
		char want[DIGEST_SHA256_HEX_MAX], got[DIGEST_SHA256_HEX_MAX];
		struct digest *chunk = digest_new();
		struct sha_state sum;
		uint64_t bytes;

		assert_int_equal(truncate(path, (off_t)n), 0);
		sha_state_init(&sum);
		assert_int_equal(spool_measure(sp, 1, SPOOL_OPEN, &frame, &sum, chunk, &bytes, &err), 0);
		assert_int_equal(bytes, frame_walk(&same, f->s.bytes, n));
		digest_sha256_hex(f->s.bytes, bytes, want);
		digest_hex(chunk, got);
		assert_string_equal(got, want);
		sha_state_hex(&sum, got);
		assert_string_equal(got, want);
		digest_free(chunk);
	}
	spool_close(sp);
}

/* More than one window of the walk, with the longest of blocks across its edges. */
static void test_measure_long(void **state)
{
	const size_t block = FRAME_UNIT_BYTES_MAX - 4, blocks = 7;
	struct fixture *f = *state;
	struct err err = {0};
	struct spool *sp = spool_begin(f->folder.dir, "job", &err);
	uint8_t *bytes = calloc(1, f->s.ends[0] + block * blocks + 8), *p;
	const uint32_t type = 0x0bad, len = (uint32_t)block;
	struct digest *chunk = digest_new();
	struct frame frame = {0};
	struct sha_state sum;
	uint64_t got;

	assert_non_null(bytes);
	memcpy(bytes, f->s.bytes, f->s.ends[0]);
	p = bytes + f->s.ends[0];
	for (size_t i = 0; i < blocks; i++, p += block) {
		memcpy(p, &type, 4);
		memcpy(p + 4, &len, 4);
		memcpy(p + block - 4, &len, 4);
	}
	memcpy(p, &type, 4);
	memcpy(p + 4, &len, 4); /* and the beginning of one more */
	file_make(f, "000001.open", bytes, (size_t)(p - bytes) + 8);
	sha_state_init(&sum);
	assert_int_equal(spool_measure(sp, 1, SPOOL_OPEN, &frame, &sum, chunk, &got, &err), 0);
	assert_int_equal(got, p - bytes);
	assert_false(frame.bad);
	assert_int_equal(spool_resume(sp, 1, got, &err), 0);
	assert_int_equal(file_size(f, "000001.open"), got);
	assert_int_equal(spool_append(sp, "abcd", 4, &err), 0);
	assert_int_equal(file_size(f, "000001.open"), got + 4);
	digest_free(chunk);
	free(bytes);
	spool_close(sp);
}

/* What lies in chunk files counts, whatever else is in the folder. */
static void test_bytes(void **state)
{
	struct fixture *f = *state;
	uint64_t bytes = 9;
	struct err err = {0};

	assert_int_equal(spool_bytes(f->folder.dir, "job", &bytes, &err), 0);
	assert_int_equal(bytes, 0);
	struct spool *sp = spool_begin(f->folder.dir, "job", &err);
	assert_non_null(sp);
	assert_int_equal(spool_key_put(sp, "a/job.pcapng", &err), 0);
	file_make(f, "000001.chunk", f->s.bytes, 100);
	file_make(f, "000002.bad", f->s.bytes, 20);
	file_make(f, "000003.open", f->s.bytes, 3);
	file_make(f, "00004.open", f->s.bytes, 50);
	file_make(f, "000000.open", f->s.bytes, 50);
	file_make(f, "notes", f->s.bytes, 50);
	assert_int_equal(spool_bytes(f->folder.dir, "job", &bytes, &err), 0);
	assert_int_equal(bytes, 123);
	spool_close(sp);
}

static void test_key(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	struct spool *sp = spool_begin(f->folder.dir, "job", &err);
	char text[SPOOL_KEY_MAX + 1];
	char *key;

	assert_non_null(sp);
	assert_null(spool_key_get(sp, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(spool_key_put(sp, "long/long/ago/job.pcapng", &err), 0);
	assert_int_equal(spool_key_put(sp, "a/job.pcapng", &err), 0);
	assert_non_null(key = spool_key_get(sp, &err));
	assert_string_equal(key, "a/job.pcapng");
	free(key);
	memset(text, 'k', sizeof(text));
	file_make(f, "key", text, SPOOL_KEY_MAX);
	assert_non_null(key = spool_key_get(sp, &err));
	assert_int_equal(strlen(key), SPOOL_KEY_MAX);
	free(key);
	file_make(f, "key", text, sizeof(text));
	assert_null(spool_key_get(sp, &err));
	file_make(f, "key", "a\0b", 3);
	assert_null(spool_key_get(sp, &err));
	file_make(f, "key", "", 0);
	assert_null(spool_key_get(sp, &err));
	assert_int_equal(err.code, ERR_IO);
	spool_close(sp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_chunk_is_never_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_write_is_cut_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_measure_every_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_measure_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
