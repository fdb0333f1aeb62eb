/* target.c - see target.h. */
#include "cli/target.h"

#include "cli/text.h"
#include "common/parse.h"
#include "schema/capture_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int check_name(const char *what, const char *name, size_t n, int size, struct err *err)
{
	if (!n)
		return err_set(err, ERR_INPUT, "%s: the name is empty", what);
	if (n >= (size_t)size || !parse_is_text(name, n, false))
		return err_set(err, ERR_INPUT, "%s \"%.40s\": not a name (UTF-8 text of at most %d bytes)", what, name,
			size - 1);
	return 0;
}

static json_t *find(const json_t *targets, const char *type, const char *key, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(targets, i,
		one) if (!strcmp(json_text(one, "type"), type) && !strcmp(json_text(one, key), name)) return one;
	return NULL;
}

static bool holds(const json_t *list, const json_t *value)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) if (json_equal(one, value)) return true;
	return false;
}

/* instance, taken over: NULL is all. */
static int add_instance(json_t *targets, json_t *target, bool is_new, json_t *instance, struct err *err)
{
	json_t *list = json_object_get(target, "instances");
	int bad = 0;

	if (is_new) {
		bad = instance ? json_object_set_new(target, "instances", json_pack("[O]", instance)) : 0;
		bad |= json_array_append_new(targets, target);
	} else if (!instance) {
		json_object_del(target, "instances");
	} else if (list && !holds(list, instance)) {
		bad = json_array_append(list, instance);
	}
	json_decref(instance);
	return bad ? err_nomem(err) : 0;
}

int target_add_app(json_t *targets, const char *text, bool is_guid, const char *process, struct err *err)
{
	const char *slash = strrchr(text, '/'), *key = is_guid ? "app" : "app_name";
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char name[TARGET_APP_MAX];
	json_t *target, *index = NULL;
	uint64_t number = 0;
	bool is_new;

	if (check_name("app", text, n, TARGET_APP_MAX, err) < 0)
		return -1;
	memcpy(name, text, n);
	name[n] = '\0';
	if (slash && parse_u64(slash + 1, 0, TARGET_INDEX_MAX, &number, NULL) < 0)
		return err_set(err, ERR_INPUT,
			"\"%.80s\": expects APP or APP/INDEX, the index a number within 0..%u (an app with a slash in "
			"its name: "
			"by its GUID, --app-guid)",
			text, TARGET_INDEX_MAX);
	if (slash)
		index = json_integer((json_int_t)number);
	target = find(targets, "cf", key, name);
	is_new = !target;
	if (is_new)
		target = process ? json_pack("{s:s, s:s, s:s}", "type", "cf", key, name, "process", process)
				 : json_pack("{s:s, s:s}", "type", "cf", key, name);
	if (!target) {
		json_decref(index);
		return err_set(err, ERR_INPUT, "option --process: must be UTF-8 text");
	}
	return add_instance(targets, target, is_new, index, err);
}

int target_add_vm(json_t *targets, const char *deployment, const char *text, struct err *err)
{
	const char *slash = text ? strchr(text, '/') : NULL;
	json_t *target, *instance = NULL;
	bool is_new;

	if (check_name("deployment", deployment, strlen(deployment), CAPTURE_NAME_MAX, err) < 0)
		return -1;
	if (text && check_name("instance", text, strlen(text), CAPTURE_NAME_MAX, err) < 0)
		return -1;
	if (text && (*text == '/' || (slash && (!slash[1] || strchr(slash + 1, '/')))))
		return err_set(
			err, ERR_INPUT, "\"%.80s\": expects GROUP or GROUP/ID (an index, or the instance's id)", text);
	if (text && !(instance = json_string(text)))
		return err_nomem(err);
	target = find(targets, "bosh", "deployment", deployment);
	is_new = !target;
	if (is_new && !(target = json_pack("{s:s, s:s}", "type", "bosh", "deployment", deployment))) {
		json_decref(instance);
		return err_nomem(err);
	}
	return add_instance(targets, target, is_new, instance, err);
}

int target_add_deployment(json_t *targets, const char *text, struct err *err)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char deployment[CAPTURE_NAME_MAX];

	if (check_name("deployment", text, n, CAPTURE_NAME_MAX, err) < 0)
		return -1;
	memcpy(deployment, text, n);
	deployment[n] = '\0';
	return target_add_vm(targets, deployment, slash ? slash + 1 : NULL, err);
}

bool target_has_names(const json_t *targets)
{
	json_t *one;
	size_t i;

	json_array_foreach(targets, i, one) if (json_object_get(one, "app_name")) return true;
	return false;
}

void target_set_space(json_t *targets, const char *guid)
{
	json_t *one;
	size_t i;

	json_array_foreach(targets, i, one) if (json_object_get(one, "app_name"))
		json_object_set_new(one, "space", json_string(guid));
}

/* ---- as text ---- */

struct line {
	char *text;
	size_t size, len;
};

static void add(struct line *l, const char *before, const char *text)
{
	int n = snprintf(l->text + l->len, l->size - l->len, "%s%s", before, text);

	if (n > 0)
		l->len = (size_t)n < l->size - l->len ? l->len + (size_t)n : l->size - 1;
}

static void add_app(struct line *l, const json_t *target)
{
	const char *name = *json_text(target, "app_name") ? json_text(target, "app_name") : json_text(target, "app");
	const json_t *list = json_object_get(target, "instances");
	char number[32];
	json_t *one;
	size_t i;

	if (!json_array_size(list))
		add(l, "", *name ? name : "cf");
	json_array_foreach(list, i, one)
	{
		add(l, i ? ", " : "", *name ? name : "cf");
		snprintf(number, sizeof(number), "/%" JSON_INTEGER_FORMAT, json_integer_value(one));
		add(l, "", number);
	}
}

static void add_instances(struct line *l, const json_t *target)
{
	const char *deployment = json_text(target, "deployment"), *between = "";
	json_t *one;
	size_t i;

	if (*deployment) {
		add(l, "", deployment);
		between = ": ";
	}
	json_array_foreach(json_object_get(target, "instances"), i, one)
	{
		add(l, between, json_string_value(one) ? json_string_value(one) : "?");
		between = ", ";
	}
	if (!l->len)
		add(l, "", json_text(target, "type"));
}

char *target_text(const json_t *target, char *ret, size_t size)
{
	struct line l = {.text = ret, .size = size};
	json_t *one;
	size_t i;

	ret[0] = '\0';
	if (json_is_array(target)) {
		json_array_foreach(target, i, one)
		{
			char part[256];

			add(&l, i ? "; " : "", target_text(one, part, sizeof(part)));
		}
		return ret;
	}
	if (!strcmp(json_text(target, "type"), "cf"))
		add_app(&l, target);
	else
		add_instances(&l, target);
	return ret;
}
