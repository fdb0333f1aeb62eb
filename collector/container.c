#include "collector/container.h"

#include "collector/container_runc.h"
#include "collector/netns.h"
#include "common/clock.h"
#include "common/fs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE_AT_HOST  "eth0" /* the only one that has an end there */
#define STAMP_SETTLE_NS (2 * CLOCK_NS_PER_S)

struct container {
	/* fixed after container_find */
	const struct config_agent *config;
	struct container_entry entry;
	struct container_process process; /* pid 0: not known */
	int pidfd;                        /* -1: none */
	char *mount;                      /* path of the namespace's mount */
	bool mounted;                     /* it is there, and it is this namespace: */
	struct netns_id mount_id;
	bool inside;                  /* it can be entered; else it is reached from the host */
	int netns;                    /* -1 also after container_opened */
	char no_entry[ERR_MSG_MAX];   /* why */
	char host_end[IF_NAMESIZE];   /* "" : none is known */
	unsigned host_ifindex;        /* 0: there is none */
	char note[ERR_MSG_MAX + 128]; /* of captures there */

	/* of container_look */
	struct stat stamp; /* of the store when it was last read and good; st_ino 0: read it */
	unsigned blind;
};

static int refuse(const struct container *c, struct err *err, enum err_code code, const char *detail, const char *text)
{
	err_set(err, code, "container %s: %s", c->entry.handle, text);
	err_field(err, "target");
	return *detail ? err_detail(err, detail) : -1;
}

static int refuse_unseen(const struct container *c, struct err *err, const char *text)
{
	return refuse(c, err, ERR_UNAVAILABLE, "records_unreadable", text);
}

static int refuse_gone(const struct container *c, struct err *err, const char *text)
{
	return refuse(c, err, ERR_STATE, "container_gone", text);
}

/* ---- whose it is ---- */

static int refuse_unknown(const struct agent_target *t, const char *why, struct err *err)
{
	const bool by_handle = *t->handle;

	err_set(err, ERR_NOT_FOUND, "container %s%s: %s", by_handle ? "" : "with the address ",
		by_handle ? t->handle : t->address, why);
	err_field(err, by_handle ? "target.handle" : "target.address");
	return err_detail(err, "unknown_container");
}

static int read_entry(struct container *c, const struct agent_target *t, struct err *err)
{
	const struct container_key key = {.handle = t->handle, .address = t->address};
	struct err cause = {0};
	int rc;

	if (*t->handle && !container_handle_is_valid(t->handle))
		return refuse_unknown(t, "that is no handle", err);
	rc = container_store_read(c->config->containers_metadata, true, &key, &c->entry, &cause);
	if (rc == 1)
		return 0;
	if (rc == 0)
		return refuse_unknown(t, "this cell's metadata store knows no such container", err);
	if (cause.code == ERR_NOT_FOUND)
		return refuse_unknown(t, "this machine has no metadata store, so nothing says whose it is", err);
	err_set(err, cause.code == ERR_STATE ? ERR_STATE : ERR_UNAVAILABLE, "metadata store: %s", cause.msg);
	err_field(err, "target");
	return err_detail(err, cause.code == ERR_STATE ? "records_disagree" : "records_unreadable");
}

static bool is_listed(const struct config_list *l, const char *word)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->items[i], word) == 0)
			return true;
	}
	return false;
}

/* By what was asked for: the handle behind an address is another app's. */
static int refuse_app(const struct agent_target *t, struct err *err)
{
	const bool by_handle = *t->handle;

	err_set(err, ERR_PERM, "container %s%s: does not belong to app %s", by_handle ? "" : "with the address ",
		by_handle ? t->handle : t->address, t->app);
	err_field(err, "target");
	return err_detail(err, "other_app");
}

/* The app first: what else the entry of another app holds is not told. */
static int check_entry(const struct container *c, const struct agent_target *t, struct err *err)
{
	const struct container_entry *e = &c->entry;
	char text[256];

	if (!*t->app || strcmp(e->app, t->app) != 0)
		return refuse_app(t, err);
	if (!is_listed(&c->config->containers_workloads, e->workload)) {
		snprintf(text, sizeof(text), "its workload \"%s\" is not among those that may be captured here",
			e->workload);
		return refuse(c, err, ERR_PERM, "other_workload", text);
	}
	if (t->index != AGENT_INDEX_ANY && e->index != AGENT_INDEX_ANY && t->index != e->index) {
		snprintf(
			text, sizeof(text), "is instance %" PRIu32 " of the app, and not %" PRIu32, e->index, t->index);
		return refuse(c, err, ERR_STATE, "other_index", text);
	}
	return 0;
}

