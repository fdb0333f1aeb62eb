#include "schema/audit_record.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/json_in.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HASH_MEMBER     ",\"hash\":\""
#define HASH_HEX        (DIGEST_SHA256_HEX_MAX - 1)
#define HASH_TAIL_BYTES (sizeof(HASH_MEMBER) - 1 + HASH_HEX + 2) /* and "} */
#define KEY_HEX_BYTES   (2u * AUDIT_KEY_BYTES)

/* ---- the key ---- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int key_parse(const char *text, struct audit_key *ret)
{
	size_t n = strlen(text);

	if (n == KEY_HEX_BYTES + 1 && text[KEY_HEX_BYTES] == '\n')
		n--;
	if (n != KEY_HEX_BYTES)
		return -1;
	for (size_t i = 0; i < AUDIT_KEY_BYTES; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		ret->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int key_read(const char *path, struct audit_key *ret, struct err *err)
{
	struct audit_key key = {0};
	struct stat st;
	char *text;
	int rc;

	if (stat(path, &st) < 0)
		return err_sys(err, errno, "audit key %s", path);
	if (st.st_mode & (S_IWGRP | S_IRWXO))
		return err_set(err, ERR_PERM, "audit key %s: mode is %03o, others may not read it (0600 or 0640)", path,
			(unsigned)st.st_mode & 0777u);
	if (!(text = fs_read_text(path, KEY_HEX_BYTES + 1, err)))
		return err_in(err, "audit key");
	if ((rc = key_parse(text, &key)) == 0)
		*ret = key;
	else
		err_set(err, ERR_INPUT, "audit key %s: not %u lower-case hex digits", path, KEY_HEX_BYTES);
	digest_wipe_free(text);
	digest_wipe(&key, sizeof(key));
	return rc;
}

static int key_make(const char *path, struct err *err)
{
	uint8_t key[AUDIT_KEY_BYTES];
	char text[KEY_HEX_BYTES + 2];
	int rc;

	digest_random(key, sizeof(key));
	for (size_t i = 0; i < sizeof(key); i++)
		snprintf(text + 2 * i, 3, "%02x", key[i]);
	text[KEY_HEX_BYTES] = '\n';
	rc = fs_write_new(path, text, KEY_HEX_BYTES + 1, 0600, err);
	digest_wipe(key, sizeof(key));
	digest_wipe(text, sizeof(text));
	return rc < 0 ? err_in(err, "audit key") : 0;
}

int audit_key_load(const char *path, bool make, struct audit_key *ret, struct err *err)
{
	if (make && access(path, F_OK) < 0 && errno == ENOENT && key_make(path, err) < 0)
		return -1;
	return key_read(path, ret, err);
}

/* ---- making ---- */

char *audit_time(uint64_t wall_ns, char ret[AUDIT_TIME_MAX])
{
	time_t s = (time_t)(wall_ns / CLOCK_NS_PER_S);
	struct tm tm = {0};
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(ret, AUDIT_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + n, AUDIT_TIME_MAX - n, ".%09uZ", (unsigned)(wall_ns % CLOCK_NS_PER_S));
	return ret;
}

static void seal(const struct audit_key *key, const char *text, size_t n, char ret[DIGEST_SHA256_HEX_MAX])
{
	digest_hmac_hex(key->bytes, sizeof(key->bytes), text, n, ret);
}

char *audit_line_make(json_t *record, uint64_t seq, const char *prev, const struct audit_key *key,
	struct audit_link *ret, struct err *err)
{
	struct audit_link l = {.seq = seq};
	char *text = NULL, *line = NULL;
	size_t n;

	snprintf(l.prev, sizeof(l.prev), "%s", prev);
	json_object_del(record, "hash");
	if (json_object_set_new(record, "seq", json_integer((json_int_t)seq)) < 0 ||
		json_object_set_new(record, "prev", json_string(prev)) < 0 ||
		!(text = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII))) {
		err_nomem(err);
		goto out;
	}
	n = strlen(text) - 1; /* without the brace */
	if (n + HASH_TAIL_BYTES > AUDIT_LINE_MAX) {
		err_set(err, ERR_LIMIT, "audit record: %zu bytes is over %u", n + HASH_TAIL_BYTES, AUDIT_LINE_MAX);
		goto out;
	}
	seal(key, text, n, l.hash);
	if (!(line = fs_path("%.*s" HASH_MEMBER "%s\"}", (int)n, text, l.hash)) ||
		json_object_set_new(record, "hash", json_string(l.hash)) < 0) {
		err_nomem(err);
		free(line);
		line = NULL;
		goto out;
	}
	*ret = l;
out:
	free(text);
	return line;
}

/* ---- reading ---- */

static bool is_hash(const char *text)
{
	for (size_t i = 0; i < HASH_HEX; i++)
		if (hex_value(text[i]) < 0) /* also of the end of a text that is too short */
			return false;
	return text[HASH_HEX] == '\0';
}

static int read_links(json_t *record, struct audit_link *ret, struct err *err)
{
	const char *prev = json_string_value(json_object_get(record, "prev"));
	const char *hash = json_string_value(json_object_get(record, "hash"));
	json_int_t seq = json_integer_value(json_object_get(record, "seq"));

	if (!json_is_string(json_object_get(record, "action")) || !json_is_string(json_object_get(record, "at")))
		return err_set(err, ERR_INPUT, "a record has an action and a time");
	if (seq < 1 || !prev || !is_hash(prev) || !hash || !is_hash(hash))
		return err_set(err, ERR_INPUT, "a record has seq, prev and hash");
	ret->seq = (uint64_t)seq;
	memcpy(ret->prev, prev, sizeof(ret->prev));
	memcpy(ret->hash, hash, sizeof(ret->hash));
	return 0;
}

static bool is_genuine(const char *line, size_t n, const struct audit_key *key)
{
	char right[DIGEST_SHA256_HEX_MAX];

	if (n <= HASH_TAIL_BYTES || memcmp(line + n - 2, "\"}", 2) != 0 ||
		memcmp(line + n - HASH_TAIL_BYTES, HASH_MEMBER, sizeof(HASH_MEMBER) - 1) != 0)
		return false;
	seal(key, line, n - HASH_TAIL_BYTES, right);
	return digest_equal(right, line + n - 2 - HASH_HEX, HASH_HEX);
}

json_t *audit_line_read(const char *line, size_t n, const struct audit_key *key, struct audit_link *ret,
	bool *ret_genuine, struct err *err)
{
	struct err why = {0};
	struct audit_link l = {0};
	json_t *record;
	bool genuine;

	if (n > AUDIT_LINE_MAX) {
		err_set(err, ERR_INPUT, "%zu bytes is over %u", n, AUDIT_LINE_MAX);
		return NULL;
	}
	/* The seal is on the bytes, not on what they mean: a space more, and it is another line. */
	genuine = is_genuine(line, n, key);
	if (!(record = json_in_parse(line, n, &why)))
		err_in(&why, "no JSON");
	else if (!json_is_object(record))
		err_set(&why, ERR_INPUT, "a record is a JSON object");
	else if (read_links(record, &l, &why) == 0)
		goto good;
	if (err)
		*err = why;
	json_decref(record);
	return NULL;
good:
	*ret = l;
	*ret_genuine = genuine;
	return record;
}
