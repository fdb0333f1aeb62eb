/* stream.c - see stream.h. */
#include "cli/stream.h"

#include "common/buf.h"
#include "schema/pcap_file.h"
#include "schema/pcapng.h"

#include <stdlib.h>

/* The kept back tail is less than one block; a classic record is smaller than a pcapng block may be. */
#define TAIL_BYTES_MAX PCAPNG_BLOCK_BYTES_MAX

struct stream {
	struct out *out;
	struct counter *counter;
	struct pcapng_reader *pcapng; /* one of the two from the first byte on */
	struct pcap_file_reader *pcap;
	struct buf tail;
	uint64_t fed, written;
};

struct stream *stream_new(struct out *out, struct counter *counter, struct err *err)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->out = out;
	s->counter = counter;
	buf_init(&s->tail, TAIL_BYTES_MAX);
	return s;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	pcapng_reader_free(s->pcapng);
	pcap_file_reader_free(s->pcap);
	buf_done(&s->tail);
	free(s);
}

/* A section header begins with 0x0A in either byte order, no magic number of the classic format does. */
static int choose_reader(struct stream *s, uint8_t first, struct err *err)
{
	if (first == (PCAPNG_BLOCK_SECTION & 0xFF))
		s->pcapng = pcapng_reader_new(0, counter_block, s->counter, err);
	else
		s->pcap = pcap_file_reader_new(counter_pcap_packet, s->counter, err);
	return s->pcapng || s->pcap ? 0 : -1;
}

static int read_blocks(struct stream *s, const uint8_t *p, size_t n, uint64_t *ret_good, struct err *err)
{
	int rc;

	if (!s->pcapng && !s->pcap && choose_reader(s, p[0], err) < 0)
		return -1;
	if (s->pcapng) {
		rc = pcapng_reader_feed(s->pcapng, p, n, err);
		*ret_good = pcapng_reader_good_bytes(s->pcapng);
	} else {
		rc = pcap_file_reader_feed(s->pcap, p, n, err);
		*ret_good = pcap_file_reader_good_bytes(s->pcap);
	}
	return rc < 0 ? err_in(err, "the stream is broken") : 0;
}

/* Writes all up to stream position good, which lies within tail and p, and keeps the rest. */
static int write_whole(struct stream *s, const uint8_t *p, size_t n, uint64_t good, struct err *err)
{
	size_t from_p = 0;

	if (good > s->written) {
		from_p = good > s->fed ? (size_t)(good - s->fed) : 0;
		if (out_write(s->out, s->tail.data, s->tail.len, p, from_p, err) < 0)
			return -1;
		buf_clear(&s->tail);
		s->written = good;
	}
	return buf_add(&s->tail, p + from_p, n - from_p, err);
}

int stream_feed(struct stream *s, const uint8_t *p, size_t n, struct err *err)
{
	uint64_t good = 0;
	int rc;

	if (!n)
		return 0;
	if (read_blocks(s, p, n, &good, err) < 0) {
		/* Whole blocks before the fault are still worth having; the fault is what gets told. */
		if (good > s->written)
			write_whole(s, p, (size_t)(good - s->fed), good, NULL);
		return -1;
	}
	rc = write_whole(s, p, n, good, err);
	s->fed += n;
	counter_stream_bytes(s->counter, n);
	return rc;
}

uint64_t stream_bytes(const struct stream *s)
{
	return s->fed;
}

uint64_t stream_kept(const struct stream *s)
{
	return s->tail.len;
}
