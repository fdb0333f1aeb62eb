#include "schema/config.h"

#include "common/parse.h"
#include "schema/yaml_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* libcyaml knows neither units nor ranges: it loads every value as text, into slots; the table says what the text must be. */
struct slot {
	char *text; /* NULL: not given */
	struct config_list list;
};

static const cyaml_schema_value_t list_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CONFIG_FILE_BYTES_MAX),
};

/* The file's shape, made from the table: keys of section "" and the sections at the top, one mapping per section.  Slot i belongs to
 * keys[i]: those of the top lie in the top's data, those of a section in the section's, at the same offset. */
struct shape {
	const struct config_key *keys;
	size_t keys_n;
	cyaml_schema_field_t *fields; /* all mappings, each ended by a field without a key */
	cyaml_schema_value_t top;
	const char **sections;
	size_t sections_n;
};

static void shape_done(struct shape *s)
{
	free(s->fields);
	free(s->sections);
}

static size_t shape_bytes(const struct shape *s)
{
	return s->keys_n * sizeof(struct slot);
}

static cyaml_schema_field_t shape_key(const struct config_key *k, size_t i)
{
	cyaml_schema_field_t f = {.key = k->key};

	f.value.flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL;
	f.data_offset = (uint32_t)(i * sizeof(struct slot));
	if (k->type == CONFIG_LIST) {
		f.count_offset = f.data_offset + offsetof(struct slot, list.n);
		f.count_size = sizeof(((struct slot *)NULL)->list.n);
		f.data_offset += offsetof(struct slot, list.items);
		f.value.type = CYAML_SEQUENCE;
		f.value.data_size = sizeof(char *);
		f.value.sequence.entry = &list_entry;
		f.value.sequence.min = 1; /* what is left out has a meaning of its own, and nobody writes [] for that */
		f.value.sequence.max = CONFIG_LIST_MAX;
	} else {
		f.data_offset += offsetof(struct slot, text);
		f.value.type = CYAML_STRING;
		f.value.data_size = sizeof(char);
		f.value.string.max = CONFIG_FILE_BYTES_MAX;
	}
	return f;
}

static size_t shape_section(struct shape *s, const char *section, size_t at)
{
	for (size_t i = 0; i < s->keys_n; i++)
		if (!strcmp(s->keys[i].section, section))
			s->fields[at++] = shape_key(&s->keys[i], i);
	return at;
}

static int shape_sections(struct shape *s, struct err *err)
{
	if (!(s->sections = calloc(s->keys_n + 1, sizeof(*s->sections))))
		return err_nomem(err);
	for (size_t i = 0; i < s->keys_n; i++) {
		const char *section = s->keys[i].section;
		bool known = !*section;

		for (size_t k = 0; k < s->sections_n && !known; k++)
			known = !strcmp(s->sections[k], section);
		if (!known)
			s->sections[s->sections_n++] = section;
	}
	return 0;
}

static void shape_fields(struct shape *s)
{
	size_t at_top = shape_section(s, "", 0), at = at_top + s->sections_n + 1;

	s->top.type = CYAML_MAPPING;
	s->top.flags = CYAML_FLAG_POINTER_NULL;
	s->top.data_size = (uint32_t)(shape_bytes(s) + s->sections_n * sizeof(struct slot *));
	s->top.mapping.fields = s->fields;
	for (size_t i = 0; i < s->sections_n; i++) {
		cyaml_schema_field_t *f = &s->fields[at_top + i];

		f->key = s->sections[i];
		f->data_offset = (uint32_t)(shape_bytes(s) + i * sizeof(struct slot *));
		f->value.type = CYAML_MAPPING;
		f->value.flags = CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL;
		f->value.data_size = (uint32_t)shape_bytes(s);
		f->value.mapping.fields = &s->fields[at];
		at = shape_section(s, s->sections[i], at) + 1;
	}
}

static int shape_init(struct shape *s, const struct config_key *keys, size_t keys_n, struct err *err)
{
	*s = (struct shape){.keys = keys, .keys_n = keys_n};
	if (shape_sections(s, err) < 0)
		return -1;
	/* each key once, each section once at the top, and an end for each mapping */
	if (!(s->fields = calloc(keys_n + 2 * s->sections_n + 1, sizeof(*s->fields)))) {
		shape_done(s);
		return err_nomem(err);
	}
	shape_fields(s);
	return 0;
}

/* The slot of keys[i]; NULL when its section was not given. */
static const struct slot *shape_slot(const struct shape *s, const void *data, size_t i)
{
	const struct slot *section;

	if (!data)
		return NULL;
	if (!*s->keys[i].section)
		return (const struct slot *)data + i;
	for (size_t k = 0; k < s->sections_n; k++) {
		if (!strcmp(s->sections[k], s->keys[i].section)) {
			memcpy(&section, (const char *)data + shape_bytes(s) + k * sizeof(section), sizeof(section));
			return section ? section + i : NULL;
		}
	}
	return NULL;
}

/* ---- values ---- */

static void *member(void *config, const struct config_key *k)
{
	return (char *)config + k->offset;
}

