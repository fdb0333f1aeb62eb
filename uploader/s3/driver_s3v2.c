/* driver_s3v2.c - objects in a bucket with signature version 2, for older stores: the driver as a whole.  What version 2, or libs3, cannot do is absent: parts while the
 * capture runs, tags, encryption, versions, lifecycle, session tokens. */
#include "uploader/s3/driver_s3v2_internal.h"

#include "common/clock.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_TIMEOUT_MS 3000u /* somebody waits for the answer */

/* ---- is the store there? ---- */

/* Who may write need not be allowed to list, or only what begins with the prefix. */
int driver_s3v2_look(struct driver_s3v2 *d, struct err *err)
{
	struct s3_versions found = {0};
	struct err why = {0};
	char below[S3_KEY_MAX];
	int rc;

	snprintf(below, sizeof(below), "%s/", d->prefix);
	rc = libs3_list(d->client, below, 1, LOOK_TIMEOUT_MS, &found, &why);
	s3_versions_free(&found);
	if (rc == 0 || (why.code == ERR_PERM && strcmp(why.detail, "access_denied") == 0))
		return 0;
	if (why.code == ERR_NOT_FOUND)
		why.code = ERR_STATE;
	if (err)
		*err = why;
	return -1;
}

static int look_again(void *ctx, struct err *err)
{
	return driver_s3v2_look(ctx, err);
}

static int check(struct driver *base, struct err *err)
{
	struct driver_s3v2 *d = (struct driver_s3v2 *)base;

	if (staging_check(d->staging, err) < 0)
		return err_in(err, "staging folder %s", d->staging_path);
	return s3_look(&d->look, look_again, d, err);
}

/* ---- objects ---- */

static int read_range(struct driver *base, const char *key, uint64_t offset, void *dst, size_t n, struct err *err)
{
	/* somebody is being sent it, who is given time to take it */
	return libs3_get(((struct driver_s3v2 *)base)->client, key, offset, dst, n, &s3_to_the_end, err);
}

static char *url(struct driver *base, const char *key, uint64_t *ttl_s, const char *file_name, struct err *err)
{
	return libs3_url(((struct driver_s3v2 *)base)->client, key, ttl_s, file_name, err);
}

/* HEAD.  1: it stands there, 0: it does not, -1: nobody can tell.  *ret_forbidden: it may not be looked at; without the right to list, so is what is not there. */
static int is_there(struct driver_s3v2 *d, const char *key, uint64_t *ret_bytes, bool *ret_forbidden, struct err *err)
{
	struct libs3_object there;
	struct err why = {0};

	*ret_forbidden = false;
	if (libs3_head(d->client, key, NULL, &there, &why) == 0) {
		*ret_bytes = there.bytes;
		return 1;
	}
	*ret_forbidden = why.code == ERR_PERM;
	if (why.code == ERR_NOT_FOUND || why.code == ERR_PERM)
		return 0;
	if (err)
		*err = why;
	return -1;
}

/* Is it in the list, whatever HEAD says?  A key is the first of those that begin with it. */
static int is_listed(struct driver_s3v2 *d, const char *key, struct err *err)
{
	struct s3_versions found = {0};
	struct err why = {0};
	int rc = libs3_list(d->client, key, 1, 0, &found, &why);

	if (rc == 0)
		rc = found.n > 0 && strcmp(found.items[0].key, key) == 0;
	else if (why.code == ERR_PERM)
		rc = 0; /* not allowed to look */
	else if (err)
		*err = why;
	s3_versions_free(&found);
	return rc;
}

