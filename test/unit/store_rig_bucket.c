/* store_rig_bucket.c - see store_rig_bucket.h.
 *   <root>/.bucket/<id>/key      an open upload and where its object shall stand
 *   <root>/.bucket/<id>/000001   a part, there once it is whole
 *   <root>/<key>                 an object */
#include "test/unit/store_rig_bucket.h"

#include "common/fs.h"
#include "common/id.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER    ".bucket"
#define NOT_OPEN  "-" /* upload_state of an upload that has no id yet */
#define PATH_ROOM 1024

struct bucket {
	struct driver base;
	struct driver *objects; /* the file driver, for what is complete */
	char *root;
	unsigned parallel;
	uint64_t part_bytes_min;
};

struct bucket_upload {
	struct bucket *b;
	char *key;
	char job[ID_MAX];
	char id[ID_MAX]; /* "" : not open */
};

static void upload_path(const char *root, const char *id, const char *name, char ret[PATH_ROOM])
{
	if (snprintf(ret, PATH_ROOM, "%s/" FOLDER "/%s/%s", root, id, name) >= PATH_ROOM)
		abort();
}

static void part_path(const struct bucket_upload *u, uint32_t seq, char ret[PATH_ROOM])
{
	char name[16];

	snprintf(name, sizeof(name), "%06" PRIu32, seq);
	upload_path(u->b->root, u->id, name, ret);
}

/* Removes the uploads of key (NULL: all), but for one; their number. */
static unsigned uploads_remove(const char *root, const char *key, const char *but)
{
	char path[PATH_ROOM], gone[PATH_ROOM], text[PATH_ROOM];
	unsigned removed = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/" FOLDER, root);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		ssize_t n = 0;
		int fd;

		if (!id_is_valid(e->d_name) || (but && strcmp(but, e->d_name) == 0))
			continue;
		upload_path(root, e->d_name, "key", path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			n = read(fd, text, sizeof(text) - 1);
		fs_close(fd);
		text[n > 0 ? n : 0] = '\0';
		if (key && strcmp(key, text) != 0)
			continue;
		/* At once, whoever is just putting a part there; a second remover comes too late. */
		upload_path(root, e->d_name, "", path);
		snprintf(gone, sizeof(gone), "%s/" FOLDER "/gone-%s", root, e->d_name);
		if (rename(path, gone) < 0)
			continue;
		fs_remove_tree(gone, NULL);
		removed++;
	}
	if (d)
		closedir(d);
	return removed;
}

void store_rig_bucket_forget(const char *root)
{
	uploads_remove(root, NULL, NULL);
}

unsigned store_rig_bucket_uploads(const char *root)
{
	char path[PATH_ROOM];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/" FOLDER, root);
	d = opendir(path);
	while (d && (e = readdir(d)))
		n += id_is_valid(e->d_name);
	if (d)
		closedir(d);
	return n;
}

static bool object_stands(const struct bucket *b, const char *key)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%s/%s", b->root, key);
	return access(path, F_OK) == 0;
}

static unsigned bucket_parallel(const struct driver *d)
{
	return ((const struct bucket *)d)->parallel;
}

/* ---- uploads ---- */

static void *bucket_begin(
	struct driver *d, const char *key, const struct driver_tags *tags, const char *resume, struct err *err)
{
	struct bucket *b = (struct bucket *)d;
	struct bucket_upload *u;

	if (!resume[0] && object_stands(b, key)) {
		err_set(err, ERR_STATE, "object %s is there already", key);
		return NULL;
	}
	if (resume[0] && strcmp(resume, NOT_OPEN) != 0 && !id_is_valid(resume)) {
		err_set(err, ERR_INPUT, "\"%s\" is no upload", resume);
		return NULL;
	}
	if (!(u = calloc(1, sizeof(*u))) || !(u->key = strdup(key)))
		abort();
	u->b = b;
	snprintf(u->job, sizeof(u->job), "%s", tags->job);
	if (!resume[0])
		uploads_remove(b->root, key, NULL);
	else if (strcmp(resume, NOT_OPEN) != 0)
		memcpy(u->id, resume, ID_MAX);
	return u;
}

