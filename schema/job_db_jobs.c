/* job_db_jobs.c - one job with its instances, written and read. */
#include "common/buf.h"
#include "common/json_in.h"
#include "common/parse.h"
#include "schema/job_db_internal.h"

#include <stdlib.h>
#include <string.h>

#define TARGET_TEXT_MAX 65536 /* a start request is no longer */

static int job_missing(const char *job_id, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "no job %s in the database", job_id);
}

/* ---- writing ---- */

static void bind_drops(struct dbq *q, const struct job_drops *d)
{
	dbq_u64(q, d->kernel);
	dbq_u64(q, d->interface);
	dbq_u64(q, d->agent);
	dbq_u64(q, d->gateway);
}

/* In the order of the columns in job_insert and of the assignments in job_update. */
static void bind_changing(struct dbq *q, const struct job *j)
{
	dbq_text(q, job_mode_name(j->mode));
	dbq_text(q, job_state_name(j->state));
	dbq_u64(q, j->started_at);
	dbq_u64(q, j->ended_at);
	dbq_u64(q, j->expires_at);
	dbq_text(q, stop_reason_name(j->stop_reason));
	dbq_text(q, j->stop_by);
	dbq_text(q, j->error_code);
	dbq_text(q, j->error);
	dbq_u64(q, j->bytes);
	dbq_u64(q, j->packets);
	bind_drops(q, &j->dropped);
	dbq_text(q, j->object_key);
	dbq_u64(q, j->object_bytes);
	dbq_text(q, j->object_sha256);
	dbq_text(q, j->object_store);
	dbq_text(q, j->limited_by);
	dbq_text(q, j->gateway);
	dbq_u64(q, j->heartbeat_at);
}

/* What filters ask for: of each target that has it, once, with commas between; "" when none has. */
static int target_text(json_t *target, const char *key, struct buf *ret, struct err *err)
{
	const char *text = json_string_value(json_object_get(target, key));
	json_t *one;
	size_t n;

	if (text)
		return buf_addf(ret, err, "%s%s", ret->len > 0 ? "," : "", text);
	json_array_foreach(target, n, one)
	{
		if (json_is_object(one) && target_text(one, key, ret, err) < 0)
			return -1;
	}
	return 0;
}

static int job_insert(struct job_db *db, const struct job *j, struct err *err)
{
	static const char sql[] =
		"INSERT INTO jobs (id, format, owner_user_id, owner_user_name, org, space, target, app, deployment,"
		" option_device, option_filter, option_snaplen, option_max_duration_s, option_max_bytes, "
		"option_max_packets,"
		" option_payload, note, policy, hold, retention_s, created_at, mode, state, started_at, ended_at, "
		"expires_at, "
		"stop_reason, "
		"stop_by, error_code, "
		"error,"
		" bytes, packets, dropped_kernel, dropped_interface, dropped_agent, dropped_gateway, object_key, "
		"object_bytes,"
		" object_sha256, object_store, limited_by, gateway, heartbeat_at, upload) VALUES (?, ?, ?, ?, ?, ?, ?, "
		"?, ?, ?, ?, ?, "
		"?, ?, ?, ?, ?, ?, "
		"?, ?, ?, ?,"
		" ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')";
	json_t *target = json_in_parse(j->target, strlen(j->target), NULL);
	const char *apps, *deployments;
	struct buf app, deployment;
	struct dbq q;
	int rc = -1;

	buf_init(&app, TARGET_TEXT_MAX);
	buf_init(&deployment, TARGET_TEXT_MAX);
	if (target_text(target, "app", &app, err) < 0 || target_text(target, "deployment", &deployment, err) < 0)
		goto out;
	if (!(apps = buf_str(&app)) || !(deployments = buf_str(&deployment))) {
		err_nomem(err);
		goto out;
	}
	dbq_open(&q, db, sql);
	dbq_text(&q, j->id);
	dbq_text(&q, job_format_name(j->format));
	dbq_text(&q, j->owner_user_id);
	dbq_text(&q, j->owner_user_name);
	dbq_text(&q, j->org);
	dbq_text(&q, j->space);
	dbq_text(&q, j->target);
	dbq_text(&q, apps);
	dbq_text(&q, deployments);
	dbq_text(&q, j->options.device);
	dbq_text(&q, j->options.filter);
	dbq_u64(&q, j->options.snaplen);
	dbq_u64(&q, j->options.max_duration_s);
	dbq_u64(&q, j->options.max_bytes);
	dbq_u64(&q, j->options.max_packets);
	dbq_text(&q, capture_options_payload(&j->options));
	dbq_text(&q, j->note);
	dbq_text(&q, j->policy);
	dbq_text(&q, j->hold);
	dbq_u64(&q, j->retention_s);
	dbq_u64(&q, j->created_at);
	bind_changing(&q, j);
	rc = dbq_run(&q, err);
out:
	buf_done(&app);
	buf_done(&deployment);
	json_decref(target);
	return rc;
}

