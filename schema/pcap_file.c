/* pcap_file.c - classic pcap (draft-ietf-opsawg-pcap), out and in. */
#include "schema/pcap_file.h"
#include "schema/pcapng.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_NS        0xA1B23C4Du
#define MAGIC_US        0xA1B2C3D4u
#define VERSION_MAJOR   2u
#define VERSION_MINOR   4u
#define NS_PER_S        UINT64_C(1000000000)
#define LINK_TYPE_NONE  UINT32_MAX
#define LINK_TYPE_MASK  0xFFFFu /* above it: length of the frame check sequence */
#define RECORD_MAX      (PCAP_FILE_RECORD_BYTES + PCAPNG_SNAPLEN_MAX)
#define RECORD_AT_FIRST 4096u

/* ---- writing ---- */

size_t pcap_file_write_header(uint8_t *dst, uint16_t link_type, uint32_t snaplen)
{
	const uint16_t version[2] = {VERSION_MAJOR, VERSION_MINOR};
	const uint32_t zero[2] = {0, 0}; /* time zone and accuracy, unused by all */
	const uint32_t tail[2] = {snaplen ? snaplen : PCAPNG_SNAPLEN_MAX, link_type};
	const uint32_t magic = MAGIC_NS;

	memcpy(dst, &magic, 4);
	memcpy(dst + 4, version, 4);
	memcpy(dst + 8, zero, 8);
	memcpy(dst + 16, tail, 8);
	return PCAP_FILE_HEADER_BYTES;
}

size_t pcap_file_write_packet(uint8_t *dst, uint64_t ts_ns, uint32_t caplen, uint32_t len, const uint8_t *data)
{
	const uint64_t seconds = ts_ns / NS_PER_S;
	const uint32_t head[4] = {seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX, /* the format ends in 2106 */
		(uint32_t)(ts_ns % NS_PER_S), caplen, len};

	memcpy(dst, head, sizeof(head));
	if (caplen)
		memcpy(dst + sizeof(head), data, caplen);
	return sizeof(head) + (size_t)caplen;
}

/* ---- reading ---- */

struct pcap_file_reader {
	pcap_file_packet_fn fn;
	void *ctx;
	bool swapped;
	uint32_t ns_per_tick;
	uint32_t link_type; /* LINK_TYPE_NONE: header not in yet */
	uint64_t good_bytes;
	struct err failed; /* code ERR_NONE: not yet */

	uint8_t *held; /* the start of a header or record whose rest has not come yet */
	uint32_t held_len, held_cap;
};

struct pcap_file_reader *pcap_file_reader_new(pcap_file_packet_fn fn, void *ctx, struct err *err)
{
	struct pcap_file_reader *r = calloc(1, sizeof(*r));

	if (!r) {
		err_nomem(err);
		return NULL;
	}
	r->fn = fn;
	r->ctx = ctx;
	r->link_type = LINK_TYPE_NONE;
	return r;
}

void pcap_file_reader_free(struct pcap_file_reader *r)
{
	if (!r)
		return;
	free(r->held);
	free(r);
}

uint64_t pcap_file_reader_good_bytes(const struct pcap_file_reader *r)
{
	return r->good_bytes;
}

uint32_t pcap_file_reader_link_type(const struct pcap_file_reader *r)
{
	return r->link_type;
}

static uint32_t load_u32(const struct pcap_file_reader *r, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return r->swapped ? __builtin_bswap32(v) : v;
}

static uint16_t load_u16(const struct pcap_file_reader *r, const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return r->swapped ? __builtin_bswap16(v) : v;
}

static int header_handle(struct pcap_file_reader *r, const uint8_t *p)
{
	uint32_t magic = load_u32(r, p);
	uint16_t major, minor;

	if (magic == __builtin_bswap32(MAGIC_NS) || magic == __builtin_bswap32(MAGIC_US)) {
		r->swapped = true;
		magic = __builtin_bswap32(magic);
	}
	if (magic != MAGIC_NS && magic != MAGIC_US)
		return err_set(&r->failed, ERR_INPUT, "not a pcap file: magic is 0x%08x", magic);
	major = load_u16(r, p + 4);
	minor = load_u16(r, p + 6);
	if (major != VERSION_MAJOR || minor != VERSION_MINOR)
		return err_set(&r->failed, ERR_INPUT, "pcap file: version %u.%u is not %u.%u", major, minor,
			VERSION_MAJOR, VERSION_MINOR);
	r->ns_per_tick = magic == MAGIC_NS ? 1 : 1000;
	r->link_type = load_u32(r, p + 20) & LINK_TYPE_MASK;
	r->good_bytes = PCAP_FILE_HEADER_BYTES;
	return 0;
}

