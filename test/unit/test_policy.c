/* test_policy.c - gateway/policy/policy.c and schema/switches_db.c: which captures are allowed, what is forced on them, and what a restart keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "gateway/policy/policy.h"
#include "schema/job_db_internal.h"
#include "temp_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS (UINT64_C(24) * 3600 * 1000)

struct rig {
	struct temp_file file;
	struct job_db *db;
	struct policy *policy;
	struct err err;
};

static void rig_open(struct rig *r, struct policy_options o)
{
	o.db = r->db = job_db_open(r->file.path, &r->err);
	if (!r->db || !(r->policy = policy_new(&o, &r->err)))
		fail_msg("%s", r->err.msg);
}

static void rig_close(struct rig *r)
{
	policy_free(r->policy);
	job_db_close(r->db);
}

static void rig_reopen(struct rig *r, struct policy_options o)
{
	rig_close(r);
	rig_open(r, o);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	temp_file_init(&r->file);
	rig_open(r, (struct policy_options){0});
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	rig_close(r);
	temp_file_done(&r->file);
	free(r);
	return 0;
}

static struct switch_row row_of(enum scope_kind kind, const char *id)
{
	struct switch_row r = {.kind = kind, .set_at = 1};

	snprintf(r.id, sizeof(r.id), "%s", id);
	snprintf(r.reason, sizeof(r.reason), "case 12");
	snprintf(r.set_by, sizeof(r.set_by), "olga");
	return r;
}

static void put(struct rig *r, const struct switch_row *row)
{
	if (policy_put(r->policy, row, &r->err) < 0)
		fail_msg("%s", r->err.msg);
}

static struct scope scope_of(
	const char *org, const char *space, const char *app, const char *deployment, const char *group)
{
	struct scope s = {0};

	snprintf(s.org, sizeof(s.org), "%s", org);
	snprintf(s.space, sizeof(s.space), "%s", space);
	snprintf(s.app, sizeof(s.app), "%s", app);
	snprintf(s.deployment, sizeof(s.deployment), "%s", deployment);
	snprintf(s.group, sizeof(s.group), "%s", group);
	return s;
}

static bool is_allowed(struct rig *r, const struct scope_list *l)
{
	struct policy_verdict v;
	int rc;

	r->err = (struct err){0};
	rc = policy_judge(r->policy, l, &v, &r->err);
	if (rc == 0) {
		policy_verdict_done(&v);
	} else {
		assert_int_equal(r->err.code, ERR_PERM);
		assert_string_equal(r->err.detail, "switched_off");
	}
	return rc == 0;
}

/* ---- allowed or not ---- */

#define OPERATOR  SWITCH_OPERATOR
#define DEVELOPER SWITCH_DEVELOPER
#define TEMPORARY SWITCH_TEMPORARY

