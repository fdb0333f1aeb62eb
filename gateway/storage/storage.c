#include "gateway/storage/storage.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/parse.h"
#include "gateway/gateway.h"
#include "gateway/limits/limits.h"
#include "gateway/storage/eraser.h"
#include "gateway/storage/examination.h"
#include "gateway/storage/store_health.h"
#include "uploader/s3/driver_s3.h"

#include <stdlib.h>
#include <string.h>

static void on_store_event(void *ctx, const char *job_id, const char *type, const char *text)
{
	struct gateway *gw = ctx;
	json_t *data = json_pack("{s:s}", "text", text);
	char *dump = data ? json_dumps(data, JSON_COMPACT) : NULL;
	uint64_t seq;

	log_event(LOG_LEVEL_WARNING, "storage.event",
		json_pack("{s:s, s:s, s:s}", "job", job_id, "type", type, "text", text));
	job_db_event_add(gw->db, job_id, clock_wall_ns(), type, dump ? dump : "{}", &seq, NULL);
	free(dump);
	json_decref(data);
}

/* ---- drivers ---- */

static enum s3_source s3_source_of(const char *word)
{
	if (strcmp(word, "environment") == 0)
		return S3_SOURCE_ENVIRONMENT;
	if (strcmp(word, "file") == 0)
		return S3_SOURCE_FILE;
	return strcmp(word, "instance") == 0 ? S3_SOURCE_IMDS : S3_SOURCE_STATIC;
}

static enum s3_encryption s3_encryption_of(const char *word)
{
	if (strcmp(word, "AES256") == 0)
		return S3_SSE_AES256;
	return strcmp(word, "aws:kms") == 0 ? S3_SSE_KMS : S3_SSE_NONE;
}

static struct s3_credentials_options s3_keys_of(const struct config_s3 *s)
{
	return (struct s3_credentials_options){
		.source = s3_source_of(s->credentials),
		.access_key = s->access_key,
		.secret_key = s->secret_key,
		.session_token = s->session_token,
		.file = s->credentials_file,
		.profile = s->profile,
		.imds_url = s->imds_url,
	};
}

static struct driver *s3_driver(const struct config_gateway *c, const char *spool, struct err *err)
{
	const struct config_s3 *s = &c->s3;
	bool v2 = strcmp(s->signature_version, "2") == 0;
	char *staging = fs_path("%s/" STORE_STAGING_NAME, spool);
	struct driver_s3_options o = {
		.endpoint = s->endpoint,
		.bucket = s->bucket,
		.region = s->region,
		.path_style = s->path_style,
		.ca_file = s->ca,
		.credentials = s3_keys_of(s),
		.encryption = s3_encryption_of(s->encryption),
		.kms_key_id = s->kms_key_id,
		.prefix = c->storage_prefix,
		.parallel = (unsigned)s->parallel,
		.connections_max = (unsigned)s->connections,
		.connect_timeout_ms = (unsigned)s->connect_timeout_ms,
		.idle_timeout_ms = (unsigned)s->idle_timeout_ms,
		.lifecycle = s->lifecycle && !v2,
		.retention_ms = limits_retention_max_ms(c),
		.capture_ms = c->limit_duration_ms,
		.staging_dir = staging,
	};
	struct driver *d = NULL;

	if (!staging)
		err_nomem(err);
	else if (!(d = v2 ? driver_s3v2_new(&o, err) : driver_s3_new(&o, err)))
		err_in(err, "s3");
	if (d && strncmp(s->endpoint, "http://", 7) == 0)
		log_event(LOG_LEVEL_WARNING, "storage.not_encrypted",
			json_pack("{s:s, s:s}", "endpoint", s->endpoint, "text",
				"captures go to the store and come from it in clear: everybody on the way can read and "
				"change them"));
	free(staging);
	return d;
}

static struct driver *file_driver(const struct config_gateway *c, struct err *err)
{
	char *objects = c->storage_path[0] ? strdup(c->storage_path) : fs_path("%s/objects", c->state_dir);
	struct driver *d = NULL;

	if (!objects)
		err_nomem(err);
	else
		d = driver_file_new(objects, err);
	free(objects);
	return d;
}

/* Chunks grow with the capture: a budget that takes the first ones need not take the last. */
static int check_budget(const struct config_gateway *c, struct err *err)
{
	uint64_t least = 2 * store_chunk_largest(c->storage_chunk_bytes, c->storage_job_max_bytes);
	uint64_t budget = c->storage_spool_job_max_bytes;
	char given[32], needed[32];

	if (c->storage_spool_max_bytes && (!budget || c->storage_spool_max_bytes < budget))
		budget = c->storage_spool_max_bytes;
	if (!budget || budget >= least)
		return 0;
	return err_set(err, ERR_INPUT,
		"storage.%s: %s is less than %s, twice the largest chunk of a capture of storage.job_max: it would end "
		"for want of room; 0 is no limit",
		budget == c->storage_spool_job_max_bytes ? "spool_job_max" : "spool_max",
		parse_format_bytes(budget, given, sizeof(given)), parse_format_bytes(least, needed, sizeof(needed)));
}

