/* driver_s3.c - objects in a bucket with signature version 4: the driver as a whole. */
#include "uploader/s3/driver_s3_internal.h"

#include "common/clock.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/parse.h"
#include "uploader/s3/s3_bucket.h"
#include "uploader/s3/s3_erase.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_TIMEOUT_MS 3000u /* somebody waits for the answer */
#define PARALLEL_MAX    32u

/* ---- is the store there? ---- */

/* Who may write need not be allowed to list, or only what begins with the prefix: then HEAD is refused, and only a request with an answer to read tells why. */
static int look(struct driver_s3 *d, struct err *err)
{
	char below[S3_KEY_MAX];
	const struct s3_pair one[] = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", below}};
	const struct s3_request head = {.method = "HEAD", .timeout_ms = LOOK_TIMEOUT_MS};
	const struct s3_request list = {
		.method = "GET", .query = one, .query_n = 3, .timeout_ms = LOOK_TIMEOUT_MS, .answer_bytes_max = 65536};
	struct err why = {0};

	snprintf(below, sizeof(below), "%s%s", d->prefix, d->prefix[0] ? "/" : "");
	if (s3_call(d->client, &head, NULL, &why) == 0)
		return 0;
	/* AWS refuses one that was signed for another region with 400 */
	if (why.code == ERR_PERM || why.code == ERR_INPUT) {
		why = (struct err){0};
		if (s3_call(d->client, &list, NULL, &why) == 0 || strcmp(why.detail, "access_denied") == 0)
			return 0;
	}
	if (why.code == ERR_NOT_FOUND)
		err_set(&why, ERR_STATE, "there is no bucket \"%s\" at %s", s3_client_bucket(d->client),
			s3_client_endpoint(d->client));
	if (err)
		*err = why;
	return -1;
}

static int look_again(void *ctx, struct err *err)
{
	return look(ctx, err);
}

static int check(struct driver *base, struct err *err)
{
	struct driver_s3 *d = (struct driver_s3 *)base;

	return s3_look(&d->look, look_again, d, err);
}

static int examine(struct driver *base, struct driver_findings *ret, struct err *err)
{
	struct driver_s3 *d = (struct driver_s3 *)base;
	const struct s3_bucket_options o = {
		.prefix = d->prefix,
		.encryption = d->encryption,
		.kms_key_id = d->kms_key_id,
		.lifecycle = d->lifecycle,
		.retention_ms = d->retention_ms,
		.capture_ms = d->capture_ms,
		.probe = d->probe,
	};

	if (s3_bucket_examine(d->client, &o, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < ret->n; i++)
		if (strcmp(ret->items[i].check, "tags") == 0)
			atomic_store(&d->tags_harm, ret->items[i].severity == DRIVER_ERROR);
	return 0;
}

/* ---- objects ---- */

struct reading {
	uint8_t *dst;
	size_t n, room;
};

static int take(void *ctx, const uint8_t *p, size_t n)
{
	struct reading *r = ctx;

	if (n > r->room - r->n)
		return -1;
	memcpy(r->dst + r->n, p, n);
	r->n += n;
	return 0;
}

static int read_range(struct driver *base, const char *key, uint64_t offset, void *dst, size_t n, struct err *err)
{
	struct driver_s3 *d = (struct driver_s3 *)base;
	struct reading r = {.dst = dst, .room = n};
	char range[64];
	const struct s3_pair header = {"range", range};
	const struct s3_request rq = {.method = "GET",
		.key = key,
		.headers = &header,
		.headers_n = 1,
		.on_data = take,
		.data_bytes = n,
		.ctx = &r,
		.cancelled = &s3_to_the_end}; /* somebody is being sent it, who is given time to take it */
	struct s3_answer a;
	int status;

	if (n == 0)
		return 0;
	snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, offset, offset + n - 1);
	if (s3_call(d->client, &rq, &a, err) < 0)
		return -1;
	status = a.status;
	s3_answer_done(&a);
	if (status != 206 || r.n != n)
		return err_set(err, ERR_NET, "GET %s: %zu of %zu bytes from %" PRIu64 " came, with status %d", key, r.n,
			n, offset, status);
	return 0;
}

