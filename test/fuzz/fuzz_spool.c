/* fuzz_spool.c - a spool folder and a database in any state: recovery ends, and its object is made of the files' first bytes up to the
 * end of a block, with nothing left out between.
 *
 * The input is a list of entries: what (1 byte), seq (1), length (2, little-endian), bytes.
 *   what & 3   0 .open, 1 .chunk, 2 .last, 3: the bytes are not a file but the database's text of the upload
 *   what & 4   the database has a record of the chunk, with the right checksum, or (what & 8) a wrong one
 *   what & 16  instead of a file: the record says that the chunk is stored, and the bytes are its note */
#include "uploader/store_internal.h"

#include "common/fs.h"
#include "schema/pcapng.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define KEY         "fuzz/job.pcapng"
#define TAIL_TEXT   "recovered"
#define ENTRIES_MAX 32u
#define SEQ_MAX     8u

static char folder[64], spool_dir[96];
static char job_id[ID_MAX];
static struct job_db *db;
static struct store *store;

struct entry {
	uint8_t what, seq;
	const uint8_t *bytes;
	size_t n;
};

static void must(bool good)
{
	if (!good)
		abort();
}

static void world_remove(void)
{
	store_close(store);
	job_db_close(db);
	fs_remove_tree(folder, NULL);
}

