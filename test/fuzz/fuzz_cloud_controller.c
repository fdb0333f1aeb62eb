/* fuzz_cloud_controller.c - any JSON as each of Cloud Controller's answers: refused with a reason, or what is taken from it can be shown, dialled and sent to an agent. */
#include "common/json_in.h"
#include "common/parse.h"
#include "gateway/targets/cloud_controller.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#define APP   "1c0f0a52-6a55-4b9f-8b2e-2f0d7c6a1111"
#define SPACE "5b1c0e7e-0d5f-4f5c-9d53-9a1c2b3d2222"
#define USER  "7a1f3c1e-20c5-4a35-9b70-3f6f0f6f1a01"
#define LABEL "capture.example.test/mode"
#define BASE  "https://api.sys.example.test"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool is_printable(const char *s)
{
	char copy[4096];

	return strcmp(parse_printable(s, copy, sizeof(copy)), s) == 0;
}

static void check_refusal(const struct err *err)
{
	assert(err->code == ERR_NET || err->code == ERR_LIMIT);
	assert(err->msg[0] && err->detail[0]);
}

static void check_label(const struct cc_label *l)
{
	assert(is_printable(l->text));
	assert(l->word != CC_SILENT || !l->text[0]);
	assert(l->word != CC_ALLOW || strcmp(l->text, "allow") == 0);
	assert(l->word != CC_DENY || strcmp(l->text, "deny") == 0);
}

static void check_app(const struct cc_app *a)
{
	assert(cc_is_guid(a->guid) && cc_is_guid(a->space.guid) && cc_is_guid(a->org.guid));
	assert(a->name[0] && parse_is_text(a->name, strlen(a->name), false));
	check_label(&a->label);
	check_label(&a->space.label);
	check_label(&a->org.label);
}

static void read_apps(json_t *answer)
{
	struct err err = {0};
	struct cc_place space, org;
	struct cc_app app;
	bool found;

	if (cc_read_app(answer, LABEL, &app, &err) == 0)
		check_app(&app);
	else
		check_refusal(&err);
	if (cc_read_space(answer, &space, &org, &err) == 0)
		assert(cc_is_guid(space.guid) && cc_is_guid(org.guid));
	else
		check_refusal(&err);
	if (cc_read_found(answer, "shop", SPACE, LABEL, &app, &found, &err) < 0) {
		check_refusal(&err);
	} else if (found) {
		check_app(&app);
		assert(strcmp(app.name, "shop") == 0 && strcmp(app.space.guid, SPACE) == 0);
	}
}

static void read_processes(json_t *answer, const char *type)
{
	struct cc_processes all = {0};
	struct err err = {0};

	if (cc_read_processes(answer, APP, type, &all, &err) < 0)
		check_refusal(&err);
	/* Pages shift: what comes twice is taken once. */
	else
		assert(cc_read_processes(answer, APP, type, &all, &err) == 0);
	assert(all.n <= CC_PROCESSES_MAX);
	for (size_t i = 0; i < all.n; i++) {
		const struct cc_process *p = &all.list[i];

		assert(cc_is_guid(p->guid) && p->type[0] && parse_is_text(p->type, strlen(p->type), false));
		assert(p->instances > 0 && p->instances <= CC_INDEX_MAX + 1);
		assert(!type[0] || strcmp(p->type, type) == 0);
		for (size_t k = 0; k < i; k++)
			assert(strcmp(all.list[k].guid, p->guid) != 0);
	}
	cc_processes_done(&all);
}

/* What the gateway makes of it must be what an agent takes. */
static void check_instance(const struct cc_instance *i)
{
	struct agent_target t = {.type = AGENT_TARGET_CONTAINER, .app = APP, .index = i->index}, again;
	unsigned char raw[sizeof(struct in6_addr)];
	struct err err = {0};
	json_t *j;

	assert(i->index <= CC_INDEX_MAX);
	assert(!i->host[0] || inet_pton(AF_INET, i->host, raw) == 1 || inet_pton(AF_INET6, i->host, raw) == 1);
	if (!i->handle[0] && !i->address[0])
		return;
	if (i->handle[0])
		memcpy(t.handle, i->handle, sizeof(t.handle));
	else
		memcpy(t.address, i->address, sizeof(t.address));
	j = agent_target_to_json(&t);
	assert(j && agent_target_from_json(j, &again, &err) == 0);
	assert(strcmp(again.handle, t.handle) == 0 && strcmp(again.address, t.address) == 0);
	json_decref(j);
}

static void read_stats(json_t *answer)
{
	struct cc_stats all;
	struct err err = {0};

	if (cc_read_stats(answer, &all, &err) < 0) {
		check_refusal(&err);
		return;
	}
	for (size_t i = 0; i < all.n; i++) {
		assert(i == 0 || all.list[i - 1].index < all.list[i].index);
		check_instance(&all.list[i]);
	}
	cc_stats_done(&all);
}

static void read_others(json_t *answer)
{
	char reason[CC_REASON_MAX], next[2048];
	struct err err = {0};
	bool yes;

	if (cc_read_developer(answer, SPACE, USER, &yes, &err) < 0)
		check_refusal(&err);
	if (cc_read_ssh(answer, &yes, reason, &err) < 0)
		check_refusal(&err);
	else
		assert(is_printable(reason));
	if (cc_read_next(answer, BASE, next, &err) < 0)
		check_refusal(&err);
	else
		assert(!next[0] || (strncmp(next, "/v3/", 4) == 0 && is_printable(next) && !strchr(next, ' ')));
	if (cc_read_error(answer, reason))
		assert(reason[0]);
	assert(is_printable(reason));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	json_t *answer = json_in_parse(data, n, NULL);

	read_apps(answer);
	read_processes(answer, "");
	read_processes(answer, "web");
	read_stats(answer);
	read_others(answer);
	json_decref(answer);
	return 0;
}
