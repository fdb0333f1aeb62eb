/* The guard: libmicrohttpd's own timeout is restarted by every byte, runs while a handler works, and ends a stream that
 * is merely quiet.  So that one is off, and a thread of ours looks at every connection a few times a second and shuts
 * down the socket of those that take too long; the connection's own thread then sees the end and cleans up. */
#include "common/clock.h"
#include "common/http_server_internal.h"

#include <linux/sockios.h>
#include <linux/tcp.h> /* the kernel's: glibc's struct tcp_info ends before the byte counters */
#include <sys/ioctl.h>
#include <sys/socket.h>

enum counter { COUNTER_RECEIVED, COUNTER_ACKED };

/* guard_counter: bytes that the peer has sent, or taken, on this connection so far.  A counter that cannot be read looks
 * like progress: better a slot held than a good connection cut. */
static uint64_t guard_counter(const struct http_conn *c, enum counter which)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return clock_mono_ns();
	return which == COUNTER_RECEIVED ? info.tcpi_bytes_received : info.tcpi_bytes_acked;
}

static bool guard_has_unsent(const struct http_conn *c)
{
	int n = 0;

	return ioctl(c->fd, SIOCOUTQ, &n) == 0 && n > 0;
}

static void guard_enter(struct http_conn *c, enum http_phase phase, uint64_t now)
{
	c->phase = phase;
	c->since_ns = now;
	if (phase == HTTP_PHASE_IDLE)
		c->mark = guard_counter(c, COUNTER_RECEIVED);
	else if (phase == HTTP_PHASE_ANSWER)
		c->mark = guard_counter(c, COUNTER_ACKED);
}

static void guard_cut(struct http_conn *c)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	if (c->cut)
		return;
	c->cut = true;
	c->server->live_n--;
	c->server->cut_n++;
	/* Who does not take what we send would keep it in the kernel for minutes after the close. */
	if (c->phase == HTTP_PHASE_ANSWER)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	(void)shutdown(c->fd, SHUT_RDWR); /* ENOTCONN: the peer was quicker */
}

/* guard_is_late: looks at one connection; true when its time is over. */
static bool guard_is_late(struct http_conn *c, uint64_t now)
{
	const struct http_server_options *o = &c->server->o;
	unsigned limit_s = 0;
	uint64_t count;

	switch (c->phase) {
	case HTTP_PHASE_HEADERS:
		if (c->server->stopping)
			return true;
		limit_s = o->header_timeout_s;
		break;
	case HTTP_PHASE_BODY:
		limit_s = o->body_timeout_s;
		break;
	case HTTP_PHASE_HANDLER:
		break;
	case HTTP_PHASE_ANSWER:
		count = guard_counter(c, COUNTER_ACKED);
		if (count != c->mark || !guard_has_unsent(c)) {
			c->mark = count;
			c->since_ns = now;
		}
		limit_s = o->idle_timeout_s;
		/* At the end a peer that takes nothing must not use up the time of those that do. */
		if (c->server->stopping && (limit_s == 0 || limit_s > HTTP_STOP_IDLE_S))
			limit_s = HTTP_STOP_IDLE_S;
		break;
	case HTTP_PHASE_IDLE:
		if (c->server->stopping)
			return true;
		limit_s = o->idle_timeout_s;
		/* libmicrohttpd says nothing before the first line is whole, but TCP counts. */
		if (guard_counter(c, COUNTER_RECEIVED) != c->mark)
			guard_enter(c, HTTP_PHASE_HEADERS, now);
		break;
	}
	return limit_s > 0 && now > c->since_ns && now - c->since_ns >= limit_s * CLOCK_NS_PER_S;
}

