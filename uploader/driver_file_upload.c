/* driver_file_upload.c - how the file driver makes an object: its parts are put together in .uploads (staging.h), and how they become the object is in
 * driver_file_complete.c. */
#include "uploader/driver_file_internal.h"

#include "common/fs.h"
#include "common/parse.h"
#include "uploader/file_tree.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

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

	if (file_tree_check(key, err) < 0)
		return NULL;
	if (resume && strcmp(resume_text, tags->job) != 0) {
		err_set(err, ERR_INPUT, "upload of job %s: \"%s\" does not belong to it", tags->job, resume_text);
		return NULL;
	}
	u = calloc(1, sizeof(*u));
	if (!u) {
		err_nomem(err);
		return NULL;
	}
	u->d = (struct driver_file *)d;
	u->parts.data = u->parts.index = -1;
	u->key = strdup(key);
	u->job = strdup(tags->job);
	if (!u->key || !u->job) {
		err_nomem(err);
		goto fail;
	}
	if (!(u->meta = meta_new(tags, err)) || (!resume && object_stands(u->d, key, err)))
		goto fail;
	if (staging_open(&u->parts, u->d->uploads, tags->job, resume, err) < 0) {
		err_in(err, "object store %s", u->d->root_path);
		goto fail;
	}
	return u;
fail:
	driver_file_upload_free(u);
	return NULL;
}

char *driver_file_upload_state(void *upload, struct err *err)
{
	const struct file_upload *u = upload;
	char *text = strdup(u->job);

	if (!text)
		err_nomem(err);
	return text;
}

int driver_file_upload_part(void *upload, uint32_t seq, bool alone, int fd, uint64_t bytes, const char *sha256,
	char **ret_part, struct err *err)
{
	struct file_upload *u = upload;

	(void)alone; /* one part is written like many */
	return staging_add(&u->parts, seq, fd, bytes, sha256, ret_part, err);
}

int driver_file_upload_abort(void *upload, struct err *err)
{
	struct file_upload *u = upload;

	return staging_remove(&u->parts, err);
}

void driver_file_upload_free(void *upload)
{
	struct file_upload *u = upload;

	if (!u)
		return;
	staging_close(&u->parts);
	free(u->meta);
	free(u->job);
	free(u->key);
	free(u);
}