/* One store for all inputs; memory takes the many flushes better than a disk. */
static void world_make(void)
{
	struct store_options o = {
		.spool_dir = spool_dir, .chunk_bytes = 4096, .job_bytes_max = UINT64_C(1) << 40, .min_free_bytes = 0};
	struct job *j = job_new(0);
	char path[96];

	must(j != NULL);
	snprintf(folder, sizeof(folder), "%s/fuzz_spool.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	must(mkdtemp(folder) != NULL);
	snprintf(spool_dir, sizeof(spool_dir), "%s/spool", folder);
	snprintf(path, sizeof(path), "%s/jobs.db", folder);
	db = job_db_open(path, NULL);
	must(db != NULL);
	o.db = db;
	snprintf(path, sizeof(path), "%s/objects", folder);
	o.driver = driver_file_new(path, NULL);
	must(o.driver != NULL);
	store = store_open(&o, NULL);
	must(store != NULL);
	store->retry.tries = 1;
	id_new(job_id);
	memcpy(j->id, job_id, ID_MAX);
	must(job_set(&j->target, "{}", NULL) == 0);
	must(job_db_insert(db, j, NULL) == 0);
	job_free(j);
	atexit(world_remove);
}

static size_t parse(const uint8_t *p, size_t n, struct entry *ret)
{
	size_t count = 0;

	while (n >= 4 && count < ENTRIES_MAX) {
		struct entry e = {.what = p[0], .seq = p[1], .bytes = p + 4, .n = p[2] | (size_t)p[3] << 8};

		p += 4;
		n -= 4;
		if (e.n > n)
			e.n = n;
		p += e.n;
		n -= e.n;
		ret[count++] = e;
	}
	return count;
}

static char *text_of(const struct entry *e)
{
	char *text = malloc(e->n + 1);

	must(text != NULL);
	memcpy(text, e->bytes, e->n);
	text[e->n] = '\0';
	/* The database takes text only. */
	for (size_t i = 0; i < e->n; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	return text;
}

static void lay_record(const struct entry *e, char *note)
{
	struct job_chunk c = {.seq = e->seq, .bytes = e->n, .stored = e->what & 16, .part = note};

	digest_sha256_hex(e->bytes, e->n, c.sha256);
	if (e->what & 8)
		c.sha256[0] = c.sha256[0] == '0' ? '1' : '0';
	must(job_db_chunk_put(db, job_id, &c, NULL) == 0);
}

static void lay_file(const struct entry *e)
{
	static const char *const kinds[] = {"open", "chunk", "last"};
	char *path = fs_path("%s/%s/%06u.%s", spool_dir, job_id, e->seq, kinds[e->what & 3]);
	int fd;

	must(path != NULL);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	must(fd >= 0 && fs_write_all(fd, e->bytes, e->n, NULL) == 0);
	close(fd);
	free(path);
}

static void lay(const struct entry *e)
{
	char none[] = "", *text = text_of(e);

	if ((e->what & 3) == 3) {
		job_db_upload_set(db, job_id, text, NULL);
	} else if (e->what & 16) {
		if (e->seq > 0)
			lay_record(e, text);
	} else {
		lay_file(e);
		if (e->what & 4 && e->seq > 0)
			lay_record(e, none);
	}
	free(text);
}

static int tail(void *ctx, uint32_t interfaces_n, uint8_t *dst, size_t room, size_t *ret_n, struct err *err)
{
	const struct pcapng_stats s = {.interface_id = 0, .comment = TAIL_TEXT};

	(void)ctx;
	(void)err;
	*ret_n = interfaces_n ? pcapng_write_stats(dst, room, &s) : 0;
	return 0;
}

/* The file that counts for a seq: of several kinds the furthest, of one kind the one laid last. */
static const struct entry *file_of(const struct entry *e, size_t n, unsigned seq)
{
	const struct entry *found = NULL;

	for (size_t i = 0; i < n; i++)
		if ((e[i].what & 3) != 3 && !(e[i].what & 16) && e[i].seq == seq &&
			(!found || (e[i].what & 3) >= (found->what & 3)))
			found = &e[i];
	return found;
}

static void check_object(const struct entry *e, size_t n, const struct driver_object *o)
{
	char sha256[DIGEST_SHA256_HEX_MAX];
	uint8_t end[256];
	struct frame f = {0};
	uint64_t bytes;
	size_t at = 0, end_n = 0, left;
	int fd = store_object_open(store, KEY, &bytes, NULL);
	uint8_t *p = malloc(bytes + 1);

	must(fd >= 0 && p != NULL && bytes == o->bytes && bytes > 0);
	must(pread(fd, p, bytes, 0) == (ssize_t)bytes);
	close(fd);
	digest_sha256_hex(p, bytes, sha256);
	must(strcmp(sha256, o->sha256) == 0);
	must(frame_walk(&f, p, bytes) == bytes && !f.bad);
	for (unsigned seq = 1; at < bytes; seq++) {
		const struct entry *file = file_of(e, n, seq);
		size_t same = 0;

		if (!file)
			break;
		while (same < file->n && at + same < bytes && file->bytes[same] == p[at + same])
			same++;
		at += same;
		if (same < file->n)
			break;
	}
	/* What is not from the files is the tail.  Its first bytes may by chance have been those of the files too. */
	left = bytes - at;
	if (left > 0) {
		must(tail(NULL, f.interfaces, end, sizeof(end), &end_n, NULL) == 0);
		must(left <= end_n && memcmp(p + bytes - end_n, end, end_n) == 0);
	}
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct driver_tags tags = {.job = job_id, .user = "", .org = "", .space = "", .source = ""};
	struct entry entries[ENTRIES_MAX];
	size_t count = parse(data, n, entries);
	struct driver_object o;
	struct err err = {0};
	char *path;

	if (!store)
		world_make();
	path = fs_path("%s/%s", spool_dir, job_id);
	must(path != NULL && fs_mkdir_p(path, 0700, NULL) == 0);
	for (size_t i = 0; i < count; i++) {
		entries[i].seq %= SEQ_MAX;
		lay(&entries[i]);
	}
	if (store_recover(store, job_id, KEY, &tags, tail, NULL, &o, &err) == 0) {
		check_object(entries, count, &o);
	} else {
		uint64_t bytes;

		must(err.code != ERR_NONE && err.msg[0]);
		must(store_object_open(store, KEY, &bytes, NULL) < 0);
	}
	/* Whatever it was, it can be erased. */
	must(store_erase(store, job_id, KEY, NULL, NULL) == 0);
	must(access(path, F_OK) < 0);
	free(path);
	return 0;
}
