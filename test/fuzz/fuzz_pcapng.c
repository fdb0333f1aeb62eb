/* Any bytes into the pcapng reader.  What must hold:
 *   - cut into slices, the stream gives the same blocks and the same end as in one piece;
 *   - what is handed out stays within the block and within the limits;
 *   - a refusal says why;
 *   - every block, written again, reads back as the same. */
#include "common/parse.h"
#include "schema/pcapng.h"

#include <assert.h>
#include <string.h>

struct watch {
	uint64_t end, hash;         /* of what was handed out */
	struct pcapng_reader *copy; /* reads what we write; NULL: do not write */
	uint64_t copied;            /* blocks that it read */
	const struct pcapng_block *original;
};

static void hash_add(struct watch *w, uint64_t v)
{
	w->hash = (w->hash ^ v) * UINT64_C(1099511628211);
}

static void check_text(struct watch *w, const char *s)
{
	size_t n;

	if (!s)
		return;
	n = strlen(s);
	assert(n <= PCAPNG_TEXT_MAX);
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)s[i];

		assert((c >= 0x20 && c != 0x7F) || c == '\t' || c == '\n');
		hash_add(w, c);
	}
	for (const char *line = s; *line; line += strspn(line, "\n")) { /* parse_is_text knows one line only */
		size_t len = strcspn(line, "\n");

		assert(parse_is_text(line, len, true));
		line += len;
	}
}

static void check_block(struct watch *w, const struct pcapng_block *b)
{
	const struct pcapng_packet *p = &b->packet;

	assert(b->offset == w->end);
	assert(b->raw_len >= 12 && b->raw_len % 4 == 0 && b->raw_len <= PCAPNG_BLOCK_BYTES_MAX);
	w->end += b->raw_len;
	hash_add(w, b->type);
	for (uint32_t i = 0; i < b->raw_len; i++)
		hash_add(w, b->raw[i]);
	switch (b->kind) {
	case PCAPNG_SECTION:
		check_text(w, b->section.hardware);
		check_text(w, b->section.os);
		check_text(w, b->section.application);
		check_text(w, b->section.comment);
		break;
	case PCAPNG_INTERFACE:
		assert(b->interface.units_per_s);
		check_text(w, b->interface.name);
		check_text(w, b->interface.description);
		check_text(w, b->interface.filter);
		check_text(w, b->interface.os);
		check_text(w, b->interface.hardware);
		check_text(w, b->interface.comment);
		break;
	case PCAPNG_PACKET:
		assert(p->interface_id < PCAPNG_INTERFACES_MAX);
		assert(p->caplen <= PCAPNG_SNAPLEN_MAX && p->caplen <= p->len && !p->comment);
		assert(p->data >= b->raw && p->data + p->caplen <= b->raw + b->raw_len - 4);
		hash_add(w, p->ts_ns);
		break;
	case PCAPNG_STATS:
		hash_add(w, b->stats.ts_ns ^ b->stats.start_ns ^ b->stats.end_ns);
		check_text(w, b->stats.comment);
		break;
	case PCAPNG_OTHER:
		break;
	}
}

static void same_text(const char *a, const char *b)
{
	assert(!a == !b);
	assert(!a || strcmp(a, b) == 0);
}