/* Takes away what an opening left of which the answer never arrived. */
static int bucket_upload_open(void *upload, struct err *err)
{
	struct bucket_upload *u = upload;
	char made[PATH_ROOM], path[PATH_ROOM];
	int fd;

	uploads_remove(u->b->root, u->key, NULL);
	id_new(u->id);
	snprintf(made, sizeof(made), "%s/" FOLDER "/new-%s", u->b->root, u->id);
	if (fs_mkdir_p(made, 0700, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/" FOLDER "/new-%s/key", u->b->root, u->id);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, u->key, strlen(u->key)) != (ssize_t)strlen(u->key))
		abort();
	fs_close(fd);
	/* It is there as a whole or not at all, whenever the process dies. */
	upload_path(u->b->root, u->id, "", path);
	if (rename(made, path) < 0)
		abort();
	return 0;
}

static char *bucket_upload_state(void *upload, struct err *err)
{
	const struct bucket_upload *u = upload;
	char *text = strdup(u->id[0] ? u->id : NOT_OPEN);

	if (!text)
		err_nomem(err);
	return text;
}

static int forgotten(const struct bucket_upload *u, struct err *err)
{
	char path[PATH_ROOM];

	upload_path(u->b->root, u->id, "", path);
	if (access(path, F_OK) == 0)
		return 0;
	return err_set(err, ERR_NOT_FOUND, "no such upload: %s", u->id);
}

/* n files become the object, through the file driver. */
static int object_make(struct bucket_upload *u, const int *fds, const uint64_t *bytes, uint32_t n,
	const struct driver_object *expect, struct err *err)
{
	const struct driver_tags tags = {.job = u->job};
	struct driver *o = u->b->objects;
	void *real = o->ops->upload_begin(o, u->key, &tags, "", err);
	char **texts = calloc(n + 1u, sizeof(*texts)), sha256[DIGEST_SHA256_HEX_MAX];
	int rc = real ? 0 : -1;

	if (!texts)
		abort();
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		rc = digest_fd_hex(fds[i], bytes[i], sha256, err);
		if (rc == 0)
			rc = o->ops->upload_part(real, i + 1, n == 1, fds[i], bytes[i], sha256, &texts[i], err);
	}
	if (rc == 0)
		rc = o->ops->upload_complete(real, n, (const char *const *)texts, expect, err);
	if (rc < 0 && real)
		o->ops->upload_abort(real, NULL);
	if (real)
		o->ops->upload_free(real);
	for (uint32_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
	return rc;
}

/* A single PUT. */
static int put_alone(struct bucket_upload *u, int fd, uint64_t bytes, const char *sha256, struct err *err)
{
	struct driver_object expect = {.bytes = bytes};
	struct driver_erased erased;

	snprintf(expect.sha256, sizeof(expect.sha256), "%s", sha256);
	if (u->b->objects->ops->erase(u->b->objects, u->key, &erased, err) < 0)
		return -1;
	return object_make(u, &fd, &bytes, 1, &expect, err);
}

static int put_part(struct bucket_upload *u, uint32_t seq, int fd, uint64_t bytes, struct err *err)
{
	char path[PATH_ROOM], part[PATH_ROOM];
	uint8_t *p = malloc(bytes + 1);
	int to;

	if (!p || pread(fd, p, bytes, 0) != (ssize_t)bytes)
		abort();
	part_path(u, seq, part);
	snprintf(path, sizeof(path), "%.*s.new", PATH_ROOM - 5, part);
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to >= 0 && write(to, p, bytes) != (ssize_t)bytes)
		abort();
	fs_close(to);
	free(p);
	/* Somebody may be forgetting it this very moment. */
	if (to < 0 || rename(path, part) < 0)
		return err_set(err, ERR_NOT_FOUND, "no such upload: %s", u->id);
	return 0;
}

static int bucket_upload_part(void *upload, uint32_t seq, bool alone, int fd, uint64_t bytes, const char *sha256,
	char **ret_part, struct err *err)
{
	struct bucket_upload *u = upload;

	if (!alone && !u->id[0])
		return err_set(err, ERR_INTERNAL, "part %" PRIu32 " came before upload_open", seq);
	if (alone && (seq != 1 || u->id[0]))
		return err_set(err, ERR_INTERNAL, "part %" PRIu32 " is not alone", seq);
	if (alone ? put_alone(u, fd, bytes, sha256, err) < 0
		  : forgotten(u, err) < 0 || put_part(u, seq, fd, bytes, err) < 0)
		return -1;
	if (!(*ret_part = fs_path("%" PRIu32 "-%s", seq, sha256)))
		abort();
	return 0;
}

static int bucket_upload_beyond(void *upload, uint32_t n, bool *ret, struct err *err)
{
	const struct bucket_upload *u = upload;
	char path[PATH_ROOM];

	*ret = false;
	if (forgotten(u, err) < 0)
		return -1;
	for (uint32_t seq = n + 1; seq < n + 100 && !*ret; seq++) {
		part_path(u, seq, path);
		*ret = access(path, F_OK) == 0;
	}
	return 0;
}

static int parts_open(
	const struct bucket_upload *u, uint32_t n, const char *const *parts, int *fds, uint64_t *bytes, struct err *err)
{
	char path[PATH_ROOM], sha256[DIGEST_SHA256_HEX_MAX], text[DIGEST_SHA256_HEX_MAX + 16];
	struct stat st;

	for (uint32_t i = 0; i < n; i++) {
		part_path(u, i + 1, path);
		fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0 || fstat(fds[i], &st) < 0)
			return err_set(err, ERR_INPUT, "invalid part %" PRIu32, i + 1);
		bytes[i] = (uint64_t)st.st_size;
		if (i + 1 < n && bytes[i] < u->b->part_bytes_min)
			return err_set(err, ERR_INPUT, "part %" PRIu32 " of %" PRIu32 " is too small: %" PRIu64, i + 1,
				n, bytes[i]);
		if (digest_fd_hex(fds[i], bytes[i], sha256, err) < 0)
			return -1;
		snprintf(text, sizeof(text), "%" PRIu32 "-%s", i + 1, sha256);
		if (strcmp(text, parts[i]) != 0)
			return err_set(err, ERR_INPUT, "part %" PRIu32 " is another", i + 1);
	}
	return 0;
}

