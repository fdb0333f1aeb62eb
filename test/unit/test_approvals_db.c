/* test_approvals_db.c - schema/approvals_db.c: each step from the states that it may be taken in, and from no other; what is kept and shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/approvals_db.h"
#include "temp_file.h"

#include <stdlib.h>
#include <string.h>

#define SECOND  UINT64_C(1000000000)
#define NOW     (UINT64_C(1750000000) * SECOND)
#define REQUEST "{\"target\":{\"type\":\"host\",\"instances\":[\"web\"]}}"

struct rig {
	struct temp_file file;
	struct job_db *db;
	struct err err;
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	temp_file_init(&r->file);
	if (!(r->db = job_db_open(r->file.path, &r->err)))
		fail_msg("%s", r->err.msg);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	job_db_close(r->db);
	temp_file_done(&r->file);
	free(r);
	return 0;
}

static struct job *new_job(const char *user)
{
	struct job *j = job_new(0);

	id_new(j->id);
	j->state = JOB_WAITING;
	j->created_at = NOW;
	job_set(&j->owner_user_id, user, NULL);
	job_set(&j->target, "{\"type\":\"host\"}", NULL);
	return j;
}

static struct job *asked(struct rig *r, const char *user)
{
	struct job *j = new_job(user);

	if (approvals_db_ask(r->db, j, REQUEST, "captures of org acme", NOW + 60 * SECOND, 3, &r->err) < 0)
		fail_msg("%s", r->err.msg);
	return j;
}

static const struct approval_decision yes = {
	.by = "olga", .reason = "ticket 7", .at_ns = NOW + SECOND, .expires_ns = NOW + 100 * SECOND};

static void approved(struct rig *r, const struct job *j)
{
	assert_int_equal(approvals_db_approve(r->db, j->id, &yes, &r->err), 0);
}

static enum approval_state state_of(struct rig *r, const struct job *j)
{
	struct approval a;
	enum approval_state state;

	assert_int_equal(approvals_db_get(r->db, j->id, &a, &r->err), 0);
	state = a.state;
	approval_done(&a);
	return state;
}

static int end(struct rig *r, struct job *j, enum approval_state to, const struct approval_decision *d)
{
	j->state = JOB_FAILED;
	j->ended_at = NOW + 2 * SECOND;
	return approvals_db_end(r->db, j, to, d, &r->err);
}

static void assert_not_waiting(struct rig *r, int rc)
{
	assert_int_equal(rc, -1);
	assert_int_equal(r->err.code, ERR_STATE);
	assert_string_equal(r->err.detail, "not_waiting");
	r->err = (struct err){0};
}

static void test_asked_and_shown(void **state)
{
	struct rig *r = *state;
	struct job *j = asked(r, "alice"), *read = job_db_get(r->db, j->id, &r->err);
	struct approval a;
	json_t *json;

	assert_int_equal(read->state, JOB_WAITING);
	assert_int_equal(approvals_db_get(r->db, j->id, &a, &r->err), 0);
	assert_string_equal(a.request, REQUEST);
	assert_int_equal(a.state, APPROVAL_WAITING);
	json = approval_to_json(&a);
	assert_string_equal(json_string_value(json_object_get(json, "state")), "waiting");
	assert_string_equal(json_string_value(json_object_get(json, "because")), "captures of org acme");
	assert_true(json_is_null(json_object_get(json, "decided_by")) && json_is_null(json_object_get(json, "reason")));
	assert_true(json_is_null(json_object_get(json, "decided_at")));
	assert_string_equal(json_string_value(json_object_get(json, "expires_at")), "2025-06-15T15:07:40.000Z");
	json_decref(json);
	approval_done(&a);
	job_free(read);
	job_free(j);
	j = new_job("bob");
	assert_int_equal(job_db_insert(r->db, j, &r->err), 0);
	assert_int_equal(approvals_db_get(r->db, j->id, &a, &r->err), -1);
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
	job_free(j);
}

static void test_so_many_and_no_more(void **state)
{
	struct rig *r = *state;
	struct job *one[3], *j = new_job("alice"), *bobs;

	for (size_t i = 0; i < 3; i++)
		one[i] = asked(r, "alice");
	assert_int_equal(approvals_db_ask(r->db, j, REQUEST, "", NOW + SECOND, 3, &r->err), -1);
	assert_int_equal(r->err.code, ERR_BUSY);
	assert_string_equal(r->err.detail, "too_many_waiting");
	assert_int_equal(approvals_db_room(r->db, j, 3, NULL), -1);
	assert_null(job_db_get(r->db, j->id, NULL)); /* nothing of it is left */
	bobs = asked(r, "bob");
	assert_int_equal(end(r, one[0], APPROVAL_CANCELLED, NULL), 0);
	assert_int_equal(approvals_db_ask(r->db, j, REQUEST, "", NOW + SECOND, 3, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		job_free(one[i]);
	job_free(bobs);
	job_free(j);
}

static void test_approved_once(void **state)
{
	struct rig *r = *state;
	struct job *j = asked(r, "alice"), *late = asked(r, "alice");
	struct approval_decision d = yes;
	struct approval a;

	approved(r, j);
	assert_not_waiting(r, approvals_db_approve(r->db, j->id, &yes, &r->err));
	assert_not_waiting(r, end(r, j, APPROVAL_DENIED, &yes)); /* a denial is for what nobody has decided */
	assert_int_equal(approvals_db_get(r->db, j->id, &a, &r->err), 0);
	assert_string_equal(a.decided_by, "olga");
	assert_string_equal(a.reason, "ticket 7");
	assert_true(a.decided_at == NOW + SECOND && a.expires_at == NOW + 100 * SECOND);
	approval_done(&a);
	d.at_ns = NOW + 60 * SECOND; /* its time is up */
	assert_not_waiting(r, approvals_db_approve(r->db, late->id, &d, &r->err));
	assert_int_equal(end(r, late, APPROVAL_DENIED, &yes), 0);
	assert_int_equal(state_of(r, late), APPROVAL_DENIED);
	assert_not_waiting(r, approvals_db_approve(r->db, late->id, &yes, &r->err));
	assert_not_waiting(r, end(r, late, APPROVAL_EXPIRED, NULL));
	job_free(j);
	job_free(late);
}

static void test_begun_once(void **state)
{
	struct rig *r = *state;
	struct job *j = asked(r, "alice"), *read;
	uint64_t seq = 0;

	assert_int_equal(job_db_event_add(r->db, j->id, NOW, "waiting", "{}", &seq, &r->err), 0);
	j->state = JOB_STARTING;
	j->options.snaplen = 64;
	job_set(&j->policy, "[\"closed\"]", NULL);
	assert_not_waiting(r, approvals_db_begin(r->db, j, NOW, &r->err)); /* nobody has said yes */
	approved(r, j);
	assert_not_waiting(r, approvals_db_begin(r->db, j, NOW + 100 * SECOND, &r->err));
	assert_int_equal(approvals_db_begin(r->db, j, NOW + 99 * SECOND, &r->err), 0);
	assert_not_waiting(r, approvals_db_begin(r->db, j, NOW + 99 * SECOND, &r->err));
	assert_not_waiting(r, end(r, j, APPROVAL_CANCELLED, NULL));
	assert_int_equal(state_of(r, j), APPROVAL_APPROVED);
	read = job_db_get(r->db, j->id, &r->err);
	assert_int_equal(read->state, JOB_STARTING);
	assert_int_equal(read->options.snaplen, 64);
	assert_string_equal(read->policy, "[\"closed\"]");
	assert_int_equal(job_db_event_add(r->db, j->id, NOW, "created", "{}", &seq, &r->err), 0);
	assert_int_equal(seq, 2);
	job_free(read);
	job_free(j);
}

static void assert_listed(struct rig *r, bool overdue, uint64_t now, const struct job *a, const struct job *b)
{
	const struct job *due[] = {a, b};
	char(*ids)[ID_MAX] = NULL;
	size_t n = 0;

	assert_int_equal(approvals_db_list(r->db, overdue, now, 10, &ids, &n, &r->err), 0);
	assert_int_equal(n, (a != NULL) + (b != NULL));
	for (size_t i = 0; i < 2 && due[i]; i++)
		assert_string_equal((const char *)&ids[i], due[i]->id);
	free(ids);
}

static void test_listed(void **state)
{
	struct rig *r = *state;
	struct job *a = asked(r, "alice"), *b = asked(r, "bob");

	assert_listed(r, false, NOW, a, b);
	assert_listed(r, true, NOW + 59 * SECOND, NULL, NULL);
	assert_listed(r, true, NOW + 60 * SECOND, a, b);
	assert_listed(r, false, NOW + 60 * SECOND, NULL, NULL);
	approved(r, a); /* which gives it more time to begin */
	assert_listed(r, false, NOW, b, NULL);
	assert_listed(r, true, NOW + 60 * SECOND, b, NULL);
	assert_listed(r, true, NOW + 100 * SECOND, a, b);
	assert_int_equal(end(r, b, APPROVAL_EXPIRED, NULL), 0);
	assert_listed(r, true, NOW + 100 * SECOND, a, NULL);
	/* Whoever erases it asks no approval. */
	a->state = JOB_PURGED;
	assert_int_equal(job_db_save(r->db, a, &r->err), 0);
	assert_listed(r, true, NOW + 100 * SECOND, NULL, NULL);
	assert_int_equal(state_of(r, a), APPROVAL_CANCELLED);
	assert_not_waiting(r, approvals_db_begin(r->db, a, NOW, &r->err));
	assert_int_equal(job_db_delete(r->db, a->id, &r->err), 0);
	job_free(a);
	job_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_asked_and_shown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_so_many_and_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(test_approved_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_begun_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listed, setup, teardown),
	};

	return cmocka_run_group_tests_name("approvals_db", tests, NULL, NULL);
}
