/* gateway_rig.c - see gateway_rig.h. */
#include "test/unit/gateway_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/http_client.h"
#include "gateway/targets/target.h"
#include "test/unit/segment_rig.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the agent ---- */

struct agent_reply {
	struct gateway_rig *rig;
	int fd;
	unsigned step;
};

static bool hung_up(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 5) > 0;
}

static ssize_t put(struct segment *s, uint8_t *dst, size_t max)
{
	size_t n = s->len;

	if (n > max)
		abort();
	memcpy(dst, s->data, n);
	segment_unref(s);
	return (ssize_t)n;
}

static ssize_t put_packets(uint8_t *dst, size_t max)
{
	struct segment *s = seg_header(1);

	for (uint32_t i = 0; i < GATEWAY_RIG_PACKETS; i++)
		seg_packet(s, 0, 1000 + i, 40, i);
	return put(s, dst, max);
}

static ssize_t put_end(uint8_t *dst, size_t max)
{
	char note[STOP_NOTE_MAX];
	struct pcapng_stats s = {.comment = stop_note_format(STOP_USER, "", note)};

	return (ssize_t)pcapng_write_stats(dst, max, &s);
}

static ssize_t put_drop(uint8_t *dst)
{
	static const uint32_t block[] = {0x0bad, 12, 12};

	memcpy(dst, block, sizeof(block));
	return sizeof(block);
}

static ssize_t agent_read(void *ctx, uint8_t *dst, size_t max)
{
	struct agent_reply *a = ctx;

	if (a->step++ == 0)
		return a->rig->way == AGENT_DRIPS ? put(seg_header(0), dst, max) : put_packets(dst, max);
	if (a->step > 2 && a->rig->way == AGENT_POLITE)
		return HTTP_STREAM_END;
	while (!hung_up(a->fd)) {
		if (a->rig->way == AGENT_DRIPS)
			return put_drop(dst);
		if (a->rig->way == AGENT_POLITE && atomic_load(&a->rig->stopped))
			return put_end(dst, max);
	}
	return HTTP_STREAM_ABORT;
}

static void agent_close(void *ctx)
{
	free(ctx);
}

static void agent_on_request(void *ctx, struct http_request *rq)
{
	static const struct http_stream ops = {.read = agent_read, .close = agent_close};
	struct gateway_rig *r = ctx;
	struct agent_reply *a;

	if (strcmp(http_request_path(rq), "/v1/captures") != 0) {
		atomic_store(&r->stopped, true);
		http_reply_empty(rq, 202);
		return;
	}
	if (!(a = calloc(1, sizeof(*a))))
		abort();
	a->rig = r;
	a->fd = http_request_fd(rq);
	http_reply_stream(rq, 200, "application/x-pcapng", &ops, a);
}

static void agent_start(struct gateway_rig *r)
{
	struct err err = {0};
	const struct http_server_options o = {
		.address = "127.0.0.1",
		.tls = &r->certs.server,
		.client_name = RIG_CLIENT_NAME,
		.connections_max = 64,
		.header_timeout_s = 10,
		.body_timeout_s = 10,
		.header_bytes_max = 16u * 1024,
		.body_bytes_max = CAPTURE_BODY_MAX,
		.stream_block_bytes = 64u * 1024,
		.on_request = agent_on_request,
		.ctx = r,
	};

	if (!(r->agent = http_server_start(&o, &err)))
		fail_msg("%s", err.msg);
}

/* ---- the gateway ---- */

void gateway_rig_init(struct gateway_rig *r)
{
	struct config_gateway *c = &r->gw.config;

	memset(r, 0, sizeof(*r));
	rig_certs_init(&r->certs);
	assert_int_equal(http_client_global_init(NULL), 0);
	agent_start(r);
	store_rig_init(&r->store);
	/* The rig made a job already; captures make theirs. */
	id_new(r->store.job);
	free(r->store.key);
	r->store.key = store_key("captures", "acme", CLOCK_NS_PER_S, r->store.job, "pcapng");
	store_rig_open(&r->store);
	snprintf(r->driver, sizeof(r->driver), "file");
	c->storage_driver = r->driver;
	c->agents_connect_ms = c->agents_start_ms = 5000;
	c->agents_idle_ms = 20000;
	c->agents_stop_ms = 20000;
	c->storage_retention_ms = 3600 * 1000;
	c->storage_history_ms = 24 * 3600 * 1000;
	c->storage_sweep_ms = 20;
	c->live_backlog_bytes = 1024u * 1024;
	c->live_grace_ms = 20000;
	c->merge_window_ms = 10;
	c->merge_queue_bytes = 1024u * 1024;
	id_new(r->gw.id);
	r->gw.agents_tls = r->certs.client[RIG_RIGHT];
	r->gw.db = r->store.db;
	r->gw.store = r->store.store;
	r->gw.jobs = jobs_new(NULL);
	assert_non_null(r->gw.jobs);
}

