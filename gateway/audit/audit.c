#include "gateway/audit/audit_internal.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/parse.h"
#include "gateway/audit/audit_syslog.h"
#include "gateway/audit/audit_webhook.h"
#include "gateway/metrics/metrics.h"
#include "schema/audit_action.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ROOM_MIN     65536u /* with less on the disk the next record may not find room */
#define MINUTE_NS    (60 * CLOCK_NS_PER_S)
#define FORWARD_SHOW 256

/* ---- a record ---- */

static void add_text(json_t *record, const char *key, const char *value)
{
	char shown[FORWARD_SHOW];
	json_t *text;

	if (!value || !value[0])
		return;
	if (!(text = json_string(value))) /* not UTF-8 */
		text = json_string(parse_printable(value, shown, sizeof(shown)));
	json_object_set_new(record, key, text);
}

json_t *audit_new_record(const struct audit *a, const char *action, const char *outcome)
{
	char at[AUDIT_TIME_MAX];

	return json_pack("{s:s, s:s, s:s, s:s}", "action", action, "outcome", outcome, "at",
		audit_time(clock_wall_ns(), at), "gateway", a->gw->id);
}

static json_t *record_json(const struct audit *a, const struct audit_record *r)
{
	json_t *record = audit_new_record(a, r->action, r->outcome);
	char forwarded[FORWARD_SHOW];

	if (!record)
		return NULL;
	add_text(record, "code", r->code);
	add_text(record, "why", r->why);
	add_text(record, "user_id", r->user_id);
	add_text(record, "user_name", r->user_name);
	add_text(record, "peer", r->peer);
	if (r->forwarded_for)
		add_text(record, "forwarded_for_unproved",
			parse_printable(r->forwarded_for, forwarded, sizeof(forwarded)));
	add_text(record, "request_id", r->request_id);
	add_text(record, "job", r->job);
	if (r->scopes && r->scopes->n > 0)
		json_object_set_new(record, "scopes", scope_list_to_json(r->scopes));
	if (r->has_figures) {
		json_object_set_new(record, "bytes", json_integer((json_int_t)r->bytes));
		json_object_set_new(record, "packets", json_integer((json_int_t)r->packets));
	}
	if (r->data)
		json_object_set(record, "data", r->data);
	return record;
}

/* ---- writing; the lock is held ---- */

struct appending {
	struct audit *a;
	const char *line;
	bool done;
};

static int append_line(void *ctx, struct err *err)
{
	struct appending *p = ctx;

	if (audit_file_append(&p->a->file, p->line, err) < 0)
		return -1;
	p->done = true;
	return 0;
}

static const char *text_of(const json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));

	return text ? text : "";
}

static int put_line(
	struct audit *a, const json_t *record, const struct audit_link *l, const char *line, struct err *err)
{
	struct appending p = {.a = a, .line = line};
	uint64_t size = a->file.size;
	struct audit_row row = {
		.seq = l->seq,
		.action = text_of(record, "action"),
		.outcome = text_of(record, "outcome"),
		.user_id = text_of(record, "user_id"),
		.job_id = text_of(record, "job"),
		.record = line,
		.hash = l->hash,
	};

	if (clock_parse_rfc3339(text_of(record, "at"), &row.at_ns, err) < 0)
		return -1;
	if (job_db_audit_add(a->gw->db, &row, append_line, &p, err) == 0)
		return 0;
	if (p.done) /* the commit failed after it */
		audit_file_back(&a->file, size);
	return -1;
}

