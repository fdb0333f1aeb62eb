/* cf_program.c - see cf_program.h. */
#include "cli/login/cf_program.h"

#include "cli/login/token.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS (20 * CLOCK_NS_PER_S)
#define TICK_MS     20
#define OUTPUT_MAX  ((size_t)64 * 1024)

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *cf_program_find(void)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t n = strcspn(path, ":");

		if (*path == '/' && n < 4096) {
			char *program = fs_path("%.*s/cf", (int)n, path);

			if (program && is_program(program))
				return program;
			free(program);
		}
		path += n + (path[n] == ':');
	}
	return NULL;
}

static bool is_withheld(const char *variable)
{
	/* secrets that are not its own, and what would mix its talk into its answer */
	static const char *const names[] = {"PCAP_TOKEN=", "BOSH_CLIENT_SECRET=", "CF_TRACE="};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(variable, names[i], strlen(names[i])))
			return true;
	return false;
}

/* Our environment without those; a new array of borrowed strings. */
static char **environment(void)
{
	size_t n = 0, kept = 0;
	char **ret;

	while (environ && environ[n])
		n++;
	if (!(ret = calloc(n + 1, sizeof(*ret))))
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!is_withheld(environ[i]))
			ret[kept++] = environ[i];
	return ret;
}

/* A group of its own: Ctrl-C is for us, it is writing its configuration.  That it does after it has printed: it holds the reading end of the pipe
 * as well, so that nothing kills it at that when we have left. */
static int spawn(const char *program, const int pipe[2], pid_t *ret)
{
	char name[] = "cf", command[] = "oauth-token", *argv[] = {name, command, NULL}, **env = environment();
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t signals;
	int rc = ENOMEM;

	if (!env)
		return rc;
	sigemptyset(&signals);
	sigaddset(&signals, SIGPIPE);
	if (posix_spawn_file_actions_init(&actions) == 0) {
		if (posix_spawnattr_init(&attr) == 0) {
			posix_spawnattr_setsigdefault(&attr, &signals);
			posix_spawnattr_setpgroup(&attr, 0);
			posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
			if ((rc = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
				(rc = posix_spawn_file_actions_adddup2(&actions, pipe[1], 1)) == 0 &&
				(rc = posix_spawn_file_actions_adddup2(&actions, pipe[0], 3)) == 0 &&
				(rc = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)) == 0)
				rc = posix_spawn(ret, program, &actions, &attr, argv, env);
			posix_spawnattr_destroy(&attr);
		}
		posix_spawn_file_actions_destroy(&actions);
	}
	free(env);
	return rc;
}

/* Until the end of its output, the deadline or the halt; more than fits is thrown away. */
static void read_output(int fd, struct buf *b, struct halt *halt, uint64_t deadline_ns)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	char piece[4096];

	while (clock_mono_ns() < deadline_ns && !halt_is_over(halt)) {
		ssize_t n;

		if (poll(&pfd, 1, TICK_MS) <= 0)
			continue;
		n = read(fd, piece, sizeof(piece));
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		if (n > 0)
			buf_add(b, piece, (size_t)n, NULL);
	}
	digest_wipe(piece, sizeof(piece));
}

static int wait_end(pid_t pid, struct halt *halt, uint64_t deadline_ns, int *ret_status)
{
	pid_t done;

	while ((done = waitpid(pid, ret_status, WNOHANG)) == 0 && clock_mono_ns() < deadline_ns && !halt_is_over(halt))
		poll(NULL, 0, TICK_MS);
	if (done)
		return done == pid ? 0 : -1;
	if (halt_is_over(halt)) /* we end as well, and init inherits it */
		return -1;
	kill(-pid, SIGKILL);
	waitpid(pid, ret_status, 0);
	return -1;
}

/* The token is the last line that begins as one. */
static char *find_token(const char *text)
{
	char *ret = NULL;

	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		size_t n = strcspn(line, "\r\n");

		if (n <= 7 || strncasecmp(line, "bearer ", 7))
			continue;
		free(ret);
		ret = strndup(line + 7, n - 7);
	}
	if (ret && token_is_plain(ret))
		return ret;
	free(ret);
	return NULL;
}

static char *judge(struct buf *output, int rc, int status, struct err *err)
{
	const char *text = buf_str(output);
	char *ret = NULL;

	if (rc < 0)
		err_set(err, ERR_TIMEOUT, "cf oauth-token did not end in time");
	else if (!WIFEXITED(status) || WEXITSTATUS(status))
		err_set(err, ERR_AUTH, "cf oauth-token failed");
	else if (!text || !(ret = find_token(text)))
		err_set(err, ERR_IO, "cf oauth-token printed no token");
	return ret;
}

char *cf_program_token(const char *program, struct halt *halt, struct err *err)
{
	uint64_t deadline_ns = clock_mono_ns() + PATIENCE_NS;
	int fds[2], status = 0, rc;
	struct buf output;
	pid_t pid = 0;
	char *ret;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		err_sys(err, errno, "pipe");
		return NULL;
	}
	rc = spawn(program, fds, &pid);
	fs_close(fds[1]);
	if (rc) {
		fs_close(fds[0]);
		err_sys(err, rc, "%s", program);
		return NULL;
	}
	buf_init(&output, OUTPUT_MAX);
	read_output(fds[0], &output, halt, deadline_ns);
	fs_close(fds[0]);
	rc = wait_end(pid, halt, deadline_ns, &status);
	ret = judge(&output, rc, status, err);
	if (!ret && halt_is_over(halt))
		err_set(err, ERR_CANCELLED, "not asked for any more");
	if (output.data)
		digest_wipe(output.data, output.cap);
	buf_done(&output);
	return ret;
}
