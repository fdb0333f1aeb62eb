/* store_put.c - the store alone, for the bench: a pcapng file goes through spool, chunks and driver into a bucket as fast as it can be read, by the same calls that the
 * gateway makes.  Prints what the object is.
 *
 * usage: store_put FOLDER ENDPOINT BUCKET FILE [CA]; keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; FOLDER gets spool and database */
#include "common/fs.h"
#include "common/http_client.h"
#include "common/id.h"
#include "uploader/s3/driver_s3.h"
#include "uploader/spool/frame.h"
#include "uploader/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB         (1024u * 1024)
#define WRITE_BYTES (256u * 1024) /* as large as the gateway's gathered writes get */

static int feed(struct store_job *j, int fd, uint64_t *ret_bytes, struct err *err)
{
	uint8_t *p = malloc(2 * WRITE_BYTES);
	size_t have = 0;
	struct frame frame = {0};
	int rc = -1;

	if (!p)
		return err_nomem(err);
	for (;;) {
		ssize_t n = read(fd, p + have, WRITE_BYTES);
		size_t whole;

		if (n < 0) {
			err_sys(err, errno, "file");
			goto out;
		}
		have += (size_t)n;
		whole = frame_walk(&frame, p, have);
		if (whole > 0 && store_write(j, p, whole, err) < 0)
			goto out;
		*ret_bytes += whole;
		have -= whole;
		memmove(p, p + whole, have);
		if (n == 0)
			break;
	}
	rc = have == 0 ? 0 : err_set(err, ERR_INPUT, "the file does not end with a whole block");
out:
	free(p);
	return rc;
}

static int store_file(struct store *s, struct job_db *db, int fd, struct err *err)
{
	struct driver_tags tags = {.user = "bench", .org = "bench", .space = "", .source = "bench"};
	struct job *job = job_new(0);
	struct driver_object object;
	struct store_job *j = NULL;
	uint64_t bytes = 0;
	char *key = NULL;
	int rc = -1;

	if (!job)
		return err_nomem(err);
	id_new(job->id);
	job->created_at = 1;
	tags.job = job->id;
	key = store_key("bench", "bench", 1, job->id, "pcapng");
	if (!key || job_set(&job->target, "{}", err) < 0 || job_db_insert(db, job, err) < 0 ||
		!(j = store_job_begin(s, key, &tags, err)))
		goto out;
	if (feed(j, fd, &bytes, err) < 0) {
		store_job_drop(j);
		goto out;
	}
	if ((rc = store_job_finish(j, &object, err)) == 0)
		printf("%" PRIu64 " %s %s\n", object.bytes, object.sha256, key);
out:
	free(key);
	job_free(job);
	return rc;
}

int main(int argc, char **argv)
{
	struct driver_s3_options d = {.region = "us-east-1",
		.path_style = true,
		.credentials = {.source = S3_SOURCE_ENVIRONMENT},
		.kms_key_id = "",
		.prefix = "bench",
		.parallel = 4,
		.retention_ms = 86400000,
		.staging_dir = argv[1]};
	struct store_options o = {
		.chunk_bytes = 8 * MIB, .job_bytes_max = UINT64_C(100) * 1024 * MIB, .min_free_bytes = 16 * MIB};
	struct store *s = NULL;
	struct err err = {0};
	char *spool = NULL, *path = NULL;
	int fd = -1, rc = -1;

	if (argc < 5) {
		fprintf(stderr, "usage: store_put FOLDER ENDPOINT BUCKET FILE [CA]\n");
		return 2;
	}
	d.endpoint = argv[2];
	d.bucket = argv[3];
	d.ca_file = argc > 5 ? argv[5] : "";
	spool = fs_path("%s/spool", argv[1]);
	path = fs_path("%s/jobs.db", argv[1]);
	if (!spool || !path || http_client_global_init(&err) < 0)
		goto out;
	o.spool_dir = spool;
	if ((fd = open(argv[4], O_RDONLY | O_CLOEXEC)) < 0) {
		err_sys(&err, errno, "%s", argv[4]);
		goto out;
	}
	if (!(o.db = job_db_open(path, &err)) || !(o.driver = driver_s3_new(&d, &err)) || !(s = store_open(&o, &err)))
		goto out;
	rc = store_file(s, o.db, fd, &err);
out:
	if (rc < 0)
		fprintf(stderr, "store_put: %s\n", err.msg);
	store_close(s);
	if (o.db)
		job_db_close(o.db);
	fs_close(fd);
	free(spool);
	free(path);
	return rc < 0 ? 1 : 0;
}