static void *guard_main(void *arg)
{
	struct http_server *s = arg;
	struct timespec next;
	struct http_conn *c;
	uint64_t now;

	pthread_mutex_lock(&s->lock);
	while (!s->guard_stop) {
		if (!s->conns) { /* asleep until there is somebody to look at */
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		now = clock_mono_ns();
		for (c = s->conns; c; c = c->next) {
			if (!c->cut && guard_is_late(c, now))
				guard_cut(c);
		}
		next = clock_deadline(HTTP_GUARD_TICK_MS);
		pthread_cond_timedwait(&s->changed, &s->lock, &next);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int http_guard_start(struct http_server *s, struct err *err)
{
	int rc = pthread_create(&s->guard, NULL, guard_main, s);

	if (rc)
		return err_sys(err, rc, "thread of the connection guard");
	s->guard_runs = true;
	return 0;
}

void http_guard_stop(struct http_server *s)
{
	if (!s->guard_runs)
		return;
	pthread_mutex_lock(&s->lock);
	s->guard_stop = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->guard, NULL);
	s->guard_runs = false;
}

/* guard_make_room: cuts the connection that has kept us waiting for a request longest, other than the newest. */
static void guard_make_room(struct http_server *s, const struct http_conn *newest)
{
	struct http_conn *c, *oldest = NULL;

	for (c = s->conns; c; c = c->next) {
		if (c == newest || c->cut || (c->phase != HTTP_PHASE_HEADERS && c->phase != HTTP_PHASE_IDLE))
			continue;
		if (!oldest || c->since_ns < oldest->since_ns)
			oldest = c;
	}
	if (oldest)
		guard_cut(oldest);
}

void http_guard_add(struct http_conn *c)
{
	const struct timespec moment = {.tv_nsec = CLOCK_NS_PER_MS};
	struct http_server *s = c->server;
	unsigned max = s->o.connections_max, crowded = max - max / 8;
	bool lagging;

	pthread_mutex_lock(&s->lock);
	guard_enter(c, HTTP_PHASE_HEADERS, clock_mono_ns());
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	s->live_n++;
	/* The last eighth of the places is kept free at the cost of those who only hold theirs: a flood of silent
	 * connections pushes itself out, and the next honest client finds a place at once. */
	if (s->live_n > crowded)
		guard_make_room(s, c);
	c->reserved = s->live_n > max;
	if (s->live_n > max + s->o.connections_reserved)
		guard_cut(c);
	lagging = s->cut_n > HTTP_CUT_MAX;
	if (!c->next)
		pthread_cond_broadcast(&s->changed); /* the guard sleeps */
	pthread_mutex_unlock(&s->lock);
	/* This is the thread that accepts: those behind wait in the kernel while the cut ones' threads come to their end. */
	if (lagging)
		nanosleep(&moment, NULL);
}

bool http_guard_is_reserved(struct http_conn *c)
{
	struct http_server *s = c->server;
	bool reserved;

	pthread_mutex_lock(&s->lock);
	c->reserved = c->reserved && s->live_n > s->o.connections_max;
	reserved = c->reserved;
	pthread_mutex_unlock(&s->lock);
	return reserved;
}

void http_guard_remove(struct http_conn *c)
{
	struct http_server *s = c->server;

	pthread_mutex_lock(&s->lock);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	if (c->cut)
		s->cut_n--;
	else
		s->live_n--;
	if (s->stopping)
		pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void http_guard_phase(struct http_conn *c, enum http_phase phase)
{
	pthread_mutex_lock(&c->server->lock);
	/* The first line of a header block is not its beginning. */
	if (phase != HTTP_PHASE_HEADERS || c->phase != HTTP_PHASE_HEADERS)
		guard_enter(c, phase, clock_mono_ns());
	if (c->server->stopping)
		pthread_cond_broadcast(&c->server->changed);
	pthread_mutex_unlock(&c->server->lock);
}

void http_guard_drain(struct http_server *s)
{
	struct timespec deadline = clock_deadline(HTTP_STOP_DRAIN_S * 1000);

	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_broadcast(&s->changed); /* the guard cuts who is not being served */
	while (s->conns) {
		if (pthread_cond_timedwait(&s->changed, &s->lock, &deadline))
			break;
	}
	pthread_mutex_unlock(&s->lock);
}