static int record_handle(struct pcap_file_reader *r, const uint8_t *p, uint32_t caplen)
{
	struct pcap_file_packet packet = {
		/* A fraction of over a second is taken as it stands: 2^32 s and 2^32 us together fit 64 bits. */
		.ts_ns = load_u32(r, p) * NS_PER_S + load_u32(r, p + 4) * (uint64_t)r->ns_per_tick,
		.caplen = caplen,
		.len = load_u32(r, p + 12),
		.data = p + PCAP_FILE_RECORD_BYTES,
	};

	if (packet.len < caplen)
		packet.len = caplen;
	if (r->fn(r->ctx, &packet, &r->failed) < 0)
		return -1;
	r->good_bytes += PCAP_FILE_RECORD_BYTES + caplen;
	return 0;
}

/* How many bytes the piece that begins at p (n > 0 of them there) needs for its next step: its fixed part first, then all of it.
 * 0: r->failed. */
static uint32_t piece_bytes(struct pcap_file_reader *r, const uint8_t *p, size_t n)
{
	uint32_t caplen;

	if (r->link_type == LINK_TYPE_NONE)
		return PCAP_FILE_HEADER_BYTES;
	if (n < PCAP_FILE_RECORD_BYTES)
		return PCAP_FILE_RECORD_BYTES;
	caplen = load_u32(r, p + 8);
	if (caplen <= PCAPNG_SNAPLEN_MAX)
		return PCAP_FILE_RECORD_BYTES + caplen;
	err_set(&r->failed, ERR_INPUT, "pcap record at byte %" PRIu64 ": captured length %u is over %u", r->good_bytes,
		caplen, PCAPNG_SNAPLEN_MAX);
	return 0;
}

/* p holds whole_bytes of a piece, which piece_bytes asked for and which were more than a record's fixed part alone. */
static int piece_handle(struct pcap_file_reader *r, const uint8_t *p, uint32_t whole_bytes)
{
	if (r->link_type == LINK_TYPE_NONE)
		return header_handle(r, p);
	return record_handle(r, p, whole_bytes - PCAP_FILE_RECORD_BYTES);
}

static int held_grow(struct pcap_file_reader *r, uint32_t want)
{
	uint32_t cap = want > RECORD_AT_FIRST ? RECORD_MAX : RECORD_AT_FIRST;
	uint8_t *grown;

	if (want <= r->held_cap)
		return 0;
	if (!(grown = realloc(r->held, cap)))
		return err_nomem(&r->failed);
	r->held = grown;
	r->held_cap = cap;
	return 0;
}

/* 1: the piece that straddled the slices is done; 0: more bytes are needed; -1: r->failed. */
static int held_feed(struct pcap_file_reader *r, const uint8_t **p, size_t *n)
{
	uint32_t want, next = piece_bytes(r, r->held, r->held_len);
	size_t take;

	do {
		if (!(want = next) || held_grow(r, want) < 0)
			return -1;
		take = *n < want - r->held_len ? *n : want - r->held_len;
		if (take) {
			memcpy(r->held + r->held_len, *p, take);
			r->held_len += (uint32_t)take;
			*p += take;
			*n -= take;
		}
		if (r->held_len < want)
			return 0;
		next = piece_bytes(r, r->held, r->held_len); /* a record's fixed part may tell of more */
	} while (next != want);
	r->held_len = 0;
	return piece_handle(r, r->held, want) < 0 ? -1 : 1;
}

static int feed(struct pcap_file_reader *r, const uint8_t *p, size_t n)
{
	uint32_t whole;
	int rc;

	while (n) {
		if (r->held_len || n < PCAP_FILE_RECORD_BYTES) {
			if ((rc = held_feed(r, &p, &n)) <= 0)
				return rc;
			continue;
		}
		if (!(whole = piece_bytes(r, p, n)))
			return -1;
		if (n < whole) {
			if ((rc = held_feed(r, &p, &n)) <= 0)
				return rc;
			continue;
		}
		if (piece_handle(r, p, whole) < 0)
			return -1;
		p += whole;
		n -= whole;
	}
	return 0;
}

static int reader_fail(struct pcap_file_reader *r, struct err *err)
{
	if (r->failed.code == ERR_NONE)
		err_set(&r->failed, ERR_INTERNAL, "the handler of a pcap record failed without saying why");
	if (err)
		*err = r->failed;
	return -1;
}

int pcap_file_reader_feed(struct pcap_file_reader *r, const uint8_t *p, size_t n, struct err *err)
{
	if (r->failed.code != ERR_NONE || feed(r, p, n) < 0)
		return reader_fail(r, err);
	return 0;
}

int pcap_file_reader_end(struct pcap_file_reader *r, struct err *err)
{
	if (r->failed.code != ERR_NONE)
		return reader_fail(r, err);
	if (r->link_type == LINK_TYPE_NONE)
		return err_set(err, ERR_INPUT, "not a pcap file: it ends after %u bytes of its header", r->held_len);
	if (r->held_len)
		return err_set(err, ERR_INPUT, "pcap record at byte %" PRIu64 ": the file ends after %u bytes of it",
			r->good_bytes, r->held_len);
	return 0;
}
