/* cloud_controller_read.c - Cloud Controller's answers taken apart. */
#include "common/parse.h"
#include "gateway/targets/cloud_controller.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int not_understood(struct err *err, const char *what)
{
	err_set(err, ERR_NET, "Cloud Controller's answer is not understood: %s", what);
	return err_detail(err, "platform_failed");
}

/* ---- members ---- */

bool cc_is_guid(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n < AGENT_GUID_MAX &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

/* Text without a NUL within; NULL: missing, or something else. */
static const char *text_at(json_t *obj, const char *key)
{
	json_t *v = json_object_get(obj, key);
	const char *s = json_string_value(v);

	return s && strlen(s) == json_string_length(v) ? s : NULL;
}

static bool guid_at(json_t *obj, const char *key, char ret[AGENT_GUID_MAX])
{
	const char *s = text_at(obj, key);

	if (!s || !cc_is_guid(s))
		return false;
	snprintf(ret, AGENT_GUID_MAX, "%s", s);
	return true;
}

/* obj.relationships.NAME.data.guid */
static bool related(json_t *obj, const char *name, char ret[AGENT_GUID_MAX])
{
	json_t *one = json_object_get(json_object_get(obj, "relationships"), name);

	return guid_at(json_object_get(one, "data"), "guid", ret);
}

/* Names are shown and written to files: whatever could not be is made so. */
static bool shown_at(json_t *obj, const char *key, char *ret, size_t size)
{
	const char *s = text_at(obj, key);

	if (!s || !s[0] || strlen(s) >= size)
		return false;
	if (parse_is_text(s, strlen(s), false))
		snprintf(ret, size, "%s", s);
	else
		parse_printable(s, ret, size);
	return true;
}

static json_t *resources_of(json_t *answer, struct err *err)
{
	json_t *list = json_object_get(answer, "resources");

	if (json_is_array(list))
		return list;
	not_understood(err, "it has no list \"resources\"");
	return NULL;
}

bool cc_read_error(json_t *answer, char ret[CC_REASON_MAX])
{
	json_t *first = json_array_get(json_object_get(answer, "errors"), 0);
	const char *title = text_at(first, "title"), *text = text_at(first, "detail");
	char whole[4 * CC_REASON_MAX];

	ret[0] = '\0';
	if (!title || !title[0])
		return false;
	snprintf(whole, sizeof(whole), "%s%s%s", title, text && text[0] ? ", " : "", text ? text : "");
	parse_printable(whole, ret, CC_REASON_MAX);
	return true;
}

int cc_read_next(json_t *answer, const char *base, char ret[2048], struct err *err)
{
	json_t *next = json_object_get(json_object_get(answer, "pagination"), "next");
	const char *href = text_at(next, "href");
	size_t n = strlen(base);

	ret[0] = '\0';
	if (!next || json_is_null(next))
		return 0;
	if (!href)
		return not_understood(err, "its next page has no href");
	if (strncmp(href, base, n) != 0 || strncmp(href + n, "/v3/", 4) != 0)
		return not_understood(err,
			"its next page is elsewhere; cf.api must be the URL that Cloud Controller calls itself by");
	href += n;
	if (strlen(href) >= 2048)
		return not_understood(err, "its next page has a URL over 2047 bytes");
	for (const char *s = href; *s; s++) {
		if (*s <= ' ' || *s > '~' || *s == '#')
			return not_understood(err, "its next page has no URL");
	}
	snprintf(ret, 2048, "%s", href);
	return 0;
}

/* ---- apps ---- */

static void read_label(json_t *obj, const char *key, struct cc_label *ret)
{
	json_t *v = key[0] ? json_object_get(json_object_get(json_object_get(obj, "metadata"), "labels"), key) : NULL;
	const char *s = json_string_value(v);

	*ret = (struct cc_label){0};
	if (!v || json_is_null(v))
		return;
	parse_printable(s ? s : "(no text)", ret->text, sizeof(ret->text));
	if (s && strcmp(s, "allow") == 0)
		ret->word = CC_ALLOW;
	else if (s && strcmp(s, "deny") == 0)
		ret->word = CC_DENY;
	else
		ret->word = CC_OTHER;
}

static json_t *included(json_t *answer, const char *kind, const char *guid)
{
	json_t *list = json_object_get(json_object_get(answer, "included"), kind), *one;
	size_t n;

	json_array_foreach(list, n, one)
	{
		const char *s = text_at(one, "guid");

		if (s && strcmp(s, guid) == 0)
			return one;
	}
	return NULL;
}

/* Spaces have had the member only since API 3.225; one that is there and no false is taken for true. */
static bool is_suspended(json_t *place)
{
	json_t *v = json_object_get(place, "suspended");

	return v && !json_is_null(v) && !json_is_false(v);
}

static bool read_place(json_t *answer, const char *kind, const char *label, struct cc_place *place, json_t **ret)
{
	if (!(*ret = included(answer, kind, place->guid)))
		return false;
	place->suspended = is_suspended(*ret);
	read_label(*ret, label, &place->label);
	return true;
}

/* Space and org stand beside it in the whole answer. */
static int read_app(json_t *app, json_t *answer, const char *label, struct cc_app *ret, struct err *err)
{
	const char *state = text_at(app, "state");
	json_t *space, *org;

	memset(ret, 0, sizeof(*ret));
	if (!guid_at(app, "guid", ret->guid) || !shown_at(app, "name", ret->name, sizeof(ret->name)))
		return not_understood(err, "the app has no guid or no name");
	if (!related(app, "space", ret->space.guid) || !read_place(answer, "spaces", label, &ret->space, &space))
		return not_understood(err, "the app's space is not included");
	if (!related(space, "organization", ret->org.guid) ||
		!read_place(answer, "organizations", label, &ret->org, &org))
		return not_understood(err, "the app's org is not included");
	ret->stopped = state && strcmp(state, "STOPPED") == 0;
	read_label(app, label, &ret->label);
	return 0;
}

int cc_read_app(json_t *answer, const char *label, struct cc_app *ret, struct err *err)
{
	return read_app(answer, answer, label, ret, err);
}

int cc_read_space(json_t *answer, struct cc_place *ret_space, struct cc_place *ret_org, struct err *err)
{
	json_t *org;

	*ret_space = *ret_org = (struct cc_place){0};
	if (!guid_at(answer, "guid", ret_space->guid))
		return not_understood(err, "the space has no guid");
	if (!related(answer, "organization", ret_org->guid) || !read_place(answer, "organizations", "", ret_org, &org))
		return not_understood(err, "the space's org is not included");
	ret_space->suspended = is_suspended(answer);
	return 0;
}

int cc_read_found(json_t *answer, const char *name, const char *space, const char *label, struct cc_app *ret,
	bool *ret_found, struct err *err)
{
	json_t *list = resources_of(answer, err), *one;
	char at[AGENT_GUID_MAX];
	size_t n;

	*ret_found = false;
	if (!list)
		return -1;
	json_array_foreach(list, n, one)
	{
		const char *s = text_at(one, "name");

		/* Databases compare names in their own ways; ours is exact. */
		if (!s || strcmp(s, name) != 0 || !related(one, "space", at) || strcmp(at, space) != 0)
			continue;
		*ret_found = true;
		return read_app(one, answer, label, ret, err);
	}
	return 0;
}

/* ---- roles and switches ---- */

int cc_read_developer(json_t *answer, const char *space, const char *user, bool *ret, struct err *err)
{
	json_t *list = resources_of(answer, err), *one;
	size_t n;

	*ret = false;
	if (!list)
		return -1;
	json_array_foreach(list, n, one)
	{
		json_t *data = json_object_get(json_object_get(json_object_get(one, "relationships"), "user"), "data");
		const char *type = text_at(one, "type"), *who = text_at(data, "guid"); /* a client's id is no GUID */
		char at[AGENT_GUID_MAX];

		if (type && strcmp(type, "space_developer") == 0 && who && strcmp(who, user) == 0 &&
			related(one, "space", at) && strcmp(at, space) == 0)
			*ret = true;
	}
	return 0;
}

int cc_read_ssh(json_t *answer, bool *ret, char ret_reason[CC_REASON_MAX], struct err *err)
{
	json_t *enabled = json_object_get(answer, "enabled");
	const char *reason = text_at(answer, "reason");

	if (!json_is_boolean(enabled))
		return not_understood(err, "it does not say whether ssh is enabled");
	*ret = json_is_true(enabled);
	parse_printable(reason ? reason : "", ret_reason, CC_REASON_MAX);
	return 0;
}

/* ---- processes ---- */

static uint32_t count_at(json_t *obj, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(obj, key));

	if (n < 0)
		return 0;
	return n > CC_INDEX_MAX ? CC_INDEX_MAX + 1 : (uint32_t)n;
}

