#include "collector/netns.h"

#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define OWN_PATH "/proc/thread-self/ns/net"

struct work {
	int fd;
	struct netns_id id;
	int (*fn)(void *ctx, struct err *err);
	void *ctx;
	struct err *err;
	int rc;
};

bool netns_same(const struct netns_id *a, const struct netns_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

int netns_stat(const char *path, struct netns_id *ret)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -1;
	*ret = (struct netns_id){.dev = st.st_dev, .ino = st.st_ino};
	return 0;
}

int netns_own(struct netns_id *ret, struct err *err)
{
	return netns_stat(OWN_PATH, ret) == 0 ? 0 : err_sys(err, errno, OWN_PATH);
}

static int identify(int fd, struct netns_id *ret, struct err *err)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "network namespace");
	if (fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return err_set(err, ERR_INPUT, "is no network namespace");
	*ret = (struct netns_id){.dev = st.st_dev, .ino = st.st_ino};
	return 0;
}

int netns_open(const char *path, struct netns_id *ret_id, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	if (identify(fd, ret_id, err) < 0) {
		fs_close(fd);
		return err_in(err, "%s", path);
	}
	return fd;
}

/* ENOSYS: so some filters of system calls refuse. */
static bool is_refusal(int errnum)
{
	return errnum == EPERM || errnum == EACCES || errnum == ENOSYS;
}

static int enter(const struct work *w)
{
	struct netns_id own, now;

	if (netns_own(&own, w->err) < 0)
		return -1;
	if (netns_same(&own, &w->id))
		return err_set(w->err, ERR_STATE, "its network namespace is the one of this machine");
	if (setns(w->fd, CLONE_NEWNET) < 0) {
		const bool refused = is_refusal(errno);

		err_set(w->err, refused ? ERR_PERM : ERR_UNAVAILABLE, "entering its network namespace: %s",
			strerror(errno));
		return refused ? err_detail(w->err, "needs_entry") : -1;
	}
	if (netns_own(&now, w->err) < 0)
		return -1;
	if (!netns_same(&now, &w->id))
		return err_set(w->err, ERR_INTERNAL, "its network namespace was entered, and another one reached");
	return 0;
}

static void *work_run(void *arg)
{
	struct work *w = arg;

	w->rc = enter(w);
	if (w->rc == 0)
		w->rc = w->fn(w->ctx, w->err);
	return NULL;
}

int netns_run(int fd, int (*fn)(void *ctx, struct err *err), void *ctx, struct err *err)
{
	struct err scratch = {0};
	struct work w = {.fd = fd, .fn = fn, .ctx = ctx, .err = err ? err : &scratch, .rc = -1};
	pthread_t thread;
	int rc;

	if (identify(fd, &w.id, err) < 0)
		return -1;
	rc = pthread_create(&thread, NULL, work_run, &w);
	if (rc != 0)
		return err_set(err, ERR_UNAVAILABLE, "no thread to enter a network namespace: %s", strerror(rc));
	pthread_join(thread, NULL);
	return w.rc;
}

static void *enter_own(void *arg)
{
	bool *ret_refused = arg;
	int fd = open(OWN_PATH, O_RDONLY | O_CLOEXEC);

	*ret_refused = (fd < 0 || setns(fd, CLONE_NEWNET) < 0) && is_refusal(errno);
	fs_close(fd);
	return NULL;
}

bool netns_can_enter(void)
{
	pthread_t thread;
	bool refused = false;

	if (pthread_create(&thread, NULL, enter_own, &refused) == 0)
		pthread_join(thread, NULL);
	return !refused;
}