/* ---- its process ---- */

/* Numbers mean the same to us and to proc only when proc shows us under our own. */
static int open_pidfd(const char *proc, pid_t pid)
{
	char target[24], own[24];
	char *path = fs_path("%s/self", proc);
	ssize_t n = path ? readlink(path, target, sizeof(target) - 1) : -1;

	free(path);
	if (n < 0)
		return -1;
	target[n] = '\0';
	snprintf(own, sizeof(own), "%d", (int)getpid());
	return strcmp(target, own) == 0 ? pidfd_open(pid, 0) : -1;
}

/* What cannot be read is done without: the mount, or the store alone, tells the container's end as well, only less promptly. */
static int find_process(struct container *c, struct err *err)
{
	const char *proc = c->config->containers_proc;
	struct err cause = {0};
	int rc;

	if (!*proc)
		return 0;
	rc = container_runc_find(&c->config->containers_runc_roots, proc, c->entry.handle, &c->process, &cause);
	if (rc < 0 && cause.code == ERR_STATE)
		return refuse_gone(c, err, cause.msg);
	if (rc < 0 && cause.code == ERR_UNAVAILABLE)
		return refuse_unseen(c, err, cause.msg);
	if (rc > 0)
		c->pidfd = open_pidfd(proc, c->process.pid);
	return 0;
}

/* ---- its network ---- */

static int open_by_process(const struct container *c, struct netns_id *ret, struct err *err)
{
	char *path;
	int fd;

	if (!c->process.pid)
		return err_set(err, ERR_NOT_FOUND, "its process is not known");
	path = fs_path("%s/%d/ns/net", c->config->containers_proc, (int)c->process.pid);
	if (!path)
		return err_nomem(err);
	fd = netns_open(path, ret, err);
	free(path);
	return fd;
}

static int nothing(void *ctx, struct err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

/* Whether we may is seen by doing it. */
static int try_netns(struct container *c, int fd, struct err *err)
{
	struct err cause = {0};

	if (netns_run(fd, nothing, NULL, &cause) == 0) {
		c->netns = fd;
		c->inside = true;
		return 0;
	}
	fs_close(fd);
	if (cause.code == ERR_STATE)
		return refuse(c, err, ERR_PERM, "host_network", cause.msg);
	if (cause.code != ERR_PERM)
		return refuse(c, err, ERR_UNAVAILABLE, "", cause.msg);
	snprintf(c->no_entry, sizeof(c->no_entry), "%s", cause.msg);
	return 0;
}

/* Not seen, or not for us: the host's end serves.  Anything else (no descriptors, no memory) passes, and is no reason to show less. */
static bool is_lasting(const struct err *cause)
{
	return cause->code == ERR_NONE || cause->code == ERR_PERM || cause->code == ERR_NOT_FOUND ||
	       cause->code == ERR_INPUT;
}

/* By its process, which is known to be the right one; else by the mount.  Where both are seen they must be the same. */
static int find_netns(struct container *c, struct err *err)
{
	struct err no_process = {0}, no_mount = {0};
	struct netns_id id;
	int by_process = open_by_process(c, &id, &no_process);
	int by_mount = netns_open(c->mount, &c->mount_id, &no_mount);

	c->mounted = by_mount >= 0;
	if (!is_lasting(&no_process) || !is_lasting(&no_mount)) {
		fs_close(by_process);
		fs_close(by_mount);
		return refuse(c, err, ERR_UNAVAILABLE, "", is_lasting(&no_process) ? no_mount.msg : no_process.msg);
	}
	if (by_process >= 0 && by_mount >= 0 && !netns_same(&id, &c->mount_id)) {
		fs_close(by_process);
		fs_close(by_mount);
		return refuse(c, err, ERR_STATE, "records_disagree",
			"its process and the mount of its network namespace do not belong together");
	}
	if (by_process < 0 && by_mount < 0) {
		snprintf(c->no_entry, sizeof(c->no_entry), "%.200s; %.200s", no_process.msg, no_mount.msg);
		return 0;
	}
	if (by_process >= 0)
		fs_close(by_mount);
	return try_netns(c, by_process >= 0 ? by_process : by_mount, err);
}

/* silk's name: the four groups of the address, each with three decimal digits. */
static void find_host_end(struct container *c)
{
	uint8_t a[4];

	if (inet_pton(AF_INET, c->entry.ip, a) != 1)
		return;
	snprintf(c->host_end, sizeof(c->host_end), "s-%03u%03u%03u%03u", a[0], a[1], a[2], a[3]);
	c->host_ifindex = if_nametoindex(c->host_end);
	snprintf(c->note, sizeof(c->note),
		"Seen at the host's end, %s, of the container's " DEVICE_AT_HOST
		": in and out are the other way round, and lo is not seen (%.300s).",
		c->host_end, c->no_entry);
}

#define PROCESS_ENDED  "its first process has ended"
#define PROCESS_UNSEEN "whether its first process lives cannot be seen"

static enum container_life process_life(const struct container *c)
{
	return c->process.pid ? container_process_life(c->config->containers_proc, &c->process) : CONTAINER_LIVES;
}

static int check_process(const struct container *c, struct err *err)
{
	switch (process_life(c)) {
	case CONTAINER_LIVES:
		return 0;
	case CONTAINER_ENDED:
		return refuse_gone(c, err, PROCESS_ENDED);
	case CONTAINER_UNKNOWN:
		break;
	}
	return refuse_unseen(c, err, PROCESS_UNSEEN);
}

static int reach(struct container *c, const char *no_entry, struct err *err)
{
	if (!no_entry && find_netns(c, err) < 0)
		return -1;
	if (no_entry)
		snprintf(c->no_entry, sizeof(c->no_entry), "%s", no_entry);
	if (!c->inside)
		find_host_end(c);
	return check_process(c, err);
}

/* ---- */

struct container *container_find(
	const struct config_agent *config, const char *no_entry, const struct agent_target *t, struct err *err)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c) {
		err_nomem(err);
		return NULL;
	}
	c->config = config;
	c->netns = c->pidfd = -1;
	if (read_entry(c, t, err) < 0 || check_entry(c, t, err) < 0)
		goto fail;
	c->mount = fs_path("%s/%s", config->containers_netns, c->entry.handle);
	if (!c->mount) {
		err_nomem(err);
		goto fail;
	}
	if (find_process(c, err) < 0 || reach(c, no_entry, err) < 0)
		goto fail;
	return c;
