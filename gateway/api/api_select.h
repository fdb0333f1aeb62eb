/* api_select.h - which captures an operator means, as kill, purge, hold and unhold take it. */
#ifndef PCAPLINE_GATEWAY_API_API_SELECT_H
#define PCAPLINE_GATEWAY_API_API_SELECT_H

#include "common/err.h"
#include "gateway/api/api.h"
#include "schema/job_db.h"

#include <jansson.h>
#include <stdbool.h>

#define API_REASON_MAX 200

enum api_reason { API_REASON_OPTIONAL, API_REASON_REQUIRED };

/* Strings are borrowed from the body. */
struct api_selection {
	struct job_filter filter;
	const char *reason; /* NULL: none */
	bool dry_run, records;
	char after[ID_MAX]; /* filter.after_id, when it is given */
};

/* api_select_read: {"all": true} or selectors that must all hold; beside them "reason", and with erasing "dry_run", "records" and "cursor".  ERR_INPUT: nothing is named,
 * which is not everything. */
int api_select_read(json_t *body, enum api_reason reason, bool erasing, struct api_selection *ret, struct err *err);

/* api_each_selected: every job of the filter, newest first, page by page, until act says false; act may change or remove it.  -1: the database failed. */
int api_each_selected(struct api_call *a, const struct job_filter *filter,
	bool (*act)(struct api_call *a, const struct job *j, void *ctx), void *ctx, struct err *err);

/* api_operator_name: who asks, for people; printable.  Returns ret. */
#define API_OPERATOR_NAME_MAX 200
const char *api_operator_name(const struct api_call *a, char ret[API_OPERATOR_NAME_MAX]);

#endif