static int complete_parts(struct bucket_upload *u, uint32_t n, const char *const *parts,
	const struct driver_object *expect, struct err *err)
{
	int *fds = calloc(n + 1, sizeof(*fds)), rc;
	uint64_t *bytes = calloc(n + 1, sizeof(*bytes));

	if (!fds || !bytes)
		abort();
	for (uint32_t i = 0; i < n; i++)
		fds[i] = -1;
	rc = parts_open(u, n, parts, fds, bytes, err);
	if (rc == 0)
		rc = object_make(u, fds, bytes, n, expect, err);
	for (uint32_t i = 0; i < n; i++)
		fs_close(fds[i]);
	free(fds);
	free(bytes);
	return rc;
}

static int bucket_upload_complete(
	void *upload, uint32_t n, const char *const *parts, const struct driver_object *expect, struct err *err)
{
	struct bucket_upload *u = upload;
	const struct driver_tags tags = {.job = u->job};
	struct driver *o = u->b->objects;
	int rc;

	if (object_stands(u->b, u->key)) {
		void *real = o->ops->upload_begin(o, u->key, &tags, u->job, err);

		if (!real)
			return -1;
		rc = o->ops->upload_complete(real, 0, NULL, expect, err); /* compares */
		o->ops->upload_free(real);
	} else if (!u->id[0]) {
		rc = err_set(err, ERR_NOT_FOUND, "no object %s", u->key);
	} else {
		rc = forgotten(u, err) < 0 ? -1 : complete_parts(u, n, parts, expect, err);
	}
	if (rc == 0)
		uploads_remove(u->b->root, u->key, NULL);
	return rc;
}

static int bucket_upload_abort(void *upload, struct err *err)
{
	struct bucket_upload *u = upload;

	(void)err;
	uploads_remove(u->b->root, u->key, NULL);
	return 0;
}

static void bucket_upload_free(void *upload)
{
	struct bucket_upload *u = upload;

	free(u->key);
	free(u);
}

/* ---- objects ---- */

static int bucket_read(struct driver *d, const char *key, uint64_t offset, void *dst, size_t n, struct err *err)
{
	struct bucket *b = (struct bucket *)d;
	uint64_t bytes;
	int fd = b->objects->ops->open(b->objects, key, &bytes, err), rc = 0;

	if (fd < 0)
		return -1;
	if (pread(fd, dst, n, (off_t)offset) != (ssize_t)n)
		rc = err_set(err, ERR_IO, "not so many bytes");
	close(fd);
	return rc;
}

static int bucket_erase(struct driver *d, const char *key, struct driver_erased *ret, struct err *err)
{
	struct bucket *b = (struct bucket *)d;

	if (b->objects->ops->erase(b->objects, key, ret, err) < 0)
		return -1;
	ret->uploads += uploads_remove(b->root, key, NULL);
	return 0;
}

static int bucket_check(struct driver *d, struct err *err)
{
	struct bucket *b = (struct bucket *)d;

	return b->objects->ops->check(b->objects, err);
}

static int bucket_examine(struct driver *d, struct driver_findings *ret, struct err *err)
{
	(void)d;
	(void)err;
	ret->items[ret->n++] =
		(struct driver_finding){.severity = DRIVER_WARNING, .check = "encryption", .text = "none"};
	return 0;
}

static void bucket_free(struct driver *d)
{
	struct bucket *b = (struct bucket *)d;

	b->objects->ops->free(b->objects);
	free(b->root);
	free(b);
}

static const struct driver_ops bucket_ops = {
	.name = "bucket",
	.parallel = bucket_parallel,
	.upload_begin = bucket_begin,
	.upload_open = bucket_upload_open,
	.upload_state = bucket_upload_state,
	.upload_part = bucket_upload_part,
	.upload_beyond = bucket_upload_beyond,
	.upload_complete = bucket_upload_complete,
	.upload_abort = bucket_upload_abort,
	.upload_free = bucket_upload_free,
	.read = bucket_read,
	.erase = bucket_erase,
	.check = bucket_check,
	.examine = bucket_examine,
	.free = bucket_free,
};

struct driver *store_rig_bucket_new(const char *root, unsigned parallel, uint64_t part_bytes_min)
{
	struct bucket *b = calloc(1, sizeof(*b));

	if (!b || !(b->root = strdup(root)) || !(b->objects = driver_file_new(root, NULL)))
		abort();
	b->base.ops = &bucket_ops;
	b->parallel = parallel;
	b->part_bytes_min = part_bytes_min;
	return &b->base;
}
