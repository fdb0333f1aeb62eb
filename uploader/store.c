/* store.c - the store as a whole: its birth, its health, its objects, and what must go. */
#include "uploader/store_internal.h"

#include "common/fs.h"
#include "uploader/staging.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct store_retry retry_default = {.tries = 10, .first_ms = 100, .cap_ms = 30000, .total_ms = 120000};

struct store *store_open(const struct store_options *o, struct err *err)
{
	struct store *s;

	if (o->chunk_bytes == 0 || o->job_bytes_max == 0) {
		err_set(err, ERR_INPUT, "store: a chunk and a capture need at least one byte");
		return NULL;
	}
	if (fs_mkdir_p(o->spool_dir, 0700, err) < 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s || !(s->spool_dir = strdup(o->spool_dir)) || pthread_mutex_init(&s->jobs_lock, NULL) != 0) {
		free(s ? s->spool_dir : NULL);
		free(s);
		err_nomem(err);
		return NULL;
	}
	s->chunk_bytes = store_plan_first(o->chunk_bytes, o->job_bytes_max);
	s->job_bytes_max = o->job_bytes_max;
	s->min_free_bytes = o->min_free_bytes;
	s->spool_job_max_bytes = o->spool_job_max_bytes;
	s->spool_max_bytes = o->spool_max_bytes;
	s->db = o->db;
	s->driver = o->driver;
	s->on_event = o->on_event;
	s->ctx = o->ctx;
	s->retry = retry_default;
	if (store_spool_count(s, err) < 0) {
		pthread_mutex_destroy(&s->jobs_lock);
		free(s->spool_dir);
		free(s);
		return NULL;
	}
	return s;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	s->driver->ops->free(s->driver);
	pthread_mutex_destroy(&s->jobs_lock);
	free(s->spool_dir);
	free(s);
}

int store_free_bytes(const struct store *s, uint64_t *ret, struct err *err)
{
	return fs_free_bytes(s->spool_dir, ret, err) < 0 ? err_in(err, "spool %s", s->spool_dir) : 0;
}

int store_check(struct store *s, struct err *err)
{
	if (store_spool_check(s, err) < 0)
		return -1;
	return s->driver->ops->check(s->driver, err);
}

int store_examine(struct store *s, struct driver_findings *ret, struct err *err)
{
	bool cancelled;
	int rc;

	ret->n = 0;
	rc = s->driver->ops->examine ? s->driver->ops->examine(s->driver, ret, err) : 0;
	pthread_mutex_lock(&s->jobs_lock);
	cancelled = s->cancelled;
	pthread_mutex_unlock(&s->jobs_lock);
	/* What was found then says nothing of the store. */
	return cancelled ? err_set(err, ERR_CANCELLED, "the examination of the store was given up") : rc;
}

/* ---- objects ---- */

bool store_objects_are_files(const struct store *s)
{
	return s->driver->ops->open != NULL;
}

int store_object_open(struct store *s, const char *key, uint64_t *ret_bytes, struct err *err)
{
	if (!s->driver->ops->open)
		return err_set(err, ERR_STATE, "the %s store gives links of its own", s->driver->ops->name);
	return s->driver->ops->open(s->driver, key, ret_bytes, err);
}

static int read_file(struct store *s, const char *key, uint64_t offset, void *dst, size_t n, struct err *err)
{
	uint64_t size;
	ssize_t got;
	size_t at = 0;
	int fd = s->driver->ops->open(s->driver, key, &size, err), rc = 0;

	if (fd < 0)
		return -1;
	if (offset > size || n > size - offset)
		rc = err_set(err, ERR_INPUT, "object %s has %" PRIu64 " bytes, not %zu from %" PRIu64 " on", key, size,
			n, offset);
	while (rc == 0 && at < n) {
		got = pread(fd, (uint8_t *)dst + at, n - at, (off_t)(offset + at));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			rc = err_sys(err, errno, "object %s", key);
		else if (got == 0)
			rc = err_set(err, ERR_IO, "object %s ends before its %" PRIu64 " bytes", key, size);
		else
			at += (size_t)got;
	}
	fs_close(fd);
	return rc;
}

int store_object_read(struct store *s, const char *key, uint64_t offset, void *dst, size_t n, struct err *err)
{
	if (!s->driver->ops->read)
		return read_file(s, key, offset, dst, n, err);
	return s->driver->ops->read(s->driver, key, offset, dst, n, err);
}

char *store_object_url(struct store *s, const char *key, uint64_t *ttl_s, const char *file_name, struct err *err)
{
	return s->driver->ops->url ? s->driver->ops->url(s->driver, key, ttl_s, file_name, err) : NULL;
}

/* ---- what must go ---- */

/* Also what a driver that is not configured any more has put together of it. */
static int staging_clean(const struct store *s, const char *job_id, struct err *err)
{
	char *path = fs_path("%s/" STORE_STAGING_NAME, s->spool_dir);
	int rc = path ? staging_forget(path, job_id, err) : err_nomem(err);

	free(path);
	return rc;
}

