#include "gateway/metrics/readiness.h"

#include "common/clock.h"
#include "common/log.h"
#include "gateway/audit/audit.h"
#include "gateway/gateway.h"
#include "gateway/storage/storage.h"

#define LOOK_NS CLOCK_NS_PER_S
#define WAIT_MS 1000u
#define OLD_NS  (10 * CLOCK_NS_PER_S) /* a look that takes so long says that something hangs */

/* What is wrong is said once, when it begins. */
static bool judge(int rc, bool was, const char *event, const struct err *err)
{
	if (rc < 0 && was)
		log_err(LOG_LEVEL_ERROR, event, err, NULL);
	return rc == 0;
}

/* The lock is held, and let go meanwhile. */
static void look(struct gateway *gw, struct readiness *r)
{
	bool first = r->looked_ns == 0, database, storage, audit;
	struct err err = {0};

	r->looking = true;
	pthread_mutex_unlock(&r->lock);
	database = judge(job_db_check(gw->db, &err), first || r->database, "readiness.database", &err);
	storage =
		!gw->store || judge(storage_usable(gw, WAIT_MS, &err), first || r->storage, "readiness.storage", &err);
	audit = judge(audit_usable(gw->audit, &err), first || r->audit, "readiness.audit", &err);
	pthread_mutex_lock(&r->lock);
	r->database = database;
	r->storage = storage;
	r->audit = audit;
	r->looked_ns = clock_mono_ns();
	r->looking = false;
}

void readiness_look(struct gateway *gw, bool *ret_database, bool *ret_storage, bool *ret_audit)
{
	struct readiness *r = &gw->readiness;
	uint64_t now = clock_mono_ns();

	pthread_mutex_lock(&r->lock);
	if (!r->looking && (r->looked_ns == 0 || now - r->looked_ns >= LOOK_NS))
		look(gw, r);
	*ret_database = r->database && !(r->looking && now - r->looked_ns >= OLD_NS);
	*ret_storage = r->storage;
	*ret_audit = r->audit;
	pthread_mutex_unlock(&r->lock);
}
