/* fetch.c - see fetch.h.  A download from its beginning to its end. */
#include "cli/fetch/fetch_internal.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The live line's; the stopper's thread alone has it. */
struct gauge {
	struct fetch_task *t;
	uint64_t from_ns, from_bytes, rate; /* rate: bytes per second of the last whole second or so */
};

static void measure(struct gauge *g, uint64_t seen)
{
	uint64_t now = clock_mono_ns(), gone_ms = (now - g->from_ns) / CLOCK_NS_PER_MS;

	if (g->from_ns && gone_ms < 1000)
		return;
	g->rate = g->from_ns && seen > g->from_bytes ? (seen - g->from_bytes) * 1000 / gone_ms : 0;
	g->from_ns = now;
	g->from_bytes = seen;
}

static void on_tick(void *ctx)
{
	struct gauge *g = ctx;
	char line[TALK_LINE_MAX], have[32], size[32], rate[32];
	uint64_t seen = g->t->seen, all = g->t->link.size;

	measure(g, seen);
	if (!seen || !all)
		return;
	snprintf(line, sizeof(line), "%s of %s, %s/s", parse_format_bytes(seen, have, sizeof(have)),
		parse_format_bytes(all, size, sizeof(size)), parse_format_bytes(g->rate, rate, sizeof(rate)));
	talk_line(line);
}

/* ---- receiving ---- */

static int on_rest(void *ctx, const uint8_t *p, size_t n, struct err *err)
{
	struct fetch_task *t = ctx;

	if (fetch_file_write(&t->file, p, n, err) < 0)
		return -1;
	t->seen = t->file.have;
	return 0;
}

/* All that is missing, in one request. */
static enum fetch_end receive_rest(struct fetch_task *t, unsigned *ret_generation, struct err *err)
{
	struct fetch_call c = {
		.t = t,
		.from = t->file.have,
		.end = t->link.size,
		.takes_whole = true,
		.on_data = on_rest,
		.ctx = t,
	};
	enum fetch_end end = FETCH_NEVER;

	if (fetch_call_open(&c, err) == 0)
		end = fetch_call_run(&c, err);
	*ret_generation = c.generation;
	fetch_call_close(&c);
	return end;
}

static int start_over(struct fetch_task *t, struct err *err)
{
	if (fetch_file_empty(&t->file, err) < 0)
		return -1;
	t->seen = 0;
	return 0;
}

static enum fetch_end receive_once(struct fetch_task *t, unsigned *ret_generation, struct err *err)
{
	unsigned connections = t->f->connections ? t->f->connections : FETCH_CONNECTIONS;

	if (connections > FETCH_CONNECTIONS_MAX)
		connections = FETCH_CONNECTIONS_MAX;
	if (fetch_link_ask(t, err) < 0)
		return fetch_end_of(err);
	if (t->file.have > t->link.size && start_over(t, err) < 0)
		return FETCH_NEVER;
	if (t->file.have == t->link.size)
		return FETCH_DONE;
	if (connections > 1 && !t->one_connection && t->link.size - t->file.have > FETCH_SEGMENT_BYTES)
		return fetch_parallel(t, connections, err);
	return receive_rest(t, ret_generation, err);
}

static int receive(struct fetch_task *t, struct err *err)
{
	struct fetch_retry retry = {0};

	for (;;) {
		struct err why = {0};
		unsigned generation = 0;
		enum fetch_end end = receive_once(t, &generation, &why);

		if (end == FETCH_DONE)
			return 0;
		if (end == FETCH_NO_RANGES) {
			t->one_connection = true;
			talk_say("the server does not serve parts of a file; going on with one connection");
		} else if (!fetch_retry(t, &retry, end, generation, t->file.have, &why)) {
			if (err)
				*err = why;
			return -1;
		}
	}
}

static int transfer(struct fetch_task *t, struct err *err)
{
	if (receive(t, err) < 0)
		return -1;
	if (fetch_file_verify(&t->file, t->link.size, t->link.sha256, err) == 0)
		return 0;
	if (!t->file.resumed || start_over(t, NULL) < 0) {
		fetch_file_remove(&t->file);
		return -1;
	}
	/* The left-over part was of something else. */
	talk_say("what was left of an earlier download does not fit; fetching all of it");
	if (receive(t, err) < 0)
		return -1;
	return fetch_file_verify(&t->file, t->link.size, t->link.sha256, err);
}

/* ---- the whole ---- */

static int run(struct fetch_task *t, struct err *err)
{
	struct gauge gauge = {.t = t};
	struct stopper_options so = {.api = t->f->api, .on_tick = on_tick, .ctx = &gauge};
	int rc = -1;

	if (fetch_file_open(&t->file, t->f->path, t->f->force, err) < 0)
		return -1;
	t->seen = t->file.have;
	if (!(t->stopper = stopper_start(&so, err)))
		return -1;
	rc = transfer(t, err);
	if (rc == 0)
		rc = fetch_file_put_in_place(&t->file, err);
	if (rc < 0 && stopper_is_leaving(t->stopper))
		err_set(err, ERR_CANCELLED, "interrupted");
	stopper_free(t->stopper);
	return rc;
}

int fetch_run(const struct fetch *f, uint64_t *ret_bytes, struct err *err)
{
	struct fetch_task t = {.f = f, .file.fd = -1};
	int rc;

	if (pthread_mutex_init(&t.link.lock, NULL)) /* cannot fail with these attributes on Linux */
		return err_nomem(err);
	rc = run(&t, err);
	talk_clear();
	if (rc == 0 && ret_bytes)
		*ret_bytes = t.link.size;
	/* Nothing was received: no empty leftovers. */
	if (rc < 0 && !t.file.have)
		fetch_file_remove(&t.file);
	fetch_file_close(&t.file);
	free(t.link.url);
	pthread_mutex_destroy(&t.link.lock);
	return rc;
}

char *fetch_name(const json_t *job)
{
	const char *key = json_text(job, "object.key");
	const char *base = strrchr(key, '/') ? strrchr(key, '/') + 1 : key;
	const char *format = json_text(job, "format");

	/* A name that our file system, shell and user take for nothing else than a name. */
	if (*base && *base != '.' && *base != '-' && strlen(base) < 200 &&
		strspn(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(base))
		return strdup(base);
	return fs_path("%s.%s", json_text(job, "id"), strcmp(format, "pcap") ? "pcapng" : "pcap");
}