static int add_process(struct cc_processes *all, const struct cc_process *p, struct err *err)
{
	struct cc_process *more;

	for (size_t i = 0; i < all->n; i++) {
		if (strcmp(all->list[i].guid, p->guid) == 0)
			return 0; /* pages shift while they are read */
	}
	if (all->n == CC_PROCESSES_MAX) {
		err_set(err, ERR_LIMIT, "target.process: the app has more than %d processes with instances",
			CC_PROCESSES_MAX);
		err_field(err, "target.process");
		return err_detail(err, "too_many_instances");
	}
	if (!(more = realloc(all->list, (all->n + 1) * sizeof(*more))))
		return err_nomem(err);
	all->list = more;
	all->list[all->n++] = *p;
	return 0;
}

static int by_type_and_age(const void *left, const void *right)
{
	const struct cc_process *a = left, *b = right;
	int d = strcmp(a->type, b->type);

	if (d == 0)
		d = strcmp(a->created_at, b->created_at);
	return d ? d : strcmp(a->guid, b->guid);
}

int cc_read_processes(json_t *answer, const char *app, const char *type, struct cc_processes *ret, struct err *err)
{
	json_t *list = resources_of(answer, err), *one;
	size_t n;

	if (!list)
		return -1;
	json_array_foreach(list, n, one)
	{
		const char *since = text_at(one, "created_at");
		struct cc_process p = {0};
		char of[AGENT_GUID_MAX];

		if (!guid_at(one, "guid", p.guid) || !shown_at(one, "type", p.type, sizeof(p.type)))
			return not_understood(err, "a process has no guid or no type");
		/* Whoever shows another app's process is not believed about this one's. */
		if (related(one, "app", of) && strcmp(of, app) != 0)
			return not_understood(err, "a process is another app's");
		if (type[0] && strcmp(type, p.type) != 0)
			continue;
		p.instances = count_at(one, "instances");
		snprintf(p.created_at, sizeof(p.created_at), "%.31s", since ? since : "");
		if (p.instances == 0)
			ret->empty++;
		else if (add_process(ret, &p, err) < 0)
			return -1;
	}
	if (ret->n > 0)
		qsort(ret->list, ret->n, sizeof(*ret->list), by_type_and_age);
	return 0;
}

