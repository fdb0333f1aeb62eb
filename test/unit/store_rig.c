/* store_rig.c - see store_rig.h.  What cannot go wrong in a test aborts. */
#include "test/unit/store_rig.h"

#include "schema/pcap_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RIG_SNAPLEN         65535u
#define STORE_RIG_BLOCK_MAX 4096u

/* ---- the fake driver ---- */

struct fake {
	struct driver base;
	struct driver *real;
	struct store_rig *rig;
};

struct fake_upload {
	struct fake *fake;
	void *real;
};

static void die_maybe(struct store_rig *r, enum store_rig_point point)
{
	if (r->die_at == point && r->die_after-- == 0)
		_exit(STORE_RIG_DEATH);
}

static int fail_maybe(struct store_rig *r, unsigned *left, struct err *err)
{
	if (*left == 0)
		return 0;
	--*left;
	return err_set(err, r->fail_code, "the fake fails as told");
}

static void *fake_begin(
	struct driver *d, const char *key, const struct driver_tags *tags, const char *resume_text, struct err *err)
{
	struct fake *f = (struct fake *)d;
	struct fake_upload *u = calloc(1, sizeof(*u));

	if (!u)
		abort();
	u->fake = f;
	u->real = f->real->ops->upload_begin(f->real, key, tags, resume_text, err);
	if (!u->real) {
		free(u);
		return NULL;
	}
	return u;
}

static char *fake_state(void *upload, struct err *err)
{
	struct fake_upload *u = upload;

	return u->fake->real->ops->upload_state(u->real, err);
}

static int fake_part(void *upload, uint32_t seq, bool alone, int fd, uint64_t bytes, const char *sha256,
	char **ret_part, struct err *err)
{
	struct fake_upload *u = upload;
	struct store_rig *r = u->fake->rig;

	die_maybe(r, STORE_RIG_BEFORE_PART);
	if (fail_maybe(r, &r->fail_parts, err) < 0 ||
		u->fake->real->ops->upload_part(u->real, seq, alone, fd, bytes, sha256, ret_part, err) < 0)
		return -1;
	die_maybe(r, STORE_RIG_AFTER_PART);
	return 0;
}

static int fake_complete(
	void *upload, uint32_t n, const char *const *parts, const struct driver_object *expect, struct err *err)
{
	struct fake_upload *u = upload;
	struct store_rig *r = u->fake->rig;

	die_maybe(r, STORE_RIG_BEFORE_COMPLETE);
	if (fail_maybe(r, &r->fail_complete, err) < 0 ||
		u->fake->real->ops->upload_complete(u->real, n, parts, expect, err) < 0)
		return -1;
	die_maybe(r, STORE_RIG_AFTER_COMPLETE);
	return 0;
}

static int fake_abort(void *upload, struct err *err)
{
	struct fake_upload *u = upload;

	return u->fake->real->ops->upload_abort(u->real, err);
}

static void fake_upload_free(void *upload)
{
	struct fake_upload *u = upload;

	u->fake->real->ops->upload_free(u->real);
	free(u);
}

static int fake_open(struct driver *d, const char *key, uint64_t *ret_bytes, struct err *err)
{
	struct fake *f = (struct fake *)d;

	return f->real->ops->open(f->real, key, ret_bytes, err);
}

static int fake_erase(struct driver *d, const char *key, struct driver_erased *ret, struct err *err)
{
	struct fake *f = (struct fake *)d;

	return f->real->ops->erase(f->real, key, ret, err);
}

static int fake_check(struct driver *d, struct err *err)
{
	struct fake *f = (struct fake *)d;

	return f->real->ops->check(f->real, err);
}

static void fake_free(struct driver *d)
{
	struct fake *f = (struct fake *)d;

	f->real->ops->free(f->real);
	free(f);
}

