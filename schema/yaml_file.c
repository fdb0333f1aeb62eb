#include "schema/yaml_file.h"

#include "common/fs.h"
#include "common/parse.h"
#include "schema/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* ---- what libcyaml does not look at: NULs within quotes (it would cut there), anchors, depth, keys that are no text ---- */

struct yaml_scan {
	size_t depth;
	bool is_mapping[YAML_FILE_DEPTH_MAX + 1];
	bool at_key[YAML_FILE_DEPTH_MAX + 1]; /* the next node of this mapping is a key */
	unsigned documents;
};

static int scan_refuse(const yaml_event_t *e, const char *what, struct err *err)
{
	return err_set(err, ERR_INPUT, "%s (line %zu)", what, e->start_mark.line + 1);
}

/* A node begins: as a key it must be a scalar; then the other half of the pair is next. */
static int scan_node(struct yaml_scan *s, const yaml_event_t *e, const yaml_char_t *anchor, struct err *err)
{
	if (anchor)
		return scan_refuse(e, "anchors are not supported", err);
	if (!s->is_mapping[s->depth])
		return 0;
	if (s->at_key[s->depth] && e->type != YAML_SCALAR_EVENT)
		return scan_refuse(e, "a key must be plain text", err);
	s->at_key[s->depth] = !s->at_key[s->depth];
	return 0;
}

static int scan_enter(struct yaml_scan *s, const yaml_event_t *e, const yaml_char_t *anchor, struct err *err)
{
	if (scan_node(s, e, anchor, err) < 0)
		return -1;
	if (s->depth == YAML_FILE_DEPTH_MAX)
		return scan_refuse(e, "nested too deeply", err);
	s->depth++;
	s->is_mapping[s->depth] = s->at_key[s->depth] = e->type == YAML_MAPPING_START_EVENT;
	return 0;
}

static int scan_event(struct yaml_scan *s, const yaml_event_t *e, struct err *err)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return ++s->documents > 1 ? scan_refuse(e, "more than one document", err) : 0;
	case YAML_ALIAS_EVENT:
		return scan_refuse(e, "aliases are not supported", err);
	case YAML_SCALAR_EVENT:
		if (!parse_is_text((const char *)e->data.scalar.value, e->data.scalar.length, false))
			return scan_refuse(e, "a control character or line break in a value", err);
		return scan_node(s, e, e->data.scalar.anchor, err);
	case YAML_SEQUENCE_START_EVENT:
		return scan_enter(s, e, e->data.sequence_start.anchor, err);
	case YAML_MAPPING_START_EVENT:
		return scan_enter(s, e, e->data.mapping_start.anchor, err);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		s->depth--;
		return 0;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return 0;
}

static int scan_failed(const yaml_parser_t *p, struct err *err)
{
	if (p->error == YAML_MEMORY_ERROR)
		return err_nomem(err);
	return err_set(err, ERR_INPUT, "not YAML: %s (line %zu)", p->problem ? p->problem : "unreadable",
		p->problem_mark.line + 1);
}

/* fn sees each event until it returns non-zero (which is the result) or the stream ends. */
static int yaml_events(
	const char *text, int (*fn)(void *ctx, const yaml_event_t *e, struct err *err), void *ctx, struct err *err)
{
	yaml_parser_t parser;
	yaml_event_t e;
	bool end = false;
	int rc = 0;

	if (!yaml_parser_initialize(&parser))
		return err_nomem(err);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
	while (rc == 0 && !end) {
		if (!yaml_parser_parse(&parser, &e)) {
			rc = scan_failed(&parser, err);
			break;
		}
		end = e.type == YAML_STREAM_END_EVENT;
		rc = fn(ctx, &e, err);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&parser);
	return rc;
}

static int scan_fn(void *ctx, const yaml_event_t *e, struct err *err)
{
	return scan_event(ctx, e, err);
}

/* ---- libcyaml's log lines, which are all that it says about a refusal ---- */

struct yaml_log {
	char cause[160];
	char path[160];      /* dotted, from the outside */
	size_t line, column; /* of the innermost place, from 1; 0: unknown */
};

static void log_path(struct yaml_log *log, const char *name, bool is_entry)
{
	char inner[sizeof(log->path)];

	memcpy(inner, log->path, sizeof(inner));
	if (is_entry)
		snprintf(log->path, sizeof(log->path), "[%.40s]%s%.100s", name, *inner && *inner != '[' ? "." : "",
			inner);
	else
		snprintf(
			log->path, sizeof(log->path), "%.50s%s%.100s", name, *inner && *inner != '[' ? "." : "", inner);
}

/* "  in mapping field 'limits' (line: 7, column: 3)": backtrace, innermost first. */
static void log_place(struct yaml_log *log, const char *line)
{
	static const char row_head[] = "(line: ", column_head[] = ", column: ";
	const char *name = strchr(line, '\''), *at = strstr(line, row_head);
	char text[64], *end;

	if (at && log->line == 0) {
		log->line = strtoul(at + sizeof(row_head) - 1, &end, 10);
		if (!strncmp(end, column_head, sizeof(column_head) - 1))
			log->column = strtoul(end + sizeof(column_head) - 1, NULL, 10);
	}
	if (name) {
		size_t n = strcspn(name + 1, "'");

		snprintf(text, sizeof(text), "%.*s", (int)(n < sizeof(text) ? n : sizeof(text) - 1), name + 1);
		log_path(log, text, strstr(line, "sequence entry") != NULL);
	}
}