static int job_update(struct job_db *db, const struct job *j, struct err *err)
{
	/* The heartbeat beats beside us (job_db_heartbeat): an older one in j does not set it back. */
	static const char sql[] =
		"UPDATE jobs SET mode = ?, state = ?, started_at = ?, ended_at = ?, expires_at = ?, stop_reason = ?, "
		"stop_by = ?,"
		" error_code = ?, error = ?, bytes = ?, packets = ?, dropped_kernel = ?, dropped_interface = ?, "
		"dropped_agent = ?,"
		" dropped_gateway = ?, object_key = ?, object_bytes = ?, object_sha256 = ?, object_store = ?, "
		"limited_by = ?, gateway "
		"= ?,"
		" heartbeat_at = CASE WHEN heartbeat_at < ? THEN ? ELSE heartbeat_at END WHERE id = ?";
	struct dbq q;
	int n;

	dbq_open(&q, db, sql);
	bind_changing(&q, j);
	dbq_u64(&q, j->heartbeat_at);
	dbq_text(&q, j->id);
	n = dbq_run(&q, err);
	return n == 0 ? job_missing(j->id, err) : n;
}

static int instance_write(struct job_db *db, const char *sql_literal, const struct job *j, size_t i, struct err *err)
{
	const struct job_instance *inst = &j->instances[i];
	char host[256];
	uint16_t port;
	struct dbq q;

	if (parse_host_port(inst->agent, 1, host, &port, NULL) < 0)
		host[0] = '\0';
	dbq_open(&q, db, sql_literal);
	dbq_text(&q, inst->name);
	dbq_text(&q, inst->agent);
	dbq_text(&q, host);
	dbq_text(&q, inst->device);
	dbq_int(&q, inst->link_type);
	dbq_text(&q, instance_state_name(inst->state));
	dbq_text(&q, stop_reason_name(inst->stop_reason));
	dbq_u64(&q, inst->packets);
	dbq_u64(&q, inst->bytes);
	dbq_u64(&q, inst->late_packets);
	bind_drops(&q, &inst->dropped);
	dbq_text(&q, inst->error_code);
	dbq_text(&q, inst->error);
	dbq_text(&q, j->id);
	dbq_u64(&q, i);
	return dbq_run(&q, err);
}

static int instances_write(struct job_db *db, const struct job *j, struct err *err)
{
	static const char update[] =
		"UPDATE instances SET name = ?, agent = ?, agent_host = ?, device = ?, link_type = ?, state = ?, "
		"stop_reason = ?,"
		" packets = ?, bytes = ?, late_packets = ?, dropped_kernel = ?, dropped_interface = ?, dropped_agent = "
		"?,"
		" dropped_gateway = ?, error_code = ?, error = ? WHERE job_id = ? AND position = ?";
	static const char insert[] =
		"INSERT INTO instances (name, agent, agent_host, device, link_type, state, stop_reason, packets, bytes,"
		" late_packets, dropped_kernel, dropped_interface, dropped_agent, dropped_gateway, error_code, error, "
		"job_id,"
		" position) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	static const char trim[] = "DELETE FROM instances WHERE job_id = ? AND position >= ?";
	struct dbq q;

	for (size_t i = 0; i < j->instances_n; i++) {
		int n = instance_write(db, update, j, i, err);

		if (n < 0 || (n == 0 && instance_write(db, insert, j, i, err) < 0))
			return -1;
	}
	dbq_open(&q, db, trim);
	dbq_text(&q, j->id);
	dbq_u64(&q, j->instances_n);
	return dbq_run(&q, err);
}