static int check_text(const struct config_key *k, const char *text, struct err *err)
{
	size_t n = strlen(text);

	if (n == 0 && k->least > 0)
		return err_set(err, ERR_INPUT, "must not be empty");
	if (n < k->least || n > k->most)
		return err_set(err, ERR_INPUT, "%zu bytes are not within %" PRIu64 "..%" PRIu64, n, k->least, k->most);
	if (!parse_is_text(text, n, false))
		return err_set(err, ERR_INPUT, "control characters or bad UTF-8");
	return 0;
}

static int check_choice(const struct config_key *k, const char *text, struct err *err)
{
	size_t n = strlen(text);
	char shown[64];

	for (const char *word = k->choices; word; word = strchr(word, '|') ? strchr(word, '|') + 1 : NULL)
		if (n && strcspn(word, "|") == n && !strncmp(word, text, n))
			return 0;
	return err_set(err, ERR_INPUT, "\"%s\" is none of %s", parse_printable(text, shown, sizeof(shown)), k->choices);
}

static int take_text(void *config, const struct config_key *k, const char *text, struct err *err)
{
	char *copy;

	if ((k->type == CONFIG_CHOICE ? check_choice(k, text, err) : check_text(k, text, err)) < 0)
		return -1;
	if (!(copy = strdup(text)))
		return err_nomem(err);
	memcpy(member(config, k), &copy, sizeof(copy));
	return 0;
}

static int take_list(void *config, const struct config_key *k, const struct config_list *given, struct err *err)
{
	struct config_list list = {0};

	if (given->n && !(list.items = calloc(given->n, sizeof(*list.items))))
		return err_nomem(err);
	/* what is in the struct is freed by config_done, whole or half */
	for (; list.n < given->n; list.n++) {
		memcpy(member(config, k), &list, sizeof(list));
		if (check_text(k, given->items[list.n], err) < 0)
			return err_in(err, "entry %zu", list.n + 1);
		if (!(list.items[list.n] = strdup(given->items[list.n])))
			return err_nomem(err);
	}
	memcpy(member(config, k), &list, sizeof(list));
	return 0;
}

static int take(void *config, const struct config_key *k, const char *text, struct err *err)
{
	switch (k->type) {
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
		return take_text(config, k, text, err);
	case CONFIG_NUMBER:
		return parse_u64(text, k->least, k->most, member(config, k), err);
	case CONFIG_SIZE:
		return parse_size(text, k->least, k->most, member(config, k), err);
	case CONFIG_DURATION:
		return parse_duration_ms(text, k->least, k->most, member(config, k), err);
	case CONFIG_BOOL:
		return parse_bool(text, member(config, k), err);
	case CONFIG_LIST:
		break;
	}
	return err_set(err, ERR_INTERNAL, "no single value");
}

static int take_key(void *config, const struct config_key *k, const struct slot *slot, struct err *err)
{
	static const struct config_list none;
	const char *text = slot && slot->text ? slot->text : k->default_text;
	int rc;

	if (k->type == CONFIG_LIST)
		rc = take_list(config, k, slot ? &slot->list : &none, err);
	else if (!text)
		rc = err_set(err, ERR_INPUT, "must be given: %s", k->text);
	else
		rc = take(config, k, text, err);
	if (rc < 0)
		err_in(err, "%s%s%s", k->section, *k->section ? "." : "", k->key);
	return rc;
}

/* ---- */

static size_t config_bytes(const struct config_key *k)
{
	switch (k->type) {
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
		return sizeof(char *);
	case CONFIG_NUMBER:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
		return sizeof(uint64_t);
	case CONFIG_BOOL:
		return sizeof(bool);
	case CONFIG_LIST:
		break;
	}
	return sizeof(struct config_list);
}

int config_load(const char *path, const struct config_key *keys, size_t keys_n, void *ret, struct err *err)
{
	struct shape shape;
	void *data = NULL;
	int rc = 0;

	for (size_t i = 0; i < keys_n; i++)
		memset(member(ret, &keys[i]), 0, config_bytes(&keys[i]));
	if (shape_init(&shape, keys, keys_n, err) < 0)
		return -1;
	if (path)
		rc = yaml_file_load(path, &shape.top, &data, err);
	for (size_t i = 0; i < keys_n && rc == 0; i++)
		if ((rc = take_key(ret, &keys[i], shape_slot(&shape, data, i), err)) < 0 && path)
			err_in(err, "%s", path);
	yaml_file_free(&shape.top, data);
	shape_done(&shape);
	if (rc < 0)
		config_done(keys, keys_n, ret);
	return rc;
}

void config_list_done(struct config_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i]);
	free(l->items);
}

void config_done(const struct config_key *keys, size_t keys_n, void *config)
{
	for (size_t i = 0; i < keys_n; i++) {
		const struct config_key *k = &keys[i];

		if (k->type == CONFIG_TEXT || k->type == CONFIG_CHOICE) {
			char *text;

			memcpy(&text, member(config, k), sizeof(text));
			free(text);
		} else if (k->type == CONFIG_LIST) {
			struct config_list list;

			memcpy(&list, member(config, k), sizeof(list));
			config_list_done(&list);
		}
		memset(member(config, k), 0, config_bytes(k));
	}
}