static void yaml_log_fn(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct yaml_log *log = ctx;
	char line[256];

	(void)level;
	/* the format is libcyaml's own */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(line, sizeof(line), fmt, args);
#pragma GCC diagnostic pop
	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, "  in ", 5))
		log_place(log, line);
	else if (!log->cause[0] && !strncmp(line, "Load: ", 6) && strcmp(line, "Load: Backtrace:"))
		snprintf(log->cause, sizeof(log->cause), "%.150s", line + 6);
}

/* ---- its words into ours ---- */

struct yaml_find {
	const char *key;
	size_t line, column; /* from 1: where to begin */
	size_t found;        /* 0: nowhere */
};

static int find_fn(void *ctx, const yaml_event_t *e, struct err *err)
{
	struct yaml_find *f = ctx;
	size_t line = e->start_mark.line + 1, column = e->start_mark.column + 1;

	(void)err;
	if (e->type != YAML_SCALAR_EVENT || line < f->line || (line == f->line && column < f->column) ||
		strcmp((const char *)e->data.scalar.value, f->key))
		return 0;
	f->found = line;
	return 1;
}

/* libcyaml gives the place of what stands before the key: the key itself is the next of that name. */
static size_t key_line(const char *text, const char *key, const struct yaml_log *log)
{
	struct yaml_find f = {.key = key, .line = log->line, .column = log->column};

	yaml_events(text, find_fn, &f, NULL);
	return f.found ? f.found : log->line;
}

static int refuse(const struct yaml_log *log, const char *before, const char *key, const char *after, size_t line,
	struct err *err)
{
	char in[200] = "", at[40] = "";

	if (log->path[0])
		snprintf(in, sizeof(in), " in %s", log->path);
	if (line)
		snprintf(at, sizeof(at), " (line %zu)", line);
	return err_set(err, ERR_INPUT, "%s%s%s%s%s", before, key, after, in, at);
}

/* What follows head in the cause, or NULL. */
static const char *cause_after(const struct yaml_log *log, const char *head)
{
	size_t n = strlen(head);

	return strncmp(log->cause, head, n) ? NULL : log->cause + n;
}

/* The path ends with the field that libcyaml was at, which is not the one it complains of. */
static struct yaml_log log_outer(const struct yaml_log *log)
{
	struct yaml_log outer = *log;
	char *dot = strrchr(outer.path, '.');

	*(dot ? dot : outer.path) = '\0';
	return outer;
}

static int refuse_expected(const struct yaml_log *log, const char *what, struct err *err)
{
	if (!strncmp(what, "MAPPING", 7))
		return refuse(log, "expected keys and values", "", "", log->line, err);
	if (!strncmp(what, "SEQUENCE", 8))
		return refuse(log, "expected a list", "", "", log->line, err);
	return refuse(log, "expected a single value", "", "", log->line, err);
}

/* The place is where the first entry would be. */
static int refuse_empty_list(struct yaml_log *log, struct err *err)
{
	char *entry = strrchr(log->path, '[');

	if (entry)
		*entry = '\0';
	return refuse(log, "an empty list: leave it out, or name some,", "", "", log->line, err);
}

static int log_to_err(struct yaml_log *log, cyaml_err_t code, const char *text, struct err *err)
{
	struct yaml_log outer = log_outer(log);
	const char *key;

	if (code == CYAML_ERR_OOM)
		return err_nomem(err);
	if ((key = cause_after(log, "Unexpected key: ")))
		return refuse(log, "unexpected key \"", key, "\"", key_line(text, key, log), err);
	if ((key = cause_after(log, "Mapping field already seen: ")))
		return refuse(&outer, "key \"", key, "\" stands twice", key_line(text, key, log), err);
	if ((key = cause_after(log, "Missing required mapping field: ")))
		return refuse(&outer, "key \"", key, "\" is missing", log->line, err);
	if (cause_after(log, "Insufficient entries "))
		return refuse_empty_list(log, err);
	if ((key = cause_after(log, "Expecting ")))
		return refuse_expected(log, key, err);
	return refuse(log, log->cause[0] ? log->cause : cyaml_strerror(code), "", "", log->line, err);
}

/* ---- */

static cyaml_config_t yaml_config(struct yaml_log *log)
{
	return (cyaml_config_t){
		.log_fn = log ? yaml_log_fn : NULL,
		.log_ctx = log,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
}

int yaml_file_load(const char *path, const cyaml_schema_value_t *top, void **ret_data, struct err *err)
{
	char *text = fs_read_text(path, CONFIG_FILE_BYTES_MAX, err);
	struct yaml_scan scan = {0};
	struct yaml_log log = {0};
	cyaml_config_t config = yaml_config(&log);
	cyaml_data_t *data = NULL;
	cyaml_err_t code;
	int rc;

	if (!text)
		return -1;
	if ((rc = yaml_events(text, scan_fn, &scan, err)) == 0) {
		code = cyaml_load_data((const uint8_t *)text, strlen(text), &config, top, &data, NULL);
		if (code != CYAML_OK)
			rc = log_to_err(&log, code, text, err);
	}
	free(text);
	if (rc < 0)
		return err_in(err, "%s", path);
	*ret_data = data;
	return 0;
}

void yaml_file_free(const cyaml_schema_value_t *top, void *data)
{
	cyaml_config_t config = yaml_config(NULL);

	if (data)
		cyaml_free(&config, top, data, 0);
}
