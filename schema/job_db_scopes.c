/* job_db_scopes.c - what the targets of a job lie in. */
#include "schema/job_db_internal.h"

int job_db_scopes_write(struct job_db *db, const struct job *j, struct err *err)
{
	static const char sql[] = "INSERT INTO job_scopes (job_id, position, org, space, app, deployment, "
				  "instance_group) VALUES (?, ?, ?, ?, ?, ?, ?)";

	for (size_t i = 0; i < j->scopes.n; i++) {
		const struct scope *s = &j->scopes.items[i];
		struct dbq q;

		dbq_open(&q, db, sql);
		dbq_text(&q, j->id);
		dbq_u64(&q, i);
		dbq_text(&q, s->org);
		dbq_text(&q, s->space);
		dbq_text(&q, s->app);
		dbq_text(&q, s->deployment);
		dbq_text(&q, s->group);
		if (dbq_run(&q, err) < 0)
			return -1;
	}
	return 0;
}

int job_db_scopes_read(struct job_db *db, struct job *j, struct err *err)
{
	static const char sql[] =
		"SELECT org, space, app, deployment, instance_group FROM job_scopes WHERE job_id = ? ORDER BY position";
	struct dbq q;
	int rc;

	dbq_open(&q, db, sql);
	dbq_text(&q, j->id);
	while ((rc = dbq_step(&q, err)) > 0) {
		struct scope s;

		dbq_col_copy(&q, s.org, sizeof(s.org));
		dbq_col_copy(&q, s.space, sizeof(s.space));
		dbq_col_copy(&q, s.app, sizeof(s.app));
		dbq_col_copy(&q, s.deployment, sizeof(s.deployment));
		dbq_col_copy(&q, s.group, sizeof(s.group));
		if ((rc = dbq_row_ok(&q, err)) < 0 || (rc = scope_list_add(&j->scopes, &s, err)) < 0)
			break;
	}
	dbq_close(&q);
	return rc < 0 ? -1 : 0;
}
