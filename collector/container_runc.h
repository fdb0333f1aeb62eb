/* container_runc.h - what runc says about a container's first process, and whether the process with that number is still the same one. */
#ifndef PCAPLINE_COLLECTOR_CONTAINER_RUNC_H
#define PCAPLINE_COLLECTOR_CONTAINER_RUNC_H

#include "common/err.h"
#include "schema/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTAINER_RUNC_BYTES_MAX ((size_t)1024 * 1024) /* of a state.json */

struct container_process {
	pid_t pid;      /* 0: not known */
	uint64_t start; /* clock ticks since boot: field 22 of /proc/PID/stat */
};

/* container_runc_parse: a state.json of this handle.  -1: ERR_INPUT. */
int container_runc_parse(const void *p, size_t n, const char *handle, struct container_process *ret, struct err *err);

/* container_process_start: field 22 from the text of a stat file, whose second field may hold anything.  1: ret is it, 0: the process has ended
 * (zombies have no network any more), -1: no such text. */
int container_process_start(const char *stat, uint64_t *ret);

enum container_life { CONTAINER_LIVES, CONTAINER_ENDED, CONTAINER_UNKNOWN /* one cannot look */ };
enum container_life container_process_life(const char *proc, const struct container_process *p);

/* container_runc_find: through all roots.  1: ret is a process that lives, 0: no root knows the handle, -1: ERR_STATE: known, and its process is gone;
 * ERR_UNAVAILABLE: known, and whether its process lives cannot be seen; ERR_PERM or other: a state is there and could not be read.  handle must be valid (container_store.h). */
int container_runc_find(const struct config_list *roots, const char *proc, const char *handle,
	struct container_process *ret, struct err *err);

/* container_proc_is_host: do numbers of processes mean here what they mean to runc?  Not in a process namespace other than the machine's first. */
bool container_proc_is_host(void);

#endif