static void put_aside(struct audit *a)
{
	struct err err = {0};

	if (a->file.size < a->gw->config.audit_file_max_bytes)
		return;
	if (audit_file_put_aside(&a->file, a->seq, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "audit.file_not_put_aside", &err, NULL);
	else
		a->begun = AUDIT_BEGUN_PUT_ASIDE;
}

static const char *begun_name(enum audit_begun b)
{
	switch (b) {
	case AUDIT_BEGUN_TOLD:
		break;
	case AUDIT_BEGUN_PUT_ASIDE:
		return "put_aside";
	case AUDIT_BEGUN_ROTATED:
		return "rotated";
	case AUDIT_BEGUN_UNEXPLAINED:
		return "unexplained";
	case AUDIT_BEGUN_CUT:
		return "cut";
	}
	return "";
}

/* Where it goes on, and why there. */
static int tell_begun(struct audit *a, struct err *err)
{
	enum audit_begun begun = a->begun;
	bool is_good = begun == AUDIT_BEGUN_PUT_ASIDE || begun == AUDIT_BEGUN_ROTATED;
	json_t *record = audit_new_record(a, "audit.file", is_good ? "ok" : "failed"), *data;
	int rc;

	if (!record || !(data = json_pack("{s:s, s:I, s:s}", "how", begun_name(begun), "after", (json_int_t)a->seq,
				 "hash", a->head))) {
		json_decref(record);
		return err_nomem(err);
	}
	if (begun == AUDIT_BEGUN_CUT)
		json_object_set_new(data, "lost_bytes", json_integer((json_int_t)a->begun_lost));
	if (!is_good)
		log_event(LOG_LEVEL_WARNING, "audit.file_lost", json_incref(data));
	json_object_set_new(record, "data", data);
	a->begun = AUDIT_BEGUN_TOLD;
	if ((rc = audit_append(a, record, err)) < 0)
		a->begun = begun;
	json_decref(record);
	return rc;
}

/* What others may have done to it since the last record. */
static int look_at_file(struct audit *a, struct err *err)
{
	uint64_t lost, torn;
	bool gone;

	if (audit_file_look(&a->file, &lost, &gone, err) < 0)
		return -1;
	if (gone) {
		struct audit_file fresh = a->file;

		if (audit_file_open(&fresh, &torn, err) < 0)
			return -1;
		audit_file_close(&a->file);
		a->file = fresh;
		a->begun = AUDIT_BEGUN_UNEXPLAINED;
	} else if (lost > 0) {
		a->begun = a->file.size > 0 ? AUDIT_BEGUN_CUT : AUDIT_BEGUN_UNEXPLAINED;
		a->begun_lost = lost;
	}
	return a->begun == AUDIT_BEGUN_TOLD ? 0 : tell_begun(a, err);
}

int audit_append(struct audit *a, json_t *record, struct err *err)
{
	struct audit_link l;
	struct err long_err = {0};
	char *line;
	int rc;

	if (look_at_file(a, err) < 0)
		return -1;
	line = audit_line_make(record, a->seq + 1, a->head, &a->key, &l, &long_err);
	if (!line && long_err.code == ERR_LIMIT) { /* who and when are worth more than all of it */
		json_object_del(record, "data");
		json_object_set_new(record, "data_left_out", json_true());
		line = audit_line_make(record, a->seq + 1, a->head, &a->key, &l, &long_err);
	}
	if (!line) {
		if (err)
			*err = long_err;
		return -1;
	}
	if ((rc = put_line(a, record, &l, line, err)) == 0) {
		a->seq = l.seq;
		memcpy(a->head, l.hash, sizeof(a->head));
		/* Not within the database's transaction: nobody but who writes records waits for a slow disk. */
		rc = audit_file_sync(&a->file, err);
		audit_syslog_put(a->syslog, record, line);
		audit_webhook_put(a->webhook, text_of(record, "action"), line);
		put_aside(a);
	}
	free(line);
	return rc;
}

static void failed(struct audit *a, const struct err *err)
{
	if (a->failing_since == 0) {
		a->failing_since = clock_wall_ns();
		log_err(LOG_LEVEL_ERROR, "audit.failed", err, NULL);
	}
	a->failing = *err;
}

/* What has been waiting, in its order, and then that it had to wait. */
static int resume(struct audit *a, struct err *err)
{
	size_t done = 0;
	char since[AUDIT_TIME_MAX];
	json_t *record;
	int rc = 0;

	if (a->failing_since == 0)
		return 0;
	while (done < a->held_n && (rc = audit_append(a, a->held[done], err)) == 0)
		json_decref(a->held[done++]);
	memmove(a->held, a->held + done, (a->held_n - done) * sizeof(a->held[0]));
	a->held_n -= done;
	if (rc < 0)
		return -1;
	if (!(record = audit_new_record(a, "audit.resumed", "ok")))
		return err_nomem(err);
	json_object_set_new(record, "data",
		json_pack("{s:s, s:I, s:I, s:s}", "since", audit_time(a->failing_since, since), "waited",
			(json_int_t)done, "lost", (json_int_t)a->lost, "error", a->failing.msg));
	rc = audit_append(a, record, err);
	json_decref(record);
	if (rc == 0) {
		log_event(LOG_LEVEL_WARNING, "audit.resumed",
			json_pack("{s:I, s:I}", "waited", (json_int_t)done, "lost", (json_int_t)a->lost));
		a->failing_since = a->lost = 0;
	}
	return rc;
}

/* Refusals, which anybody can cause, leave half of the room to what has happened. */
static void hold(struct audit *a, json_t *record)
{
	bool was_refused = strcmp(text_of(record, "outcome"), "refused") == 0;

	if (a->held_n < (was_refused ? AUDIT_HELD_MAX / 2 : AUDIT_HELD_MAX))
		a->held[a->held_n++] = json_incref(record);
	else
		a->lost++;
}

/* Nothing was done, or nothing is left to be kept from being done. */
static bool is_done_with(const char *outcome)
{
	return strcmp(outcome, "refused") == 0 || strcmp(outcome, "failed") == 0;
}

static int put(struct audit *a, const char *action, bool was_refused, json_t *record, struct err *err)
{
	struct err why = {0};

	if (resume(a, &why) == 0 && audit_append(a, record, &why) == 0)
		return 0;
	failed(a, &why);
	metrics_audit_failed();
	if (was_refused || audit_action_can_wait(action)) {
		hold(a, record);
		return 0;
	}
	err_set(err, ERR_UNAVAILABLE,
		"this cannot be recorded in the audit trail, so it is not done; tell the operators");
	return err_detail(err, "audit_failed");
}

/* ---- refusals ---- */

#define KNOWN_FACTOR                                                                                                   \
	10u /* people who are known may be refused so many times as often as strangers before that is put together */

/* What was left out in the minute that is over. */
static void tell_more(struct audit *a, struct audit_minute *m, const char *action)
{
	char since[AUDIT_TIME_MAX];
	json_t *record;

	if (m->more == 0 || !(record = audit_new_record(a, action, "refused")))
		return;
	json_object_set_new(record, "data",
		json_pack("{s:I, s:s}", "more", (json_int_t)m->more, "since", audit_time(m->since, since)));
	m->more = 0;
	put(a, action, true, record, NULL);
	json_decref(record);
}

static void tell_all(struct audit *a)
{
	tell_more(a, &a->strangers, "token.refused");
	tell_more(a, &a->refused, "request.refused");
}

static bool is_over(const struct audit_minute *m, uint64_t now)
{
	return m->begin_ns == 0 || now - m->begin_ns >= MINUTE_NS;
}

static bool is_one_too_many(struct audit *a, struct audit_minute *m, const char *action, uint64_t most)
{
	uint64_t now = clock_mono_ns();

	if (is_over(m, now)) {
		tell_more(a, m, action);
		*m = (struct audit_minute){.begin_ns = now, .since = clock_wall_ns()};
	}
	if (m->n < most) {
		m->n++;
		return false;
	}
	m->more++;
	return true;
}

static bool is_left_out(struct audit *a, const struct audit_record *r)
{
	uint64_t most = a->gw->config.audit_refused_per_minute;

	if (r->is_strangers)
		return is_one_too_many(a, &a->strangers, "token.refused", most);
	return strcmp(r->outcome, "refused") == 0 &&
	       is_one_too_many(a, &a->refused, "request.refused", most * KNOWN_FACTOR);
}

/* ---- for others ---- */

int audit_write(struct audit *a, const struct audit_record *r, struct err *err)
{
	json_t *record;
	int rc = 0;

	if (!a)
		return 0;
	if (!(record = record_json(a, r))) {
		err_set(err, ERR_UNAVAILABLE, "out of memory for a record of the audit trail");
		return err_detail(err, "audit_failed");
	}
	pthread_mutex_lock(&a->lock);
	if (!is_left_out(a, r))
		rc = put(a, r->action, is_done_with(r->outcome), record, err);
	pthread_mutex_unlock(&a->lock);
	json_decref(record);
	return rc;
}

void audit_event(struct audit *a, const char *action, json_t *data)
{
	const struct audit_record r = {.action = action, .outcome = "ok", .data = data};
	struct err err = {0};

	if (audit_write(a, &r, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "audit.event_lost", &err, json_pack("{s:s}", "action", action));
	json_decref(data);
}

int audit_usable(struct audit *a, struct err *err)
{
	struct err why = {0};
	uint64_t room = 0;
	int rc = 0;

	if (!a)
		return 0;
	pthread_mutex_lock(&a->lock);
	if (resume(a, &why) < 0)
		failed(a, &why);
	if (a->failing_since > 0) {
		rc = -1;
		if (err)
			*err = a->failing;
	} else if (fs_free_bytes(a->dir, &room, NULL) == 0 && room < ROOM_MIN) {
		rc = err_set(err, ERR_FULL, "%s: there is no room for the audit trail", a->dir);
	}
	pthread_mutex_unlock(&a->lock);
	return rc;
}

void audit_tick(struct audit *a)
{
	uint64_t now = clock_wall_ns(), keep;
	struct err err = {0};

	if (!a)
		return;
	keep = a->gw->config.audit_retention_ms * CLOCK_NS_PER_MS;
	pthread_mutex_lock(&a->lock);
	if (is_over(&a->strangers, clock_mono_ns()))
		tell_more(a, &a->strangers, "token.refused");
	if (is_over(&a->refused, clock_mono_ns()))
		tell_more(a, &a->refused, "request.refused");
	if (resume(a, &err) < 0)
		failed(a, &err);
	pthread_mutex_unlock(&a->lock);
	if (now > keep && job_db_audit_sweep(a->gw->db, now - keep, &err) < 0)
		log_err(LOG_LEVEL_WARNING, "audit.sweep_failed", &err, NULL);
}

void audit_settle(struct audit *a)
{
	pthread_mutex_lock(&a->lock);
	tell_all(a);
	pthread_mutex_unlock(&a->lock);
}

/* The file that has the name now; the one before still has another one, unless somebody took it away. */
static void take_file(struct audit *a, struct audit_file *fresh)
{
	struct stat was, is;
	bool known = a->file.fd >= 0 && fstat(a->file.fd, &was) == 0 && fstat(fresh->fd, &is) == 0;

	if (known && was.st_dev == is.st_dev && was.st_ino == is.st_ino) {
		audit_file_close(fresh); /* it is the same */
		return;
	}
	if (known && !audit_follows(a, fresh))
		a->begun = fresh->size == 0 && was.st_nlink > 0 && (uint64_t)was.st_size >= a->file.size
				   ? AUDIT_BEGUN_ROTATED
				   : AUDIT_BEGUN_UNEXPLAINED;
	audit_file_close(&a->file);
	a->file = *fresh;
}

void audit_reopen(struct audit *a)
{
	struct err err = {0};
	struct audit_file fresh;
	uint64_t torn = 0;

	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	fresh = a->file;
	if (audit_file_open(&fresh, &torn, &err) < 0) {
		log_err(LOG_LEVEL_ERROR, "audit.reopen_failed", &err, NULL);
	} else {
		take_file(a, &fresh);
	}
	pthread_mutex_unlock(&a->lock);
}

/* ---- life ---- */

static char *below(const struct config_gateway *c, const char *configured, const char *name)
{
	return configured[0] ? strdup(configured) : fs_path("%s/%s", c->state_dir, name);
}

static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int open_all(struct audit *a, struct err *err)
{
	const struct config_gateway *c = &a->gw->config;
	char *key = below(c, c->audit_key_file, "audit.key");
	json_t *mended = NULL;
	int rc = -1;

	a->path = below(c, c->audit_file, "audit.jsonl");
	a->dir = a->path ? dir_of(a->path) : NULL;
	if (!key || !a->dir) {
		err_nomem(err);
		goto out;
	}
	a->file = (struct audit_file){.path = a->path, .sync = c->audit_sync, .fd = -1};
	if (audit_key_load(key, true, &a->key, err) < 0 || audit_begin(a, &mended, err) < 0)
		goto out;
	if (strcmp(c->audit_syslog, "local") == 0 && !(a->syslog = audit_syslog_new(c, err)))
		goto out;
	if (c->webhook_url[0] && !(a->webhook = audit_webhook_start(c, err)))
		goto out;
	if (mended) {
		log_event(LOG_LEVEL_WARNING, "audit.mended", json_incref(mended));
		audit_event(a, "audit.mended", json_incref(mended));
	}
	rc = 0;
out:
	json_decref(mended);
	free(key);
	return rc;
}

struct audit *audit_open(struct gateway *gw, struct err *err)
{
	struct audit *a = calloc(1, sizeof(*a));

	if (!a || pthread_mutex_init(&a->lock, NULL) != 0) {
		free(a);
		err_nomem(err);
		return NULL;
	}
	a->gw = gw;
	a->file.fd = -1;
	if (open_all(a, err) == 0)
		return a;
	audit_close(a);
	err_in(err, "audit");
	return NULL;
}

void audit_close(struct audit *a)
{
	struct err err = {0};

	if (!a)
		return;
	if (a->file.fd >= 0 && resume(a, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "audit.lost", &err,
			json_pack("{s:I}", "records", (json_int_t)a->held_n + (json_int_t)a->lost));
	audit_webhook_stop(a->webhook);
	audit_syslog_free(a->syslog);
	for (size_t i = 0; i < a->held_n; i++)
		json_decref(a->held[i]);
	audit_file_close(&a->file);
	digest_wipe(&a->key, sizeof(a->key));
	free(a->path);
	free(a->dir);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
