/* stopper.c - see stopper.h. */
#include "cli/stopper.h"

#include "cli/talk.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/id.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POST_RETRY_MS 500u

static const int stopper_signals[] = {SIGINT, SIGTERM, SIGHUP};
#define SIGNALS_N (sizeof(stopper_signals) / sizeof(*stopper_signals))

enum { WAKE_SIGNAL = 's', WAKE_STATE = 'w' };

struct stopper {
	struct stopper_options o; /* fixed */
	int pipe[2];              /* fixed; [1] is the handler's */
	struct sigaction old[SIGNALS_N];
	pthread_t watcher, poster;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool has_poster; /* the watcher's, and stopper_free's after it has ended */
	bool asked, leaving, ending;
	bool received;
	uint64_t deadline_ns;                       /* leave then; 0: none */
	char job[ID_MAX];                           /* "" : not known */
	struct http_call *calls[STOPPER_CALLS_MAX]; /* to cancel on leaving; NULL: a free place */
	struct http_call *post;                     /* the stop that is under way */
};

static int stopper_handler_fd = -1; /* set before the handler is installed */

static void on_signal(int sig)
{
	int saved = errno;
	char what = WAKE_SIGNAL;
	ssize_t done = write(stopper_handler_fd, &what, 1); /* a full pipe holds enough of them already */

	(void)sig;
	(void)done;
	errno = saved;
}

static void wake(struct stopper *s)
{
	char what = WAKE_STATE;

	while (write(s->pipe[1], &what, 1) < 0 && errno == EINTR)
		;
}

/* Once we are leaving a further signal kills: whoever reads our stdout may have stopped reading, and a write to it cannot be
 * called off. */
static void default_signals(void)
{
	for (size_t i = 0; i < SIGNALS_N; i++) {
		struct sigaction now;

		if (sigaction(stopper_signals[i], NULL, &now) == 0 && now.sa_handler == on_signal) {
			now.sa_handler = SIG_DFL;
			sigaction(stopper_signals[i], &now, NULL);
		}
	}
}

static void leave_locked(struct stopper *s)
{
	s->leaving = true;
	default_signals();
	for (size_t i = 0; i < STOPPER_CALLS_MAX; i++)
		if (s->calls[i])
			http_call_cancel(s->calls[i]);
	if (s->post)
		http_call_cancel(s->post);
	pthread_cond_broadcast(&s->changed);
}

static void ask_locked(struct stopper *s)
{
	if (s->asked)
		return;
	s->asked = true;
	if (!s->o.stops_job) {
		leave_locked(s);
		return;
	}
	if (s->o.is_bounded && !s->received)
		s->deadline_ns = clock_mono_ns() + STOPPER_BOUND_MS * CLOCK_NS_PER_MS;
}

static void wait_locked(struct stopper *s, unsigned ms)
{
	struct timespec until = clock_deadline(ms);

	while (!s->leaving && !s->ending && pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT)
		;
}

/* One try; true when there is no point in another one.  A renewal of the token would take its time from the bound: only if the gateway wants one. */
static bool post_once(struct stopper *s, const char *path, bool *renews)
{
	struct api_stream o = {.method = "POST",
		.path = path,
		.present_token = !*renews,
		.answer_timeout_ms = 5000,
		.idle_timeout_ms = 5000};
	struct http_call *call = api_stream_new(s->o.api, &o, NULL);
	bool done = false;

	if (!call)
		return false;
	pthread_mutex_lock(&s->lock);
	s->post = call;
	pthread_mutex_unlock(&s->lock);
	if (api_stream_run(call, NULL) == 0)
		done = http_call_status(call) < 500 && http_call_status(call) != 429;
	if (http_call_status(call) == 401 && !*renews) {
		*renews = true;
		done = false;
	}
	pthread_mutex_lock(&s->lock);
	s->post = NULL;
	pthread_mutex_unlock(&s->lock);
	http_call_free(call);
	return done;
}

static void *post_main(void *arg)
{
	struct stopper *s = arg;
	char *path = api_path(NULL, "/v1/captures/%s/stop", s->job); /* the job does not change once it is set */
	bool renews = false;

	while (path && !post_once(s, path, &renews)) {
		bool over;

		pthread_mutex_lock(&s->lock);
		wait_locked(s, POST_RETRY_MS);
		over = s->leaving || s->ending;
		pthread_mutex_unlock(&s->lock);
		if (over)
			break;
	}
	free(path);
	return NULL;
}

static void signal_locked(struct stopper *s)
{
	if (s->asked) {
		leave_locked(s);
		return;
	}
	ask_locked(s);
	if (s->o.stops_job)
		talk_say("stopping; interrupt again to leave at once");
}

/* What there is to do after a byte from the pipe or a timeout.  False: the thread ends. */
static bool watch_step(struct stopper *s, char what)
{
	bool go_on;

	pthread_mutex_lock(&s->lock);
	if (what == WAKE_SIGNAL)
		signal_locked(s);
	if (s->deadline_ns && !s->leaving && clock_mono_ns() >= s->deadline_ns) {
		talk_say("no end of the stream %u s after the stop; leaving", STOPPER_BOUND_MS / 1000);
		leave_locked(s);
	}
	if (s->asked && s->o.stops_job && s->job[0] && !s->has_poster && !s->leaving)
		s->has_poster = pthread_create(&s->poster, NULL, post_main, s) == 0;
	go_on = !s->ending;
	pthread_mutex_unlock(&s->lock);
	return go_on;
}

