/* list.h - the list of jobs, one's own or (operators) everybody's: filters, pages, table. */
#ifndef PCAPLINE_CLI_LIST_H
#define PCAPLINE_CLI_LIST_H

#include "cli/cli.h"

struct list_values {
	const char *app, *deployment;
	const char *state, *since;
	struct arg_number limit;
	bool all_pages;
};

extern const struct arg_option list_options[];

/* list_run: path is the collection's; has_owner: with a column for whose job it is. */
int list_run(struct cli *cli, const struct list_values *v, const char *path, bool has_owner);

/* list_target: a job's target in few words ("web, db/1"); returns ret. */
char *list_target(const json_t *job, char *ret, size_t size);

/* "3 parts waiting, store unreachable since 12:04": how a stored capture that is not ready stands with the store; "" when there is nothing to
 * tell.  troubles_only: only when the store does not take what comes.  Returns ret. */
char *list_storage(const json_t *job, bool troubles_only, char *ret, size_t size);

#endif
