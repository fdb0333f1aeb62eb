/* args.c - see args.h. */
#include "cli/args.h"

#include "common/parse.h"

#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 26 /* where the descriptions begin */

struct parser {
	int argc;
	char *const *argv;
	const struct arg_table *tables;
	size_t tables_n;
	struct args *args;
	struct err *err;
};

/* An option that was found, and the struct its value goes to. */
struct found {
	const struct arg_option *option;
	void *values;
};

static bool find_long(const struct parser *p, const char *name, size_t len, struct found *ret)
{
	for (size_t t = 0; t < p->tables_n; t++)
		for (const struct arg_option *o = p->tables[t].options; o && o->name; o++)
			if (strlen(o->name) == len && !memcmp(o->name, name, len)) {
				*ret = (struct found){o, p->tables[t].values};
				return true;
			}
	return false;
}

static bool find_letter(const struct parser *p, char letter, struct found *ret)
{
	for (size_t t = 0; t < p->tables_n; t++)
		for (const struct arg_option *o = p->tables[t].options; o && o->name; o++)
			if (o->letter && o->letter == letter) {
				*ret = (struct found){o, p->tables[t].values};
				return true;
			}
	return false;
}

static int refuse_twice(const struct arg_option *o, struct err *err)
{
	return err_set(err, ERR_INPUT, "option --%s is given twice", o->name);
}

static int set_flag(const struct found *f, struct err *err)
{
	bool *at = (bool *)((char *)f->values + f->option->offset);

	if (*at)
		return refuse_twice(f->option, err);
	*at = true;
	return 0;
}

static int set_text(const struct found *f, const char *text, struct err *err)
{
	const char **at = (const char **)((char *)f->values + f->option->offset);

	if (*at)
		return refuse_twice(f->option, err);
	*at = text;
	return 0;
}

static int set_number(const struct found *f, const char *text, struct err *err)
{
	const struct arg_option *o = f->option;
	struct arg_number *at = (struct arg_number *)((char *)f->values + o->offset);
	uint64_t value = 0;
	int rc;

	if (at->given)
		return refuse_twice(o, err);
	if (o->kind == ARG_SIZE)
		rc = parse_size(text, o->least, o->most, &value, err);
	else if (o->kind == ARG_DURATION)
		rc = parse_duration_ms(text, o->least, o->most, &value, err);
	else
		rc = parse_u64(text, o->least, o->most, &value, err);
	if (rc < 0)
		return err_in(err, "option --%s", o->name);
	*at = (struct arg_number){.given = true, .value = value};
	return 0;
}

static int add_to_list(const struct found *f, const char *text, struct err *err)
{
	struct arg_list *at = (struct arg_list *)((char *)f->values + f->option->offset);

	if (at->n == ARG_LIST_MAX)
		return err_set(
			err, ERR_INPUT, "option --%s is given more than %d times", f->option->name, ARG_LIST_MAX);
	at->items[at->n++] = text;
	return 0;
}

static int set_value(const struct found *f, const char *text, struct err *err)
{
	if (f->option->kind == ARG_LIST)
		return add_to_list(f, text, err);
	return f->option->kind == ARG_TEXT ? set_text(f, text, err) : set_number(f, text, err);
}

/* The next element of argv as the value of an option, whatever it looks like ("-w -"). */
static int set_from_next(struct parser *p, const struct found *f)
{
	if (p->args->used >= p->argc)
		return err_set(p->err, ERR_INPUT, "option --%s needs a value (%s)", f->option->name, f->option->value);
	return set_value(f, p->argv[p->args->used++], p->err);
}

static int read_long(struct parser *p, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : strlen(text);
	struct found f;

	if (!find_long(p, text, len, &f))
		return err_set(p->err, ERR_INPUT, "unknown option --%.*s", (int)(len > 100 ? 100 : len), text);
	if (f.option->kind != ARG_FLAG)
		return equals ? set_value(&f, equals + 1, p->err) : set_from_next(p, &f);
	if (equals)
		return err_set(p->err, ERR_INPUT, "option --%s takes no value", f.option->name);
	return set_flag(&f, p->err);
}

static int read_short(struct parser *p, const char *letters)
{
	struct found f;

	for (; *letters; letters++) {
		if (!find_letter(p, *letters, &f))
			return err_set(p->err, ERR_INPUT, "unknown option -%c", *letters);
		if (f.option->kind != ARG_FLAG)
			return letters[1] ? set_value(&f, letters + 1, p->err) : set_from_next(p, &f);
		if (set_flag(&f, p->err) < 0)
			return -1;
	}
	return 0;
}

static int add_word(struct parser *p, const char *word)
{
	if (p->args->words_n >= ARGS_WORDS_MAX)
		return err_set(p->err, ERR_INPUT, "more than %d words", ARGS_WORDS_MAX);
	p->args->words[p->args->words_n++] = word;
	return 0;
}

static int read_rest(struct parser *p)
{
	struct args *a = p->args;

	a->has_dashes = true;
	a->dashes = a->words_n;
	while (a->used < p->argc)
		if (add_word(p, p->argv[a->used++]) < 0)
			return -1;
	return 0;
}

static int read_one(struct parser *p)
{
	const char *text = p->argv[p->args->used++];

	if (!strcmp(text, "--"))
		return read_rest(p);
	if (!strncmp(text, "--", 2))
		return read_long(p, text + 2);
	if (text[0] == '-' && text[1])
		return read_short(p, text + 1);
	return add_word(p, text);
}

int args_parse(int argc, char *const *argv, const struct arg_table *tables, size_t tables_n, bool first_word_ends,
	struct args *ret, struct err *err)
{
	struct parser p = {argc, argv, tables, tables_n, NULL, err};

	*ret = (struct args){0};
	p.args = ret;
	ret->words = calloc(ARGS_WORDS_MAX, sizeof(*ret->words));
	if (!ret->words)
		return err_nomem(err);
	while (ret->used < argc) {
		const char *text = argv[ret->used];

		if (first_word_ends && (text[0] != '-' || !text[1]))
			break;
		if (read_one(&p) < 0)
			return -1;
	}
	if (!ret->has_dashes)
		ret->dashes = ret->words_n;
	return 0;
}

void args_done(struct args *a)
{
	free(a->words);
	*a = (struct args){0};
}

void args_help(FILE *to, const struct arg_option *options)
{
	char left[80];

	for (const struct arg_option *o = options; o && o->name; o++) {
		char letter[8] = "   ";

		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c,", o->letter);
		snprintf(left, sizeof(left), "  %s --%s%s%s", letter, o->name, o->value ? " " : "",
			o->value ? o->value : "");
		if (strlen(left) < HELP_COLUMN)
			fprintf(to, "%-*s%s\n", HELP_COLUMN, left, o->help);
		else
			fprintf(to, "%s\n%*s%s\n", left, HELP_COLUMN, "", o->help);
	}
}
