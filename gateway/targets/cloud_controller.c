#include "gateway/targets/cloud_controller.h"

#include "common/fs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one request ---- */

/* A refusal counts as Cloud Controller's only in its own words: a 404 of a router before it, or of a wrong URL, says nothing about an app. */
static bool is_own(const struct platform_answer *a, const char *said)
{
	static const char absent[] = "CF-ResourceNotFound";
	size_t n = strlen(absent);

	if (a->status == 404)
		return strncmp(said, absent, n) == 0 && (said[n] == '\0' || said[n] == ',');
	return said[0] || a->status == 429 || a->status >= 500;
}

static int refuse(const struct cloud_controller *c, const struct platform_answer *a, struct err *err)
{
	char said[CC_REASON_MAX], text[CC_REASON_MAX + 40];
	struct platform_answer plain = *a;

	/* Each answer tells when the count of requests begins anew; only of a 429 that is the time to wait for, and said here. */
	plain.retry_after_s = 0;
	cc_read_error(a->json, said);
	if (a->status == 429 && a->retry_after_s > 0)
		snprintf(text, sizeof(text), "again in %" PRIu64 " s%s%s", a->retry_after_s, said[0] ? ": " : "", said);
	else
		snprintf(text, sizeof(text), "%s", said);
	if (is_own(a, said))
		return platform_refuse(c->platform, &plain, text, err);
	if (said[0])
		err_set(err, ERR_NET, "%s failed (HTTP %d): %s", c->platform->what, a->status, said);
	else
		err_set(err, ERR_NET, "%s failed (HTTP %d, in words that are not its own: something before it answers)",
			c->platform->what, a->status);
	return err_detail(err, "platform_failed");
}

static int ask(const struct cloud_controller *c, const char *path, struct platform_answer *ret, struct err *err)
{
	int rc = 0;

	if (!path)
		return err_nomem(err);
	if (platform_get(c->platform, c->token, path, ret, err) < 0)
		return -1;
	if (ret->status != 200) {
		rc = refuse(c, ret, err);
	} else if (!ret->json) {
		err_set(err, ERR_NET, "%s's answer is no JSON", c->platform->what);
		rc = err_detail(err, "platform_failed");
	}
	if (rc < 0)
		platform_answer_done(ret);
	return rc;
}

/* For a value in a list of values: Cloud Controller decodes the query, splits at commas, and decodes each piece once more. */
static char *list_value(const char *text)
{
	char *once = platform_encode(text), *twice = once ? platform_encode(once) : NULL;

	free(once);
	return twice;
}

/* Every page of a list to take, until that says 1 or fails. */
static int each_page(const struct cloud_controller *c, const char *first,
	int (*take)(json_t *answer, void *ctx, struct err *err), void *ctx, struct err *err)
{
	char next[2048];
	int rc = 0;

	if (!first)
		return err_nomem(err);
	for (unsigned page = 0; page < CC_PAGES_MAX; page++) {
		struct platform_answer a;

		if (ask(c, page == 0 ? first : next, &a, err) < 0)
			return -1;
		rc = take(a.json, ctx, err);
		if (rc == 0)
			rc = cc_read_next(a.json, c->platform->url, next, err);
		platform_answer_done(&a);
		if (rc != 0 || !next[0])
			return rc < 0 ? -1 : 0;
	}
	err_set(err, ERR_NET, "%s's list has more than %d pages", c->platform->what, CC_PAGES_MAX);
	return err_detail(err, "platform_failed");
}

/* ---- apps ---- */

int cc_app_get(
	const struct cloud_controller *c, const char *guid, const char *label, struct cc_app *ret, struct err *err)
{
	char *path = fs_path("/v3/apps/%s?include=space.organization", guid);
	struct platform_answer a;
	int rc = ask(c, path, &a, err);

	free(path);
	if (rc < 0)
		return -1;
	rc = cc_read_app(a.json, label, ret, err);
	if (rc == 0 && strcmp(ret->guid, guid) != 0) {
		err_set(err, ERR_NET, "%s's answer is of another app", c->platform->what);
		rc = err_detail(err, "platform_failed");
	}
	platform_answer_done(&a);
	return rc;
}

