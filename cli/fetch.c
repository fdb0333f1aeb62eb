/* fetch.c - see fetch.h. */
#include "cli/fetch.h"

#include "cli/output.h"
#include "cli/stopper.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES_MAX       6u /* without a byte of progress between them */
#define BACKOFF_MS      500u
#define IDLE_TIMEOUT_MS 30000u

struct target {
	const struct fetch *f;
	struct stopper *stopper;
	char *part_path; /* NULL: stdout */
	int fd;
	_Atomic uint64_t have; /* bytes at fd; read by the live line */
	_Atomic uint64_t size; /* as the link says */
	char sha256[DIGEST_SHA256_HEX_MAX];
	struct digest *digest; /* of what went to stdout; a file is read again when it is whole */
	bool resumed;          /* some of it is from an earlier run */
	struct err fault;      /* why a callback gave up */
};

/* ---- the link ---- */

static int read_link(struct target *t, const json_t *answer, char **ret_url, struct err *err)
{
	const char *url = json_text(answer, "url"), *sha = json_text(answer, "sha256");
	const json_t *size = json_at(answer, "size_bytes");

	if (!*url || !json_is_integer(size) || json_integer_value(size) < 0 || strlen(sha) != DIGEST_SHA256_HEX_MAX - 1)
		return err_set(err, ERR_NET, "the gateway's link lacks url, size_bytes or sha256");
	t->size = (uint64_t)json_integer_value(size);
	memcpy(t->sha256, sha, sizeof(t->sha256));
	if (!strncmp(url, "https://", 8) || !strncmp(url, "http://", 7))
		*ret_url = api_path(err, "%s", url);
	else if (*url == '/')
		*ret_url = api_path(err, "%s%s", t->f->api->base, url);
	else
		return err_set(err, ERR_NET, "the gateway's link is no http(s) URL");
	return *ret_url ? 0 : -1;
}

static int ask_link(struct target *t, char **ret_url, struct err *err)
{
	json_t *answer = NULL;
	char path[64];
	int rc = -1;

	snprintf(path, sizeof(path), "/v1/captures/%s/link", t->f->job);
	if (api_call(t->f->api, "POST", path, json_object(), &answer, err) == 0)
		rc = read_link(t, answer, ret_url, err);
	json_decref(answer);
	return rc;
}

/* ---- the local side ---- */

static int file_fail(struct err *err, int errnum, const char *what, const char *path)
{
	err_sys(err, errnum, "%s %s", what, path);
	if (err && err->code != ERR_FULL)
		err->code = ERR_IO;
	return -1;
}

static int refuse_existing(const char *path, struct err *err)
{
	return err_set(err, ERR_STATE, "%s is there already; --force replaces it", path);
}

static int open_part(struct target *t, struct err *err)
{
	struct stat st;

	t->part_path = fs_path("%s.part", t->f->path);
	if (!t->part_path)
		return err_nomem(err);
	t->fd = open(t->part_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (t->fd < 0)
		return file_fail(err, errno, "cannot write", t->part_path);
	if (flock(t->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, ERR_STATE, "%s is being written by another download", t->part_path);
	if (fstat(t->fd, &st) < 0)
		return file_fail(err, errno, "cannot read", t->part_path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_STATE, "%s is not a regular file", t->part_path);
	t->have = (uint64_t)st.st_size;
	t->resumed = t->have > 0;
	return 0;
}

static int open_local(struct target *t, struct err *err)
{
	t->fd = -1;
	if (strcmp(t->f->path, "-")) {
		if (!t->f->force && access(t->f->path, F_OK) == 0)
			return refuse_existing(t->f->path, err);
		return open_part(t, err);
	}
	if (isatty(STDOUT_FILENO) == 1)
		return err_set(err, ERR_INPUT, "stdout is a terminal: packets go to a pipe or a file");
	t->fd = STDOUT_FILENO;
	t->digest = digest_new();
	return t->digest ? 0 : err_nomem(err);
}

static int start_over(struct target *t, struct err *err)
{
	if (!t->have)
		return 0;
	if (!t->part_path)
		return err_set(err, ERR_NET,
			"the server cannot go on in the middle, and what was written to stdout cannot be taken back");
	if (ftruncate(t->fd, 0) < 0)
		return file_fail(err, errno, "cannot empty", t->part_path);
	t->have = 0;
	t->resumed = false;
	return 0;
}

/* ---- receiving ---- */

/* Content-Range must begin at the byte that was asked for: a cache that answers with another range would corrupt the file. */
static int check_range(struct target *t, const struct http_call *call)
{
	const char *range = http_call_header(call, "Content-Range");
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "bytes %" PRIu64 "-", (uint64_t)t->have);
	if (range && !strncasecmp(range, wanted, strlen(wanted)))
		return 0;
	return err_set(
		&t->fault, ERR_NET, "asked for the file from byte %" PRIu64 " on, got another part", (uint64_t)t->have);
}

static int on_answer(void *ctx, const struct http_call *call)
{
	struct target *t = ctx;

	switch (http_call_status(call)) {
	case 200:
		return start_over(t, &t->fault);
	case 206:
		return check_range(t, call);
	default:
		return 0;
	}
}

static int write_file(struct target *t, const uint8_t *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t w = pwrite(t->fd, p + done, n - done, (off_t)(t->have + done));

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return file_fail(&t->fault, errno, "writing", t->part_path);
		done += (size_t)w;
	}
	return 0;
}

