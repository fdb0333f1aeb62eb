/* store_upload_text.c - what the database keeps of an upload as a whole, one line of text:
 *   begun <driver's text>                     the driver was told of it, upload_open was not called
 *   open <driver's text>                      parts can be there
 *   complete <bytes> <sha256> <driver's text> all parts are there: what the object must be
 * and how an upload is begun, resumed and taken back by it. */
#include "uploader/store_internal.h"

#include "common/fs.h"
#include "uploader/text_fields.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_TEXT_MAX 21 /* 20 digits of the largest uint64_t */

static const char begun_word[] = "begun ", open_word[] = "open ", complete_word[] = "complete ";

static char *upload_text_format(const struct upload_text *t)
{
	if (t->complete)
		return fs_path("%s%" PRIu64 " %s %s", complete_word, t->expect.bytes, t->expect.sha256, t->driver);
	return fs_path("%s%s", t->opened ? open_word : begun_word, t->driver);
}

static bool complete_parse(const char *text, struct upload_text *ret)
{
	uint8_t sum[DIGEST_SHA256_BYTES];
	char bytes[NUMBER_TEXT_MAX];

	if (!(text = text_field(text, ' ', bytes, sizeof(bytes))) ||
		!(text = text_field(text, ' ', ret->expect.sha256, sizeof(ret->expect.sha256))))
		return false;
	ret->complete = true;
	ret->driver = text;
	return text_u64(bytes, &ret->expect.bytes) && strlen(ret->expect.sha256) == 2 * sizeof(sum) &&
	       text_hex(ret->expect.sha256, sum, sizeof(sum));
}

int upload_text_parse(const char *text, struct upload_text *ret, struct err *err)
{
	struct upload_text t = {.driver = "", .opened = true};

	if (strncmp(text, open_word, strlen(open_word)) == 0) {
		t.driver = text + strlen(open_word);
	} else if (!text[0] || strncmp(text, begun_word, strlen(begun_word)) == 0) {
		t.opened = false;
		t.driver = text[0] ? text + strlen(begun_word) : "";
	} else if (strncmp(text, complete_word, strlen(complete_word)) != 0 ||
		   !complete_parse(text + strlen(complete_word), &t)) {
		return err_set(err, ERR_IO, "the database's text of the upload, \"%s\", is none of ours", text);
	}
	*ret = t;
	return 0;
}

int store_upload_text_set(struct store_job *j, bool opened, const struct driver_object *expect, struct err *err)
{
	struct upload_text t = {.opened = opened, .complete = expect != NULL, .driver = j->upload_text};
	char *text;
	int rc;

	if (expect)
		t.expect = *expect;
	text = upload_text_format(&t);
	rc = text ? job_db_upload_set(j->store->db, j->id, text, err) : err_nomem(err);
	free(text);
	return rc;
}

int store_upload_state(struct store_job *j, struct err *err)
{
	char *text = j->store->driver->ops->upload_state(j->upload, err);

	if (!text)
		return -1;
	free(j->upload_text);
	j->upload_text = text;
	return 0;
}

int store_upload_begin(
	struct store_job *j, const struct driver_tags *tags, const struct upload_text *resume, struct err *err)
{
	const struct driver_ops *ops = j->store->driver->ops;
	const char *text = resume ? resume->driver : "";
	void *upload = ops->upload_begin(j->store->driver, j->key, tags, text, err);
	bool cancelled;

	if (!upload)
		return -1;
	pthread_mutex_lock(&j->lock);
	j->upload = upload;
	cancelled = j->cancelled;
	pthread_mutex_unlock(&j->lock);
	if (cancelled && ops->upload_cancel)
		ops->upload_cancel(upload);
	if (store_upload_state(j, err) < 0)
		return -1;
	j->opened = !ops->upload_open || (text[0] && resume->opened);
	/* A resumed upload is in the database already, maybe as complete. */
	return text[0] ? 0 : store_upload_text_set(j, j->opened, NULL, err);
}

int store_upload_undo(struct store *s, const char *job_id, const char *key, const char *text, struct err *err)
{
	const struct driver_tags tags = {.job = job_id, .user = "", .org = "", .space = "", .source = ""};
	const struct driver_ops *ops = s->driver->ops;
	struct err why = {0};
	struct upload_text t;
	void *upload = NULL;
	int rc;

	/* A text that nobody understands must not keep a job from being erased: a new upload replaces the job's old one. */
	if (upload_text_parse(text, &t, NULL) < 0)
		t.driver = "";
	if (t.driver[0] && !(upload = ops->upload_begin(s->driver, key, &tags, t.driver, &why)) &&
		why.code != ERR_INPUT) {
		if (err)
			*err = why;
		return -1;
	}
	if (!upload && !(upload = ops->upload_begin(s->driver, key, &tags, "", err)))
		return -1;
	rc = ops->upload_abort(upload, err);
	ops->upload_free(upload);
	return rc;
}
