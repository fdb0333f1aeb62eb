/* What a list of targets stands for, when each source says its own. */
#include "gateway/targets/targets.h"

#include "common/json_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A source that answers with so many instances, of which the first few failed, or with an error; it keeps who asked. */
struct fake {
	struct target_source source;
	size_t n, failed;
	struct err err;
	char asked_by[32];
	size_t asked_max;
	bool asked_again;
};

static int resolve(struct target_source *source, const struct target_query *q, struct target_set *ret, struct err *err)
{
	struct fake *f = (struct fake *)source;

	memset(ret, 0, sizeof(*ret));
	snprintf(f->asked_by, sizeof(f->asked_by), "%s", q->who->user_id);
	f->asked_max = q->max;
	f->asked_again = q->again;
	if (f->err.code != ERR_NONE) {
		*err = f->err;
		return -1;
	}
	for (size_t i = 0; i < f->n; i++) {
		struct target_instance t = {.port = 1, .agent.index = AGENT_INDEX_ANY};

		snprintf(t.name, sizeof(t.name), "%s/%zu", source->type, i);
		if (i < f->failed)
			err_set(&t.error, ERR_STATE, "it is down");
		if (target_set_add(ret, &t, q->max, err) < 0)
			return -1;
	}
	snprintf(ret->org, sizeof(ret->org), "org of %s", source->type);
	return 0;
}

static void nothing(struct target_source *s)
{
	(void)s;
}

static const struct target_source_ops ops = {.resolve = resolve, .free = nothing};
static struct fake host, bosh, cf;
static struct targets *targets;
static char dev[] = "cf:dev", dev_issuer[] = "cf", ops_[] = "bosh:ops", ops_issuer[] = "bosh";
static struct people people;
static struct capture_options options;
static struct target_set set;
static struct err err;

static int setup(void **state)
{
	struct target_source *sources[] = {&host.source, &bosh.source, &cf.source};

	(void)state;
	host = (struct fake){.source = {.ops = &ops, .type = "host"}, .n = 1};
	bosh = (struct fake){.source = {.ops = &ops, .type = "bosh", .issuer = "bosh"}, .n = 2};
	cf = (struct fake){.source = {.ops = &ops, .type = "cf", .issuer = "cf", .follows = true}, .n = 3};
	targets = targets_of(sources, 3);
	assert_non_null(targets);
	people = (struct people){
		.who = {{.user_id = dev, .issuer = dev_issuer}, {.user_id = ops_, .issuer = ops_issuer}}, .n = 2};
	capture_options_init(&options);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	target_set_done(&set);
	targets_free(targets);
	return 0;
}

static int ask(const char *text, size_t max, bool again)
{
	json_t *j = json_in_parse(text, strlen(text), &err);
	struct targets_query q = {.people = &people, .targets = j, .options = &options, .max = max, .again = again};
	int rc;

	if (!j)
		fail_msg("%s", err.msg);
	target_set_done(&set);
	memset(&err, 0, sizeof(err));
	rc = targets_resolve(targets, &q, &set, &err);
	json_decref(j);
	return rc;
}

static void taken(const char *text, size_t n)
{
	if (ask(text, 100, false) < 0)
		fail_msg("%s: %s", text, err.msg);
	assert_int_equal(set.n, n);
}

static void refused(const char *text, enum err_code code, const char *detail, const char *field, const char *says)
{
	if (ask(text, 5, false) == 0)
		fail_msg("taken: %s", text);
	if (err.code != code || strcmp(err.detail, detail) != 0 || strcmp(err.field, field) != 0 ||
		!strstr(err.msg, says))
		fail_msg("%s: %s %s, field \"%s\": %s", text, err_code_name(err.code), err.detail, err.field, err.msg);
	assert_int_equal(set.n, 0);
}

#define HOST "{\"type\":\"host\"}"
#define BOSH "{\"type\":\"bosh\"}"
#define CF   "{\"type\":\"cf\"}"

static void each_source_is_asked_for_its_own_people(void **state)
{
	(void)state;
	taken("[" CF "," BOSH "," HOST "]", 6);
	assert_string_equal(cf.asked_by, "cf:dev");
	assert_string_equal(bosh.asked_by, "bosh:ops");
	assert_string_equal(host.asked_by, "cf:dev"); /* the caller */
	assert_string_equal(set.org, "org of cf");    /* the first one's */
	assert_false(set.instances[5].follows);
	assert_true(set.instances[0].follows);
	taken(CF, 3);
	taken("[" CF "," CF "]", 3); /* once each */
}

