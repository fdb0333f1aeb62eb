/* s3v2_rig.c - see s3v2_rig.h. */
#include "test/unit/s3v2_rig.h"

#include "common/digest.h"
#include "common/http_client.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void s3v2_open(struct s3v2_rig *f)
{
	struct err err = {0};

	if (!(f->d = driver_s3v2_new(&f->o, &err)))
		fail_msg("%s", err.msg);
}

int s3v2_setup(void **state)
{
	struct s3v2_rig *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_non_null(f->bytes = malloc(S3V2_BYTES));
	for (size_t i = 0; i < S3V2_BYTES; i++)
		f->bytes[i] = (uint8_t)(i * 31 >> 5);
	assert_int_equal(http_client_global_init(NULL), 0);
	lying_store_start(&f->store);
	temp_file_init(&f->folder);
	snprintf(f->staging, sizeof(f->staging), "%s/staging", f->folder.dir);
	snprintf(f->endpoint, sizeof(f->endpoint), "http://127.0.0.1:%u", f->store.port);
	id_new(f->job);
	snprintf(f->key, sizeof(f->key), "captures/acme/2026/01/05/%s.pcapng", f->job);
	f->tags = (struct driver_tags){
		.job = f->job, .user = "Zo\xc3\xab <z@x>", .org = "acme inc", .space = "", .source = "host-1"};
	f->whole.bytes = S3V2_BYTES;
	digest_sha256_hex(f->bytes, S3V2_BYTES, f->whole.sha256);
	f->o = (struct driver_s3_options){
		.endpoint = f->endpoint,
		.bucket = "captures-1",
		.region = "",
		.path_style = true,
		.ca_file = "",
		.credentials = {.source = S3_SOURCE_STATIC,
			.access_key = "AKEY:sub",
			.secret_key = S3V2_SECRET,
			.session_token = ""},
		.kms_key_id = "",
		.prefix = "captures",
		.connect_timeout_ms = 20000,
		.idle_timeout_ms = 20000,
		.staging_dir = f->staging,
	};
	s3v2_open(f);
	*state = f;
	return 0;
}

int s3v2_teardown(void **state)
{
	struct s3v2_rig *f = *state;

	for (size_t i = 0; i < S3V2_PARTS; i++)
		free(f->parts[i]);
	f->d->ops->free(f->d);
	lying_store_stop(&f->store);
	temp_file_done(&f->folder);
	free(f->bytes);
	free(f);
	return 0;
}

void *s3v2_begin(struct s3v2_rig *f, const char *resume)
{
	struct err err = {0};
	void *u = f->d->ops->upload_begin(f->d, f->key, &f->tags, resume, &err);

	if (!u)
		fail_msg("%s", err.msg);
	return u;
}

void s3v2_put_parts(struct s3v2_rig *f, void *u)
{
	char sha256[DIGEST_SHA256_HEX_MAX];
	struct err err = {0};

	for (uint32_t i = 0; i < S3V2_PARTS; i++) {
		int fd;

		temp_file_write(&f->folder, f->bytes + (size_t)i * S3V2_PART_BYTES, S3V2_PART_BYTES);
		digest_sha256_hex(f->bytes + (size_t)i * S3V2_PART_BYTES, S3V2_PART_BYTES, sha256);
		assert_true((fd = open(f->folder.path, O_RDONLY)) >= 0);
		if (f->d->ops->upload_part(u, i + 1, false, fd, S3V2_PART_BYTES, sha256, &f->parts[i], &err) < 0)
			fail_msg("%s", err.msg);
		close(fd);
	}
}

void *s3v2_all_but_complete(struct s3v2_rig *f)
{
	void *u = s3v2_begin(f, "");

	s3v2_put_parts(f, u);
	return u;
}

int s3v2_complete(struct s3v2_rig *f, void *u, struct err *err)
{
	return f->d->ops->upload_complete(u, S3V2_PARTS, (const char *const *)f->parts, &f->whole, err);
}

bool s3v2_is_staged(const struct s3v2_rig *f)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s.part", f->staging, f->job);
	return stat(path, &st) == 0 && st.st_size > 0;
}

void s3v2_whole_object(struct s3v2_rig *f)
{
	struct err err = {0};
	void *u = s3v2_all_but_complete(f);

	if (s3v2_complete(f, u, &err) < 0)
		fail_msg("%s", err.msg);
	f->d->ops->upload_free(u);
}

bool s3v2_sent(const struct s3v2_rig *f, const char *line)
{
	return strstr(f->store.last_put, line) != NULL;
}
