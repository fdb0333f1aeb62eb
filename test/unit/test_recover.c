/* test_recover.c - the process dies: at chosen points, at random ones, and in the middle of recovering.  Whatever happened, the object is
 * what was written up to some whole block, holds everything that store_write had taken, and ends with the notes of recovery. */
#include "test/unit/store_rig.h"

#include "test/unit/store_rig_bucket.h"

#include "common/fs.h"
#include "schema/pcapng.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NO_KILL SIZE_MAX

/* What a child process of a test shall do. */
struct plan {
	enum store_rig_point die_at;
	unsigned die_after;
	size_t kill_after; /* this many writes: SIGKILL; NO_KILL: go on to the end and finish */
	unsigned kill_us;  /* after so long: SIGKILL, wherever its threads are; 0: not */
	bool recover;      /* recover instead of writing */
};

/* Shared with the child: how many bytes it was told are taken. */
static volatile size_t *taken;

static void child_write(struct store_rig *r, const struct store_rig_stream *s, size_t kill_after)
{
	struct store_job *j = store_rig_begin(r);
	struct driver_object o;
	size_t at = 0;

	for (size_t i = 0; i < s->writes_n; i++) {
		if (i == kill_after)
			raise(SIGKILL);
		if (store_write(j, s->bytes + at, s->ends[i] - at, NULL) < 0)
			_exit(3);
		*taken = at = s->ends[i];
	}
	if (kill_after == s->writes_n)
		raise(SIGKILL);
	if (store_job_finish(j, &o, NULL) < 0)
		_exit(4);
}

static void *killer(void *arg)
{
	const struct plan *p = arg;

	usleep(p->kill_us);
	raise(SIGKILL);
	return NULL;
}

static void child_main(struct store_rig *r, const struct store_rig_stream *s, const struct plan *p)
{
	struct driver_tags tags = store_rig_tags(r);
	struct driver_object o;
	pthread_t thread;

	r->die_at = p->die_at;
	r->die_after = p->die_after;
	store_rig_open(r);
	if (p->kill_us > 0 && pthread_create(&thread, NULL, killer, (void *)p) != 0)
		_exit(6);
	if (!p->recover)
		child_write(r, s, p->kill_after);
	else if (store_recover(r->store, r->job, r->key, &tags, store_rig_tail, NULL, &o, NULL) < 0)
		_exit(5);
	store_rig_close(r);
	_exit(0);
}

/* true: it died as planned; false: it came to its end. */
static bool run_child(struct store_rig *r, const struct store_rig_stream *s, const struct plan *p)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child_main(r, s, p);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return true;
	}
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == STORE_RIG_DEATH);
	return WEXITSTATUS(status) == STORE_RIG_DEATH;
}

static int ignore_block(void *ctx, const struct pcapng_block *b, struct err *err)
{
	(void)ctx;
	(void)b;
	(void)err;
	return 0;
}

static void assert_pcapng(const uint8_t *p, size_t n)
{
	struct err err = {0};
	struct pcapng_reader *reader = pcapng_reader_new(0, ignore_block, NULL, &err);

	assert_non_null(reader);
	if (pcapng_reader_feed(reader, p, n, &err) < 0 || pcapng_reader_end(reader, &err) < 0)
		fail_msg("%s", err.msg);
	pcapng_reader_free(reader);
}

/* The object is the first bytes of the stream, at least `least` of them and to the end of a block, then tails times the notes. */
static void assert_prefix(struct store_rig *r, const struct store_rig_stream *s, const struct driver_object *o,
	size_t least, size_t tails)
{
	char sha256[DIGEST_SHA256_HEX_MAX];
	size_t n = 0, tail = store_rig_tail_bytes(s->interfaces);
	uint8_t *p = store_rig_object(r, &n);

	assert_non_null(p);
	digest_sha256_hex(p, n, sha256);
	assert_int_equal(o->bytes, n);
	assert_string_equal(o->sha256, sha256);
	assert_in_range(n, least + tails * tail, s->n + tails * tail);
	assert_memory_equal(p, s->bytes, n - tails * tail);
	if (s->interfaces)
		assert_pcapng(p, n);
	free(p);
}

