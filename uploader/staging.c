/* staging.c - see staging.h. */
#include "uploader/staging.h"

#include "common/fs.h"
#include "uploader/file_tree.h"
#include "uploader/text_fields.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES      (256u * 1024)
#define NUMBER_TEXT_MAX 21
#define LINE_MAX        128
#define CHECK_NAME      ".check"

uint64_t staging_bytes(const struct staging *s)
{
	return s->n ? s->parts[s->n - 1].offset + s->parts[s->n - 1].bytes : 0;
}

/* The line of the index, without its end. */
static void part_line(uint32_t seq, const struct staging_part *p, char ret[LINE_MAX])
{
	snprintf(ret, LINE_MAX, "%" PRIu32 " %" PRIu64 " %" PRIu64 " %s", seq, p->offset, p->bytes, p->sha256);
}

static int parts_add(struct staging *s, const struct staging_part *p, struct err *err)
{
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : 16;
		struct staging_part *more = reallocarray(s->parts, cap, sizeof(*more));

		if (!more)
			return err_nomem(err);
		s->parts = more;
		s->cap = cap;
	}
	s->parts[s->n++] = *p;
	return 0;
}

/* ---- begin ---- */

/* One line of the index; false: it is not the next one as we write it. */
static bool index_parse(const struct staging *s, const char *line, struct staging_part *ret)
{
	char seq[NUMBER_TEXT_MAX], offset[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX];
	uint8_t sum[DIGEST_SHA256_BYTES];
	struct staging_part p = {0};
	uint64_t number;

	if (!(line = text_field(line, ' ', seq, sizeof(seq))) ||
		!(line = text_field(line, ' ', offset, sizeof(offset))) ||
		!(line = text_field(line, ' ', bytes, sizeof(bytes))) ||
		!text_field(line, '\n', p.sha256, sizeof(p.sha256)))
		return false;
	if (!text_u64(seq, &number) || number != s->n + UINT64_C(1) || !text_u64(offset, &p.offset) ||
		!text_u64(bytes, &p.bytes))
		return false;
	if (p.offset != staging_bytes(s) || p.bytes > UINT64_MAX - p.offset || strlen(p.sha256) != 2 * sizeof(sum) ||
		!text_hex(p.sha256, sum, sizeof(sum)))
		return false;
	*ret = p;
	return true;
}

static int index_load(struct staging *s, struct err *err)
{
	char line[LINE_MAX + 2];
	struct stat st;
	struct staging_part p;
	off_t at = 0;
	int fd = fcntl(s->index, F_DUPFD_CLOEXEC, 0), rc = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f || fstat(s->data, &st) < 0) {
		rc = err_sys(err, errno, "upload %s", s->index_name);
		if (f)
			fclose(f);
		else
			fs_close(fd);
		return rc;
	}
	while (rc == 0 && fgets(line, sizeof(line), f) && index_parse(s, line, &p) &&
		p.offset + p.bytes <= (uint64_t)st.st_size) {
		at += (off_t)strlen(line);
		p.index_end = at;
		rc = parts_add(s, &p, err);
	}
	if (rc == 0 && ferror(f))
		rc = err_set(err, ERR_IO, "upload %s: cannot be read", s->index_name);
	fclose(f);
	return rc;
}

int staging_open(struct staging *s, int dir, const char *job, bool resume, struct err *err)
{
	int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (resume ? 0 : O_TRUNC);

	*s = (struct staging){.dir = dir, .data = -1, .index = -1};
	if (file_tree_check(job, err) < 0)
		return -1;
	if (strchr(job, '/'))
		return err_set(err, ERR_INPUT, "\"%s\" is no job's name", job);
	s->part_name = fs_path("%s.part", job);
	s->index_name = fs_path("%s.index", job);
	if (!s->part_name || !s->index_name)
		return err_nomem(err);
	/* The index goes first: a new upload must not begin with the lines of an old one. */
	s->index = openat(dir, s->index_name, flags, 0600);
	s->data = s->index < 0 ? -1 : openat(dir, s->part_name, flags, 0600);
	if (s->data < 0 || fsync(s->index) < 0 || fsync(dir) < 0)
		return err_sys(err, errno, "upload %s", s->part_name);
	return resume ? index_load(s, err) : 0;
}

void staging_close(struct staging *s)
{
	fs_close(s->data);
	fs_close(s->index);
	free(s->parts);
	free(s->index_name);
	free(s->part_name);
	*s = (struct staging){.dir = -1, .data = -1, .index = -1};
}

/* ---- parts ---- */