fail:
	container_free(c);
	return NULL;
}

void container_free(struct container *c)
{
	if (!c)
		return;
	fs_close(c->netns);
	fs_close(c->pidfd);
	free(c->mount);
	free(c);
}

const struct container_entry *container_entry(const struct container *c)
{
	return &c->entry;
}

int container_device(struct container *c, const char *name, struct container_device *ret, struct err *err)
{
	char text[ERR_MSG_MAX];

	*ret = (struct container_device){.name = name, .netns = c->netns};
	if (c->inside)
		return 0;
	if (strcmp(name, DEVICE_AT_HOST) != 0 || !*c->host_end) {
		snprintf(text, sizeof(text),
			"its device \"%s\" is seen only from inside, and the agent cannot enter (%.200s); entering "
			"needs "
			"CAP_SYS_ADMIN and CAP_SYS_PTRACE, and containers.enter: auto",
			name, c->no_entry);
		refuse(c, err, ERR_PERM, "needs_entry", text);
		return err_field(err, "options.device");
	}
	if (c->host_ifindex == 0) {
		snprintf(text, sizeof(text), "there is no %s, which would be the host's end of its %s", c->host_end,
			name);
		return refuse_gone(c, err, text);
	}
	ret->name = c->host_end;
	ret->ifindex = c->host_ifindex;
	ret->note = c->note;
	return 0;
}

void container_opened(struct container *c)
{
	fs_close(c->netns);
	c->netns = -1;
}

/* ---- is it still there? ---- */

/* NULL: it is the same as before. */
static const char *what_changed(const struct container *c, const struct container_entry *now)
{
	if (strcmp(now->app, c->entry.app) != 0 || strcmp(now->ip, c->entry.ip) != 0 ||
		strcmp(now->workload, c->entry.workload) != 0)
		return "the cell's record of it is another one now";
	if (!c->inside && now->ip_shared)
		return "another container has the same address";
	return NULL;
}

static enum container_life mount_life(const struct container *c)
{
	struct netns_id id;

