/* store_rig.c - see store_rig.h.  What cannot go wrong in a test aborts. */
#include "test/unit/store_rig.h"

#include "common/digest.h"
#include "schema/pcap_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RIG_SNAPLEN         65535u
#define STORE_RIG_BLOCK_MAX 4096u

/* ---- the rig ---- */

static void store_rig_event(void *ctx, const char *job_id, const char *type, const char *text)
{
	struct store_rig *r = ctx;

	if (!id_is_valid(job_id) || !text[0])
		abort();
	pthread_mutex_lock(&r->lock);
	r->retries += strcmp(type, "storage_retry") == 0;
	r->oks += strcmp(type, "storage_ok") == 0;
	r->failures += strcmp(type, "storage_failed") == 0;
	r->damages += strcmp(type, "storage_damaged") == 0;
	pthread_mutex_unlock(&r->lock);
}

void store_rig_init(struct store_rig *r)
{
	memset(r, 0, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
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
	pthread_mutex_destroy(&r->lock);
	temp_file_done(&r->folder);
}

void store_rig_open(struct store_rig *r)
{
	struct store_options o = {
		.spool_dir = r->spool,
		.chunk_bytes = r->chunk_bytes,
		.job_bytes_max = r->job_bytes_max,
		.min_free_bytes = r->min_free_bytes,
		.spool_job_max_bytes = r->spool_job_max_bytes,
		.spool_max_bytes = r->spool_max_bytes,
		.on_event = store_rig_event,
		.ctx = r,
	};
	char path[TEMP_FILE_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/jobs.db", r->folder.dir);
	if (!(r->db = job_db_open(path, NULL)))
		abort();
	o.db = r->db;
	o.driver = store_rig_fake_new(r);
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
	char path[TEMP_FILE_PATH_MAX + 256];
	struct stat st;
	uint8_t *p;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", r->root, r->key);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0 || !(p = malloc((size_t)st.st_size + 1)) ||
		pread(fd, p, (size_t)st.st_size, 0) != (ssize_t)st.st_size)
		abort();
	close(fd);
	*ret_n = (size_t)st.st_size;
	return p;
}

void store_rig_assert_object(struct store_rig *r, const struct driver_object *o, const uint8_t *bytes, size_t n)
{
	char sha256[DIGEST_SHA256_HEX_MAX];
	size_t have = 0;
	uint8_t *p = store_rig_object(r, &have);

	assert_non_null(p);
	assert_int_equal(have, n);
	assert_memory_equal(p, bytes, n);
	digest_sha256_hex(bytes, n, sha256);
	assert_int_equal(o->bytes, n);
	assert_string_equal(o->sha256, sha256);
	free(p);
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