int cc_space_get(const struct cloud_controller *c, const char *guid, struct cc_place *ret_space,
	struct cc_place *ret_org, struct err *err)
{
	char *path = fs_path("/v3/spaces/%s?include=organization", guid);
	struct platform_answer a;
	int rc = ask(c, path, &a, err);

	free(path);
	if (rc < 0)
		return -1;
	rc = cc_read_space(a.json, ret_space, ret_org, err);
	if (rc == 0 && strcmp(ret_space->guid, guid) != 0) {
		err_set(err, ERR_NET, "%s's answer is of another space", c->platform->what);
		rc = err_detail(err, "platform_failed");
	}
	platform_answer_done(&a);
	return rc;
}

struct search {
	const char *name, *space, *label;
	struct cc_app *ret;
	bool found;
};

static int take_apps(json_t *answer, void *ctx, struct err *err)
{
	struct search *s = ctx;

	if (cc_read_found(answer, s->name, s->space, s->label, s->ret, &s->found, err) < 0)
		return -1;
	return s->found;
}

int cc_app_find(const struct cloud_controller *c, const char *name, const char *space, const char *label,
	struct cc_app *ret, struct err *err)
{
	struct search s = {.name = name, .space = space, .label = label, .ret = ret};
	char *value = list_value(name);
	char *path =
		value ? fs_path("/v3/apps?names=%s&space_guids=%s&include=space.organization", value, space) : NULL;
	int rc = each_page(c, path, take_apps, &s, err);

	free(path);
	free(value);
	if (rc < 0 || s.found)
		return rc;
	return err_set(err, ERR_NOT_FOUND, "%s does not know it, or does not show it to you", c->platform->what);
}

/* ---- roles and switches ---- */

int cc_is_developer(const struct cloud_controller *c, const char *space, const char *user, bool *ret, struct err *err)
{
	char *value = list_value(user);
	char *path =
		value ? fs_path("/v3/roles?types=space_developer&space_guids=%s&user_guids=%s", space, value) : NULL;
	struct platform_answer a;
	int rc = ask(c, path, &a, err);

	free(path);
	free(value);
	if (rc < 0)
		return -1;
	rc = cc_read_developer(a.json, space, user, ret, err);
	platform_answer_done(&a);
	return rc;
}

int cc_ssh_enabled(
	const struct cloud_controller *c, const char *app, bool *ret, char ret_reason[CC_REASON_MAX], struct err *err)
{
	char *path = fs_path("/v3/apps/%s/ssh_enabled", app);
	struct platform_answer a;
	int rc = ask(c, path, &a, err);

	free(path);
	if (rc < 0)
		return -1;
	rc = cc_read_ssh(a.json, ret, ret_reason, err);
	platform_answer_done(&a);
	return rc;
}

/* ---- processes and instances ---- */

struct listing {
	const char *app, *type;
	struct cc_processes *ret;
};

static int take_processes(json_t *answer, void *ctx, struct err *err)
{
	struct listing *l = ctx;

	return cc_read_processes(answer, l->app, l->type, l->ret, err);
}

int cc_processes_get(
	const struct cloud_controller *c, const char *app, const char *type, struct cc_processes *ret, struct err *err)
{
	struct listing l = {.app = app, .type = type, .ret = ret};
	char *value = list_value(type);
	char *path = value ? fs_path("/v3/apps/%s/processes%s%s", app, type[0] ? "?types=" : "", value) : NULL;
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = each_page(c, path, take_processes, &l, err);
	free(path);
	free(value);
	if (rc < 0)
		cc_processes_done(ret);
	return rc;
}

int cc_stats_get(const struct cloud_controller *c, const char *process, struct cc_stats *ret, struct err *err)
{
	char *path = fs_path("/v3/processes/%s/stats", process);
	struct platform_answer a;
	struct err e = {0};
	int rc = ask(c, path, &a, &e);

	memset(ret, 0, sizeof(*ret));
	free(path);
	if (rc < 0) {
		if (e.code == ERR_NOT_FOUND)
			return 0;
		if (err)
			*err = e;
		return -1;
	}
	rc = cc_read_stats(a.json, ret, err);
	if (rc < 0)
		cc_stats_done(ret);
	platform_answer_done(&a);
	return rc;
}
