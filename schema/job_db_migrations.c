/* job_db_migrations.c - the tables, as one list of steps that only grows: what was released is never edited again.
 * Plain SQL that PostgreSQL would take too: text, 64-bit integers, foreign keys that cascade; states and reasons by name, times in
 * nanoseconds since 1970 (0: not yet), no NULL anywhere. */
#include "schema/job_db_internal.h"

#include <string.h>

#define JOB_DB_PRODUCT "pcapline"

const char *const job_db_migrations[] = {
	/* 1: jobs with their instances, events, chunks and one-time links.  `gateway` and `heartbeat_at` say which process runs a job
	 * and when it was last alive; app and deployment repeat what stands in target, to be searched for. */
	"CREATE TABLE schema_version (product TEXT NOT NULL, version INTEGER NOT NULL);"
	"INSERT INTO schema_version (product, version) VALUES ('" JOB_DB_PRODUCT "', 0);"

	"CREATE TABLE jobs ("
	" id TEXT NOT NULL PRIMARY KEY,"
	" format TEXT NOT NULL,"
	" owner_user_id TEXT NOT NULL,"
	" owner_user_name TEXT NOT NULL,"
	" org TEXT NOT NULL,"
	" space TEXT NOT NULL,"
	" target TEXT NOT NULL,"
	" app TEXT NOT NULL,"
	" deployment TEXT NOT NULL,"
	" option_device TEXT NOT NULL,"
	" option_filter TEXT NOT NULL,"
	" option_snaplen BIGINT NOT NULL,"
	" option_max_duration_s BIGINT NOT NULL,"
	" option_max_bytes BIGINT NOT NULL,"
	" option_max_packets BIGINT NOT NULL,"
	" note TEXT NOT NULL,"
	" created_at BIGINT NOT NULL,"
	" mode TEXT NOT NULL,"
	" state TEXT NOT NULL,"
	" started_at BIGINT NOT NULL,"
	" ended_at BIGINT NOT NULL,"
	" expires_at BIGINT NOT NULL,"
	" stop_reason TEXT NOT NULL,"
	" stop_by TEXT NOT NULL,"
	" error_code TEXT NOT NULL,"
	" error TEXT NOT NULL,"
	" bytes BIGINT NOT NULL,"
	" packets BIGINT NOT NULL,"
	" dropped_kernel BIGINT NOT NULL,"
	" dropped_interface BIGINT NOT NULL,"
	" dropped_agent BIGINT NOT NULL,"
	" dropped_gateway BIGINT NOT NULL,"
	" object_key TEXT NOT NULL,"
	" object_bytes BIGINT NOT NULL,"
	" object_sha256 TEXT NOT NULL,"
	" gateway TEXT NOT NULL,"
	" heartbeat_at BIGINT NOT NULL,"
	" upload TEXT NOT NULL);"
	"CREATE INDEX jobs_owner ON jobs (owner_user_id);"
	"CREATE INDEX jobs_owner_name ON jobs (owner_user_name);"
	"CREATE INDEX jobs_state ON jobs (state);"
	"CREATE INDEX jobs_expires ON jobs (expires_at);"

	"CREATE TABLE instances ("
	" job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,"
	" position INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" agent TEXT NOT NULL,"
	" agent_host TEXT NOT NULL,"
	" device TEXT NOT NULL,"
	" link_type INTEGER NOT NULL,"
	" state TEXT NOT NULL,"
	" stop_reason TEXT NOT NULL,"
	" packets BIGINT NOT NULL,"
	" bytes BIGINT NOT NULL,"
	" late_packets BIGINT NOT NULL,"
	" dropped_kernel BIGINT NOT NULL,"
	" dropped_interface BIGINT NOT NULL,"
	" dropped_agent BIGINT NOT NULL,"
	" dropped_gateway BIGINT NOT NULL,"
	" error_code TEXT NOT NULL,"
	" error TEXT NOT NULL,"
	" PRIMARY KEY (job_id, position));"

	"CREATE TABLE events ("
	" job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,"
	" seq BIGINT NOT NULL,"
	" at BIGINT NOT NULL,"
	" type TEXT NOT NULL,"
	" data TEXT NOT NULL,"
	" PRIMARY KEY (job_id, seq));"

	"CREATE TABLE chunks ("
	" job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,"
	" seq BIGINT NOT NULL,"
	" bytes BIGINT NOT NULL,"
	" stored INTEGER NOT NULL,"
	" sha256 TEXT NOT NULL,"
	" part TEXT NOT NULL,"
	" PRIMARY KEY (job_id, seq));"

	"CREATE TABLE links ("
	" nonce TEXT NOT NULL PRIMARY KEY,"
	" job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,"
	" expires_at BIGINT NOT NULL);"
	"CREATE INDEX links_job ON links (job_id);"
	"CREATE INDEX links_expires ON links (expires_at);",

	/* 2: which store an object is in, so that one that another configuration has left behind is not taken for gone. */
	"ALTER TABLE jobs ADD COLUMN object_store TEXT NOT NULL DEFAULT '';"
	"UPDATE jobs SET object_store = 'file' WHERE object_key <> '';", /* there was no other */

	/* 3: what operators hold on to.  job_scopes: all that a job's targets lie in (app and deployment in jobs stay for older rows).  switches: one row for each
	 * scope and level, "operator", "temporary" (also an operator's) or "developer".  starts: for limits per hour and day, a row for each org that
	 * a capture lies in.  approvals: what a waiting job was asked for.  audit: the trail, each record with the hash
	 * of the one before. */
	"ALTER TABLE jobs ADD COLUMN option_payload TEXT NOT NULL DEFAULT 'full';"
	"ALTER TABLE jobs ADD COLUMN hold TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE jobs ADD COLUMN policy TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE jobs ADD COLUMN retention_s BIGINT NOT NULL DEFAULT 0;"
	"ALTER TABLE jobs ADD COLUMN limited_by TEXT NOT NULL DEFAULT '';"
	"CREATE INDEX jobs_org ON jobs (org);"

	"CREATE TABLE job_scopes ("
	" job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,"
	" position INTEGER NOT NULL,"
	" org TEXT NOT NULL,"
	" space TEXT NOT NULL,"
	" app TEXT NOT NULL,"
	" deployment TEXT NOT NULL,"
	" instance_group TEXT NOT NULL,"
	" PRIMARY KEY (job_id, position));"
	"CREATE INDEX job_scopes_org ON job_scopes (org);"

	"CREATE TABLE switches ("
	" kind TEXT NOT NULL,"
	" id TEXT NOT NULL,"
	" level TEXT NOT NULL,"
	" capture TEXT NOT NULL,"
	" storage TEXT NOT NULL,"
	" snaplen BIGINT NOT NULL,"
	" payload TEXT NOT NULL,"
	" filter TEXT NOT NULL,"
	" approval TEXT NOT NULL,"
	" retention_s BIGINT NOT NULL,"
	" retention_max_s BIGINT NOT NULL,"
	" reason TEXT NOT NULL,"
	" set_by TEXT NOT NULL,"
	" set_at BIGINT NOT NULL,"
	" expires_at BIGINT NOT NULL,"
	" PRIMARY KEY (kind, id, level));"

	"CREATE TABLE starts ("
	" job_id TEXT NOT NULL,"
	" at BIGINT NOT NULL,"
	" user_id TEXT NOT NULL,"
	" org TEXT NOT NULL,"
	" PRIMARY KEY (job_id, org));"
	"CREATE INDEX starts_at ON starts (at);"

	"CREATE TABLE approvals ("
	" job_id TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,"
	" request TEXT NOT NULL,"
	" because TEXT NOT NULL,"
	" state TEXT NOT NULL,"
	" decided_by TEXT NOT NULL,"
	" decided_at BIGINT NOT NULL,"
	" reason TEXT NOT NULL,"
	" expires_at BIGINT NOT NULL);"

	"CREATE TABLE audit ("
	" seq BIGINT NOT NULL PRIMARY KEY,"
	" at BIGINT NOT NULL,"
	" action TEXT NOT NULL,"
	" outcome TEXT NOT NULL,"
	" user_id TEXT NOT NULL,"
	" job_id TEXT NOT NULL,"
	" record TEXT NOT NULL,"
	" hash TEXT NOT NULL);"
	"CREATE INDEX audit_at ON audit (at);"
	"CREATE INDEX audit_job ON audit (job_id);",
};
const int job_db_migrations_n = sizeof(job_db_migrations) / sizeof(job_db_migrations[0]);

