/* container_store.h - silk's container metadata store: which container on this cell belongs to which app.
 *
 * One JSON object, handle -> {"handle","ip","metadata":{"app_id","container_workload","log_config",...}}; log_config is a string that holds JSON
 * again, and may be missing.  It is written in place, under a lock that we take only for as long as the bytes are read, and not for ever: without it
 * a half-written file is read again.  Texts in it come from users in part; whatever does not look as it should counts as not there. */
#ifndef PCAPLINE_COLLECTOR_CONTAINER_STORE_H
#define PCAPLINE_COLLECTOR_CONTAINER_STORE_H

#include "common/err.h"
#include "schema/capture_request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTAINER_STORE_BYTES_MAX ((size_t)4 * 1024 * 1024) /* a cell has a few hundred containers, of 1 to 2 KB each */
#define CONTAINER_WORKLOAD_MAX    32

struct container_entry {
	char handle[AGENT_HANDLE_MAX];         /* container_handle_is_valid */
	char ip[46];                           /* numeric, as the store writes it; "" : none */
	char app[AGENT_GUID_MAX];              /* "" : none */
	char workload[CONTAINER_WORKLOAD_MAX]; /* "app", "task", "staging"; "" : none */
	uint32_t index;                        /* AGENT_INDEX_ANY: not known */
	bool ip_shared;                        /* another entry has the same ip: one of the two is stale */
};

/* container_handle_is_valid: 28 to 36 of 0-9, a-f and -.  Nothing else may become part of a path. */
bool container_handle_is_valid(const char *handle);

/* Whose entry is wanted: by handle, or, when that is "", by address. */
struct container_key {
	const char *handle, *address;
};

/* container_store_parse: 1: found, 0: no such entry (nor any, when n is 0), -1 ERR_INPUT: this is no such store, ERR_STATE: several have the address. */
int container_store_parse(
	const void *p, size_t n, const struct container_key *key, struct container_entry *ret, struct err *err);

/* container_store_read: the same, from the file at path with the lock file beside it (path_lock).  -1 also: ERR_NOT_FOUND: there is no such file,
 * ERR_PERM, ERR_LIMIT, ERR_IO.  patient: waits for the lock, and reads again what is not whole, for up to CONTAINER_STORE_WAIT_MS; otherwise
 * a file that is just being written is ERR_INPUT. */
#define CONTAINER_STORE_WAIT_MS 1000
int container_store_read(
	const char *path, bool patient, const struct container_key *key, struct container_entry *ret, struct err *err);

#endif
