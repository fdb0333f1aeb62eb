/* driver_file_upload.c - how the file driver makes an object:
 *   .uploads/<job>.part    the parts, one after the other
 *   .uploads/<job>.index   a line per part, "<seq> <offset> <bytes> <sha256>", written when the part is on disk
 * What stands in .part past the last line of the index does not count; so a part that a crash cut off is simply sent again.  How .part
 * becomes the object is in driver_file_complete.c. */
#include "uploader/driver_file_internal.h"

#include "common/fs.h"
#include "common/parse.h"
#include "uploader/file_tree.h"
#include "uploader/text_fields.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES      (256u * 1024)
#define NUMBER_TEXT_MAX 21

uint64_t file_upload_end(const struct file_upload *u)
{
	return u->n ? u->parts[u->n - 1].offset + u->parts[u->n - 1].bytes : 0;
}

void file_part_line(uint32_t seq, const struct file_part *p, char ret[FILE_PART_LINE_MAX])
{
	snprintf(
		ret, FILE_PART_LINE_MAX, "%" PRIu32 " %" PRIu64 " %" PRIu64 " %s", seq, p->offset, p->bytes, p->sha256);
}

static int parts_add(struct file_upload *u, const struct file_part *p, struct err *err)
{
	if (u->n == u->cap) {
		uint32_t cap = u->cap ? u->cap * 2 : 16;
		struct file_part *more = reallocarray(u->parts, cap, sizeof(*more));

		if (!more)
			return err_nomem(err);
		u->parts = more;
		u->cap = cap;
	}
	u->parts[u->n++] = *p;
	return 0;
}

/* ---- begin ---- */

/* One line of the index; false: it is not the next one as we write it. */
static bool index_parse(const struct file_upload *u, const char *line, struct file_part *ret)
{
	char seq[NUMBER_TEXT_MAX], offset[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX];
	uint8_t sum[DIGEST_SHA256_BYTES];
	struct file_part p = {0};
	uint64_t number;

	if (!(line = text_field(line, ' ', seq, sizeof(seq))) ||
		!(line = text_field(line, ' ', offset, sizeof(offset))) ||
		!(line = text_field(line, ' ', bytes, sizeof(bytes))) ||
		!text_field(line, '\n', p.sha256, sizeof(p.sha256)))
		return false;
	if (!text_u64(seq, &number) || number != u->n + UINT64_C(1) || !text_u64(offset, &p.offset) ||
		!text_u64(bytes, &p.bytes))
		return false;
	if (p.offset != file_upload_end(u) || p.bytes > UINT64_MAX - p.offset || strlen(p.sha256) != 2 * sizeof(sum) ||
		!text_hex(p.sha256, sum, sizeof(sum)))
		return false;
	*ret = p;
	return true;
}

static int index_load(struct file_upload *u, struct err *err)
{
	char line[FILE_PART_LINE_MAX + 2];
	struct stat st;
	struct file_part p;
	off_t at = 0;
	int fd = fcntl(u->index, F_DUPFD_CLOEXEC, 0), rc = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f || fstat(u->data, &st) < 0) {
		rc = err_sys(err, errno, "upload %s", u->index_name);
		if (f)
			fclose(f);
		else
			fs_close(fd);
		return rc;
	}
	while (rc == 0 && fgets(line, sizeof(line), f) && index_parse(u, line, &p) &&
		p.offset + p.bytes <= (uint64_t)st.st_size) {
		at += (off_t)strlen(line);
		p.index_end = at;
		rc = parts_add(u, &p, err);
	}
	if (rc == 0 && ferror(f))
		rc = err_set(err, ERR_IO, "upload %s: cannot be read", u->index_name);
	fclose(f);
	return rc;
}

/* The tags are checked now: at the end of the capture it would be too late to refuse them. */
static char *meta_new(const struct driver_tags *tags, struct err *err)
{
	const char *names[] = {"job", "user", "org", "space", "source"};
	const char *values[] = {tags->job, tags->user, tags->org, tags->space, tags->source};
	json_t *o = json_object();
	char *text = NULL;

	for (size_t i = 0; o && i < sizeof(names) / sizeof(names[0]); i++) {
		const char *v = values[i] ? values[i] : "";

		if (!parse_is_text(v, strlen(v), false)) {
			err_set(err, ERR_INPUT, "tag %s is not plain text", names[i]);
			json_decref(o);
			return NULL;
		}
		if (json_object_set_new(o, names[i], json_string(v)) < 0) {
			json_decref(o);
			o = NULL;
		}
	}
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!text)
		err_nomem(err);
	return text;
}

static int upload_files_open(struct file_upload *u, bool resume, struct err *err)
{
	int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (resume ? 0 : O_TRUNC);

	/* The index goes first: a new upload must not begin with the lines of an old one. */
	u->index = openat(u->d->uploads, u->index_name, flags, 0600);
	u->data = u->index < 0 ? -1 : openat(u->d->uploads, u->part_name, flags, 0600);
	if (u->data < 0 || fsync(u->index) < 0 || fsync(u->d->uploads) < 0)
		return err_sys(err, errno, "upload %s/.uploads/%s", u->d->root_path, u->part_name);
	return resume ? index_load(u, err) : 0;
}