int storage_open(struct gateway *gw, struct err *err)
{
	const struct config_gateway *c = &gw->config;
	char *spool = c->storage_spool[0] ? strdup(c->storage_spool) : fs_path("%s/spool", c->state_dir);
	struct store_options o = {
		.spool_dir = spool,
		.chunk_bytes = c->storage_chunk_bytes,
		.job_bytes_max = c->storage_job_max_bytes,
		.min_free_bytes = c->storage_min_free_bytes,
		.spool_job_max_bytes = c->storage_spool_job_max_bytes,
		.spool_max_bytes = c->storage_spool_max_bytes,
		.db = gw->db,
		.on_event = on_store_event,
		.ctx = gw,
	};

	if (!spool)
		return err_nomem(err);
	if (check_budget(c, err) < 0) {
		free(spool);
		return -1;
	}
	o.driver = strcmp(c->storage_driver, "s3") == 0 ? s3_driver(c, spool, err) : file_driver(c, err);
	if (o.driver && !(gw->store = store_open(&o, err)))
		o.driver->ops->free(o.driver);
	free(spool);
	return gw->store ? 0 : err_in(err, "storage");
}

int storage_watch(struct gateway *gw, struct err *err)
{
	struct examination_options o = {.store = gw->store, .strict = gw->config.storage_strict};

	if (!gw->store)
		return 0;
	if (!(gw->health = store_health_start(gw->store, err)) || !(gw->examination = examination_start(&o, err)))
		return -1;
	if (!store_objects_are_files(gw->store) && !(gw->eraser = eraser_start(gw, err)))
		return -1;
	return 0;
}

void storage_close(struct gateway *gw)
{
	if (gw->store)
		store_cancel(gw->store, NULL);
	eraser_stop(gw->eraser);
	examination_stop(gw->examination);
	store_health_stop(gw->health);
	store_close(gw->store);
	gw->eraser = NULL;
	gw->examination = NULL;
	gw->health = NULL;
	gw->store = NULL;
}

int storage_usable(struct gateway *gw, uint64_t wait_ms, struct err *err)
{
	int rc = gw->health ? store_health_check(gw->health, wait_ms, err) : store_check(gw->store, err);

	if (rc == 0 && gw->examination)
		rc = examination_allows(gw->examination, wait_ms, err);
	if (rc < 0 && err && err->code != ERR_FULL)
		err->code = ERR_UNAVAILABLE;
	return rc;
}

char *storage_name(const struct config_gateway *c, char ret[STORAGE_NAME_MAX])
{
	const char *host;

	if (strcmp(c->storage_driver, "s3") == 0) {
		host = strstr(c->s3.endpoint, "//");
		host = host ? host + 2 : c->s3.endpoint;
		snprintf(ret, STORAGE_NAME_MAX, "s3 bucket %.63s at %.*s", c->s3.bucket,
			host[0] == '[' ? (int)strcspn(host, "]") + 1 : (int)strcspn(host, ":/"), host);
	} else {
		snprintf(ret, STORAGE_NAME_MAX, "%s", c->storage_driver);
	}
	return ret;
}

/* Has an upload begun?  Until then nothing of the job is anywhere but in the spool.  When that cannot be known it may have. */
static bool has_upload(const struct gateway *gw, const struct job *j)
{
	char *text = NULL;
	bool has = job_db_upload_get(gw->db, j->id, &text, NULL) < 0 || text[0];

	free(text);
	return has;
}

bool storage_is_elsewhere(const struct gateway *gw, const struct job *j, struct err *err)
{
	char here[STORAGE_NAME_MAX];

	if (!j->object_store[0] || strcmp(j->object_store, storage_name(&gw->config, here)) == 0)
		return false;
	if (j->state != JOB_READY && !has_upload(gw, j))
		return false;
	err_set(err, ERR_UNAVAILABLE,
		"the capture's file is in another store (%s) than the one that this gateway uses now (%s)",
		j->object_store, here);
	err_detail(err, "storage_elsewhere");
	return true;
}

void storage_tell(struct gateway *gw, const char *job_id, json_t *job)
{
	char since[CLOCK_TEXT_MAX];
	struct store_job_status s;

	if (!gw->store || !store_status(gw->store, job_id, &s))
		return;
	clock_rfc3339(s.unreachable_since_ns, since);
	json_object_set_new(job, "storage",
		json_pack("{s:I, s:I, s:s?, s:s?}", "parts_waiting", (json_int_t)s.parts_waiting, "bytes_waiting",
			(json_int_t)s.bytes_waiting, "unreachable_since", s.unreachable_since_ns ? since : NULL,
			"error", s.error[0] ? s.error : NULL));
}

int storage_check_files(const struct config_gateway *c, struct err *err)
{
	struct s3_credentials_options keys = s3_keys_of(&c->s3);
	struct s3_credentials *credentials;
	struct tls_files ca = {0};

	if (!c->storage_enabled)
		return 0;
	if (check_budget(c, err) < 0)
		return -1;
	if (strcmp(c->storage_driver, "s3") != 0)
		return 0;
	if (c->s3.ca[0] && tls_files_load(&ca, NULL, NULL, c->s3.ca, err) < 0)
		return err_in(err, "s3.ca");
	tls_files_done(&ca);
	if (!(credentials = s3_credentials_new(&keys, err)))
		return err_in(err, "s3");
	s3_credentials_free(credentials);
	return 0;
}