static const struct driver_ops fake_ops = {
	.name = "fake",
	.upload_begin = fake_begin,
	.upload_state = fake_state,
	.upload_part = fake_part,
	.upload_complete = fake_complete,
	.upload_abort = fake_abort,
	.upload_free = fake_upload_free,
	.open = fake_open,
	.erase = fake_erase,
	.check = fake_check,
	.free = fake_free,
};

static struct driver *fake_new(struct store_rig *r)
{
	struct fake *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->base.ops = &fake_ops;
	f->rig = r;
	f->real = driver_file_new(r->root, NULL);
	if (!f->real)
		abort();
	return &f->base;
}

/* ---- the rig ---- */

static void store_rig_event(void *ctx, const char *job_id, const char *type, const char *text)
{
	struct store_rig *r = ctx;

	if (strcmp(job_id, r->job) != 0 || !text[0])
		abort();
	r->retries += strcmp(type, "storage_retry") == 0;
	r->oks += strcmp(type, "storage_ok") == 0;
	r->failures += strcmp(type, "storage_failed") == 0;
	r->damages += strcmp(type, "storage_damaged") == 0;
}

void store_rig_init(struct store_rig *r)
{
	memset(r, 0, sizeof(*r));
	/* In memory every flush is quick: the threads meet in more ways than a disk lets them. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	temp_file_init(&r->folder);
	snprintf(r->root, sizeof(r->root), "%s/objects", r->folder.dir);
	snprintf(r->spool, sizeof(r->spool), "%s/spool", r->folder.dir);
	r->chunk_bytes = 1000;
	r->job_bytes_max = 64u * 1024 * 1024;
	r->fail_code = ERR_NET;
	id_new(r->job);
	r->key = store_key("captures", "acme", UINT64_C(1767607200) * 1000000000u, r->job, "pcapng");
	if (!r->key)
		abort();
	store_rig_open(r);
	store_rig_add_job(r, r->job);
	store_rig_close(r);
}

void store_rig_done(struct store_rig *r)
{
	store_rig_close(r);
	free(r->key);
	temp_file_done(&r->folder);
}

void store_rig_open(struct store_rig *r)
{
	struct store_options o = {
		.spool_dir = r->spool,
		.chunk_bytes = r->chunk_bytes,
		.job_bytes_max = r->job_bytes_max,
		.min_free_bytes = r->min_free_bytes,
		.on_event = store_rig_event,
		.ctx = r,
	};
	char path[TEMP_FILE_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/jobs.db", r->folder.dir);
	if (!(r->db = job_db_open(path, NULL)))
		abort();
	o.db = r->db;
	o.driver = fake_new(r);
	if (!(r->store = store_open(&o, NULL)))
		abort();
	r->store->retry = (struct store_retry){.tries = 4, .first_ms = 1, .cap_ms = 4, .total_ms = 60000};
}

void store_rig_close(struct store_rig *r)
{
	store_close(r->store);
	if (r->db)
		job_db_close(r->db);
	r->store = NULL;
	r->db = NULL;
}

void store_rig_add_job(struct store_rig *r, const char *id)
{
	struct job *j = job_new(0);

	if (!j)
		abort();
	memcpy(j->id, id, ID_MAX);
	j->created_at = 1;
	if (job_set(&j->target, "{}", NULL) < 0 || job_db_insert(r->db, j, NULL) < 0)
		abort();
	job_free(j);
}

struct driver_tags store_rig_tags(const struct store_rig *r)
{
	return (struct driver_tags){.job = r->job, .user = "alice", .org = "acme", .space = "dev", .source = "host"};
}

struct store_job *store_rig_begin(struct store_rig *r)
{
	struct driver_tags tags = store_rig_tags(r);
	struct err err = {0};
	struct store_job *j = store_job_begin(r->store, r->key, &tags, &err);

	if (!j) {
		fprintf(stderr, "store_job_begin: %s\n", err.msg);
		abort();
	}
	return j;
}

uint8_t *store_rig_object(struct store_rig *r, size_t *ret_n)
{
	uint64_t bytes = 0;
	uint8_t *p;
	int fd = store_object_open(r->store, r->key, &bytes, NULL);

	if (fd < 0)
		return NULL;
	p = malloc(bytes + 1);
	if (!p || pread(fd, p, bytes, 0) != (ssize_t)bytes)
		abort();
	close(fd);
	*ret_n = bytes;
	return p;
}

/* ---- streams ---- */

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static size_t add_packet(uint8_t *dst, size_t room, enum frame_format format, uint32_t interfaces, uint32_t *state)
{
	uint8_t data[STORE_RIG_BLOCK_MAX / 4];
	struct pcapng_packet p = {.interface_id = interfaces ? next_random(state) % interfaces : 0,
		.ts_ns = UINT64_C(1767607200000000000) + next_random(state),
		.caplen = next_random(state) % (uint32_t)sizeof(data),
		.data = data};

	p.len = p.caplen;
	for (uint32_t i = 0; i < p.caplen; i++)
		data[i] = (uint8_t)next_random(state);
	if (format == FRAME_PCAP)
		return pcap_file_write_packet(dst, p.ts_ns, p.caplen, p.len, data);
	return pcapng_write_packet(dst, room, &p);
}

static size_t add_header(uint8_t *dst, size_t room, enum frame_format format, uint32_t interfaces)
{
	struct pcapng_section section = {.application = "unit test"};
	struct pcapng_interface interface = {.link_type = 1, .snaplen = RIG_SNAPLEN, .name = "web/0 eth0"};
	size_t n;

	if (format == FRAME_PCAP)
		return pcap_file_write_header(dst, 1, RIG_SNAPLEN);
	n = pcapng_write_section(dst, room, &section);
	for (uint32_t i = 0; i < interfaces; i++)
		n += pcapng_write_interface(dst + n, room - n, &interface);
	return n;
}

void store_rig_stream_make(struct store_rig_stream *s, enum frame_format format, unsigned seed, size_t writes)
{
	uint32_t state = seed * 2654435761u + 1;
	size_t room = (writes + 1) * 4 * STORE_RIG_BLOCK_MAX;

	s->bytes = malloc(room);
	s->ends = calloc(writes, sizeof(*s->ends));
	if (!s->bytes || !s->ends || writes == 0)
		abort();
	s->interfaces = format == FRAME_PCAP ? 0 : 1 + next_random(&state) % 3;
	s->n = add_header(s->bytes, room, format, s->interfaces);
	s->ends[0] = s->n;
	for (s->writes_n = 1; s->writes_n < writes; s->writes_n++) {
		unsigned blocks = 1 + next_random(&state) % 4;

		while (blocks-- > 0)
			s->n += add_packet(s->bytes + s->n, room - s->n, format, s->interfaces, &state);
		s->ends[s->writes_n] = s->n;
	}
}

void store_rig_stream_done(struct store_rig_stream *s)
{
	free(s->bytes);
	free(s->ends);
}

int store_rig_tail(void *ctx, uint32_t interfaces_n, uint8_t *dst, size_t room, size_t *ret_n, struct err *err)
{
	size_t n = 0;

	(void)ctx;
	for (uint32_t i = 0; i < interfaces_n; i++) {
		struct pcapng_stats s = {.interface_id = i, .ts_ns = 1, .comment = "capture ended (interrupted)"};
		size_t len = pcapng_write_stats(dst + n, room - n, &s);

		if (len == 0)
			return err_set(err, ERR_LIMIT, "no room");
		n += len;
	}
	*ret_n = n;
	return 0;
}

size_t store_rig_tail_bytes(uint32_t interfaces_n)
{
	uint8_t dst[STORE_RIG_BLOCK_MAX];
	size_t n = 0;

	if (store_rig_tail(NULL, interfaces_n, dst, sizeof(dst), &n, NULL) < 0)
		abort();
	return n;
}