int store_clean(struct store *s, const char *job_id, struct err *err)
{
	uint64_t before = 0, after = 0;
	int rc;

	spool_bytes(s->spool_dir, job_id, &before, NULL);
	if ((rc = spool_remove(s->spool_dir, job_id, err)) < 0)
		spool_bytes(s->spool_dir, job_id, &after, NULL);
	store_spool_sub(s, before > after ? before - after : 0);
	if (rc < 0 || staging_clean(s, job_id, err) < 0)
		return -1;
	return job_db_chunks_delete(s->db, job_id, err);
}

/* 1: the job has a folder in the spool, 0: it has none. */
static int spool_has(const struct store *s, const char *job_id, struct err *err)
{
	struct err why = {0};
	struct spool *sp = spool_open(s->spool_dir, job_id, &why);

	spool_close(sp);
	if (sp)
		return 1;
	if (why.code == ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = why;
	return -1;
}

/* What the database knows of the job's upload; "" also when it does not know the job.  New string. */
static char *upload_text_get(struct store *s, const char *job_id, struct err *err)
{
	struct err why = {0};
	char *text = NULL;

	if (job_db_upload_get(s->db, job_id, &text, &why) == 0)
		return text;
	if (why.code == ERR_NOT_FOUND) {
		if (!(text = strdup("")))
			err_nomem(err);
	} else if (err) {
		*err = why;
	}
	return text;
}

/* A driver without upload_open has something of an upload from its beginning; it finds it by the job, not by the key. */
static uint32_t uploads_undone(const struct store *s, const char *text, const struct driver_erased *erased)
{
	struct upload_text t;

	return !s->driver->ops->upload_open && text[0] && upload_text_parse(text, &t, NULL) == 0 &&
	       (!t.complete || erased->objects == 0);
}

/* The object goes first and the records last: whatever fails, what is left can be found and erased again. */
int store_erase(struct store *s, const char *job_id, const char *key, struct driver_erased *ret, struct err *err)
{
	struct driver_erased erased = {0};
	struct err why = {0};
	char *text = NULL;
	int has, rc = -1;

	if (ret)
		*ret = erased;
	if (!id_is_valid(job_id))
		return err_set(err, ERR_INPUT, "\"%s\" is not a job id", job_id);
	if (key && key[0] && s->driver->ops->erase(s->driver, key, &erased, err) < 0)
		goto out;
	if ((has = spool_has(s, job_id, err)) < 0 || !(text = upload_text_get(s, job_id, err)))
		goto out;
	if (key && key[0] && (has || text[0])) {
		if (store_upload_undo(s, job_id, key, text, err) < 0)
			goto out;
		erased.uploads += uploads_undone(s, text, &erased);
	}
	if (store_clean(s, job_id, err) < 0 || job_db_links_delete(s->db, job_id, err) < 0)
		goto out;
	if (job_db_upload_set(s->db, job_id, "", &why) < 0 && why.code != ERR_NOT_FOUND) {
		if (err)
			*err = why;
		goto out;
	}
	rc = 0;
out:
	if (ret)
		*ret = erased;
	free(text);
	return rc;
}

/* The key as the spool has it.  Only one that is named after the job is believed: what stands there can be nobody else's. */
static char *orphan_key(struct store *s, const char *job_id)
{
	struct spool *sp = spool_open(s->spool_dir, job_id, NULL);
	char *key = sp ? spool_key_get(sp, NULL) : NULL;
	const char *name = key ? strrchr(key, '/') : NULL;

	name = name ? name + 1 : key;
	if (name && (strncmp(name, job_id, strlen(job_id)) != 0 || name[strlen(job_id)] != '.')) {
		free(key);
		key = NULL;
	}
	spool_close(sp);
	return key;
}

/* Nobody knows of an orphan, so nobody could ever ask for its object or erase it.  Without a key the driver only has to find what the
 * job's upload left. */
static int orphan_erase(struct store *s, const char *job_id, struct err *err)
{
	struct driver_erased erased = {0};
	char *key = orphan_key(s, job_id);
	bool known = key != NULL;
	int rc = -1;

	if (!key && !(key = fs_path("orphans/%s", job_id)))
		return err_nomem(err);
	if ((!known || s->driver->ops->erase(s->driver, key, &erased, err) == 0) &&
		store_upload_undo(s, job_id, key, "", err) == 0)
		rc = store_clean(s, job_id, err);
	free(key);
	return rc < 0 ? err_in(err, "orphan %s", job_id) : 0;
}

int store_orphans(struct store *s, bool (*known)(void *ctx, const char *job_id), void *ctx, unsigned *ret_erased,
	unsigned *ret_foreign, struct err *err)
{
	unsigned erased = 0, foreign = 0;
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(s->spool_dir);
	int rc = 0;

	if (!d)
		return err_sys(err, errno, "spool %s", s->spool_dir);
	while (rc == 0 && (errno = 0, e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue; /* the folder itself, and what a driver keeps here */
		if (!id_is_valid(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISDIR(st.st_mode)) {
			foreign++;
		} else if (!known(ctx, e->d_name)) {
			rc = orphan_erase(s, e->d_name, err);
			erased += rc == 0;
		}
	}
	if (rc == 0 && errno != 0)
		rc = err_sys(err, errno, "spool %s", s->spool_dir);
	closedir(d);
	if (rc == 0) {
		*ret_erased = erased;
		*ret_foreign = foreign;
	}
	return rc;
}
