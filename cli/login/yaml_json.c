/* yaml_json.c - see yaml_json.h. */
#include "cli/login/yaml_json.h"

#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 16

struct level {
	json_t *value; /* an array or an object; its own reference */
	char *key;     /* of an object: read, its value is next */
};

struct reader {
	struct level levels[DEPTH_MAX];
	size_t depth;
	json_t *top;
	unsigned documents;
	struct err *err;
};

static int refuse(const struct reader *r, const yaml_event_t *e, const char *what)
{
	return err_set(r->err, ERR_INPUT, "%s (line %zu)", what, e->start_mark.line + 1);
}

/* Takes the value over. */
static int put(struct reader *r, const yaml_event_t *e, json_t *value)
{
	struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;
	int rc;

	if (!value)
		return refuse(r, e, "a value is not UTF-8 text");
	if (!l) {
		r->top = value;
		return 0;
	}
	if (json_is_array(l->value)) {
		rc = json_array_append_new(l->value, value);
	} else if (!l->key) {
		json_decref(value);
		return refuse(r, e, "a key must be plain text");
	} else if (json_object_get(l->value, l->key)) {
		json_decref(value);
		return refuse(r, e, "a key stands twice");
	} else {
		rc = json_object_set_new(l->value, l->key, value);
		free(l->key);
		l->key = NULL;
	}
	return rc < 0 ? err_nomem(r->err) : 0;
}

static int scalar(struct reader *r, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;

	if (strlen(text) != e->data.scalar.length)
		return refuse(r, e, "a NUL in a value");
	if (l && json_is_object(l->value) && !l->key) {
		l->key = strdup(text);
		return l->key ? 0 : err_nomem(r->err);
	}
	return put(r, e, json_string(text));
}

static int enter(struct reader *r, const yaml_event_t *e, json_t *value)
{
	if (r->depth == DEPTH_MAX) {
		json_decref(value);
		return refuse(r, e, "nested too deeply");
	}
	if (put(r, e, value) < 0)
		return -1;
	r->levels[r->depth++] = (struct level){.value = json_incref(value)};
	return 0;
}

static void leave(struct reader *r)
{
	struct level *l = &r->levels[--r->depth];

	free(l->key);
	json_decref(l->value);
}

static int take(struct reader *r, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return ++r->documents > 1 ? refuse(r, e, "more than one document") : 0;
	case YAML_ALIAS_EVENT:
		return refuse(r, e, "aliases are not supported");
	case YAML_SCALAR_EVENT:
		return scalar(r, e);
	case YAML_SEQUENCE_START_EVENT:
		return enter(r, e, json_array());
	case YAML_MAPPING_START_EVENT:
		return enter(r, e, json_object());
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		leave(r);
		return 0;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return 0;
}

/* The parser's own words may quote the text, which holds tokens: the line is enough. */
static int unreadable(struct reader *r, const yaml_parser_t *p)
{
	if (p->error == YAML_MEMORY_ERROR)
		return err_nomem(r->err);
	return err_set(r->err, ERR_INPUT, "not YAML (line %zu)", p->problem_mark.line + 1);
}

static int read_all(struct reader *r, yaml_parser_t *p)
{
	bool end = false;
	int rc = 0;

	while (rc == 0 && !end) {
		yaml_event_t e;

		if (!yaml_parser_parse(p, &e))
			return unreadable(r, p);
		end = e.type == YAML_STREAM_END_EVENT;
		rc = take(r, &e);
		yaml_event_delete(&e);
	}
	return rc;
}

json_t *yaml_json(const char *text, struct err *err)
{
	struct reader r = {.err = err};
	yaml_parser_t parser;
	int rc;

	if (!yaml_parser_initialize(&parser)) {
		err_nomem(err);
		return NULL;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
	rc = read_all(&r, &parser);
	yaml_parser_delete(&parser);
	while (r.depth)
		leave(&r);
	if (rc == 0)
		return r.top ? r.top : json_null();
	json_decref(r.top);
	return NULL;
}