static void assert_clean(struct store_rig *r)
{
	char path[TEMP_FILE_PATH_MAX + 128];
	struct job_chunk *chunks;
	struct stat st;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", r->spool, r->job);
	assert_int_equal(stat(path, &st), -1);
	snprintf(path, sizeof(path), "%s/.uploads/%s.part", r->root, r->job);
	assert_int_equal(stat(path, &st), -1);
	snprintf(path, sizeof(path), "%s/.uploads/%s.index", r->root, r->job);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(job_db_chunks(r->db, r->job, &chunks, &n, NULL), 0);
	job_db_chunks_free(chunks, n);
	assert_int_equal(n, 0);
	assert_int_equal(store_rig_bucket_uploads(r->root), 0);
}

static int recover(struct store_rig *r, struct driver_object *ret, struct err *err)
{
	struct driver_tags tags = store_rig_tags(r);

	return store_recover(r->store, r->job, r->key, &tags, store_rig_tail, NULL, ret, err);
}

static void recover_well(struct store_rig *r, struct driver_object *ret)
{
	struct err err = {0};

	if (recover(r, ret, &err) < 0)
		fail_msg("store_recover: %s", err.msg);
}

static int setup(void **state)
{
	struct store_rig *r = malloc(sizeof(*r));

	assert_non_null(r);
	store_rig_init(r);
	*taken = 0;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	store_rig_done(*state);
	free(*state);
	return 0;
}

/* ---- chosen points ---- */

static void test_each_point(void **state)
{
	static const struct {
		const char *what;
		struct plan plan;
		size_t tails;
	} cases[] = {
		{"kill -9 before the first byte", {.kill_after = 0}, 0},
		{"kill -9 after the header", {.kill_after = 1}, 1},
		{"kill -9 in the middle", {.kill_after = 17}, 1},
		{"kill -9 after the last write", {.kill_after = 40}, 1},
		{"before the first part is stored", {.die_at = STORE_RIG_BEFORE_PART, .kill_after = NO_KILL}, 1},
		{"before the third part is stored",
			{.die_at = STORE_RIG_BEFORE_PART, .die_after = 2, .kill_after = NO_KILL}, 1},
		{"first part stored, database not told", {.die_at = STORE_RIG_AFTER_PART, .kill_after = NO_KILL}, 1},
		{"third part stored, database not told",
			{.die_at = STORE_RIG_AFTER_PART, .die_after = 2, .kill_after = NO_KILL}, 1},
		{"all parts stored", {.die_at = STORE_RIG_BEFORE_COMPLETE, .kill_after = NO_KILL}, 0},
		{"completed, spool not cleaned", {.die_at = STORE_RIG_AFTER_COMPLETE, .kill_after = NO_KILL}, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_rig_stream s;
		struct driver_object o;
		struct err err = {0};
		struct store_rig r;
		int rc;

		print_message("  %s\n", cases[i].what);
		store_rig_init(&r);
		*taken = 0;
		store_rig_stream_make(&s, FRAME_PCAPNG, (unsigned)i, 40);
		assert_true(run_child(&r, &s, &cases[i].plan));
		store_rig_open(&r);
		rc = recover(&r, &o, &err);
		if (cases[i].plan.kill_after == 0) {
			assert_int_equal(rc, -1);
			assert_int_equal(err.code, ERR_NOT_FOUND);
		} else {
			size_t tails = cases[i].tails;

			if (rc < 0)
				fail_msg("store_recover: %s", err.msg);
			/* The upload thread dies while the writer is anywhere: maybe at its end, whose notes are in then. */
			if (cases[i].plan.die_at == STORE_RIG_BEFORE_PART ||
				cases[i].plan.die_at == STORE_RIG_AFTER_PART)
				tails = o.bytes == s.n ? 0 : 1;
			assert_prefix(&r, &s, &o, *taken, tails);
		}
		assert_clean(&r);
		/* Once more, as a gateway does that died before it wrote down that the job is ready. */
		if (rc == 0) {
			struct driver_object again;

			recover_well(&r, &again);
			assert_int_equal(again.bytes, o.bytes);
			assert_string_equal(again.sha256, o.sha256);
		}
		store_rig_stream_done(&s);
		store_rig_done(&r);
	}
}

static void test_classic_pcap(void **state)
{
	struct plan plan = {.kill_after = 30};
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct driver_object o;

	store_rig_stream_make(&s, FRAME_PCAP, 3, 40);
	assert_true(run_child(r, &s, &plan));
	store_rig_open(r);
	recover_well(r, &o);
	assert_int_equal(o.bytes, *taken);
	assert_prefix(r, &s, &o, *taken, 0);
	store_rig_stream_done(&s);
}

/* ---- damage ---- */

static void chunk_path(const struct store_rig *r, const char *name, char ret[TEMP_FILE_PATH_MAX + 64])
{
	snprintf(ret, TEMP_FILE_PATH_MAX + 64, "%s/%s/%s", r->spool, r->job, name);
}

/* A stream of which no part is uploaded: seven chunks of one write each lie in the spool, the last one open. */
static void spool_make(struct store_rig *r, struct store_rig_stream *s)
{
	struct plan plan = {.kill_after = 7};

	r->chunk_bytes = 1;
	r->job_bytes_max = 1000000; /* which many chunks of one byte can hold */
	r->fail_parts = 1000;
	r->fail_code = ERR_PERM;
	store_rig_stream_make(s, FRAME_PCAPNG, 21, 7);
	assert_true(run_child(r, s, &plan));
	r->fail_parts = 0;
	store_rig_open(r);
}

static void damage_byte(const struct store_rig *r, const char *name, off_t at)
{
	char path[TEMP_FILE_PATH_MAX + 64];
	uint8_t byte;
	int fd;

	chunk_path(r, name, path);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void test_open_chunk_is_cut(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct driver_object o;
	char path[TEMP_FILE_PATH_MAX + 64];

	spool_make(r, &s);
	chunk_path(r, "000007.open", path);
	assert_int_equal(truncate(path, (off_t)(s.ends[6] - s.ends[5]) - 3), 0);
	recover_well(r, &o);
	assert_prefix(r, &s, &o, s.ends[5], 1);
	assert_true(o.bytes < s.n + store_rig_tail_bytes(s.interfaces));
	assert_int_equal(r->damages, 0);
	store_rig_stream_done(&s);
}

static void test_open_chunk_garbage(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct driver_object o;
	char path[TEMP_FILE_PATH_MAX + 64];
	int fd;

	spool_make(r, &s);
	chunk_path(r, "000007.open", path);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16), 16);
	close(fd);
	recover_well(r, &o);
	assert_prefix(r, &s, &o, s.n, 1);
	store_rig_stream_done(&s);
}