static int write_stdout(struct target *t, const uint8_t *p, size_t n)
{
	struct out out = {.fd = t->fd, .is_stdout = true};

	if (out_write(&out, NULL, 0, p, n, &t->fault) < 0)
		return -1;
	digest_add(t->digest, p, n);
	return 0;
}

static int on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct target *t = ctx;

	if (n > t->size - t->have)
		return err_set(&t->fault, ERR_INTERNAL, "the server sends more than the %" PRIu64 " bytes of the file",
			t->size);
	if ((t->part_path ? write_file(t, p, n) : write_stdout(t, p, n)) < 0)
		return -1;
	t->have += n;
	return 0;
}

static struct http_call *new_call(struct target *t, const char *url, struct err *err)
{
	char range[64];
	const char *headers[] = {range, NULL};
	const struct api *api = t->f->api;
	bool ours = api_is_ours(api, url);
	/* The link is its own permission: the token stays here. */
	struct http_call_options o = {
		.method = "GET",
		.url = url,
		.tls = ours && api->has_ca ? &api->tls : NULL,
		.use_proxy = !(ours && api->plain),
		.headers = t->have ? headers : NULL,
		.answer_timeout_ms = IDLE_TIMEOUT_MS,
		.idle_timeout_ms = IDLE_TIMEOUT_MS,
		.on_answer = on_answer,
		.on_data = on_data,
		.ctx = t,
	};

	snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-", (uint64_t)t->have);
	return http_call_new(&o, err);
}

/* One connection.  0: all is there; -1 with err otherwise. */
static int receive_once(struct target *t, struct err *err)
{
	struct http_call *call = NULL;
	char *url = NULL;
	int rc = -1;

	if (ask_link(t, &url, err) < 0)
		goto out;
	if (t->have > t->size && start_over(t, err) < 0)
		goto out;
	if (t->have == t->size) {
		rc = 0;
		goto out;
	}
	if (!(call = new_call(t, url, err)))
		goto out;
	if (stopper_run(t->stopper, call, err) < 0) {
		if (t->fault.code && err)
			*err = t->fault;
		goto out;
	}
	if (http_call_error(call, err) < 0)
		goto out;
	rc = t->have == t->size
		     ? 0
		     : err_set(err, ERR_NET, "got %" PRIu64 " of %" PRIu64 " bytes", (uint64_t)t->have, t->size);
out:
	http_call_free(call);
	free(url);
	return rc;
}

static bool is_worth_another_try(const struct target *t, const struct err *err)
{
	if (t->fault.code || stopper_is_leaving(t->stopper))
		return false;
	return err->code == ERR_NET || err->code == ERR_TIMEOUT || err->code == ERR_UNAVAILABLE ||
	       err->code == ERR_BUSY;
}

