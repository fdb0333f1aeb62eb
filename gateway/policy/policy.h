/* policy.h - what operators, and developers of their own, have switched: may be captured there, may be stored, and what is forced on every capture there.  All rows in memory, written
 * through to the database; loaded at the start.
 *
 * A capture has a scope for each app or group that it takes from.  Each is judged by itself: a "forbid" on the platform, its org, its space, its app, its deployment or its group closes it, whoever set
 * it; where the default is closed one "allow" among these opens it (a developer's only with policy.developers on).  Of what is forced the strictest over all scopes holds for the
 * whole capture.  A row that has expired says nothing.
 * Of an operator's two rows of one scope the words of the one for a time (capture, storage) count instead of those of the one that stays; what the two force adds up.
 *
 * All functions may be called from any thread. */
#ifndef PCAPLINE_GATEWAY_POLICY_POLICY_H
#define PCAPLINE_GATEWAY_POLICY_POLICY_H

#include "schema/switches_db.h"

#define POLICY_RULE_MAX 2600 /* of a rule's text: scope, all that it forces, reason */

enum policy_developers { POLICY_DEVELOPERS_OFF, POLICY_DEVELOPERS_DISABLE, POLICY_DEVELOPERS_ON };

struct policy_options {
	struct job_db *db; /* borrowed */
	bool closed;       /* captures need an "allow" */
	bool store_closed; /* storing does */
	enum policy_developers developers;
};

struct policy;

struct policy *policy_new(const struct policy_options *o, struct err *err);
void policy_free(struct policy *p);

enum policy_developers policy_developers(const struct policy *p);
bool policy_developers_parse(const char *name, enum policy_developers *ret); /* "off", "disable", "on" */

/* ---- rows ---- */

/* policy_put: r in place of the one of its scope and level.  ERR_LIMIT: SWITCHES_MAX are there. */
int policy_put(struct policy *p, const struct switch_row *r, struct err *err);
int policy_delete(struct policy *p, enum scope_kind kind, const char *id, enum switch_level level,
	struct err *err); /* ERR_NOT_FOUND */
bool policy_get(struct policy *p, enum scope_kind kind, const char *id, enum switch_level level,
	struct switch_row *ret); /* false: there is none that still holds */

/* policy_list: a new list, by kind and id; kind NULL: of all kinds; id NULL: all. */
json_t *policy_list(struct policy *p, const enum scope_kind *kind, const char *id);

/* policy_expire: forgets what has expired; how many rows, each added to told (a list, may be NULL). */
size_t policy_expire(struct policy *p, json_t *told);

/* ---- judging ---- */

struct policy_verdict {
	bool store_forbidden;
	char store_why[ERR_MSG_MAX]; /* as a refusal says it */
	uint32_t snaplen_max;        /* 0: none */
	bool headers_only;
	struct capture_forced forced[CAPTURE_FORCED_MAX]; /* all of them hold */
	size_t forced_n;
	bool approval;
	char approval_by[CAPTURE_FORCED_BY_MAX];
	uint64_t retention_s, retention_max_s; /* the smallest; 0: none */
	json_t *rules;                         /* a list of texts, "org acme: headers only (GDPR case 12)"; owned */
};

/* policy_judge: p may be NULL: nothing is switched.  -1: ERR_PERM, detail switched_off: captures of one of these scopes are not allowed; ERR_LIMIT: more filters are forced than one
 * capture can have.  On success policy_verdict_done must follow. */
int policy_judge(struct policy *p, const struct scope_list *scopes, struct policy_verdict *ret, struct err *err);
void policy_verdict_done(struct policy_verdict *v);

/* policy_apply: what v forces, onto the options that a user asked for. */
void policy_apply(const struct policy_verdict *v, struct capture_options *o);

/* What a running capture was started under. */
struct policy_terms {
	const struct capture_options *options;
	const struct capture_forced *forced;
	size_t forced_n;
	bool stored;
	bool approved; /* by an operator, if that was needed then */
};

/* policy_still: may it go on?  -1: as policy_judge, *ret_reason STOP_SWITCHED_OFF; or ERR_PERM, detail policy_changed, STOP_POLICY: something stricter holds now. */
int policy_still(struct policy *p, const struct scope_list *scopes, const struct policy_terms *t,
	enum stop_reason *ret_reason, struct err *err);

/* policy_kept_ns: how long what lies in these scopes is kept that was started to be kept for kept_ns: no longer than the switches of now allow. */
uint64_t policy_kept_ns(struct policy *p, const struct scope_list *scopes, uint64_t kept_ns);

#endif