	if (!c->mounted)
		return CONTAINER_LIVES;
	if (netns_stat(c->mount, &id) < 0)
		return errno == ENOENT ? CONTAINER_ENDED : CONTAINER_UNKNOWN;
	return netns_same(&id, &c->mount_id) ? CONTAINER_LIVES : CONTAINER_ENDED;
}

/* NULL: nothing, as far as can be seen; ret_unseen: what cannot, unchanged when all is. */
static const char *what_ended(const struct container *c, const char **ret_unseen)
{
	struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
	enum container_life process = CONTAINER_LIVES, mount = mount_life(c);

	if (c->pidfd < 0)
		process = process_life(c);
	else if (poll(&p, 1, 0) > 0)
		process = CONTAINER_ENDED;
	if (process == CONTAINER_ENDED)
		return PROCESS_ENDED;
	if (mount == CONTAINER_ENDED)
		return "its network namespace was taken down";
	if (process == CONTAINER_UNKNOWN)
		*ret_unseen = PROCESS_UNSEEN;
	else if (mount == CONTAINER_UNKNOWN)
		*ret_unseen = "the mount of its network namespace cannot be looked at";
	return NULL;
}

int container_verify(const struct container *c, struct err *err)
{
	const struct container_key key = {.handle = c->entry.handle, .address = ""};
	struct container_entry now;
	struct err cause = {0};
	const char *unseen = NULL, *text = what_ended(c, &unseen);
	int rc;

	if (text)
		return refuse_gone(c, err, text);
	if (unseen)
		return refuse_unseen(c, err, unseen);
	if (check_process(c, err) < 0)
		return -1;
	rc = container_store_read(c->config->containers_metadata, true, &key, &now, &cause);
	if (rc < 0 && cause.code != ERR_NOT_FOUND)
		return refuse_unseen(c, err, cause.msg);
	if (rc <= 0)
		return refuse_gone(c, err, "the cell has no record of it any more");
	text = what_changed(c, &now);
	if (!text)
		return 0;
	return now.ip_shared ? refuse(c, err, ERR_STATE, "records_disagree", text) : refuse_gone(c, err, text);
}

int container_fd(const struct container *c)
{
	return c->pidfd;
}

static bool same_stamp(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A file's time moves in steps of the kernel's clock: a stamp that is this young may hide a second change. */
static bool is_settled(const struct stat *st)
{
	const uint64_t written = (uint64_t)st->st_mtim.tv_sec * CLOCK_NS_PER_S + (uint64_t)st->st_mtim.tv_nsec;

	return written + STAMP_SETTLE_NS < clock_wall_ns();
}

/* ret_text, ret_unseen: unchanged when the store still says the same. */
static enum container_look look_into_store(struct container *c, const char **ret_text, const char **ret_unseen)
{
	const struct container_key key = {.handle = c->entry.handle, .address = ""};
	const char *path = c->config->containers_metadata;
	struct container_entry now;
	struct err cause = {0};
	const char *changed;
	struct stat st = {0};
	bool stamped = stat(path, &st) == 0;
	int rc;

	if (stamped && same_stamp(&st, &c->stamp))
		return CONTAINER_THERE;
	rc = container_store_read(path, false, &key, &now, &cause);
	if (rc == 0 || (rc < 0 && cause.code == ERR_NOT_FOUND)) {
		*ret_text = "the cell has no record of it any more";
		return CONTAINER_GONE;
	}
	if (rc < 0) {
		*ret_unseen = "the cell's record of it cannot be read";
		return CONTAINER_THERE;
	}
	changed = what_changed(c, &now);
	if (!changed && stamped && is_settled(&st))
		c->stamp = st;
	if (!changed)
		return CONTAINER_THERE;
	*ret_text = changed;
	return c->inside ? CONTAINER_GONE : CONTAINER_OTHER;
}

enum container_look container_look(struct container *c, char ret_text[CONTAINER_TEXT_MAX])
{
	const char *unseen = NULL, *text = what_ended(c, &unseen);
	enum container_look found = CONTAINER_GONE;

	if (!text)
		found = look_into_store(c, &text, &unseen);
	c->blind = unseen ? c->blind + 1 : 0;
	if (!text && c->blind >= CONTAINER_BLIND_MAX) {
		text = unseen;
		found = CONTAINER_GONE;
	}
	if (text)
		snprintf(ret_text, CONTAINER_TEXT_MAX, "container %s: %s", c->entry.handle, text);
	return found;
}