static int count_tables(sqlite3 *sqlite, const char *name, int64_t *ret, struct err *err)
{
	struct dbq q;
	int rc;

	dbq_open_once(&q, sqlite, "SELECT COUNT(*) FROM sqlite_master WHERE ? = '' OR (type = 'table' AND name = ?)");
	dbq_text(&q, name);
	dbq_text(&q, name);
	if ((rc = dbq_step(&q, err)) > 0)
		*ret = dbq_col_int(&q);
	if ((q.rc & 0xff) == SQLITE_NOTADB)
		rc = err_set(err, ERR_STATE, "not a job database (nor any SQLite database): left untouched");
	dbq_close(&q);
	return rc > 0 ? 0 : -1;
}

/* ERR_STATE when the one row of ours is not there. */
static int read_version(sqlite3 *sqlite, int *ret_version, struct err *err)
{
	struct dbq q;
	bool ours = false;

	dbq_open_once(&q, sqlite, "SELECT product, version FROM schema_version");
	if (q.rc == SQLITE_OK && dbq_step(&q, NULL) > 0) {
		bool product = !strcmp(dbq_col_peek(&q), JOB_DB_PRODUCT);
		int64_t version = dbq_col_int(&q);

		ours = product && version > 0 && version <= INT32_MAX && dbq_step(&q, NULL) == 0;
		if (ours)
			*ret_version = (int)version;
	}
	dbq_close(&q);
	return ours ? 0 : err_set(err, ERR_STATE, "a database of another program: left untouched");
}