int job_db_write_new(struct job_db *db, const struct job *j, struct err *err)
{
	if (job_insert(db, j, err) < 0 || job_db_scopes_write(db, j, err) < 0)
		return -1;
	return instances_write(db, j, err);
}

int job_db_write_changed(struct job_db *db, const struct job *j, struct err *err)
{
	return job_update(db, j, err) < 0 ? -1 : instances_write(db, j, err);
}

int job_db_insert(struct job_db *db, const struct job *j, struct err *err)
{
	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	return job_db_leave(db, job_db_write_new(db, j, err), err) < 0 ? -1 : 0;
}

int job_db_save(struct job_db *db, const struct job *j, struct err *err)
{
	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	return job_db_leave(db, job_db_write_changed(db, j, err), err) < 0 ? -1 : 0;
}

/* ---- reading ---- */

static void col_replace(struct dbq *q, char **field)
{
	free(*field);
	*field = dbq_col_text(q);
}

static void col_drops(struct dbq *q, struct job_drops *d)
{
	d->kernel = dbq_col_u64(q);
	d->interface = dbq_col_u64(q);
	d->agent = dbq_col_u64(q);
	d->gateway = dbq_col_u64(q);
}

static void col_stop_reason(struct dbq *q, enum stop_reason *ret)
{
	const char *name = dbq_col_peek(q);

	/* STOP_NONE has no name to parse */
	*ret = STOP_NONE;
	if (*name && !stop_reason_parse(name, ret))
		q->damaged = true;
}

static void col_job_state(struct dbq *q, enum job_state *ret)
{
	if (!job_state_parse(dbq_col_peek(q), ret))
		q->damaged = true;
}

static void col_instance_state(struct dbq *q, enum instance_state *ret)
{
	static const enum instance_state all[] = {INSTANCE_STARTING, INSTANCE_RUNNING, INSTANCE_ENDED, INSTANCE_FAILED};
	const char *name = dbq_col_peek(q);

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!strcmp(name, instance_state_name(all[i]))) {
			*ret = all[i];
			return;
		}
	}
	q->damaged = true;
}

static void row_fixed(struct dbq *q, struct job *j)
{
	dbq_col_copy(q, j->id, sizeof(j->id));
	j->format = strcmp(dbq_col_peek(q), job_format_name(JOB_PCAP)) ? JOB_PCAPNG : JOB_PCAP;
	col_replace(q, &j->owner_user_id);
	col_replace(q, &j->owner_user_name);
	col_replace(q, &j->org);
	col_replace(q, &j->space);
	col_replace(q, &j->target);
	dbq_col_copy(q, j->options.device, sizeof(j->options.device));
	dbq_col_copy(q, j->options.filter, sizeof(j->options.filter));
	j->options.snaplen = (uint32_t)dbq_col_u64(q);
	j->options.max_duration_s = dbq_col_u64(q);
	j->options.max_bytes = dbq_col_u64(q);
	j->options.max_packets = dbq_col_u64(q);
	j->options.headers_only = strcmp(dbq_col_peek(q), CAPTURE_PAYLOAD_HEADERS) == 0;
	col_replace(q, &j->note);
	col_replace(q, &j->policy);
	col_replace(q, &j->hold);
	j->retention_s = dbq_col_u64(q);
	j->created_at = dbq_col_u64(q);
}

static void row_changing(struct dbq *q, struct job *j)
{
	j->mode = strcmp(dbq_col_peek(q), job_mode_name(JOB_STORE)) ? JOB_LIVE : JOB_STORE;
	col_job_state(q, &j->state);
	j->started_at = dbq_col_u64(q);
	j->ended_at = dbq_col_u64(q);
	j->expires_at = dbq_col_u64(q);
	col_stop_reason(q, &j->stop_reason);
	col_replace(q, &j->stop_by);
	col_replace(q, &j->error_code);
	col_replace(q, &j->error);
	j->bytes = dbq_col_u64(q);
	j->packets = dbq_col_u64(q);
	col_drops(q, &j->dropped);
	col_replace(q, &j->object_key);
	j->object_bytes = dbq_col_u64(q);
	dbq_col_copy(q, j->object_sha256, sizeof(j->object_sha256));
	col_replace(q, &j->object_store);
	dbq_col_copy(q, j->limited_by, sizeof(j->limited_by));
	col_replace(q, &j->gateway);
	j->heartbeat_at = dbq_col_u64(q);
}