static void *watch_main(void *arg)
{
	struct stopper *s = arg;
	struct pollfd pfd = {.fd = s->pipe[0], .events = POLLIN};
	char what = WAKE_STATE;

	do {
		what = WAKE_STATE;
		if (poll(&pfd, 1, STOPPER_TICK_MS) > 0 && read(s->pipe[0], &what, 1) != 1)
			what = WAKE_STATE;
		if (s->o.on_tick && talk_is_live())
			s->o.on_tick(s->o.ctx);
	} while (watch_step(s, what));
	return NULL;
}

/* nohup and the like ignore SIGHUP on purpose; the other two are installed whatever they were before: a shell starts
 * background jobs with SIGINT ignored, and `kill -INT` is how scripts end a capture. */
static void install(struct stopper *s)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	stopper_handler_fd = s->pipe[1];
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < SIGNALS_N; i++) {
		sigaction(stopper_signals[i], NULL, &s->old[i]);
		if (stopper_signals[i] != SIGHUP || s->old[i].sa_handler != SIG_IGN)
			sigaction(stopper_signals[i], &action, NULL);
	}
}

static void uninstall(struct stopper *s)
{
	for (size_t i = 0; i < SIGNALS_N; i++)
		sigaction(stopper_signals[i], &s->old[i], NULL);
	stopper_handler_fd = -1;
}

struct stopper *stopper_start(const struct stopper_options *o, struct err *err)
{
	struct stopper *s = calloc(1, sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->o = *o;
	if (pipe2(s->pipe, O_CLOEXEC) < 0 || fcntl(s->pipe[1], F_SETFL, O_NONBLOCK) < 0) {
		err_sys(err, errno, "pipe");
		goto bad_pipe;
	}
	if (pthread_mutex_init(&s->lock, NULL) || clock_cond_init(&s->changed)) {
		err_nomem(err);
		goto bad_pipe;
	}
	install(s);
	if (pthread_create(&s->watcher, NULL, watch_main, s)) {
		err_set(err, ERR_NOMEM, "no thread could be started");
		goto bad_thread;
	}
	return s;
bad_thread:
	uninstall(s);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
bad_pipe:
	fs_close(s->pipe[0]);
	fs_close(s->pipe[1]);
	free(s);
	return NULL;
}

void stopper_free(struct stopper *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	if (s->post)
		http_call_cancel(s->post);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	wake(s);
	pthread_join(s->watcher, NULL);
	if (s->has_poster)
		pthread_join(s->poster, NULL);
	uninstall(s);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	close(s->pipe[0]);
	close(s->pipe[1]);
	free(s);
}

void stopper_set_job(struct stopper *s, const char *job)
{
	pthread_mutex_lock(&s->lock);
	if (!s->job[0] && strlen(job) < sizeof(s->job))
		memcpy(s->job, job, strlen(job) + 1);
	pthread_mutex_unlock(&s->lock);
	wake(s);
}

/* NULL: leaving, or no place is free. */
static struct http_call **enter(struct stopper *s, struct http_call *call)
{
	struct http_call **place = NULL;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < STOPPER_CALLS_MAX && !place && !s->leaving; i++)
		if (!s->calls[i])
			place = &s->calls[i];
	if (place)
		*place = call;
	pthread_mutex_unlock(&s->lock);
	return place;
}

int stopper_run(struct stopper *s, struct http_call *call, struct err *err)
{
	struct http_call **place = enter(s, call);
	int rc;

	if (!place)
		return err_set(err, ERR_CANCELLED, "interrupted");
	rc = api_stream_run(call, err);
	pthread_mutex_lock(&s->lock);
	*place = NULL;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void stopper_leave(struct stopper *s)
{
	pthread_mutex_lock(&s->lock);
	leave_locked(s);
	pthread_mutex_unlock(&s->lock);
}

void stopper_ask(struct stopper *s)
{
	pthread_mutex_lock(&s->lock);
	ask_locked(s);
	pthread_mutex_unlock(&s->lock);
	wake(s);
}

void stopper_received(struct stopper *s)
{
	pthread_mutex_lock(&s->lock);
	s->received = true;
	s->deadline_ns = 0;
	pthread_mutex_unlock(&s->lock);
}

bool stopper_is_asked(struct stopper *s)
{
	bool asked;

	pthread_mutex_lock(&s->lock);
	asked = s->asked;
	pthread_mutex_unlock(&s->lock);
	return asked;
}

bool stopper_is_leaving(struct stopper *s)
{
	bool leaving;

	pthread_mutex_lock(&s->lock);
	leaving = s->leaving;
	pthread_mutex_unlock(&s->lock);
	return leaving;
}

void stopper_sleep(struct stopper *s, unsigned ms)
{
	pthread_mutex_lock(&s->lock);
	wait_locked(s, ms);
	pthread_mutex_unlock(&s->lock);
}
