#include "gateway/capture/output.h"

#include "common/buf.h"
#include "schema/pcap_file.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_BYTES       (64u * 1024) /* small pieces are gathered into segments of about this size */
#define TAIL_PER_INTERFACE 1536u        /* kept free under max_bytes for each interface's last statistics */
#define NO_LINK_TYPE       (-1)

struct output {
	enum job_format format;
	uint64_t max_packets, max_bytes;
	uint32_t snaplen;
	pthread_mutex_t lock;
	/* by lock */
	struct live *live;
	struct store_job *store;
	struct segment *gathered; /* NULL: nothing */
	bool gathered_must;
	struct buf headers; /* section and interface blocks so far: what a joining viewer needs first */
	uint32_t interfaces_n;
	uint64_t allowed;
	uint32_t needed_n; /* interfaces that output_need knew of */
	int link_type;
	uint64_t bytes, packets;
	enum output_result state;
};

struct output *output_new(const struct output_options *opt, const struct pcapng_section *section, struct err *err)
{
	struct output *o = calloc(1, sizeof(*o));
	uint8_t block[PCAPNG_META_BYTES_MAX];
	size_t n;

	if (!o || pthread_mutex_init(&o->lock, NULL) != 0) {
		free(o);
		err_nomem(err);
		return NULL;
	}
	o->format = opt->format;
	o->max_packets = opt->max_packets;
	o->max_bytes = opt->max_bytes;
	o->allowed = UINT64_MAX;
	o->snaplen = opt->snaplen;
	o->live = opt->live ? live_ref(opt->live) : NULL;
	o->store = opt->store;
	o->link_type = NO_LINK_TYPE;
	buf_init(&o->headers, (PCAPNG_INTERFACES_MAX + 1) * (size_t)PCAPNG_META_BYTES_MAX);
	if (o->format == JOB_PCAP)
		return o; /* its header waits for the link type */
	n = pcapng_write_section(block, sizeof(block), section);
	if (buf_add(&o->headers, block, n, err) < 0)
		goto fail;
	if (!(o->gathered = segment_new(GATHER_BYTES))) {
		err_nomem(err);
		goto fail;
	}
	memcpy(o->gathered->data, block, n);
	o->gathered->len = n;
	o->gathered_must = true;
	o->bytes = n;
	return o;
fail:
	output_free(o);
	return NULL;
}