static int receive(struct target *t, struct err *err)
{
	unsigned tries = 0;

	for (;;) {
		struct err why = {0};
		uint64_t before = t->have;

		if (receive_once(t, &why) == 0)
			return 0;
		tries = t->have > before ? 1 : tries + 1;
		if (tries >= TRIES_MAX || !t->have || !is_worth_another_try(t, &why)) {
			if (err)
				*err = why;
			return -1;
		}
		talk_say("connection lost (%s); going on at byte %" PRIu64, why.msg, (uint64_t)t->have);
		stopper_sleep(t->stopper, BACKOFF_MS * tries);
	}
}

/* ---- whole and right ---- */

static int verify(struct target *t, struct err *err)
{
	char sha[DIGEST_SHA256_HEX_MAX];

	if (t->digest)
		digest_hex(t->digest, sha);
	else if (digest_fd_hex(t->fd, t->size, sha, err) < 0)
		return -1;
	if (strcmp(sha, t->sha256))
		return err_set(err, ERR_INTERNAL, "checksum: SHA-256 is %s, the gateway stored %s", sha, t->sha256);
	return 0;
}

static int put_in_place(struct target *t, struct err *err)
{
	const char *path = t->f->path;

	if (fsync(t->fd) < 0)
		return file_fail(err, errno, "writing", t->part_path);
	if (t->f->force)
		return rename(t->part_path, path) < 0 ? file_fail(err, errno, "cannot rename to", path) : 0;
	if (renameat2(AT_FDCWD, t->part_path, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EEXIST)
		return refuse_existing(path, err);
	if (errno != EINVAL && errno != ENOSYS)
		return file_fail(err, errno, "cannot rename to", path);
	/* A file system without that call: the gap between the two lines is all that is left. */
	if (access(path, F_OK) == 0)
		return refuse_existing(path, err);
	return rename(t->part_path, path) < 0 ? file_fail(err, errno, "cannot rename to", path) : 0;
}

static void on_tick(void *ctx)
{
	struct target *t = ctx;
	char line[TALK_LINE_MAX], have[32], size[32];
	uint64_t now = t->have;

	if (!now)
		return;
	snprintf(line, sizeof(line), "%s of %s", parse_format_bytes(now, have, sizeof(have)),
		parse_format_bytes(t->size, size, sizeof(size)));
	talk_line(line);
}

static int transfer(struct target *t, struct err *err)
{
	if (receive(t, err) < 0)
		return -1;
	if (verify(t, err) == 0)
		return 0;
	if (!t->resumed || start_over(t, NULL) < 0) {
		if (t->part_path)
			unlink(t->part_path);
		return -1;
	}
	/* The left-over part was of something else. */
	talk_say("what was left of an earlier download does not fit; fetching all of it");
	if (receive(t, err) < 0)
		return -1;
	return verify(t, err);
}

int fetch_run(const struct fetch *f, uint64_t *ret_bytes, struct err *err)
{
	struct target t = {.f = f, .fd = -1};
	struct stopper_options so = {.api = f->api, .on_tick = on_tick, .ctx = &t};
	int rc = -1;

	if (open_local(&t, err) < 0 || !(t.stopper = stopper_start(&so, err)))
		goto out;
	rc = transfer(&t, err);
	if (rc == 0 && t.part_path)
		rc = put_in_place(&t, err);
	if (rc < 0 && stopper_is_leaving(t.stopper))
		err_set(err, ERR_CANCELLED, "interrupted");
	if (rc == 0 && ret_bytes)
		*ret_bytes = t.size;
out:
	stopper_free(t.stopper);
	talk_clear();
	/* Nothing was received: no empty leftovers. */
	if (rc < 0 && t.part_path && t.fd >= 0 && !t.have)
		unlink(t.part_path);
	if (t.part_path)
		fs_close(t.fd);
	free(t.part_path);
	digest_free(t.digest);
	return rc;
}

char *fetch_name(const json_t *job)
{
	const char *key = json_text(job, "object.key");
	const char *base = strrchr(key, '/') ? strrchr(key, '/') + 1 : key;
	const char *format = json_text(job, "format");

	/* A name that our file system, shell and user take for nothing else than a name. */
	if (*base && *base != '.' && *base != '-' && strlen(base) < 200 &&
		strspn(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(base))
		return strdup(base);
	return fs_path("%s.%s", json_text(job, "id"), strcmp(format, "pcap") ? "pcapng" : "pcap");
}