int driver_s3v2_erase(struct driver_s3v2 *d, const char *key, struct driver_erased *ret, struct err *err)
{
	uint64_t bytes = 0, left;
	struct err why = {0};
	int there, still = 0;
	bool forbidden;

	if ((there = is_there(d, key, &bytes, &forbidden, err)) < 0)
		return -1;
	/* Of what is not there, nothing is deleted: where versions are kept, that would leave a delete marker each time. */
	if (there == 0 && !forbidden && (still = is_listed(d, key, err)) <= 0)
		return still;
	if (libs3_delete(d->client, key, &why) < 0 && why.code != ERR_NOT_FOUND) {
		if (err)
			*err = why;
		return -1;
	}
	if ((still = is_there(d, key, &left, &forbidden, err)) < 0 ||
		(still == 0 && (still = is_listed(d, key, err)) < 0))
		return -1;
	if (still)
		return err_set(err, ERR_UNAVAILABLE,
			"erasing object %s: the store says that it is gone, and still has it", key);
	ret->objects += there == 1;
	ret->bytes += bytes;
	return 0;
}

static int erase(struct driver *base, const char *key, struct driver_erased *ret, struct err *err)
{
	return driver_s3v2_erase((struct driver_s3v2 *)base, key, ret, err);
}

static void cancel(struct driver *base)
{
	libs3_client_cancel(((struct driver_s3v2 *)base)->client, NULL);
}

/* Parts lie one behind the other in one file. */
static unsigned parallel(const struct driver *base)
{
	(void)base;
	return 1;
}

/* ---- birth and death ---- */

static void s3v2_free(struct driver *base)
{
	struct driver_s3v2 *d = (struct driver_s3v2 *)base;

	libs3_client_free(d->client);
	fs_close(d->staging);
	s3_look_done(&d->look);
	free(d->staging_path);
	free(d->prefix);
	free(d);
}

static const struct driver_ops ops = {
	.name = "s3",
	.parallel = parallel,
	.upload_begin = driver_s3v2_upload_begin,
	.upload_state = driver_s3v2_upload_state,
	.upload_part = driver_s3v2_upload_part,
	.upload_complete = driver_s3v2_upload_complete,
	.upload_cancel = driver_s3v2_upload_cancel,
	.upload_abort = driver_s3v2_upload_abort,
	.upload_free = driver_s3v2_upload_free,
	.read = read_range,
	.url = url,
	.erase = erase,
	.check = check,
	.examine = driver_s3v2_examine,
	.cancel = cancel,
	.free = s3v2_free,
};

static int refuse_options(const struct driver_s3_options *o, struct err *err)
{
	if (o->encryption != S3_SSE_NONE)
		return err_set(err, ERR_INPUT,
			"signature version 2 through libs3 cannot ask for encryption: s3.encryption must be none, the "
			"bucket's own default is used");
	if (o->credentials.source == S3_SOURCE_IMDS)
		return err_set(err, ERR_INPUT,
			"signature version 2 through libs3 has no place for the session tokens of an instance role: "
			"s3.credentials must be static, environment or file");
	return 0;
}

static int open_staging(struct driver_s3v2 *d, struct err *err)
{
	if (fs_mkdir_p(d->staging_path, 0700, err) < 0)
		return -1;
	d->staging = open(d->staging_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return d->staging < 0 ? err_sys(err, errno, "staging folder %s", d->staging_path) : 0;
}

static struct libs3_client *make_client(const struct driver_s3_options *o, struct err *err)
{
	struct s3_client_options c;

	return driver_s3_client_options(o, &c, err) < 0 ? NULL : libs3_client_new(&c, err);
}

struct driver *driver_s3v2_new(const struct driver_s3_options *o, struct err *err)
{
	struct driver_s3v2 *d;

	if (refuse_options(o, err) < 0)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d || s3_look_init(&d->look, err) < 0) {
		free(d);
		err_nomem(err);
		return NULL;
	}
	d->base.ops = &ops;
	d->staging = -1;
	if (!(d->prefix = strdup(o->prefix)) || !(d->staging_path = strdup(o->staging_dir)))
		err_nomem(err);
	else if (open_staging(d, err) == 0)
		d->client = make_client(o, err);
	if (!d->client) {
		s3v2_free(&d->base);
		return NULL;
	}
	return &d->base;
}