/* Died between rename and record: the database knows the first five only. */
static void test_closed_without_record(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct driver_object o;
	struct job_chunk *chunks;
	char path[TEMP_FILE_PATH_MAX + 64];
	size_t n;

	spool_make(r, &s);
	chunk_path(r, "000007.open", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(job_db_chunks(r->db, r->job, &chunks, &n, NULL), 0);
	assert_int_equal(n, 6);
	assert_int_equal(job_db_chunks_delete(r->db, r->job, NULL), 0);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(job_db_chunk_put(r->db, r->job, &chunks[i], NULL), 0);
	job_db_chunks_free(chunks, n);
	recover_well(r, &o);
	assert_prefix(r, &s, &o, s.ends[5], 1);
	assert_int_equal(o.bytes, s.ends[5] + store_rig_tail_bytes(s.interfaces));
	store_rig_stream_done(&s);
}

static void damaged_ends_before(struct store_rig *r, const struct store_rig_stream *s, size_t end)
{
	struct driver_object o;

	recover_well(r, &o);
	assert_int_equal(o.bytes, end + store_rig_tail_bytes(s->interfaces));
	assert_prefix(r, s, &o, end, 1);
	assert_int_equal(r->damages, 1);
	assert_clean(r);
}

static void test_damaged_chunk(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	spool_make(r, &s);
	damage_byte(r, "000004.chunk", 40); /* inside a packet: only the checksum can tell */
	damaged_ends_before(r, &s, s.ends[2]);
	store_rig_stream_done(&s);
}

static void test_missing_chunk(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	char path[TEMP_FILE_PATH_MAX + 64];

	spool_make(r, &s);
	chunk_path(r, "000003.chunk", path);
	assert_int_equal(unlink(path), 0);
	damaged_ends_before(r, &s, s.ends[1]);
	store_rig_stream_done(&s);
}

/* The same when the database does not know of the chunk either. */
static void test_missing_chunk_without_record(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct job_chunk *chunks;
	char path[TEMP_FILE_PATH_MAX + 64];
	size_t n;

	spool_make(r, &s);
	chunk_path(r, "000003.chunk", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(job_db_chunks(r->db, r->job, &chunks, &n, NULL), 0);
	assert_int_equal(job_db_chunks_delete(r->db, r->job, NULL), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(job_db_chunk_put(r->db, r->job, &chunks[i], NULL), 0);
	job_db_chunks_free(chunks, n);
	damaged_ends_before(r, &s, s.ends[1]);
	store_rig_stream_done(&s);
}

/* Nothing comes before it: an honest failure, and the spool stays until the job is erased. */
static void test_damaged_first_chunk(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct driver_object o;
	struct err err = {0};
	char path[TEMP_FILE_PATH_MAX + 64];
	size_t n;

	spool_make(r, &s);
	damage_byte(r, "000001.chunk", 40);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(recover(r, &o, &err), -1);
		assert_int_equal(err.code, ERR_IO);
		assert_non_null(strstr(err.msg, "chunk 1"));
		assert_null(store_rig_object(r, &n));
	}
	chunk_path(r, "000002.bad", path);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(store_erase(r->store, r->job, r->key, NULL, &err), 0);
	assert_clean(r);
	store_rig_stream_done(&s);
}

/* A chunk that was damaged, found, and then the driver failed: the second recovery comes to the same end. */
static void test_damaged_then_fails(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct driver_object o;
	struct err err = {0};

	spool_make(r, &s);
	damage_byte(r, "000004.chunk", 40);
	r->fail_complete = 1;
	r->fail_code = ERR_PERM;
	assert_int_equal(recover(r, &o, &err), -1);
	assert_int_equal(err.code, ERR_PERM);
	r->damages = 0;
	recover_well(r, &o);
	assert_prefix(r, &s, &o, s.ends[2], 1);
	assert_int_equal(o.bytes, s.ends[2] + store_rig_tail_bytes(s.interfaces));
	assert_clean(r);
	store_rig_stream_done(&s);
}

/* The store lost what it had confirmed: the sum tells, nothing stands at the key. */
static void test_store_lost_parts(void **state)
{
	struct store_rig *r = *state;
	struct plan plan = {.die_at = STORE_RIG_BEFORE_COMPLETE, .kill_after = NO_KILL};
	char path[TEMP_FILE_PATH_MAX + 128];
	struct store_rig_stream s;
	struct driver_object o;
	struct err err = {0};
	uint8_t byte;
	size_t n;
	int fd;

	store_rig_stream_make(&s, FRAME_PCAPNG, 22, 40);
	assert_true(run_child(r, &s, &plan));
	snprintf(path, sizeof(path), "%s/.uploads/%s.part", r->root, r->job);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, 200), 1);
	byte ^= 0x80;
	assert_int_equal(pwrite(fd, &byte, 1, 200), 1);
	close(fd);
	store_rig_open(r);
	assert_int_equal(recover(r, &o, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_null(store_rig_object(r, &n));
	store_rig_stream_done(&s);
}

/* Another object stands where ours should: it is neither taken for ours nor touched. */
static void test_foreign_object(void **state)
{
	struct store_rig *r = *state;
	struct plan plan = {.die_at = STORE_RIG_AFTER_COMPLETE, .kill_after = NO_KILL};
	char path[TEMP_FILE_PATH_MAX + 128];
	struct store_rig_stream s;
	struct driver_object o;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 23, 20);
	assert_true(run_child(r, &s, &plan));
	snprintf(path, sizeof(path), "%s/%s", r->root, r->key);
	assert_int_equal(truncate(path, (off_t)s.n - 1), 0);
	store_rig_open(r);
	assert_int_equal(recover(r, &o, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_int_equal(access(path, F_OK), 0);
	store_rig_stream_done(&s);
}

static int tail_fails(void *ctx, uint32_t interfaces_n, uint8_t *dst, size_t room, size_t *ret_n, struct err *err)
{
	(void)ctx;
	(void)interfaces_n;
	(void)dst;
	(void)room;
	(void)ret_n;
	return err_set(err, ERR_NOMEM, "no tail today");
}

static int tail_bad(void *ctx, uint32_t interfaces_n, uint8_t *dst, size_t room, size_t *ret_n, struct err *err)
{
	int rc = store_rig_tail(ctx, interfaces_n + 1, dst, room, ret_n, err); /* of an interface that is none */

	return rc;
}

static void test_tails(void **state)
{
	struct store_rig *r = *state;
	struct driver_tags tags = store_rig_tags(r);
	struct plan plan = {.kill_after = 20};
	struct store_rig_stream s;
	struct driver_object o;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 24, 40);
	assert_true(run_child(r, &s, &plan));
	store_rig_open(r);
	assert_int_equal(store_recover(r->store, r->job, r->key, &tags, tail_fails, NULL, &o, &err), -1);
	assert_int_equal(err.code, ERR_NOMEM);
	assert_int_equal(store_recover(r->store, r->job, r->key, &tags, tail_bad, NULL, &o, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_int_equal(store_recover(r->store, r->job, r->key, &tags, NULL, NULL, &o, &err), 0);
	assert_prefix(r, &s, &o, *taken, 0);
	assert_int_equal(o.bytes, *taken);
	store_rig_stream_done(&s);
}

/* ---- a bucket ---- */

/* The stored records and the files of the spool, as a text: "+" stored, "." in the spool, "o" open. */
static void spool_picture(struct store_rig *r, char ret[64])
{
	struct spool *sp = spool_open(r->spool, r->job, NULL);
	struct job_chunk *chunks;
	struct spool_file *files;
	size_t n, files_n;

	assert_non_null(sp);
	assert_int_equal(job_db_chunks(r->db, r->job, &chunks, &n, NULL), 0);
	assert_int_equal(spool_scan(sp, &files, &files_n, NULL), 0);
	memset(ret, 0, 64);
	for (size_t i = 0; i < files_n; i++)
		if (files[i].seq < 63)
			ret[files[i].seq - 1] = files[i].kind == SPOOL_OPEN ? 'o' : '.';
	for (size_t i = 0; i < n; i++)
		if (chunks[i].seq < 63 && chunks[i].stored)
			ret[chunks[i].seq - 1] = '+';
	job_db_chunks_free(chunks, n);
	free(files);
	spool_close(sp);
}

/* One part never arrives, later ones do: seven chunks of one write each. */
static void hole_make(struct store_rig *r, struct store_rig_stream *s, uint32_t seq, char picture[64])
{
	struct plan plan = {.die_at = STORE_RIG_AFTER_PART, .die_after = 4, .kill_after = NO_KILL};

	r->parallel = 3;
	r->chunk_bytes = 1;
	r->job_bytes_max = 1000000;
	r->hold_seq = seq;
	r->hold_until = 100;
	store_rig_stream_make(s, FRAME_PCAPNG, 31, 7);
	assert_true(run_child(r, s, &plan));
	r->hold_seq = 0;
	store_rig_open(r);
	spool_picture(r, picture);
}

static void test_parts_out_of_order(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct driver_object o;
	char picture[64];

	hole_make(r, &s, 1, picture);
	print_message("  %s\n", picture);
	assert_int_equal(picture[0], '.');
	assert_non_null(strchr(picture, '+'));
	recover_well(r, &o);
	assert_prefix(r, &s, &o, *taken, o.bytes == s.n ? 0 : 1);
	assert_clean(r);
	assert_int_equal(atomic_load(&r->store->spool_bytes), 0);
	assert_int_equal(r->opens, 0); /* the upload was gone on with */
	store_rig_stream_done(&s);
}

/* The same, and the file of the part that never arrived is damaged or gone: what is stored behind it is of no use. */
static void test_hole(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct driver_object o;
	struct err err = {0};
	char path[TEMP_FILE_PATH_MAX + 64], picture[64];

	hole_make(r, &s, 1, picture);
	chunk_path(r, "000001.chunk", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(recover(r, &o, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err.msg, "chunk 1: it is missing"));
	assert_int_equal(store_erase(r->store, r->job, r->key, NULL, &err), 0);
	assert_clean(r);
	store_rig_stream_done(&s);
}

/* Damaged in the middle: what comes before it is the object, without the notes of recovery, which would be a small part before the ones that are left. */
static void test_hole_in_the_middle(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct driver_object o;
	char picture[64];

	hole_make(r, &s, 3, picture);
	print_message("  %s\n", picture);
	assert_int_equal(picture[2], '.');
	damage_byte(r, "000003.chunk", 40);
	recover_well(r, &o);
	assert_int_equal(o.bytes, s.ends[1]);
	assert_prefix(r, &s, &o, s.ends[1], 0);
	assert_int_equal(r->damages, 1);
	assert_clean(r);
	store_rig_stream_done(&s);
}

/* While the process was down the bucket has aborted the upload. */
static void test_upload_is_forgotten(void **state)
{
	static const struct {
		const char *what;
		struct plan plan;
		bool lost;
	} cases[] = {
		{"before a part arrived", {.die_at = STORE_RIG_BEFORE_PART, .kill_after = NO_KILL}, false},
		{"parts arrived, none was recorded", {.die_at = STORE_RIG_AFTER_PART, .kill_after = NO_KILL}, false},
		{"parts were recorded", {.die_at = STORE_RIG_AFTER_PART, .die_after = 9, .kill_after = NO_KILL}, true},
		{"all parts were recorded", {.die_at = STORE_RIG_BEFORE_COMPLETE, .kill_after = NO_KILL}, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_rig_stream s;
		struct driver_object o;
		struct err err = {0};
		struct store_rig r;

		print_message("  %s\n", cases[i].what);
		store_rig_init(&r);
		*taken = 0;
		r.parallel = cases[i].lost ? 3 : 1;
		store_rig_stream_make(&s, FRAME_PCAPNG, (unsigned)i, 40);
		assert_true(run_child(&r, &s, &cases[i].plan));
		assert_int_equal(store_rig_bucket_uploads(r.root), 1);
		store_rig_bucket_forget(r.root);
		store_rig_open(&r);
		if (cases[i].lost) {
			assert_int_equal(recover(&r, &o, &err), -1);
			assert_int_equal(err.code, ERR_IO);
			assert_string_equal(err.detail, "storage_lost");
			assert_int_equal(store_erase(r.store, r.job, r.key, NULL, &err), 0);
		} else {
			recover_well(&r, &o);
			assert_prefix(&r, &s, &o, *taken, o.bytes == s.n ? 0 : 1);
			assert_int_equal(r.opens, 1);
		}
		assert_clean(&r);
		store_rig_stream_done(&s);
		store_rig_done(&r);
	}
}

/* Died with the upload opened and nobody told: another one is opened, the first does not stay. */
static void test_opening_unrecorded(void **state)
{
	struct store_rig *r = *state;
	struct plan plan = {.die_at = STORE_RIG_AFTER_OPEN, .kill_after = NO_KILL};
	struct store_rig_stream s;
	struct driver_object o;

	r->parallel = 2;
	store_rig_stream_make(&s, FRAME_PCAPNG, 32, 40);
	assert_true(run_child(r, &s, &plan));
	assert_int_equal(store_rig_bucket_uploads(r->root), 1);
	store_rig_open(r);
	recover_well(r, &o);
	assert_prefix(r, &s, &o, *taken, o.bytes == s.n ? 0 : 1);
	assert_clean(r);
	store_rig_stream_done(&s);
}

/* A bucket takes no small part but the last (the rig's refuses the object).  Of a chunk that was cut, and of whole ones with nothing behind them, the tail
 * makes no small one in the middle. */
static void test_no_small_parts(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < 3; cut++) {
		struct plan plan = {.kill_after = 30};
		char path[TEMP_FILE_PATH_MAX + 64];
		struct store_rig_stream s;
		struct spool_file *files;
		struct driver_object o;
		struct store_rig r;
		struct spool *sp;
		size_t n;

		store_rig_init(&r);
		*taken = 0;
		r.parallel = 2;
		r.chunk_bytes = 6000;
		store_rig_stream_make(&s, FRAME_PCAPNG, 33, 40);
		assert_true(run_child(&r, &s, &plan));
		store_rig_open(&r);
		sp = spool_open(r.spool, r.job, NULL);
		assert_int_equal(spool_scan(sp, &files, &n, NULL), 0);
		assert_true(n > 0 && files[n - 1].kind == SPOOL_OPEN);
		snprintf(path, sizeof(path), "%s/%s/%06u.open", r.spool, r.job, (unsigned)files[n - 1].seq);
		/* As it is; cut within a block; cut to nothing. */
		if (cut > 0)
			assert_int_equal(truncate(path, cut == 1 ? (off_t)files[n - 1].bytes - 5 : 5), 0);
		free(files);
		spool_close(sp);
		store_rig_close(&r);
		store_rig_open(&r);
		recover_well(&r, &o);
		assert_prefix(&r, &s, &o, cut ? 0 : *taken, 1);
		assert_clean(&r);
		assert_int_equal(atomic_load(&r.store->spool_bytes), 0);
		store_rig_stream_done(&s);
		store_rig_done(&r);
	}
}

/* ---- random points ---- */

/* The same numbers for the same seed, everywhere. */
static uint32_t random_state;

static unsigned random_below(unsigned n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

static enum store_rig_point random_point(void)
{
	static const enum store_rig_point points[] = {STORE_RIG_NEVER, STORE_RIG_BEFORE_OPEN, STORE_RIG_AFTER_OPEN,
		STORE_RIG_BEFORE_PART, STORE_RIG_AFTER_PART, STORE_RIG_BEFORE_COMPLETE, STORE_RIG_AFTER_COMPLETE};

	return points[random_below(sizeof(points) / sizeof(points[0]))];
}

/* How many tails are there: none, when the job had come to its end; else one, and one more for each recovery that died. */
static size_t count_tails(struct store_rig *r, const struct store_rig_stream *s)
{
	size_t n = 0, tails = 0, tail_n = 0;
	uint8_t tail[4096], *p = store_rig_object(r, &n);

	assert_non_null(p);
	assert_int_equal(store_rig_tail(NULL, s->interfaces, tail, sizeof(tail), &tail_n, NULL), 0);
	while (tail_n > 0 && n >= tail_n && memcmp(p + n - tail_n, tail, tail_n) == 0) {
		n -= tail_n;
		tails++;
	}
	free(p);
	return tails;
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct plan plan = {.kill_after = NO_KILL};
		struct store_rig_stream s;
		struct driver_object o;
		struct err err = {0};
		struct store_rig r;
		size_t deaths = 0, writes;
		bool died;
		int rc;

		random_state = seed * 2654435761u;
		store_rig_init(&r);
		*taken = 0;
		r.chunk_bytes = 1 + random_below(6000);
		r.job_bytes_max = 1000000;
		r.parallel = seed % 2 ? 0 : 1 + random_below(4);
		r.slow_us = r.parallel * random_below(2000);
		writes = 1 + random_below(30);
		store_rig_stream_make(&s, random_below(4) ? FRAME_PCAPNG : FRAME_PCAP, seed, writes);
		plan.die_at = random_point();
		plan.die_after = random_below(6);
		if (random_below(2))
			plan.kill_after = random_below((unsigned)writes + 1);
		else
			plan.kill_us = random_below(2) * (1 + random_below(20000));
		died = run_child(&r, &s, &plan);
		for (unsigned i = 0; died && i < 3; i++) {
			struct plan again = {.die_at = random_point(),
				.die_after = random_below(3),
				.kill_us = random_below(2) * (1 + random_below(5000)),
				.recover = true};

			if (*taken == 0)
				break;
			died = run_child(&r, &s, &again);
			deaths += died;
		}
		store_rig_open(&r);
		rc = recover(&r, &o, &err);
		if (*taken == 0) {
			assert_true(rc == 0 || err.code == ERR_NOT_FOUND);
		} else {
			if (rc < 0)
				fail_msg("seed %u: %s", seed, err.msg);
			size_t tails = count_tails(&r, &s);
			assert_in_range(tails, 0, deaths + 1);
			assert_prefix(&r, &s, &o, *taken, tails);
		}
		assert_clean(&r);
		assert_int_equal(atomic_load(&r.store->spool_bytes), 0);
		store_rig_stream_done(&s);
		store_rig_done(&r);
	}
}

static int group_setup(void **state)
{
	(void)state;
	taken = mmap(NULL, sizeof(*taken), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return taken == MAP_FAILED ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_point),
		cmocka_unit_test_setup_teardown(test_classic_pcap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_chunk_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_chunk_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_without_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_chunk_without_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_first_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_then_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_lost_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_object, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parts_out_of_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hole_in_the_middle, setup, teardown),
		cmocka_unit_test(test_upload_is_forgotten),
		cmocka_unit_test_setup_teardown(test_opening_unrecorded, setup, teardown),
		cmocka_unit_test(test_no_small_parts),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
