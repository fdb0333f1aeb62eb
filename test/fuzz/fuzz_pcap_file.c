/* Any bytes into the reader of classic pcap: slices change nothing, packets stay within limits, a refusal says why, and each packet
 * written again reads back as the same. */
#include "schema/pcap_file.h"
#include "schema/pcapng.h"

#include <assert.h>
#include <string.h>

struct watch {
	uint64_t packets, end, hash;
};

static int on_copy(void *ctx, const struct pcap_file_packet *p, struct err *err)
{
	const struct pcap_file_packet **original = ctx;

	(void)err;
	assert(p->ts_ns == (*original)->ts_ns && p->caplen == (*original)->caplen && p->len == (*original)->len);
	assert(memcmp(p->data, (*original)->data, p->caplen) == 0);
	*original = NULL;
	return 0;
}

static void write_again(const struct pcap_file_packet *p)
{
	static uint8_t dst[PCAP_FILE_HEADER_BYTES + PCAP_FILE_RECORD_BYTES + PCAPNG_SNAPLEN_MAX];
	const struct pcap_file_packet *original = p;
	struct pcap_file_reader *r = pcap_file_reader_new(on_copy, &original, NULL);
	size_t n;

	assert(r);
	n = pcap_file_write_header(dst, 1, 0);
	n += pcap_file_write_packet(dst + n, p->ts_ns, p->caplen, p->len, p->data);
	assert(pcap_file_reader_feed(r, dst, n, NULL) == 0 && pcap_file_reader_end(r, NULL) == 0);
	assert(!original);
	pcap_file_reader_free(r);
}

static int on_packet(void *ctx, const struct pcap_file_packet *p, struct err *err)
{
	struct watch *w = ctx;

	(void)err;
	assert(p->caplen <= PCAPNG_SNAPLEN_MAX && p->caplen <= p->len);
	w->packets++;
	w->end += PCAP_FILE_RECORD_BYTES + p->caplen;
	w->hash = (w->hash ^ p->ts_ns ^ p->len) * UINT64_C(1099511628211);
	for (uint32_t i = 0; i < p->caplen; i++)
		w->hash = (w->hash ^ p->data[i]) * UINT64_C(1099511628211);
	if (p->ts_ns >> 32 < 1000000000 - 1) /* the format ends in 2106 */
		write_again(p);
	return 0;
}

/* slice 0: all in one piece. */
static void run(const uint8_t *data, size_t n, size_t slice, struct watch *w, struct err *err)
{
	struct pcap_file_reader *r = pcap_file_reader_new(on_packet, w, err);
	int rc = 0;

	assert(r);
	if (!slice)
		rc = pcap_file_reader_feed(r, data, n, err);
	for (size_t at = 0; slice && at < n && rc == 0; at += slice)
		rc = pcap_file_reader_feed(r, data + at, n - at < slice ? n - at : slice, err);
	if (rc == 0)
		rc = pcap_file_reader_end(r, err);
	assert((rc == 0) == (err->code == ERR_NONE));
	assert(rc == 0 || err->msg[0]);
	if (pcap_file_reader_link_type(r) != UINT32_MAX)
		w->end += PCAP_FILE_HEADER_BYTES;
	assert(pcap_file_reader_good_bytes(r) == w->end && w->end <= n);
	pcap_file_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const size_t slice = n ? 1 + data[n - 1] % 61 : 1;
	struct watch whole = {0}, sliced = {0};
	struct err whole_err = {0}, sliced_err = {0};

	run(data, n, 0, &whole, &whole_err);
	run(data, n, slice, &sliced, &sliced_err);
	assert(whole.packets == sliced.packets && whole.end == sliced.end && whole.hash == sliced.hash);
	assert(strcmp(whole_err.msg, sliced_err.msg) == 0);
	return 0;
}
