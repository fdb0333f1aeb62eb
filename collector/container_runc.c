#include "collector/container_runc.h"

#include "collector/container_store.h"
#include "common/buf.h"
#include "common/fs.h"
#include "common/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PID_MOST        4194304 /* PID_MAX_LIMIT of 64-bit kernels */
#define START_MOST      9007199254740992.0
#define HOST_PIDS_INODE 4026531836u /* PROC_PID_INIT_INO, the same on every Linux */
#define STAT_BYTES_MAX  4096u
#define STAT_STATE      3 /* fields as proc(5) counts them */
#define STAT_START      22

/* A whole number of 1..most. */
static bool take_number(const json_t *state, const char *key, double most, uint64_t *ret)
{
	double v = json_real_value(json_object_get(state, key));

	if (!(v >= 1 && v <= most))
		return false;
	*ret = (uint64_t)v;
	return (double)*ret == v;
}

int container_runc_parse(const void *p, size_t n, const char *handle, struct container_process *ret, struct err *err)
{
	/* runc writes limits of 2^64 - 1, which is no integer of jansson's; the two that we want are exact as doubles. */
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL;
	json_t *state = n <= CONTAINER_RUNC_BYTES_MAX ? json_loadb(p, n, flags, NULL) : NULL;
	const json_t *id = json_object_get(state, "id");
	uint64_t pid = 0;
	int rc = 0;

	*ret = (struct container_process){0};
	if (!json_is_object(state))
		rc = err_set(err, ERR_INPUT, "is no state of a container");
	else if (!json_is_string(id) || strcmp(json_string_value(id), handle) != 0)
		rc = err_set(err, ERR_INPUT, "is not the state of container %s", handle);
	else if (!take_number(state, "init_process_pid", PID_MOST, &pid) ||
		 !take_number(state, "init_process_start", START_MOST, &ret->start))
		rc = err_set(err, ERR_INPUT, "names no first process");
	ret->pid = (pid_t)pid;
	json_decref(state);
	return rc;
}

int container_process_start(const char *stat, uint64_t *ret)
{
	const char *s = strrchr(stat, ')'); /* the name may hold ") 1 2 3" */
	char text[24];
	size_t n;

	if (!s || s[1] != ' ' || !s[2])
		return -1;
	if (strchr("ZXx", s[2]))
		return 0;
	s += 2;
	for (int field = STAT_STATE; field < STAT_START; field++) {
		s = strchr(s, ' ');
		if (!s)
			return -1;
		s++;
	}
	n = strspn(s, "0123456789");
	if (n == 0 || n >= sizeof(text))
		return -1;
	memcpy(text, s, n);
	text[n] = '\0';
	return parse_u64(text, 0, UINT64_MAX, ret, NULL) == 0 ? 1 : -1;
}

/* The kernel writes it whole at the first read.  -1 with errno. */
static int read_stat(const char *path, char ret[STAT_BYTES_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), failed;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, ret, STAT_BYTES_MAX - 1);
	failed = errno;
	fs_close(fd);
	errno = failed;
	if (n < 0)
		return -1;
	ret[n] = '\0';
	return 0;
}

enum container_life container_process_life(const char *proc, const struct container_process *p)
{
	char *path = fs_path("%s/%d/stat", proc, (int)p->pid);
	char text[STAT_BYTES_MAX];
	uint64_t start = 0;
	int rc, failed;

	if (!path)
		return CONTAINER_UNKNOWN;
	rc = read_stat(path, text);
	failed = errno;
	free(path);
	if (rc < 0)
		return failed == ENOENT || failed == ESRCH ? CONTAINER_ENDED : CONTAINER_UNKNOWN;
	rc = container_process_start(text, &start);
	if (rc < 0)
		return CONTAINER_UNKNOWN;
	return rc > 0 && start == p->start ? CONTAINER_LIVES : CONTAINER_ENDED;
}

static int read_state(const char *root, const char *handle, struct container_process *ret, struct err *err)
{
	char *path = fs_path("%s/%s/state.json", root, handle);
	struct buf b;
	int rc;

	if (!path)
		return err_nomem(err);
	buf_init(&b, CONTAINER_RUNC_BYTES_MAX);
	rc = fs_read(path, &b, err);
	if (rc == 0) {
		rc = container_runc_parse(b.data, b.len, handle, ret, err);
		if (rc < 0)
			err_in(err, "%s", path);
	}
	buf_done(&b);
	free(path);
	return rc;
}

/* One root's answer: 1: it lives, 0: nothing is known there. */
static int look_in_root(
	const char *root, const char *proc, const char *handle, struct container_process *ret, struct err *err)
{
	struct err cause = {0};

	if (read_state(root, handle, ret, &cause) < 0)
		return cause.code == ERR_NOT_FOUND ? 0 : err_set(err, cause.code, "%s", cause.msg);
	switch (container_process_life(proc, ret)) {
	case CONTAINER_LIVES:
		return 1;
	case CONTAINER_ENDED:
		return err_set(err, ERR_STATE, "process %d of the container has ended", (int)ret->pid);
	case CONTAINER_UNKNOWN:
		break;
	}
	return err_set(err, ERR_UNAVAILABLE, "whether process %d of the container lives cannot be seen", (int)ret->pid);
}

/* Of what several roots say: that there may be one that lives before that one has ended, and both before what could not be read. */
static int weight(enum err_code code)
{
	return code == ERR_UNAVAILABLE ? 2 : code == ERR_STATE ? 1 : 0;
}

int container_runc_find(const struct config_list *roots, const char *proc, const char *handle,
	struct container_process *ret, struct err *err)
{
	struct err cause = {0};

	*ret = (struct container_process){0};
	if (!container_handle_is_valid(handle))
		return 0;
	for (size_t i = 0; i < roots->n; i++) {
		struct container_process p = {0};
		struct err e = {0};
		int rc = look_in_root(roots->items[i], proc, handle, &p, &e);

		if (rc > 0) {
			*ret = p;
			return 1;
		}
		if (rc < 0 && (cause.code == ERR_NONE || weight(e.code) > weight(cause.code)))
			cause = e;
	}
	return cause.code == ERR_NONE ? 0 : err_set(err, cause.code, "%s", cause.msg);
}

bool container_proc_is_host(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) < 0 || st.st_ino == HOST_PIDS_INODE;
}