/* One app of org acme, one of org bank; each rule "kind id level word expired". */
static const struct {
	const char *what;
	struct policy_options o;
	struct {
		enum scope_kind kind;
		const char *id;
		enum switch_level level;
		enum switch_word word;
		bool expired;
	} rows[3];
	bool acme, bank, both;
} cases[] = {
	{"nothing said", {0}, {{0}}, true, true, true},
	{"nothing said, closed", {.closed = true}, {{0}}, false, false, false},
	{"org forbids", {0}, {{SCOPE_ORG, "acme", OPERATOR, SWITCH_FORBID, false}}, false, true, false},
	{"org forbade", {0}, {{SCOPE_ORG, "acme", OPERATOR, SWITCH_FORBID, true}}, true, true, true},
	{"space forbids", {0}, {{SCOPE_SPACE, "dev", OPERATOR, SWITCH_FORBID, false}}, false, true, false},
	{"app forbids", {0}, {{SCOPE_APP, "shop", OPERATOR, SWITCH_FORBID, false}}, false, true, false},
	{"deployment forbids", {0}, {{SCOPE_DEPLOYMENT, "cf", OPERATOR, SWITCH_FORBID, false}}, true, false, false},
	{"group forbids", {0}, {{SCOPE_GROUP, "cf/router", OPERATOR, SWITCH_FORBID, false}}, true, false, false},
	{"platform forbids", {0}, {{SCOPE_PLATFORM, "", OPERATOR, SWITCH_FORBID, false}}, false, false, false},
	{"of another kind", {0}, {{SCOPE_SPACE, "acme", OPERATOR, SWITCH_FORBID, false}}, true, true, true},
	{"of another name", {0},
		{{SCOPE_ORG, "acm", OPERATOR, SWITCH_FORBID, false},
			{SCOPE_ORG, "acmee", OPERATOR, SWITCH_FORBID, false}},
		true, true, true},
	{"forbid is above allow", {0},
		{{SCOPE_ORG, "acme", OPERATOR, SWITCH_FORBID, false},
			{SCOPE_APP, "shop", OPERATOR, SWITCH_ALLOW, false}},
		false, true, false},
	{"also below it", {0},
		{{SCOPE_PLATFORM, "", OPERATOR, SWITCH_ALLOW, false},
			{SCOPE_APP, "shop", OPERATOR, SWITCH_FORBID, false}},
		false, true, false},
	{"developers forbid", {0}, {{SCOPE_APP, "shop", DEVELOPER, SWITCH_FORBID, false}}, false, true, false},
	{"developers forbid, an operator allows", {0},
		{{SCOPE_APP, "shop", DEVELOPER, SWITCH_FORBID, false},
			{SCOPE_APP, "shop", OPERATOR, SWITCH_ALLOW, false}},
		false, true, false},
	{"developers allow, an operator forbids", {.developers = POLICY_DEVELOPERS_ON},
		{{SCOPE_APP, "shop", DEVELOPER, SWITCH_ALLOW, false},
			{SCOPE_APP, "shop", OPERATOR, SWITCH_FORBID, false}},
		false, true, false},
	{"one that stays forbids, one for a time allows", {0},
		{{SCOPE_ORG, "acme", OPERATOR, SWITCH_FORBID, false},
			{SCOPE_ORG, "acme", TEMPORARY, SWITCH_ALLOW, false}},
		true, true, true},
	{"one that stays forbids, one for a time allowed", {0},
		{{SCOPE_ORG, "acme", OPERATOR, SWITCH_FORBID, false},
			{SCOPE_ORG, "acme", TEMPORARY, SWITCH_ALLOW, true}},
		false, true, false},
	{"one that stays allows, one for a time forbids", {.closed = true},
		{{SCOPE_ORG, "acme", OPERATOR, SWITCH_ALLOW, false},
			{SCOPE_ORG, "acme", TEMPORARY, SWITCH_FORBID, false}},
		false, false, false},
	{"one for a time allows, another scope forbids", {0},
		{{SCOPE_ORG, "acme", TEMPORARY, SWITCH_ALLOW, false},
			{SCOPE_APP, "shop", OPERATOR, SWITCH_FORBID, false}},
		false, true, false},
	{"closed, one org allows", {.closed = true}, {{SCOPE_ORG, "acme", OPERATOR, SWITCH_ALLOW, false}}, true, false,
		false},
	{"closed, both allow", {.closed = true},
		{{SCOPE_ORG, "acme", OPERATOR, SWITCH_ALLOW, false},
			{SCOPE_GROUP, "cf/router", OPERATOR, SWITCH_ALLOW, false}},
		true, true, true},
	{"closed, the platform allows", {.closed = true}, {{SCOPE_PLATFORM, "", OPERATOR, SWITCH_ALLOW, false}}, true,
		true, true},
	{"closed, allowed until a moment ago", {.closed = true}, {{SCOPE_ORG, "acme", OPERATOR, SWITCH_ALLOW, true}},
		false, false, false},
	{"closed, developers allow and may not", {.closed = true, .developers = POLICY_DEVELOPERS_DISABLE},
		{{SCOPE_APP, "shop", DEVELOPER, SWITCH_ALLOW, false}}, false, false, false},
	{"closed, developers allow and may", {.closed = true, .developers = POLICY_DEVELOPERS_ON},
		{{SCOPE_APP, "shop", DEVELOPER, SWITCH_ALLOW, false}}, true, false, false},
};