void output_free(struct output *o)
{
	if (!o)
		return;
	segment_unref(o->gathered);
	live_unref(o->live);
	buf_done(&o->headers);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

/* ---- to the sinks; the lock is held ---- */

static int sink(struct output *o, struct segment *s, bool must, struct err *err)
{
	int rc = 0;

	if (o->store && o->state != OUTPUT_FAILED && store_write(o->store, s->data, s->len, err) < 0) {
		o->state = OUTPUT_FAILED;
		rc = -1;
	}
	if (o->live && live_push(o->live, s, must, rc < 0 ? NULL : err) < 0)
		rc = -1;
	return rc;
}

static int flush(struct output *o, struct err *err)
{
	struct segment *s = o->gathered;
	int rc;

	if (!s)
		return 0;
	o->gathered = NULL;
	segment_trim(s);
	rc = sink(o, s, o->gathered_must, err);
	o->gathered_must = false;
	segment_unref(s);
	return rc;
}

/* Room for n bytes in the gathered segment; the caller adds to its len and to o->bytes. */
static uint8_t *gather(struct output *o, size_t n, struct err *err)
{
	uint8_t *p;

	if (o->gathered && o->gathered->len > 0 && o->gathered->len + n > GATHER_BYTES && flush(o, err) < 0)
		return NULL;
	if (!o->gathered && !(o->gathered = segment_new(n > GATHER_BYTES ? n : GATHER_BYTES))) {
		err_nomem(err);
		return NULL;
	}
	if (!(p = segment_room(o->gathered, n)))
		err_nomem(err);
	return p;
}

static int gather_meta(struct output *o, const uint8_t *block, size_t n, struct err *err)
{
	uint8_t *p = gather(o, n, err);

	if (!p)
		return -1;
	memcpy(p, block, n);
	o->gathered->len += n;
	o->gathered_must = true;
	o->bytes += n;
	return 0;
}

int output_flush(struct output *o, struct err *err)
{
	int rc;

	pthread_mutex_lock(&o->lock);
	rc = flush(o, err);
	pthread_mutex_unlock(&o->lock);
	return rc;
}

/* ---- interfaces ---- */

int output_interface(struct output *o, const struct pcapng_interface *i, uint32_t *ret_id, struct err *err)
{
	uint8_t block[PCAPNG_META_BYTES_MAX];
	size_t n = 0;
	int rc = -1;

	pthread_mutex_lock(&o->lock);
	if (o->interfaces_n >= PCAPNG_INTERFACES_MAX) {
		err_set(err, ERR_LIMIT, "more than %u interfaces in one capture", PCAPNG_INTERFACES_MAX);
		goto out;
	}
	if (o->format == JOB_PCAPNG) {
		n = pcapng_write_interface(block, sizeof(block), i);
	} else if (o->link_type == NO_LINK_TYPE) {
		n = pcap_file_write_header(block, i->link_type, o->snaplen);
	} else if (o->link_type != i->link_type) {
		char first[32];

		snprintf(first, sizeof(first), "%s", pcapng_link_type_name((uint16_t)o->link_type));
		err_set(err, ERR_STATE,
			"link type %s beside %s: format pcap takes one link type only; format pcapng takes both",
			pcapng_link_type_name(i->link_type), first);
		err_detail(err, "link_type_mismatch");
		goto out;
	}
	if (n > 0 && (buf_add(&o->headers, block, n, err) < 0 || gather_meta(o, block, n, err) < 0))
		goto out;
	o->link_type = i->link_type;
	*ret_id = o->interfaces_n++;
	rc = 0;
out:
	pthread_mutex_unlock(&o->lock);
	return rc;
}

static struct segment *prelude(const struct output *o, struct err *err)
{
	struct segment *s = segment_new(o->headers.len);

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	memcpy(s->data, o->headers.data, o->headers.len);
	s->len = o->headers.len;
	return s;
}

struct live_viewer *output_join(struct output *o, struct live *live, int64_t offset, int peer_fd, uint64_t *ret_offset,
	size_t *ret_prelude_bytes, struct err *err)
{
	struct live_viewer *v = NULL;
	struct segment *first = NULL;

	*ret_prelude_bytes = 0;
	pthread_mutex_lock(&o->lock);
	/* What is gathered belongs to the time before: a header block in it must not reach the viewer twice. */
	if (flush(o, err) < 0)
		goto out;
	if (!o->live)
		o->live = live_ref(live);
	if (offset < 0 && o->headers.len > 0) { /* classic pcap has none before the link type is known */
		if (!(first = prelude(o, err)))
			goto out;
		*ret_prelude_bytes = first->len;
	}
	v = live_attach(live, offset, first, peer_fd, ret_offset, err);
out:
	pthread_mutex_unlock(&o->lock);
	return v;
}

void output_leave(struct output *o)
{
	struct live *l;

	pthread_mutex_lock(&o->lock);
	l = o->live;
	o->live = NULL;
	pthread_mutex_unlock(&o->lock);
	live_unref(l);
}

/* ---- packets ---- */

static size_t out_bytes(const struct output *o, const struct block_view *v)
{
	if (o->format == JOB_PCAPNG)
		return v->len;
	return v->type == PCAPNG_BLOCK_PACKET ? PCAP_FILE_RECORD_BYTES + (size_t)v->caplen : 0;
}

static uint64_t tail_bytes(const struct output *o)
{
	return o->format == JOB_PCAPNG ? (uint64_t)o->interfaces_n * TAIL_PER_INTERFACE : 0;
}

static enum output_result fits(const struct output *o, size_t n)
{
	uint64_t tail = tail_bytes(o);

	if (o->max_bytes > 0 && o->bytes + n + tail > o->max_bytes)
		return OUTPUT_FULL_BYTES;
	if (o->bytes + n + tail > o->allowed)
		return OUTPUT_FULL_QUOTA;
	if (o->store && store_room(o->store) < n + (o->gathered ? o->gathered->len : 0))
		return store_room_is_spool(o->store) ? OUTPUT_FULL_SPOOL : OUTPUT_FULL_STORE;
	return OUTPUT_OK;
}

/* An interface has its blocks at any time; what it takes of an allowance from before is not what the quota would refuse. */
static bool is_outdated(const struct output *o, size_t n)
{
	return o->needed_n != o->interfaces_n && o->bytes + n + tail_bytes(o) > o->allowed;
}

static int put_block(struct output *o, const uint8_t *block, const struct block_view *v, struct err *err)
{
	size_t n = out_bytes(o, v);
	uint8_t *p;

	if (n == 0)
		return 0;
	if (!(p = gather(o, n, err)))
		return -1;
	if (o->format == JOB_PCAPNG) {
		memcpy(p, block, n);
	} else {
		uint32_t wire;

		memcpy(&wire, block + 24, 4);
		pcap_file_write_packet(p, v->ts_ns, v->caplen, wire, block + 28);
	}
	o->gathered->len += n;
	o->bytes += n;
	return 0;
}

/* A piece that is a whole segment goes on as it is. */
static bool passes_whole(const struct output *o, const struct merge_piece *p)
{
	return o->format == JOB_PCAPNG && p->off == 0 && p->len == p->segment->len && p->len >= 4096 &&
	       (o->max_packets == 0 || p->packets <= o->max_packets - o->packets) && fits(o, p->len) == OUTPUT_OK;
}

static enum output_result put_blocks(
	struct output *o, const struct merge_piece *p, uint64_t *ret_packets, uint64_t *ret_bytes, struct err *err)
{
	enum output_result result;

	for (size_t pos = p->off; pos < p->off + p->len;) {
		const uint8_t *block = p->segment->data + pos;
		struct block_view v = block_at(block);
		bool packet = v.type == PCAPNG_BLOCK_PACKET;

		if (packet && o->max_packets > 0 && o->packets >= o->max_packets)
			return OUTPUT_FULL_PACKETS;
		if ((result = fits(o, out_bytes(o, &v))) != OUTPUT_OK)
			return result;
		if (put_block(o, block, &v, err) < 0)
			return OUTPUT_FAILED;
		if (packet) {
			o->packets++;
			(*ret_packets)++;
			*ret_bytes += v.caplen;
		}
		pos += v.len;
	}
	return o->max_packets > 0 && o->packets >= o->max_packets ? OUTPUT_FULL_PACKETS : OUTPUT_OK;
}

enum output_result output_piece(
	struct output *o, const struct merge_piece *p, uint64_t *ret_packets, uint64_t *ret_bytes, struct err *err)
{
	enum output_result result;

	*ret_packets = 0;
	*ret_bytes = 0;
	pthread_mutex_lock(&o->lock);
	if (o->state != OUTPUT_OK) {
		result = o->state;
	} else if (is_outdated(o, p->len)) {
		result = OUTPUT_ASK_AGAIN;
	} else if (passes_whole(o, p)) {
		result = OUTPUT_OK;
		if (flush(o, err) < 0 || sink(o, p->segment, false, err) < 0) {
			result = OUTPUT_FAILED;
		} else {
			o->bytes += p->len;
			o->packets += p->packets;
			*ret_packets = p->packets;
			*ret_bytes = p->captured_bytes;
			if (o->max_packets > 0 && o->packets >= o->max_packets)
				result = OUTPUT_FULL_PACKETS;
		}
	} else {
		result = put_blocks(o, p, ret_packets, ret_bytes, err);
	}
	if (o->state == OUTPUT_OK && result != OUTPUT_ASK_AGAIN)
		o->state = result;
	pthread_mutex_unlock(&o->lock);
	return result;
}

int output_stats(struct output *o, const struct pcapng_stats *s, struct err *err)
{
	uint8_t block[PCAPNG_META_BYTES_MAX];
	int rc = 0;

	if (o->format == JOB_PCAP)
		return 0;
	pthread_mutex_lock(&o->lock);
	rc = gather_meta(o, block, pcapng_write_stats(block, sizeof(block), s), err);
	pthread_mutex_unlock(&o->lock);
	return rc;
}

uint64_t output_need(struct output *o, size_t more)
{
	uint64_t n;

	pthread_mutex_lock(&o->lock);
	o->needed_n = o->interfaces_n;
	n = o->bytes + more + tail_bytes(o);
	pthread_mutex_unlock(&o->lock);
	return n;
}

void output_allow(struct output *o, uint64_t bytes)
{
	pthread_mutex_lock(&o->lock);
	o->allowed = bytes;
	pthread_mutex_unlock(&o->lock);
}

uint64_t output_bytes(struct output *o)
{
	uint64_t n;

	pthread_mutex_lock(&o->lock);
	n = o->bytes;
	pthread_mutex_unlock(&o->lock);
	return n;
}
