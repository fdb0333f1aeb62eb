/* link.c - see link.h. */
#include "uploader/link.h"

#include "common/digest.h"
#include "common/fs.h"
#include "uploader/text_fields.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_HEX_BYTES   (2u * LINK_KEY_BYTES)
#define SIGNED_MAX      (LINK_TEXT_MAX + 32)
#define PURPOSE         "pcapline-link:" /* the same key can sign other things some day, and no signature serves for two */
#define EXPIRY_TEXT_MAX 21               /* 20 digits of the largest uint64_t */

/* ---- the key ---- */

static int key_parse(const char *text, size_t n, struct link_key *ret)
{
	struct link_key key = {0};
	int rc = n == KEY_HEX_BYTES && text_hex(text, key.bytes, sizeof(key.bytes)) ? 0 : -1;

	if (rc == 0)
		*ret = key;
	digest_wipe(&key, sizeof(key));
	return rc;
}

static int key_read_fd(int fd, const char *path, struct link_key *ret, struct err *err)
{
	char text[KEY_HEX_BYTES + 2] = {0}; /* room for one byte more than a key and its line end */
	struct stat st;
	ssize_t got;
	int rc = -1;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "link key %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, "link key %s is not a file", path);
	if (st.st_mode & (S_IWGRP | S_IRWXO))
		return err_set(err, ERR_PERM, "link key %s: mode is %03o, others may not read it (0600 or 0640)", path,
			(unsigned)st.st_mode & 0777u);
	do
		got = pread(fd, text, sizeof(text), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		err_sys(err, errno, "reading link key %s", path);
	} else {
		if (got == KEY_HEX_BYTES + 1 && text[KEY_HEX_BYTES] == '\n')
			got--;
		rc = key_parse(text, (size_t)got, ret);
		if (rc < 0)
			err_set(err, ERR_INPUT, "link key %s: not %u lower-case hex digits", path, KEY_HEX_BYTES);
	}
	digest_wipe(text, sizeof(text));
	return rc;
}

static int key_write_fd(int fd, const char *path, struct err *err)
{
	uint8_t key[LINK_KEY_BYTES];
	char text[KEY_HEX_BYTES + 2];
	int rc;

	digest_random(key, sizeof(key));
	for (size_t i = 0; i < sizeof(key); i++)
		snprintf(text + 2 * i, 3, "%02x", key[i]);
	text[KEY_HEX_BYTES] = '\n';
	rc = fs_write_all(fd, text, KEY_HEX_BYTES + 1, err);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_sys(err, errno, "flushing");
	digest_wipe(key, sizeof(key));
	digest_wipe(text, sizeof(text));
	return rc < 0 ? err_in(err, "link key %s", path) : 0;
}

static int sync_folder_of(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	int rc;

	if (!slash)
		return fs_sync_dir(".", err);
	dir = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	if (!dir)
		return err_nomem(err);
	rc = fs_sync_dir(dir, err);
	free(dir);
	return rc;
}

/* A fresh key at path, unless one came to stand there meanwhile: link(2) never replaces, so that nobody's links break. */
static int key_make(const char *path, struct err *err)
{
	char random[9];
	uint32_t r;
	char *aside = NULL;
	int fd = -1, rc = -1;

	digest_random(&r, sizeof(r));
	snprintf(random, sizeof(random), "%08" PRIx32, r);
	if (!(aside = fs_path("%s.%s", path, random)))
		return err_nomem(err);
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_sys(err, errno, "making link key %s", path);
		goto out;
	}
	if (key_write_fd(fd, path, err) == 0) {
		if (link(aside, path) < 0 && errno != EEXIST)
			err_sys(err, errno, "making link key %s", path);
		else
			rc = 0;
	}
	if (unlink(aside) < 0 && rc == 0)
		rc = err_sys(err, errno, "removing %s", aside);
	if (rc == 0)
		rc = sync_folder_of(path, err);
out:
	fs_close(fd);
	free(aside);
	return rc;
}

int link_key_load(const char *path, struct link_key *ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), rc;

	if (fd < 0 && errno == ENOENT) {
		if (key_make(path, err) < 0)
			return -1;
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	}
	if (fd < 0)
		return err_sys(err, errno, "opening link key %s", path);
	rc = key_read_fd(fd, path, ret, err);
	fs_close(fd);
	return rc;
}

/* ---- the text ---- */

static void mac_hex(const struct link_key *k, const char *text, size_t n, char ret[DIGEST_SHA256_HEX_MAX])
{
	char message[SIGNED_MAX];
	int len = snprintf(message, sizeof(message), "%s%.*s", PURPOSE, (int)n, text);

	digest_hmac_hex(k->bytes, sizeof(k->bytes), message, (size_t)len, ret);
}

int link_sign(const struct link_key *k, const struct link *l, char ret[LINK_TEXT_MAX], struct err *err)
{
	char mac[DIGEST_SHA256_HEX_MAX];
	int len;

	if (!id_is_valid(l->job))
		return err_set(err, ERR_INPUT, "link: \"%s\" is not a job id", l->job);
	if (l->nonce[0] && !id_is_valid(l->nonce))
		return err_set(err, ERR_INPUT, "link: the nonce is not an id");
	len = snprintf(ret, LINK_TEXT_MAX, "%s.%" PRIu64 ".%s", l->job, l->expires_s, l->nonce[0] ? l->nonce : "0");
	mac_hex(k, ret, (size_t)len, mac);
	snprintf(ret + len, LINK_TEXT_MAX - (size_t)len, ".%s", mac);
	return 0;
}

static bool link_parse(const char *text, struct link *ret, const char **ret_mac)
{
	char expiry[EXPIRY_TEXT_MAX];
	struct link l = {0};

	if (!(text = text_field(text, '.', l.job, sizeof(l.job))) ||
		!(text = text_field(text, '.', expiry, sizeof(expiry))) ||
		!(text = text_field(text, '.', l.nonce, sizeof(l.nonce))))
		return false;
	if (!id_is_valid(l.job) || !text_u64(expiry, &l.expires_s))
		return false;
	if (strcmp(l.nonce, "0") == 0)
		l.nonce[0] = '\0';
	else if (!id_is_valid(l.nonce))
		return false;
	*ret = l;
	*ret_mac = text;
	return strlen(text) == DIGEST_SHA256_HEX_MAX - 1;
}

int link_verify(const struct link_key *k, const char *text, uint64_t now_s, struct link *ret, struct err *err)
{
	char mac[DIGEST_SHA256_HEX_MAX];
	const char *given;
	struct link l;

	if (strnlen(text, LINK_TEXT_MAX) >= LINK_TEXT_MAX || !link_parse(text, &l, &given))
		return err_set(err, ERR_PERM, "this link is not valid");
	mac_hex(k, text, (size_t)(given - 1 - text), mac);
	if (!digest_equal(mac, given, DIGEST_SHA256_HEX_MAX - 1))
		return err_set(err, ERR_PERM, "this link is not valid");
	if (now_s > l.expires_s) {
		err_set(err, ERR_STATE, "this link has expired");
		return err_detail(err, "link_expired");
	}
	*ret = l;
	return 0;
}