int job_db_examine(sqlite3 *sqlite, int *ret_version, struct err *err)
{
	int64_t all = 0, ours = 0;
	int version = 0;

	if (count_tables(sqlite, "", &all, err) < 0)
		return -1;
	if (all == 0) {
		*ret_version = 0;
		return 0;
	}
	if (count_tables(sqlite, "schema_version", &ours, err) < 0)
		return -1;
	if (ours == 0)
		return err_set(err, ERR_STATE, "a database of another program: left untouched");
	if (read_version(sqlite, &version, err) < 0)
		return -1;
	if (version > job_db_migrations_n)
		return err_set(err, ERR_STATE,
			"written by a newer version (schema %d, this program knows up to %d): left untouched", version,
			job_db_migrations_n);
	*ret_version = version;
	return 0;
}

static int migrate_say(sqlite3 *sqlite, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(sqlite, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : job_db_fail(sqlite, rc, err);
}

static int migrate_step(sqlite3 *sqlite, int from, struct err *err)
{
	struct dbq q;

	if (migrate_say(sqlite, job_db_migrations[from], err) < 0)
		return -1;
	dbq_open_once(&q, sqlite, "UPDATE schema_version SET version = ?");
	dbq_int(&q, from + 1);
	return dbq_run(&q, err) < 0 ? -1 : 0;
}

int job_db_migrate(sqlite3 *sqlite, int upto, struct err *err)
{
	int version = 0, rc;

	if (migrate_say(sqlite, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	/* once more under the lock: another process may have been here in between */
	rc = job_db_examine(sqlite, &version, err);
	for (int i = version; rc == 0 && i < upto && i < job_db_migrations_n; i++)
		if ((rc = migrate_step(sqlite, i, err)) < 0)
			err_in(err, "migration %d", i + 1);
	if (rc == 0)
		rc = migrate_say(sqlite, "COMMIT", err);
	if (rc < 0 && !sqlite3_get_autocommit(sqlite))
		sqlite3_exec(sqlite, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}