/* copy_file_range stays in the kernel (and shares blocks where the file system can); not all file systems have it between each other. */
static uint64_t copy_kernel(int from, int to, uint64_t to_offset, uint64_t bytes)
{
	off64_t in = 0, out = (off64_t)to_offset;
	ssize_t n;

	while ((uint64_t)in < bytes) {
		n = copy_file_range(from, &in, to, &out, bytes - (uint64_t)in, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
	}
	return (uint64_t)in;
}

static int copy_by_hand(int from, int to, uint64_t to_offset, uint64_t done, uint64_t bytes, struct err *err)
{
	uint8_t *block = malloc(COPY_BYTES);
	ssize_t n;
	int rc = 0;

	if (!block)
		return err_nomem(err);
	if (lseek(to, (off_t)(to_offset + done), SEEK_SET) < 0)
		rc = err_sys(err, errno, "seeking");
	while (rc == 0 && done < bytes) {
		n = pread(from, block, bytes - done < COPY_BYTES ? bytes - done : COPY_BYTES, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = err_sys(err, errno, "reading the part");
		else if (n == 0)
			rc = err_set(err, ERR_IO, "the part ends after %" PRIu64 " of %" PRIu64 " bytes", done, bytes);
		else if (fs_write_all(to, block, (size_t)n, err) < 0)
			rc = -1;
		else
			done += (uint64_t)n;
	}
	free(block);
	return rc;
}

/* Parts that are replaced leave the index before their bytes do. */
static int index_cut(struct staging *s, uint32_t n, struct err *err)
{
	s->n = n;
	if (ftruncate(s->index, n ? s->parts[n - 1].index_end : 0) < 0 || fsync(s->index) < 0)
		return err_sys(err, errno, "upload %s: index", s->part_name);
	return 0;
}

static int index_append(struct staging *s, uint32_t seq, struct staging_part *p, struct err *err)
{
	off_t from = s->n ? s->parts[s->n - 1].index_end : 0;
	char line[LINE_MAX + 1];
	size_t len;

	part_line(seq, p, line);
	len = strlen(line);
	line[len++] = '\n';
	if (ftruncate(s->index, from) < 0 || lseek(s->index, from, SEEK_SET) < 0)
		return err_sys(err, errno, "index");
	if (fs_write_all(s->index, line, len, err) < 0)
		return -1;
	if (fsync(s->index) < 0)
		return err_sys(err, errno, "flushing the index");
	p->index_end = from + (off_t)len;
	return parts_add(s, p, err);
}

int staging_add(
	struct staging *s, uint32_t seq, int fd, uint64_t bytes, const char *sha256, char **ret_part, struct err *err)
{
	struct staging_part p = {.bytes = bytes};
	char line[LINE_MAX];
	uint64_t done;
	char *text;

	if (seq == 0 || seq > s->n + 1)
		return err_set(err, ERR_STATE, "upload %s: part %" PRIu32 " came, part %" PRIu32 " is next",
			s->part_name, seq, s->n + 1);
	if (seq <= s->n && index_cut(s, seq - 1, err) < 0)
		return -1;
	p.offset = staging_bytes(s);
	snprintf(p.sha256, sizeof(p.sha256), "%s", sha256);
	done = copy_kernel(fd, s->data, p.offset, bytes);
	if (done < bytes && copy_by_hand(fd, s->data, p.offset, done, bytes, err) < 0)
		return err_in(err, "upload %s, part %" PRIu32, s->part_name, seq);
	if (fdatasync(s->data) < 0)
		return err_sys(err, errno, "upload %s: flushing part %" PRIu32, s->part_name, seq);
	if (index_append(s, seq, &p, err) < 0)
		return err_in(err, "upload %s, part %" PRIu32, s->part_name, seq);
	part_line(seq, &p, line);
	if (!(text = strdup(line)))
		return err_nomem(err);
	*ret_part = text;
	return 0;
}

/* ---- the end ---- */

static int parts_compare(const struct staging *s, uint32_t n, const char *const *parts, struct err *err)
{
	char line[LINE_MAX];

	if (n != s->n)
		return err_set(err, ERR_IO, "the store holds %" PRIu32 " parts, %" PRIu32 " were sent", s->n, n);
	for (uint32_t i = 0; i < n; i++) {
		part_line(i + 1, &s->parts[i], line);
		if (strcmp(line, parts[i]) != 0)
			return err_set(err, ERR_IO, "part %" PRIu32 ": the store holds \"%s\", \"%s\" was sent", i + 1,
				line, parts[i]);
	}
	return 0;
}

int staging_compare(int fd, uint64_t bytes, const struct driver_object *expect, struct err *err)
{
	char sha256[DIGEST_SHA256_HEX_MAX];

	if (bytes != expect->bytes)
		return err_set(
			err, ERR_IO, "the store holds %" PRIu64 " bytes, %" PRIu64 " were sent", bytes, expect->bytes);
	if (digest_fd_hex(fd, bytes, sha256, err) < 0)
		return -1;
	if (strcmp(sha256, expect->sha256) != 0)
		return err_set(err, ERR_IO, "the store holds bytes with SHA-256 %s, those sent have %s", sha256,
			expect->sha256);
	return 0;
}

int staging_seal(
	struct staging *s, uint32_t n, const char *const *parts, const struct driver_object *expect, struct err *err)
{
	if (parts_compare(s, n, parts, err) < 0)
		return -1;
	/* Bytes of a part that was never finished may stand behind the last one. */
	if (ftruncate(s->data, (off_t)staging_bytes(s)) < 0 || fsync(s->data) < 0)
		return err_sys(err, errno, "flushing");
	return staging_compare(s->data, staging_bytes(s), expect, err);
}

int staging_remove(struct staging *s, struct err *err)
{
	if ((unlinkat(s->dir, s->part_name, 0) < 0 && errno != ENOENT) ||
		(unlinkat(s->dir, s->index_name, 0) < 0 && errno != ENOENT) || fsync(s->dir) < 0)
		return err_sys(err, errno, "removing upload %s", s->part_name);
	return 0;
}

int staging_check(int dir, struct err *err)
{
	int fd = openat(dir, CHECK_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), rc = 0;

	if (fd < 0)
		return err_sys(err, errno, "making a file");
	rc = fs_write_all(fd, "x", 1, err);
	fs_close(fd);
	if (unlinkat(dir, CHECK_NAME, 0) < 0 && errno != ENOENT && rc == 0)
		rc = err_sys(err, errno, "removing a file");
	return rc;
}

int staging_forget(const char *path, const char *job, struct err *err)
{
	static const char *const ends[] = {"part", "index"};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *name = fs_path("%s/%s.%s", path, job, ends[i]);
		int rc = name ? unlink(name) : -1;

		if (!name)
			return err_nomem(err);
		if (rc < 0 && errno != ENOENT)
			err_sys(err, errno, "removing %s", name);
		else
			rc = 0;
		free(name);
		if (rc < 0)
			return -1;
	}
	return 0;
}
