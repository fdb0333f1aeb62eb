#include "collector/priority.h"

#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OOM_PATH        "/proc/self/oom_score_adj"
#define LOWEST_OF_CLASS 7

int priority_nice(const struct config_agent *config, struct err *err)
{
	const int wanted = (int)config->guard_nice;
	int now;

	errno = 0;
	now = getpriority(PRIO_PROCESS, 0);
	if (now == -1 && errno != 0)
		return err_sys(err, errno, "guard.nice");
	if (now < wanted && setpriority(PRIO_PROCESS, 0, wanted) < 0)
		return err_sys(err, errno, "guard.nice %d", wanted);
	return 0;
}

int priority_io(const struct config_agent *config, struct err *err)
{
	const bool idle = strcmp(config->guard_ionice, "idle") == 0;
	const int wanted =
		idle ? IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0) : IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, LOWEST_OF_CLASS);
	const long now = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);

	if (strcmp(config->guard_ionice, "keep") == 0 || now == wanted ||
		(now >= 0 && IOPRIO_PRIO_CLASS(now) == IOPRIO_CLASS_IDLE))
		return 0;
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, wanted) < 0)
		return err_sys(err, errno, "guard.ionice %s", config->guard_ionice);
	return 0;
}

static int write_oom(int score, struct err *err)
{
	char text[16];
	int fd, rc = 0;
	const int n = snprintf(text, sizeof(text), "%d", score);

	fd = open(OOM_PATH, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		rc = err_sys(err, errno, "guard.oom_score_adj %d: " OOM_PATH, score);
	fs_close(fd);
	return rc;
}

int priority_oom(const struct config_agent *config, struct err *err)
{
	char *text = fs_read_text(OOM_PATH, 64, err);
	long now = text ? strtol(text, NULL, 10) : 0;

	if (!text)
		return err_in(err, "guard.oom_score_adj");
	free(text);
	return now < (long)config->guard_oom_score_adj ? write_oom((int)config->guard_oom_score_adj, err) : 0;
}
