/* examination.h - what the operator should know of the store: asked at the start and every ten minutes by a thread of its own, logged when it is new, kept, and
 * with storage.strict a reason not to store anything. */
#ifndef PCAPLINE_GATEWAY_STORAGE_EXAMINATION_H
#define PCAPLINE_GATEWAY_STORAGE_EXAMINATION_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct store;
struct examination;

struct examination_options {
	struct store *store; /* borrowed */
	bool strict;
	uint64_t every_ms, again_ms; /* again: when the store did not answer, or strict refuses; 0: 10 m, 30 s */
};

struct examination *examination_start(const struct examination_options *o, struct err *err);
void examination_stop(
	struct examination *e); /* waits for an examination under way (store_cancel ends it); accepts NULL */

/* examination_allows: 0, or with strict and errors or warnings found (or nothing known after wait_ms) ERR_UNAVAILABLE, detail storage_unsafe. */
int examination_allows(struct examination *e, uint64_t wait_ms, struct err *err);

/* examination_json: the findings as an array of {severity, check, message}; for operators' eyes: they name buckets.  New reference. */
json_t *examination_json(struct examination *e);

#endif
