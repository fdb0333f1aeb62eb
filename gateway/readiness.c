#include "gateway/readiness.h"

#include "common/clock.h"
#include "common/log.h"
#include "gateway/audit.h"
#include "gateway/gateway.h"
#include "gateway/storage.h"

#define LOOK_NS CLOCK_NS_PER_S
#define WAIT_MS 1000u

/* What is wrong is said once, when it begins. */
static bool judge(int rc, bool was, const char *event, const struct err *err)
{
	if (rc < 0 && was)
		log_err(LOG_LEVEL_ERROR, event, err, NULL);
	return rc == 0;
}

void readiness_look(struct gateway *gw, bool *ret_database, bool *ret_storage, bool *ret_audit)
{
	struct readiness *r = &gw->readiness;
	uint64_t now = clock_mono_ns();
	struct err err = {0};

	pthread_mutex_lock(&r->lock);
	if (r->looked_ns == 0 || now - r->looked_ns >= LOOK_NS) {
		bool first = r->looked_ns == 0;

		r->database = judge(job_db_check(gw->db, &err), first || r->database, "readiness.database", &err);
		r->storage = !gw->store ||
			     judge(storage_usable(gw, WAIT_MS, &err), first || r->storage, "readiness.storage", &err);
		r->audit = judge(audit_usable(gw->audit, &err), first || r->audit, "readiness.audit", &err);
		r->looked_ns = now;
	}
	*ret_database = r->database;
	*ret_storage = r->storage;
	*ret_audit = r->audit;
	pthread_mutex_unlock(&r->lock);
}