static bool object_stands(struct driver_file *d, const char *key, struct err *err)
{
	struct err none = {0};
	uint64_t bytes;
	int fd = driver_file_open_at(d, key, &bytes, &none);

	fs_close(fd);
	if (fd < 0 && none.code == ERR_NOT_FOUND)
		return false;
	err_set(err, ERR_STATE, "object %s: %s", key, fd < 0 ? none.msg : "it is there already");
	return true;
}

void *driver_file_upload_begin(
	struct driver *d, const char *key, const struct driver_tags *tags, const char *resume_text, struct err *err)
{
	bool resume = resume_text && resume_text[0];
	struct file_upload *u = NULL;

	if (file_tree_check(key, err) < 0 || file_tree_check(tags->job, err) < 0)
		return NULL;
	if (strchr(tags->job, '/') || (resume && strcmp(resume_text, tags->job) != 0)) {
		err_set(err, ERR_INPUT, "upload of job %s: \"%s\" does not belong to it", tags->job, resume_text);
		return NULL;
	}
	u = calloc(1, sizeof(*u));
	if (!u) {
		err_nomem(err);
		return NULL;
	}
	u->d = (struct driver_file *)d;
	u->data = u->index = -1;
	u->key = strdup(key);
	u->part_name = fs_path("%s.part", tags->job);
	u->index_name = fs_path("%s.index", tags->job);
	if (!u->key || !u->part_name || !u->index_name) {
		err_nomem(err);
		goto fail;
	}
	if (!(u->meta = meta_new(tags, err)) || (!resume && object_stands(u->d, key, err)) ||
		upload_files_open(u, resume, err) < 0)
		goto fail;
	return u;
fail:
	driver_file_upload_free(u);
	return NULL;
}

char *driver_file_upload_state(void *upload, struct err *err)
{
	const struct file_upload *u = upload;
	char *text = strndup(u->part_name, strlen(u->part_name) - strlen(".part"));

	if (!text)
		err_nomem(err);
	return text;
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

static int index_append(struct file_upload *u, uint32_t seq, struct file_part *p, struct err *err)
{
	off_t from = u->n ? u->parts[u->n - 1].index_end : 0;
	char line[FILE_PART_LINE_MAX + 1];
	size_t len;

	file_part_line(seq, p, line);
	len = strlen(line);
	line[len++] = '\n';
	if (ftruncate(u->index, from) < 0 || lseek(u->index, from, SEEK_SET) < 0)
		return err_sys(err, errno, "index");
	if (fs_write_all(u->index, line, len, err) < 0)
		return -1;
	if (fsync(u->index) < 0)
		return err_sys(err, errno, "flushing the index");
	p->index_end = from + (off_t)len;
	return parts_add(u, p, err);
}

int driver_file_upload_part(void *upload, uint32_t seq, bool alone, int fd, uint64_t bytes, const char *sha256,
	char **ret_part, struct err *err)
{
	struct file_upload *u = upload;
	struct file_part p = {.bytes = bytes};
	char line[FILE_PART_LINE_MAX];
	uint64_t done;
	char *text;

	(void)alone; /* one part is written like many */
	if (seq == 0 || seq > u->n + 1)
		return err_set(err, ERR_STATE, "upload %s: part %" PRIu32 " came, part %" PRIu32 " is next",
			u->part_name, seq, u->n + 1);
	/* Parts that are replaced leave the index before their bytes do. */
	if (seq <= u->n) {
		u->n = seq - 1;
		if (ftruncate(u->index, u->n ? u->parts[u->n - 1].index_end : 0) < 0 || fsync(u->index) < 0)
			return err_sys(err, errno, "upload %s: index", u->part_name);
	}
	p.offset = file_upload_end(u);
	snprintf(p.sha256, sizeof(p.sha256), "%s", sha256);
	done = copy_kernel(fd, u->data, p.offset, bytes);
	if (done < bytes && copy_by_hand(fd, u->data, p.offset, done, bytes, err) < 0)
		return err_in(err, "upload %s, part %" PRIu32, u->part_name, seq);
	if (fdatasync(u->data) < 0)
		return err_sys(err, errno, "upload %s: flushing part %" PRIu32, u->part_name, seq);
	if (index_append(u, seq, &p, err) < 0)
		return err_in(err, "upload %s, part %" PRIu32, u->part_name, seq);
	file_part_line(seq, &p, line);
	if (!(text = strdup(line)))
		return err_nomem(err);
	*ret_part = text;
	return 0;
}

/* ---- the end ---- */

int driver_file_upload_abort(void *upload, struct err *err)
{
	struct file_upload *u = upload;

	if ((unlinkat(u->d->uploads, u->part_name, 0) < 0 && errno != ENOENT) ||
		(unlinkat(u->d->uploads, u->index_name, 0) < 0 && errno != ENOENT) || fsync(u->d->uploads) < 0)
		return err_sys(err, errno, "removing upload %s", u->part_name);
	return 0;
}

void driver_file_upload_free(void *upload)
{
	struct file_upload *u = upload;

	if (!u)
		return;
	fs_close(u->data);
	fs_close(u->index);
	free(u->parts);
	free(u->meta);
	free(u->index_name);
	free(u->part_name);
	free(u->key);
	free(u);
}
