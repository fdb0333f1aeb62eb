/* fetch.h - the stored file of a job, fetched over its signed link: to FILE.part first, going on where an earlier try stopped,
 * and renamed only when size and SHA-256 are those that the gateway gave.  What is large comes over several connections; FILE.part is
 * the file's beginning without a gap at any moment all the same. */
#ifndef PCAPLINE_CLI_FETCH_FETCH_H
#define PCAPLINE_CLI_FETCH_FETCH_H

#include "cli/api.h"
#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define FETCH_CONNECTIONS     4u /* unless the user says otherwise; each takes up to 8 MiB of memory */
#define FETCH_CONNECTIONS_MAX 16u

struct fetch {
	const struct api *api;
	const char *job;
	const char *path;     /* "-" : stdout */
	bool force;           /* replace an existing file */
	unsigned connections; /* at most so many, up to FETCH_CONNECTIONS_MAX; 0: FETCH_CONNECTIONS */
};

/* fetch_run: what it says goes to stderr.  ERR_STATE: the file is there already, or the job has no file (yet); ERR_CANCELLED: interrupted, or the reader of
 * stdout went; ERR_NET...: broken off, FILE.part is kept; ERR_INTERNAL: it came whole but is not what was stored. */
int fetch_run(const struct fetch *f, uint64_t *ret_bytes, struct err *err);

/* fetch_name: the file name for a job: its object's, or JOB.FORMAT; new string, NULL on no memory. */
char *fetch_name(const json_t *job);

#endif