void cc_processes_done(struct cc_processes *p)
{
	free(p->list);
	memset(p, 0, sizeof(*p));
}

/* ---- instances ---- */

/* One host's: "every address" is nobody's. */
static bool is_address(const char *s)
{
	static const unsigned char none[sizeof(struct in6_addr)];
	unsigned char raw[sizeof(struct in6_addr)] = {0};

	return (inet_pton(AF_INET, s, raw) == 1 || inet_pton(AF_INET6, s, raw) == 1) &&
	       memcmp(raw, none, sizeof(raw)) != 0;
}

/* As the agent wants it (schema/capture_request.c). */
static bool is_handle(const char *s)
{
	size_t n = strlen(s);

	return n >= 28 && n <= 36 && strspn(s, "0123456789abcdef-") == n;
}

/* Missing, null and "" are one; what is there must be right. */
static void read_proper(json_t *obj, const char *key, bool (*is_proper)(const char *), char *ret, size_t size,
	const char *fault, const char **ret_fault)
{
	json_t *v = json_object_get(obj, key);
	const char *s = text_at(obj, key);

	if (!v || json_is_null(v) || (s && !s[0]))
		return;
	if (s && strlen(s) < size && is_proper(s))
		snprintf(ret, size, "%s", s);
	else if (!*ret_fault)
		*ret_fault = fault;
}

static enum cc_state state_at(json_t *obj)
{
	static const char *const names[] = {"DOWN", "CRASHED", "STOPPING", "STARTING", "RUNNING"};
	const char *s = text_at(obj, "state");

	for (size_t i = 0; s && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(s, names[i]) == 0)
			return (enum cc_state)i;
	}
	return CC_DOWN;
}

static bool read_instance(json_t *one, struct cc_instance *ret)
{
	json_t *index = json_object_get(one, "index");
	const char *unused = NULL;

	if (!json_is_integer(index) || json_integer_value(index) < 0 || json_integer_value(index) > CC_INDEX_MAX)
		return false;
	*ret = (struct cc_instance){.index = (uint32_t)json_integer_value(index), .state = state_at(one)};
	read_proper(one, "host", is_address, ret->host, sizeof(ret->host), "its cell's address is none", &ret->fault);
	read_proper(one, "instance_guid", is_handle, ret->handle, sizeof(ret->handle), "its container's handle is none",
		&ret->fault);
	read_proper(one, "instance_internal_ip", is_address, ret->address, sizeof(ret->address),
		"its own address is none", ret->handle[0] ? &unused : &ret->fault);
	return true;
}

/* By index, and of one index the one that is furthest first. */
static int by_index_and_state(const void *left, const void *right)
{
	const struct cc_instance *a = left, *b = right;

	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	if (a->state != b->state)
		return a->state > b->state ? -1 : 1;
	return strcmp(b->handle, a->handle); /* one with a handle is better than one without */
}

int cc_read_stats(json_t *answer, struct cc_stats *ret, struct err *err)
{
	json_t *list = resources_of(answer, err), *one;
	size_t n, kept = 0;

	memset(ret, 0, sizeof(*ret));
	if (!list)
		return -1;
	if (!(ret->list = calloc(json_array_size(list) + 1, sizeof(*ret->list))))
		return err_nomem(err);
	json_array_foreach(list, n, one)
	{
		ret->n += read_instance(one, &ret->list[ret->n]);
	}
	qsort(ret->list, ret->n, sizeof(*ret->list), by_index_and_state);
	for (n = 0; n < ret->n; n++) {
		if (kept == 0 || ret->list[kept - 1].index != ret->list[n].index)
			ret->list[kept++] = ret->list[n];
	}
	ret->n = kept;
	return 0;
}

void cc_stats_done(struct cc_stats *s)
{
	free(s->list);
	memset(s, 0, sizeof(*s));
}