static void people_of_others_are_refused(void **state)
{
	(void)state;
	people.n = 1;
	refused(BOSH, ERR_PERM, "other_issuer", "target.type", "token of the issuer \"bosh\"");
	refused("[" CF "," BOSH "]", ERR_PERM, "other_issuer", "targets[1].type", "targets[1].type: \"bosh\"");
	assert_string_equal(bosh.asked_by, "");
	assert_int_equal(ask(HOST, 5, false), 0);
}

static void wrong_types(void **state)
{
	(void)state;
	refused("{}", ERR_INPUT, "", "target.type", "is missing; \"host\", \"bosh\", \"cf\"");
	refused("{\"type\":5}", ERR_INPUT, "", "target.type", "must be a text");
	refused("{\"type\":\"vm\"}", ERR_INPUT, "", "target.type",
		"\"vm\" is not offered by this gateway; it offers \"host\"");
	refused("[" CF ",{\"type\":null}]", ERR_INPUT, "", "targets[1].type", "targets[1].type: must");
	refused("[1]", ERR_INPUT, "", "targets[0].type", "is missing");
}

static void a_list_says_which_one_is_wrong(void **state)
{
	(void)state;
	err_set(&bosh.err, ERR_INPUT, "target.deployment: is required");
	err_field(&bosh.err, "target.deployment");
	refused(BOSH, ERR_INPUT, "", "target.deployment", "target.deployment: is");
	refused("[" CF "," BOSH "]", ERR_INPUT, "", "targets[1].deployment", "targets[1].deployment: is");
	err_set(&bosh.err, ERR_NET, "the director is away");
	bosh.err.field[0] = '\0';
	refused("[" CF "," BOSH "]", ERR_NET, "", "", "the director");
}

static void each_device_counts(void **state)
{
	(void)state;
	snprintf(options.device, sizeof(options.device), "eth0,lo");
	taken(BOSH, 4);
	assert_string_equal(set.instances[0].device, "eth0");
	assert_string_equal(set.instances[1].device, "lo");
	assert_string_equal(set.instances[0].name, set.instances[1].name);
	refused(CF, ERR_LIMIT, "too_many_instances", "target.instances", "more than 5");
	refused("[" HOST "," CF "]", ERR_LIMIT, "too_many_instances", "targets[1].instances", "more than 5");
}

static void some_may_be_down_but_not_all(void **state)
{
	(void)state;
	cf.failed = 2;
	taken(CF, 3);
	assert_int_equal(set.instances[0].error.code, ERR_STATE);
	assert_int_equal(set.instances[2].error.code, ERR_NONE);
	cf.failed = 3;
	refused(CF, ERR_STATE, "", "", "none of 3 instances can be captured; the first, cf/0: it is down");
	taken("[" CF "," HOST "]", 4);
	cf.n = cf.failed = 1;
	refused(CF, ERR_STATE, "", "", "cf/0: it is down");
	cf.n = cf.failed = 0;
	refused(CF, ERR_STATE, "", "", "nothing of it runs");
	assert_int_equal(ask(CF, 5, true), 0);
	assert_true(cf.asked_again);
}

static void an_issuer_that_is_not_there(void **state)
{
	json_t *j = json_pack("[{s:s}, {s:s}]", "name", "cf", "name", "corp");

	(void)state;
	assert_int_equal(targets_check_issuers(targets, j, &err), -1);
	assert_string_equal(err.msg, "bosh.issuer: there is no \"bosh\" in the file of issuers");
	json_array_append_new(j, json_pack("{s:s}", "name", "bosh"));
	assert_int_equal(targets_check_issuers(targets, j, &err), 0);
	json_decref(j);
}

static void which_of_them_come_and_go(void **state)
{
	json_t *j = json_pack("[{s:s}, {s:s}]", "type", "host", "type", "cf");

	(void)state;
	assert_true(targets_follow(targets, j));
	assert_false(targets_follow(targets, json_array_get(j, 0)));
	assert_true(targets_follow(targets, json_array_get(j, 1)));
	json_decref(j);
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		test(each_source_is_asked_for_its_own_people),
		test(people_of_others_are_refused),
		test(wrong_types),
		test(a_list_says_which_one_is_wrong),
		test(each_device_counts),
		test(some_may_be_down_but_not_all),
		test(an_issuer_that_is_not_there),
		test(which_of_them_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
