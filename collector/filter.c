#include "collector/filter.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES     65536
#define COMPILE_TRIES  2
#define CHILD_FD       3 /* the pipe; above it nothing is open in the child */
#define TAKES_TOO_LONG "it takes more than %d s to compile: too many alternatives, or a host name that nobody resolves"

/* The first byte of the child's answer. */
enum answer { ANSWER_PROGRAM = 'p', ANSWER_REFUSED = 'r' };

/* What reads a stranger's text holds no capability of the agent's.  libcap-ng is no function for after a fork. */
static int give_up_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return (int)syscall(SYS_capset, &header, none);
}

/* The child of a process with threads may use little of libc.  malloc is made for it (glibc puts its locks in order), and a lock that
 * another thread held inside the resolver at the fork costs this one try its time limit, nothing more. */
static _Noreturn void child(int fd, pcap_t *pcap, const char *text, bpf_u_int32 netmask)
{
	const struct rlimit cpu = {FILTER_COMPILE_MS / 1000, FILTER_COMPILE_MS / 1000};
	struct bpf_program p;
	char kind = ANSWER_PROGRAM;
	const char *words;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setrlimit(RLIMIT_CPU, &cpu) < 0)
		_exit(1);
	if (dup2(fd, CHILD_FD) < 0 || close_range(CHILD_FD + 1, UINT_MAX, 0) < 0 || give_up_capabilities() < 0)
		_exit(1);
	if (pcap_compile(pcap, &p, text, 1, netmask) == 0) {
		if (fs_write_all(CHILD_FD, &kind, 1, NULL) < 0 ||
			fs_write_all(CHILD_FD, p.bf_insns, p.bf_len * sizeof(*p.bf_insns), NULL) < 0)
			_exit(1);
		_exit(0);
	}
	kind = ANSWER_REFUSED;
	words = pcap_geterr(pcap);
	if (fs_write_all(CHILD_FD, &kind, 1, NULL) < 0 || fs_write_all(CHILD_FD, words, strlen(words), NULL) < 0)
		_exit(1);
	_exit(0);
}

/* 0: the answer is whole, 1: out of time. */
static int read_answer(int fd, struct buf *b, struct err *err)
{
	const uint64_t deadline = clock_mono_ns() + FILTER_COMPILE_MS * CLOCK_NS_PER_MS;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t now = clock_mono_ns();
		uint8_t *to;
		ssize_t n;
		int rc;

		if (now >= deadline)
			return 1;
		rc = poll(&p, 1, (int)((deadline - now) / CLOCK_NS_PER_MS) + 1);
		if (rc < 0 && errno != EINTR)
			return err_sys(err, errno, "waiting for the filter compiler");
		if (rc <= 0)
			continue;
		to = buf_reserve(b, READ_BYTES, err);
		if (!to)
			return -1;
		n = read(fd, to, READ_BYTES);
		if (n == 0)
			return 0;
		if (n > 0)
			b->len += (size_t)n;
		else if (errno != EINTR)
			return err_sys(err, errno, "filter compiler");
	}
}

static int take_program(const struct buf *b, struct bpf_program *ret, struct err *err)
{
	const size_t bytes = b->len - 1;

	if (bytes == 0 || bytes % sizeof(struct bpf_insn) || bytes / sizeof(struct bpf_insn) > FILTER_INSNS_MAX)
		return err_set(err, ERR_INPUT, "it compiles to %zu bytes, which is no program", bytes);
	ret->bf_insns = malloc(bytes);
	if (!ret->bf_insns)
		return err_nomem(err);
	memcpy(ret->bf_insns, b->data + 1, bytes);
	ret->bf_len = (u_int)(bytes / sizeof(struct bpf_insn));
	return 0;
}

static int take_answer(const struct buf *b, int status, struct bpf_program *ret, struct err *err)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
		return err_set(err, ERR_INPUT, TAKES_TOO_LONG, FILTER_COMPILE_MS / 1000);
	if (WIFSIGNALED(status))
		return err_set(err, ERR_INPUT, "libpcap failed on it (signal %d)", WTERMSIG(status));
	if (WEXITSTATUS(status) != 0 || b->len == 0)
		return err_set(err, ERR_UNAVAILABLE, "the filter compiler ended without an answer");
	if (b->data[0] == ANSWER_PROGRAM)
		return take_program(b, ret, err);
	return err_set(err, ERR_INPUT, "%.*s", (int)(b->len - 1), (const char *)b->data + 1);
}

/* 1: out of time. */
static int compile_once(pcap_t *pcap, const char *text, bpf_u_int32 netmask, struct bpf_program *ret, struct err *err)
{
	int fds[2], status = 0, rc;
	struct buf answer;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	pid = fork();
	if (pid == 0)
		child(fds[1], pcap, text, netmask);
	fs_close(fds[1]);
	if (pid < 0) {
		err_set(err, ERR_UNAVAILABLE, "no process for the filter compiler: %s", strerror(errno));
		fs_close(fds[0]);
		return -1;
	}
	buf_init(&answer, 1 + FILTER_INSNS_MAX * sizeof(struct bpf_insn) + READ_BYTES);
	rc = read_answer(fds[0], &answer, err);
	fs_close(fds[0]);
	if (rc != 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (rc == 0)
		rc = take_answer(&answer, status, ret, err);
	buf_done(&answer);
	return rc;
}

int filter_compile(pcap_t *pcap, const char *text, bpf_u_int32 netmask, struct bpf_program *ret, struct err *err)
{
	int rc = 1;

	/* A child that has used up its time without its CPU may have met a lock that was held at the fork: the next one will not. */
	for (int i = 0; i < COMPILE_TRIES && rc > 0; i++)
		rc = compile_once(pcap, text, netmask, ret, err);
	return rc > 0 ? err_set(err, ERR_INPUT, TAKES_TOO_LONG, FILTER_COMPILE_MS / 1000) : rc;
}

void filter_done(struct bpf_program *p)
{
	free(p->bf_insns);
	*p = (struct bpf_program){0};
}

int filter_both(
	const struct bpf_program *first, const struct bpf_program *second, struct bpf_program *ret, struct err *err)
{
	struct bpf_insn *insns;
	size_t n;

	if (first->bf_len > FILTER_INSNS_MAX || second->bf_len > FILTER_INSNS_MAX - first->bf_len)
		return err_set(err, ERR_LIMIT, "together they are over %u instructions", FILTER_INSNS_MAX);
	n = (size_t)first->bf_len + second->bf_len;
	if (!(insns = calloc(n ? n : 1, sizeof(*insns))))
		return err_nomem(err);
	memcpy(insns, first->bf_insns, first->bf_len * sizeof(*insns));
	memcpy(insns + first->bf_len, second->bf_insns, second->bf_len * sizeof(*insns));

	/* What first accepts goes on at the beginning of second, what it refuses stays refused. */
	for (bpf_u_int32 i = 0; i < first->bf_len; i++) {
		if (BPF_CLASS(insns[i].code) != BPF_RET || (BPF_RVAL(insns[i].code) == BPF_K && insns[i].k == 0))
			continue;
		if (BPF_RVAL(insns[i].code) != BPF_K) {
			free(insns);
			return err_set(err, ERR_INTERNAL, "instruction %u returns no constant", i);
		}
		insns[i] = (struct bpf_insn)BPF_STMT(BPF_JMP | BPF_JA, first->bf_len - i - 1);
	}
	if (!bpf_validate(insns, (int)n)) {
		free(insns);
		return err_set(err, ERR_INTERNAL, "together they are no valid program");
	}
	ret->bf_len = (u_int)n;
	ret->bf_insns = insns;
	return 0;
}