static void test_allowed(void **state)
{
	struct scope_list acme = {0}, bank = {0}, both = {0};
	const struct scope a = scope_of("acme", "dev", "shop", "", ""), b = scope_of("bank", "", "", "cf", "cf/router");
	struct rig *r = *state;

	assert_int_equal(scope_list_add(&acme, &a, NULL) | scope_list_add(&bank, &b, NULL), 0);
	assert_int_equal(scope_list_add(&both, &a, NULL) | scope_list_add(&both, &b, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_reopen(r, cases[i].o);
		for (size_t k = 0; k < 3 && cases[i].rows[k].word != SWITCH_SILENT; k++) {
			struct switch_row row = row_of(cases[i].rows[k].kind, cases[i].rows[k].id);

			row.level = cases[i].rows[k].level;
			row.capture = cases[i].rows[k].word;
			row.expires_at = clock_wall_ns() + (cases[i].rows[k].expired ? 0 : DAY_MS * CLOCK_NS_PER_MS);
			put(r, &row);
		}
		if (is_allowed(r, &acme) != cases[i].acme || is_allowed(r, &bank) != cases[i].bank ||
			is_allowed(r, &both) != cases[i].both)
			fail_msg("%s: not as it must be", cases[i].what);
		for (size_t k = 0; k < 3 && cases[i].rows[k].word != SWITCH_SILENT; k++)
			assert_int_equal(policy_delete(r->policy, cases[i].rows[k].kind, cases[i].rows[k].id,
						 cases[i].rows[k].level, &r->err),
				0);
	}
	scope_list_done(&acme);
	scope_list_done(&bank);
	scope_list_done(&both);
}

static void test_refusals_name_the_switch(void **state)
{
	const struct scope a = scope_of("acme", "dev", "shop", "", "");
	struct switch_row row = row_of(SCOPE_APP, "shop");
	struct scope_list l = {0}, none = {0};
	struct rig *r = *state;

	assert_int_equal(scope_list_add(&l, &a, NULL), 0);
	row.capture = SWITCH_FORBID;
	row.level = SWITCH_DEVELOPER;
	row.expires_at = UINT64_C(4070908800) * CLOCK_NS_PER_S;
	put(r, &row);
	assert_false(is_allowed(r, &l));
	assert_non_null(strstr(
		r->err.msg, "captures are switched off for app shop (by its developers) until 2099-01-01T00:00:00"));
	assert_non_null(strstr(r->err.msg, ": case 12"));
	assert_true(is_allowed(r, &none));
	rig_reopen(r, (struct policy_options){.closed = true});
	assert_false(is_allowed(r, &none)); /* what lies nowhere lies on the platform */
	assert_int_equal(policy_delete(r->policy, SCOPE_APP, "shop", SWITCH_DEVELOPER, &r->err), 0);
	assert_false(is_allowed(r, &l));
	assert_non_null(strstr(r->err.msg, "(platform, org acme, space dev, app shop)"));
	scope_list_done(&l);
}

/* ---- forced ---- */

static void force(struct rig *r, enum scope_kind kind, const char *id, uint32_t snaplen, const char *filter,
	uint64_t retention_max_s)
{
	struct switch_row row = row_of(kind, id);

	row.snaplen = snaplen;
	row.retention_max_s = retention_max_s;
	snprintf(row.filter, sizeof(row.filter), "%s", filter);
	put(r, &row);
}

static const char *rule(const struct policy_verdict *v, size_t n)
{
	return json_string_value(json_array_get(v->rules, n));
}

static void test_the_strictest_holds(void **state)
{
	const struct scope a = scope_of("acme", "dev", "shop", "", ""), b = scope_of("bank", "", "", "cf", "cf/router");
	struct capture_options o = {.snaplen = 262144};
	struct switch_row row = row_of(SCOPE_SPACE, "dev");
	struct scope_list l = {0};
	struct policy_verdict v;
	struct rig *r = *state;

	assert_int_equal(scope_list_add(&l, &a, NULL) | scope_list_add(&l, &b, NULL), 0);
	force(r, SCOPE_PLATFORM, "", 1000, "not port 22", 7200);
	force(r, SCOPE_ORG, "acme", 200, "tcp", 0);
	force(r, SCOPE_GROUP, "cf/router", 300, "tcp", 3600);
	row.headers_only = row.approval = true;
	row.storage = SWITCH_FORBID;
	row.retention_s = 5000;
	put(r, &row);
	assert_int_equal(policy_judge(r->policy, &l, &v, &r->err), 0);
	assert_int_equal(v.snaplen_max, 200);
	assert_true(v.headers_only && v.approval && v.store_forbidden);
	assert_string_equal(v.approval_by, "space dev");
	assert_string_equal(v.store_why, "storing captures is switched off for space dev: case 12; live is offered");
	assert_int_equal(v.forced_n, 2); /* a filter once */
	assert_string_equal(v.forced[0].filter, "not port 22");
	assert_string_equal(v.forced[0].by, "the whole platform");
	assert_string_equal(v.forced[1].filter, "tcp");
	assert_string_equal(v.forced[1].by, "org acme");
	assert_int_equal(v.retention_s, 5000);
	assert_int_equal(v.retention_max_s, 3600);
	assert_int_equal(json_array_size(v.rules), 4); /* the platform's once */
	assert_string_equal(rule(&v, 0), "the whole platform: at most 1000 bytes of a packet, filter \"not port 22\", "
					 "kept for at most 7200 s (case 12)");
	assert_string_equal(
		rule(&v, 2), "space dev: headers only, not stored, kept for 5000 s, approved by an operator (case 12)");
	policy_apply(&v, &o);
	assert_int_equal(o.snaplen, 200);
	assert_true(o.headers_only);
	o.snaplen = 64; /* what is less already stays */
	policy_apply(&v, &o);
	assert_int_equal(o.snaplen, 64);
	policy_verdict_done(&v);
	assert_int_equal(policy_kept_ns(r->policy, &l, DAY_MS * CLOCK_NS_PER_MS), 3600 * CLOCK_NS_PER_S);
	assert_int_equal(policy_kept_ns(r->policy, &l, 1000), 1000);
	assert_int_equal(policy_kept_ns(NULL, &l, 1000), 1000);
	scope_list_done(&l);
}

static void test_too_many_filters(void **state)
{
	struct scope_list l = {0};
	struct policy_verdict v;
	struct rig *r = *state;
	char text[32];

	for (unsigned i = 0; i <= CAPTURE_FORCED_MAX; i++) {
		struct scope s = scope_of("", "", "", "", "");

		snprintf(s.group, sizeof(s.group), "g%u", i);
		snprintf(text, sizeof(text), "port %u", i + 1);
		force(r, SCOPE_GROUP, s.group, 0, text, 0);
		assert_int_equal(scope_list_add(&l, &s, NULL), 0);
		if (i == CAPTURE_FORCED_MAX)
			break;
		assert_int_equal(policy_judge(r->policy, &l, &v, &r->err), 0);
		assert_int_equal(v.forced_n, i + 1);
		policy_verdict_done(&v);
	}
	assert_int_equal(policy_judge(r->policy, &l, &v, &r->err), -1);
	assert_int_equal(r->err.code, ERR_LIMIT);
	assert_string_equal(r->err.field, "target");
	scope_list_done(&l);
}

/* ---- what runs ---- */

static void test_what_runs(void **state)
{
	static const struct capture_forced had[] = {{.filter = "tcp", .by = "org acme"}};
	const struct scope a = scope_of("acme", "", "", "", "");
	const struct capture_options o = {.snaplen = 200};
	struct policy_terms t = {.options = &o, .forced = had, .forced_n = 1, .stored = true};
	struct switch_row row = row_of(SCOPE_ORG, "acme");
	enum stop_reason reason = STOP_NONE;
	struct scope_list l = {0};
	struct rig *r = *state;

	assert_int_equal(scope_list_add(&l, &a, NULL), 0);
	snprintf(row.filter, sizeof(row.filter), "tcp");
	row.snaplen = 200;
	row.approval = true;
	t.approved = true;
	put(r, &row);
	assert_int_equal(policy_still(r->policy, &l, &t, &reason, &r->err), 0);
	t.approved = false;
	assert_int_equal(policy_still(r->policy, &l, &t, &reason, &r->err), -1);
	assert_string_equal(r->err.detail, "policy_changed");
	t.approved = true;
	for (unsigned i = 0; i < 5; i++) {
		struct switch_row more = row;

		if (i == 0)
			more.snaplen = 199;
		if (i == 1)
			more.headers_only = true;
		if (i == 2)
			more.storage = SWITCH_FORBID;
		if (i == 3)
			snprintf(more.filter, sizeof(more.filter), "tcp port 80");
		if (i == 4)
			more.capture = SWITCH_FORBID;
		put(r, &more);
		assert_int_equal(policy_still(r->policy, &l, &t, &reason, &r->err), -1);
		assert_int_equal(reason, i == 4 ? STOP_SWITCHED_OFF : STOP_POLICY);
		assert_string_equal(r->err.detail, i == 4 ? "switched_off" : "policy_changed");
	}
	row.storage = SWITCH_FORBID;
	put(r, &row);
	t.stored = false;
	assert_int_equal(policy_still(r->policy, &l, &t, &reason, &r->err), 0);
	scope_list_done(&l);
}

/* ---- rows ---- */

static void test_rows_outlive_a_restart(void **state)
{
	struct switch_row full = row_of(SCOPE_GROUP, "cf/router"), got;
	enum scope_kind kind = SCOPE_GROUP;
	struct rig *r = *state;
	json_t *list;

	full.capture = SWITCH_ALLOW;
	full.storage = SWITCH_FORBID;
	full.snaplen = 96;
	full.headers_only = full.approval = true;
	full.retention_s = 60;
	full.retention_max_s = 3600;
	full.set_at = UINT64_C(1767225600000000001);
	full.expires_at = UINT64_C(4070908800) * CLOCK_NS_PER_S;
	memset(full.filter, 'f', CAPTURE_FORCED_FILTER_MAX);
	memset(full.reason, 'r', SWITCH_REASON_MAX);
	memset(full.set_by, 'u', SWITCH_WHO_MAX);
	put(r, &full);
	full.level = SWITCH_DEVELOPER;
	put(r, &full);
	for (unsigned i = 0; i < 200; i++) {
		char id[16];
		struct switch_row row;

		snprintf(id, sizeof(id), "org-%u", i * 7919 % 200);
		row = row_of(SCOPE_ORG, id);
		row.snaplen = 100 + i;
		put(r, &row);
	}
	rig_reopen(r, (struct policy_options){0});
	assert_true(policy_get(r->policy, SCOPE_GROUP, "cf/router", SWITCH_DEVELOPER, &got));
	assert_memory_equal(&got, &full, sizeof(full));
	assert_false(policy_get(r->policy, SCOPE_GROUP, "cf", SWITCH_OPERATOR, &got));
	assert_true(policy_get(r->policy, SCOPE_ORG, "org-0", SWITCH_OPERATOR, &got));
	list = policy_list(r->policy, NULL, NULL);
	assert_int_equal(json_array_size(list), 202);
	json_decref(list);
	list = policy_list(r->policy, &kind, "cf/router");
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
	assert_int_equal(policy_delete(r->policy, SCOPE_GROUP, "cf/router", SWITCH_OPERATOR, &r->err), 0);
	assert_int_equal(policy_delete(r->policy, SCOPE_GROUP, "cf/router", SWITCH_OPERATOR, &r->err), -1);
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
	rig_reopen(r, (struct policy_options){0});
	assert_false(policy_get(r->policy, SCOPE_GROUP, "cf/router", SWITCH_OPERATOR, &got));
}

static void test_expired_rows_go(void **state)
{
	struct switch_row row = row_of(SCOPE_ORG, "acme"), got;
	struct switch_row *left;
	struct rig *r = *state;
	json_t *told = json_array();
	size_t n;

	row.capture = SWITCH_FORBID;
	row.expires_at = clock_wall_ns();
	put(r, &row);
	snprintf(row.id, sizeof(row.id), "bank");
	row.expires_at = 0;
	put(r, &row);
	assert_false(policy_get(r->policy, SCOPE_ORG, "acme", SWITCH_OPERATOR, &got));
	assert_int_equal(policy_expire(r->policy, told), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(told, 0), "id")), "acme");
	assert_int_equal(policy_expire(r->policy, told), 0);
	assert_int_equal(json_array_size(told), 1);
	json_decref(told);
	assert_true(policy_get(r->policy, SCOPE_ORG, "bank", SWITCH_OPERATOR, &got));
	assert_int_equal(job_db_switches(r->db, &left, &n, &r->err), 0);
	assert_int_equal(n, 1);
	free(left);
}

/* What cannot be written does not hold: else a restart would forget it. */
static void test_what_is_not_written_does_not_hold(void **state)
{
	struct switch_row row = row_of(SCOPE_ORG, "acme"), got;
	struct rig *r = *state;

	memset(row.id, 'x', sizeof(row.id) - 1); /* as long as any may be */
	row.capture = SWITCH_FORBID;
	put(r, &row);
	assert_true(policy_get(r->policy, SCOPE_ORG, row.id, SWITCH_OPERATOR, &got));
	row = row_of(SCOPE_ORG, "acme");
	assert_int_equal(
		sqlite3_exec(r->db->sqlite, "ALTER TABLE switches RENAME TO elsewhere", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(policy_put(r->policy, &row, &r->err), -1);
	assert_false(policy_get(r->policy, SCOPE_ORG, "acme", SWITCH_OPERATOR, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_allowed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals_name_the_switch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_strictest_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_filters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rows_outlive_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expired_rows_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_not_written_does_not_hold, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