struct job *job_db_row(struct dbq *q, struct err *err)
{
	struct job *j = job_new(0);

	if (!j) {
		err_nomem(err);
		return NULL;
	}
	row_fixed(q, j);
	row_changing(q, j);
	if (dbq_row_ok(q, err) < 0) {
		job_free(j);
		return NULL;
	}
	return j;
}

static void row_instance(struct dbq *q, struct job_instance *i)
{
	int64_t link_type;

	dbq_col_copy(q, i->name, sizeof(i->name));
	dbq_col_copy(q, i->agent, sizeof(i->agent));
	dbq_col_copy(q, i->device, sizeof(i->device));
	link_type = dbq_col_int(q);
	i->link_type = link_type < 0 || link_type > UINT16_MAX ? -1 : (int)link_type;
	col_instance_state(q, &i->state);
	col_stop_reason(q, &i->stop_reason);
	i->packets = dbq_col_u64(q);
	i->bytes = dbq_col_u64(q);
	i->late_packets = dbq_col_u64(q);
	col_drops(q, &i->dropped);
	dbq_col_copy(q, i->error_code, sizeof(i->error_code));
	dbq_col_copy(q, i->error, sizeof(i->error));
}

static int instances_count(struct job_db *db, const char *job_id, size_t *ret, struct err *err)
{
	static const char sql[] = "SELECT COUNT(*) FROM instances WHERE job_id = ?";
	struct dbq q;
	int rc;

	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	if ((rc = dbq_step(&q, err)) > 0)
		*ret = (size_t)dbq_col_u64(&q);
	dbq_close(&q);
	return rc < 0 ? -1 : 0;
}

int job_db_row_instances(struct job_db *db, struct job *j, struct err *err)
{
	static const char sql[] =
		"SELECT name, agent, device, link_type, state, stop_reason, packets, bytes, late_packets, "
		"dropped_kernel,"
		" dropped_interface, dropped_agent, dropped_gateway, error_code, error FROM instances WHERE job_id = ?"
		" ORDER BY position";
	struct dbq q;
	size_t most = 0;
	int rc = 0;

	if (instances_count(db, j->id, &most, err) < 0)
		return -1;
	if (most && !(j->instances = calloc(most, sizeof(*j->instances))))
		return err_nomem(err);
	dbq_open(&q, db, sql);
	dbq_text(&q, j->id);
	while (j->instances_n < most && (rc = dbq_step(&q, err)) > 0) {
		row_instance(&q, &j->instances[j->instances_n++]);
		if ((rc = dbq_row_ok(&q, err)) < 0)
			break;
	}
	dbq_close(&q);
	return rc < 0 ? -1 : 0;
}

static struct job *job_read(struct job_db *db, const char *id, struct err *err)
{
	static const char sql[] = JOB_DB_SELECT " WHERE id = ?";
	struct job *j = NULL;
	struct dbq q;
	int rc;

	dbq_open(&q, db, sql);
	dbq_text(&q, id);
	if ((rc = dbq_step(&q, err)) > 0)
		j = job_db_row(&q, err);
	else if (rc == 0)
		job_missing(id, err);
	dbq_close(&q);
	if (j && (job_db_scopes_read(db, j, err) < 0 || job_db_row_instances(db, j, err) < 0)) {
		job_free(j);
		return NULL;
	}
	return j;
}

struct job *job_db_get(struct job_db *db, const char *id, struct err *err)
{
	struct job *j;

	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return NULL;
	j = job_read(db, id, err);
	if (job_db_leave(db, j ? 0 : -1, err) < 0) {
		job_free(j);
		return NULL;
	}
	return j;
}
