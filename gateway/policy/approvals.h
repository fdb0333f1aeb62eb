/* approvals.h - what becomes of captures that wait for an operator's approval (schema/approvals_db.h) without their user: they are told of, they end, their time is up. */
#ifndef PCAPLINE_GATEWAY_POLICY_APPROVALS_H
#define PCAPLINE_GATEWAY_POLICY_APPROVALS_H

#include "gateway/gateway.h"
#include "schema/approvals_db.h"

/* approvals_tell: adds "approval" to the JSON of a job that needed one. */
void approvals_tell(struct gateway *gw, const char *job_id, json_t *job);

/* approvals_event: one more event of a job that does not run; data is stolen. */
void approvals_event(struct gateway *gw, const char *job_id, const char *type, json_t *data);

struct approvals_end {
	enum approval_state approval;
	enum job_state state; /* JOB_FAILED, JOB_KILLED */
	enum stop_reason reason;
	const char *by; /* NULL: nobody */
	const char *code, *message;
	const struct approval_decision *decision; /* NULL: there was none */
};

/* approvals_end: of j, which waited and is changed.  ERR_STATE: it waits no more. */
int approvals_end(struct gateway *gw, struct job *j, const struct approvals_end *how, struct err *err);

/* approvals_sweep: those whose time is up. */
void approvals_sweep(struct gateway *gw);

#endif