/* b is what the copy read, a what it was written from. */
static void same_block(const struct pcapng_block *a, const struct pcapng_block *b)
{
	assert(a->kind == b->kind);
	switch (a->kind) {
	case PCAPNG_SECTION:
		same_text(a->section.hardware, b->section.hardware);
		same_text(a->section.os, b->section.os);
		same_text(a->section.application, b->section.application);
		same_text(a->section.comment, b->section.comment);
		break;
	case PCAPNG_INTERFACE:
		assert(a->interface.link_type == b->interface.link_type &&
			a->interface.snaplen == b->interface.snaplen);
		assert(a->interface.speed_bps == b->interface.speed_bps);
		same_text(a->interface.name, b->interface.name);
		same_text(a->interface.description, b->interface.description);
		same_text(a->interface.filter, b->interface.filter);
		same_text(a->interface.os, b->interface.os);
		same_text(a->interface.hardware, b->interface.hardware);
		same_text(a->interface.comment, b->interface.comment);
		break;
	case PCAPNG_PACKET:
		assert(a->packet.interface_id == b->packet.interface_id && a->packet.ts_ns == b->packet.ts_ns);
		assert(a->packet.caplen == b->packet.caplen && a->packet.len == b->packet.len);
		assert(a->packet.flags == b->packet.flags);
		assert(memcmp(a->packet.data, b->packet.data, a->packet.caplen) == 0);
		break;
	case PCAPNG_STATS:
		assert(a->stats.have == b->stats.have && a->stats.ts_ns == b->stats.ts_ns);
		assert(a->stats.start_ns == b->stats.start_ns && a->stats.end_ns == b->stats.end_ns);
		assert(a->stats.received == b->stats.received && a->stats.delivered == b->stats.delivered);
		same_text(a->stats.comment, b->stats.comment);
		break;
	case PCAPNG_OTHER:
		break;
	}
}

static int on_copy(void *ctx, const struct pcapng_block *b, struct err *err)
{
	struct watch *w = ctx;

	(void)err;
	same_block(w->original, b);
	w->copied++;
	return 0;
}

static void write_again(struct watch *w, const struct pcapng_block *b)
{
	static uint8_t dst[PCAPNG_BLOCK_BYTES_MAX];
	uint64_t before = w->copied;
	struct err err = {0};
	size_t n = 0;

	switch (b->kind) {
	case PCAPNG_SECTION:
		n = pcapng_write_section(dst, PCAPNG_META_BYTES_MAX, &b->section);
		break;
	case PCAPNG_INTERFACE:
		n = pcapng_write_interface(dst, PCAPNG_META_BYTES_MAX, &b->interface);
		break;
	case PCAPNG_PACKET:
		n = pcapng_write_packet(dst, sizeof(dst), &b->packet);
		break;
	case PCAPNG_STATS:
		n = pcapng_write_stats(dst, PCAPNG_META_BYTES_MAX, &b->stats);
		break;
	case PCAPNG_OTHER:
		return;
	}
	assert(n);
	w->original = b;
	assert(pcapng_reader_feed(w->copy, dst, n, &err) == 0);
	assert(w->copied == before + 1);
}

static int on_block(void *ctx, const struct pcapng_block *b, struct err *err)
{
	struct watch *w = ctx;

	(void)err;
	check_block(w, b);
	if (w->copy)
		write_again(w, b);
	return 0;
}

/* slice 0: all in one piece. */
static void run(const uint8_t *data, size_t n, size_t slice, struct watch *w, struct err *err)
{
	struct pcapng_reader *r = pcapng_reader_new(0, on_block, w, err);
	int rc = 0;

	assert(r);
	if (!slice)
		rc = pcapng_reader_feed(r, data, n, err);
	for (size_t at = 0; slice && at < n && rc == 0; at += slice)
		rc = pcapng_reader_feed(r, data + at, n - at < slice ? n - at : slice, err);
	if (rc == 0)
		rc = pcapng_reader_end(r, err);
	assert((rc == 0) == (err->code == ERR_NONE));
	assert(rc == 0 || err->msg[0]);
	assert(pcapng_reader_good_bytes(r) == w->end && w->end <= n);
	pcapng_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const size_t slice = n ? 1 + data[n - 1] % 61 : 1;
	struct watch whole = {0}, sliced = {0};
	struct err whole_err = {0}, sliced_err = {0};

	whole.copy = pcapng_reader_new(0, on_copy, &whole, NULL);
	assert(whole.copy);
	run(data, n, 0, &whole, &whole_err);
	pcapng_reader_free(whole.copy);
	run(data, n, slice, &sliced, &sliced_err);
	assert(whole.end == sliced.end && whole.hash == sliced.hash);
	assert(strcmp(whole_err.msg, sliced_err.msg) == 0);
	return 0;
}
