/* driver_s3v2_examine.c - what an operator should know of a bucket that is used with signature version 2: most settings of it cannot be asked for, and that is told. */
#include "uploader/s3/driver_s3v2_internal.h"

#include "common/fs.h"
#include "common/id.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char probe_text[] = "Pcapline looks whether it may write here; this is removed at once.\n";

static void __attribute__((format(printf, 4, 5)))
add(struct driver_findings *f, enum driver_severity severity, const char *check, const char *fmt, ...)
{
	struct driver_finding *item = &f->items[f->n];
	va_list ap;

	if (f->n == DRIVER_FINDINGS_MAX)
		return;
	item->severity = severity;
	snprintf(item->check, sizeof(item->check), "%s", check);
	va_start(ap, fmt);
	vsnprintf(item->text, sizeof(item->text), fmt, ap);
	va_end(ap);
	f->n++;
}

static int probe_file(struct err *err)
{
	int fd = memfd_create("probe", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "making a probe");
	if (fs_write_all(fd, probe_text, strlen(probe_text), err) < 0) {
		fs_close(fd);
		return -1;
	}
	return fd;
}

/* As an upload goes: put, looked at, and read. */
static int probe_put(struct driver_s3v2 *d, const char *key, int fd, struct err *err)
{
	struct libs3_body body = {.fd = fd, .bytes = strlen(probe_text), .content_type = "text/plain"};
	char back[sizeof(probe_text)] = "";
	struct driver_s3v2_md5 md5;
	struct libs3_object there;

	if (driver_s3v2_md5_of(fd, body.bytes, &md5, err) < 0)
		return -1;
	body.md5_base64 = md5.base64;
	if (libs3_put(d->client, key, &body, err) < 0 || libs3_head(d->client, key, NULL, &there, err) < 0)
		return -1;
	if (there.bytes != body.bytes || strcasecmp(there.etag, md5.hex) != 0)
		return err_set(err, ERR_STATE,
			"its ETag is not the MD5 of what was sent, so no upload could be verified (does the bucket "
			"encrypt with a key of its own?)");
	if (libs3_get(d->client, key, 0, back, body.bytes, NULL, err) < 0)
		return -1;
	return strcmp(back, probe_text) == 0 ? 0 : err_set(err, ERR_STATE, "what is read back is not what was written");
}

static void examine_writing(struct driver_s3v2 *d, struct driver_findings *f)
{
	struct driver_erased erased = {0};
	struct err put = {0}, gone = {0};
	char id[ID_MAX], *key = NULL;
	int fd = probe_file(&put);

	id_new(id);
	key = fs_path("%s/.pcapline-probe-%s", d->prefix, id);
	if (fd < 0 || !key) {
		add(f, DRIVER_ERROR, "writable", "no probe could be made: %s", put.msg);
	} else {
		if (probe_put(d, key, fd, &put) == 0)
			add(f, DRIVER_GOOD, "writable", "objects can be written, verified and read");
		else
			add(f, DRIVER_ERROR, "writable", "a probe object could not be written and read: %s", put.msg);
		if (driver_s3v2_erase(d, key, &erased, &gone) == 0 && (erased.objects == 1 || put.code != ERR_NONE))
			add(f, DRIVER_GOOD, "erase", "objects can be erased");
		else
			add(f, DRIVER_ERROR, "erase", "a probe object could not be erased: %s",
				gone.code ? gone.msg : "the store denied that it was there");
	}
	free(key);
	fs_close(fd);
}

/* What cannot be asked must not look like an answer.  (storage.strict and this signature version do not go together.) */
static void examine_limits(struct driver_findings *f)
{
	add(f, DRIVER_NOTE, "signature",
		"signature version 2: objects are sent whole at the end of a capture and have at most 5 GiB; until "
		"then they need room in the spool's file system");
	add(f, DRIVER_NOTE, "tags",
		"signature version 2 through libs3 sets no tags; user, org, space, job and source are metadata only");
	add(f, DRIVER_WARNING, "encryption",
		"signature version 2 through libs3 can neither ask for encryption nor see whether the bucket encrypts "
		"by default");
	add(f, DRIVER_WARNING, "public_access",
		"signature version 2 through libs3 cannot see whether strangers may read the bucket");
	add(f, DRIVER_WARNING, "lifecycle",
		"signature version 2 through libs3 cannot set a lifecycle rule: captures expire by the gateway's own "
		"sweep only; set a rule with other tools");
	add(f, DRIVER_WARNING, "versioning",
		"signature version 2 through libs3 cannot see versions: should the bucket keep them, erased captures "
		"stay as old versions");
}

int driver_s3v2_examine(struct driver *base, struct driver_findings *ret, struct err *err)
{
	struct driver_s3v2 *d = (struct driver_s3v2 *)base;
	struct err why = {0};

	if (libs3_client_is_tls(d->client))
		add(ret, DRIVER_GOOD, "transport", "the store is reached over TLS, its certificate is verified");
	else
		add(ret, DRIVER_WARNING, "transport",
			"the store is reached over plain http: packets and signed links can be read on the way");
	if (driver_s3v2_look(d, &why) < 0) {
		add(ret, DRIVER_ERROR, "reachable", "%s", why.msg);
		if (why.code != ERR_NET && why.code != ERR_TIMEOUT)
			return 0;
		if (err)
			*err = why;
		return -1;
	}
	add(ret, DRIVER_GOOD, "reachable", "the bucket answers");
	examine_writing(d, ret);
	examine_limits(ret);
	return 0;
}
