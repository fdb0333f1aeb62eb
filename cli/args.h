/* args.h - options and words of a command line, read by tables.
 *
 * A command describes its options in a table that ends with a NULL name; each option says where in the command's own struct
 * its value goes.  Options and words may be mixed; "--" ends the options.  Short options may be clustered and carry
 * their value attached ("-c5"); long ones take "--name value" or "--name=value".  Nothing is abbreviated, and nothing is
 * given twice (but what is a list): a second value would silently replace the first. */
#ifndef PCAPLINE_CLI_ARGS_H
#define PCAPLINE_CLI_ARGS_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ARGS_WORDS_MAX 4096 /* words of one command line; the kernel's own limit is far above */

struct arg_number {
	bool given;
	uint64_t value;
};

#define ARG_LIST_MAX 20

struct arg_list {
	const char *items[ARG_LIST_MAX];
	size_t n;
};

enum arg_kind {
	ARG_FLAG,     /* bool */
	ARG_TEXT,     /* const char *; NULL: not given */
	ARG_LIST,     /* struct arg_list: may be given several times */
	ARG_NUMBER,   /* struct arg_number */
	ARG_SIZE,     /* struct arg_number, bytes: "100M" */
	ARG_DURATION, /* struct arg_number, milliseconds: "60s" */
};

struct arg_option {
	char letter;       /* '\0': none */
	const char *name;  /* without the dashes; NULL ends a table */
	const char *value; /* how the value is called in the help; NULL for a flag */
	enum arg_kind kind;
	size_t offset; /* of the value in the command's struct */
	uint64_t least, most;
	const char *help;
};

struct arg_table {
	const struct arg_option *options; /* NULL: none */
	void *values;                     /* zeroed by the caller */
};

/* What is not an option.  Strings are borrowed from argv. */
struct args {
	const char **words;
	size_t words_n;
	size_t dashes; /* words before a "--"; equal to words_n when there was none */
	bool has_dashes;
	int used; /* elements of argv read */
};

/* args_parse: argv[0] is already the first thing to read.  With first_word_ends reading stops at the first word (left unread).
 * Tables are looked through in order.  ERR_INPUT "unknown option --foo", and so on.  args_done frees, also after a failure. */
int args_parse(int argc, char *const *argv, const struct arg_table *tables, size_t tables_n, bool first_word_ends,
	struct args *ret, struct err *err);
void args_done(struct args *a);

/* args_help: one line per option, aligned. */
void args_help(FILE *to, const struct arg_option *options);

#endif
