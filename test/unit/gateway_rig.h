/* gateway_rig.h - a gateway without its HTTP side, and an agent that behaves as told, to run whole captures in a unit.  Everything fails the running
 * test when something is not as it must be. */
#ifndef PCAPLINE_TEST_UNIT_GATEWAY_RIG_H
#define PCAPLINE_TEST_UNIT_GATEWAY_RIG_H

#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/gateway.h"
#include "gateway/targets/targets.h"
#include "test/unit/http_rig.h"
#include "test/unit/store_rig.h"

#define GATEWAY_RIG_PACKETS 100u /* that the agent sends */
#define GATEWAY_RIG_WAIT_MS 30000u

enum gateway_rig_way {
	AGENT_POLITE, /* header and packets; ends when it is told to */
	AGENT_DEAF,   /* the same, but a stop is nothing to it */
	AGENT_DRIPS   /* never an interface, but always another little block */
};

struct gateway_rig {
	struct gateway gw;
	char driver[8]; /* what the configuration calls the store's driver */
	struct store_rig store;
	struct rig_certs certs;
	struct http_server *agent;
	enum gateway_rig_way way;
	atomic_bool stopped; /* the agent was told to end */
};

void gateway_rig_init(struct gateway_rig *r);
void gateway_rig_reopen(struct gateway_rig *r); /* the store, with what was changed in r->store; no capture runs */
void gateway_rig_done(struct gateway_rig *r);   /* all captures must have ended */

/* Starts the only capture that r->store.job names. */
struct capture *gateway_rig_start(struct gateway_rig *r, enum job_mode mode, struct err *err);
/* As what targets stand for (they are copied), with somebody who asks again; watch NULL: nobody. */
struct capture *gateway_rig_start_at(struct gateway_rig *r, enum job_mode mode, const struct target_set *targets,
	const struct capture_watch *watch, struct err *err);

/* gateway_rig_target: the agent as an instance. */
void gateway_rig_target(struct gateway_rig *r, const char *name, struct target_instance *ret);
struct job *gateway_rig_job(struct gateway_rig *r); /* as the database knows it */

/* gateway_rig_until: waits for the state in memory; gateway_rig_ended: for the end, and gives the reference back. */
void gateway_rig_until(struct capture *c, enum job_state state);
void gateway_rig_ended(struct gateway_rig *r, struct capture *c);

#endif