static char *url(struct driver *base, const char *key, uint64_t *ttl_s, const char *file_name, struct err *err)
{
	struct driver_s3 *d = (struct driver_s3 *)base;
	char disposition[512];
	const struct s3_pair query[] = {
		{"response-content-disposition", disposition},
		{"response-content-type", s3_label_content_type(key)},
	};

	snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s\"", file_name);
	return s3_client_url(d->client, key, query, 2, ttl_s, err);
}

static int erase(struct driver *base, const char *key, struct driver_erased *ret, struct err *err)
{
	struct driver_s3 *d = (struct driver_s3 *)base;

	return s3_erase_key(d->client, key, ret, err);
}

static void cancel(struct driver *base)
{
	s3_client_cancel(((struct driver_s3 *)base)->client, NULL);
}

static unsigned parallel(const struct driver *base)
{
	const struct driver_s3 *d = (const struct driver_s3 *)base;

	return d->parallel;
}

/* ---- birth and death ---- */

static void s3_free(struct driver *base)
{
	struct driver_s3 *d = (struct driver_s3 *)base;

	s3_client_free(d->client);
	s3_look_done(&d->look);
	free(d->prefix);
	free(d->kms_key_id);
	free(d);
}

static const struct driver_ops ops = {
	.name = "s3",
	.parallel = parallel,
	.upload_begin = driver_s3_upload_begin,
	.upload_open = driver_s3_upload_open,
	.upload_state = driver_s3_upload_state,
	.upload_part = driver_s3_upload_part,
	.upload_beyond = driver_s3_upload_beyond,
	.upload_complete = driver_s3_upload_complete,
	.upload_cancel = driver_s3_upload_cancel,
	.upload_abort = driver_s3_upload_abort,
	.upload_free = driver_s3_upload_free,
	.read = read_range,
	.url = url,
	.erase = erase,
	.check = check,
	.examine = examine,
	.cancel = cancel,
	.free = s3_free,
};

static struct s3_client *make_client(const struct driver_s3_options *o, struct err *err)
{
	struct s3_client_options c;

	return driver_s3_client_options(o, &c, err) < 0 ? NULL : s3_client_new(&c, err);
}

/* The same after a restart, another for each gateway: from the host's name and the folder that only one process uses. */
static void name_probe(const char *folder, char ret[17])
{
	char text[4096 + 256], host[HOST_NAME_MAX + 1] = "", sum[DIGEST_SHA256_HEX_MAX];

	if (gethostname(host, sizeof(host)) < 0)
		host[0] = '\0';
	host[HOST_NAME_MAX] = '\0';
	snprintf(text, sizeof(text), "%s:%s", host, folder ? folder : "");
	digest_sha256_hex(text, strlen(text), sum);
	snprintf(ret, 17, "%.16s", sum);
}

struct driver *driver_s3_new(const struct driver_s3_options *o, struct err *err)
{
	struct driver_s3 *d = calloc(1, sizeof(*d));

	if (!d || s3_look_init(&d->look, err) < 0) {
		free(d);
		err_nomem(err);
		return NULL;
	}
	d->base.ops = &ops;
	d->encryption = o->encryption;
	d->parallel = o->parallel < 1 ? 1 : o->parallel > PARALLEL_MAX ? PARALLEL_MAX : o->parallel;
	d->lifecycle = o->lifecycle;
	d->retention_ms = o->retention_ms;
	d->capture_ms = o->capture_ms;
	name_probe(o->staging_dir, d->probe);
	if (!(d->prefix = strdup(o->prefix)) || !(d->kms_key_id = strdup(o->kms_key_id)))
		err_nomem(err);
	else
		d->client = make_client(o, err);
	if (!d->client) {
		s3_free(&d->base);
		return NULL;
	}
	return &d->base;
}