void gateway_rig_reopen(struct gateway_rig *r)
{
	store_rig_close(&r->store);
	store_rig_open(&r->store);
	r->gw.db = r->store.db;
	r->gw.store = r->store.store;
}

/* Is a thread of a capture still there?  They are detached, and what libraries keep for a thread goes when it does: a program that ends before looks as if it had lost it. */
static bool has_capture_thread(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *e;
	bool found = false;

	assert_non_null(tasks);
	while (!found && (e = readdir(tasks))) {
		char path[300], name[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		if (!(f = fopen(path, "re")))
			continue; /* it has just ended */
		found = fgets(name, sizeof(name), f) && strcmp(name, "capture\n") == 0;
		fclose(f);
	}
	closedir(tasks);
	return found;
}

void gateway_rig_done(struct gateway_rig *r)
{
	assert_int_equal(jobs_wait_empty(r->gw.jobs, GATEWAY_RIG_WAIT_MS), 0);
	for (unsigned ms = 0; has_capture_thread(); ms++) {
		assert_true(ms < GATEWAY_RIG_WAIT_MS);
		(void)poll(NULL, 0, 1);
	}
	http_server_stop(r->agent);
	jobs_free(r->gw.jobs);
	store_rig_done(&r->store);
	rig_certs_done(&r->certs);
}

void gateway_rig_target(struct gateway_rig *r, const char *name, struct target_instance *ret)
{
	*ret = (struct target_instance){
		.host = "127.0.0.1", .port = http_server_port(r->agent), .agent_name = "localhost", .device = "eth0"};
	ret->agent.index = AGENT_INDEX_ANY;
	snprintf(ret->name, sizeof(ret->name), "%s", name);
}

struct capture *gateway_rig_start_at(struct gateway_rig *r, enum job_mode mode, const struct target_set *targets,
	const struct capture_watch *watch, struct err *err)
{
	struct capture_exclude none = {0};
	struct job *j = job_new(targets->n);

	assert_non_null(j);
	memcpy(j->id, r->store.job, sizeof(j->id));
	j->mode = mode;
	capture_options_init(&j->options);
	j->created_at = clock_wall_ns();
	assert_int_equal(job_set(&j->owner_user_id, "alice", err), 0);
	assert_int_equal(job_set(&j->target, "{}", err), 0);
	if (mode == JOB_STORE)
		assert_int_equal(job_set(&j->object_key, r->store.key, err), 0);
	assert_int_equal(jobs_reserve(r->gw.jobs, "alice", err), 0);
	return capture_start(&r->gw, j, targets->instances, &none, 0, watch, err);
}

struct capture *gateway_rig_start(struct gateway_rig *r, enum job_mode mode, struct err *err)
{
	struct target_instance target;
	const struct target_set targets = {.instances = &target, .n = 1};

	gateway_rig_target(r, "web/0", &target);
	return gateway_rig_start_at(r, mode, &targets, NULL, err);
}

struct job *gateway_rig_job(struct gateway_rig *r)
{
	struct err err = {0};
	struct job *j = job_db_get(r->gw.db, r->store.job, &err);

	if (!j)
		fail_msg("%s", err.msg);
	return j;
}

void gateway_rig_until(struct capture *c, enum job_state state)
{
	uint64_t until = clock_mono_ns() + GATEWAY_RIG_WAIT_MS * CLOCK_NS_PER_MS;

	while (capture_state(c) != state) {
		if (clock_mono_ns() > until)
			fail_msg("state %s never came, it is %s", job_state_name(state),
				job_state_name(capture_state(c)));
		(void)poll(NULL, 0, 1);
	}
}

void gateway_rig_ended(struct gateway_rig *r, struct capture *c)
{
	assert_int_equal(capture_wait_ended(c, GATEWAY_RIG_WAIT_MS), 0);
	capture_unref(c);
	assert_int_equal(jobs_wait_empty(r->gw.jobs, GATEWAY_RIG_WAIT_MS), 0);
}
