/* Classic pcap, out and in: round trip, both byte orders and resolutions, any slicing, refusals, libpcap's opinion. */
#include "schema/pcap_file.h"
#include "schema/pcapng.h"

#include <inttypes.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char seen[4096];
static bool stop;
static struct pcap_file_reader *reader;
static struct err err;

static int on_packet(void *ctx, const struct pcap_file_packet *p, struct err *e)
{
	size_t n = strlen(seen);

	(void)ctx;
	if (stop)
		return err_set(e, ERR_CANCELLED, "enough");
	snprintf(seen + n, sizeof(seen) - n, "%" PRIu64 " %u/%u %.*s\n", p->ts_ns, p->caplen, p->len,
		p->caplen < 100 ? (int)p->caplen : 0, (const char *)p->data);
	return 0;
}

static void begin(void)
{
	pcap_file_reader_free(reader);
	memset(&err, 0, sizeof(err));
	seen[0] = '\0';
	stop = false;
	reader = pcap_file_reader_new(on_packet, NULL, &err);
	assert_non_null(reader);
}

static int setup(void **state)
{
	(void)state;
	begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pcap_file_reader_free(reader);
	reader = NULL;
	return 0;
}

static int feed_exact(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, p, n);
	rc = pcap_file_reader_feed(reader, copy, n, &err);
	free(copy);
	return rc;
}

static uint8_t file[512];

static size_t make_file(void)
{
	size_t n = pcap_file_write_header(file, 101, 65535);

	n += pcap_file_write_packet(file + n, UINT64_C(1700000000999999999), 4, 1500, (const uint8_t *)"four");
	n += pcap_file_write_packet(file + n, 0, 0, 0, NULL);
	n += pcap_file_write_packet(file + n, 1, 21, 21, (const uint8_t *)"a somewhat longer one");
	return n;
}

static const char file_text[] = "1700000000999999999 4/1500 four\n0 0/0 \n1 21/21 a somewhat longer one\n";

static void test_round_trip_in_any_slices(void **state)
{
	size_t n = make_file();

	(void)state;
	assert_int_equal(n, 24 + 16 + 4 + 16 + 16 + 21);
	for (size_t slice = 1; slice <= n; slice++) {
		begin();
		assert_int_equal(pcap_file_reader_link_type(reader), UINT32_MAX);
		for (size_t at = 0; at < n; at += slice)
			assert_int_equal(feed_exact(file + at, n - at < slice ? n - at : slice), 0);
		assert_string_equal(seen, file_text);
		assert_int_equal(pcap_file_reader_link_type(reader), 101);
		assert_int_equal(pcap_file_reader_good_bytes(reader), n);
		assert_int_equal(pcap_file_reader_end(reader, &err), 0);
	}
}

static void test_ends_within_something(void **state)
{
	size_t n = make_file();

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		bool whole = cut == 24 || cut == 44 || cut == 60 || cut == n;

		begin();
		assert_int_equal(feed_exact(file, cut), 0);
		assert_int_equal(pcap_file_reader_end(reader, &err), whole ? 0 : -1);
		assert_int_equal(err.code, whole ? ERR_NONE : ERR_INPUT);
	}
	begin();
	feed_exact(file, 50);
	assert_int_equal(pcap_file_reader_end(reader, &err), -1);
	assert_string_equal(err.msg, "pcap record at byte 44: the file ends after 6 bytes of it");
	assert_int_equal(pcap_file_reader_good_bytes(reader), 44);
	begin();
	assert_int_equal(pcap_file_reader_end(reader, &err), -1);
	assert_string_equal(err.msg, "not a pcap file: it ends after 0 bytes of its header");
}

/* A header and one record of one byte by words of our own or the other byte order. */
static size_t make_by_words(uint32_t magic, bool swapped, uint32_t seconds, uint32_t fraction)
{
	const uint16_t version[2] = {2, 4};
	const uint32_t words[] = {magic, 0, 0, 0, 65535, UINT32_C(0xF0000001), seconds, fraction, 1, 9};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		uint32_t w = swapped ? __builtin_bswap32(words[i]) : words[i];

		memcpy(file + 4 * i, &w, 4);
	}
	for (size_t i = 0; i < 2; i++) {
		uint16_t w = swapped ? __builtin_bswap16(version[i]) : version[i];

		memcpy(file + 4 + 2 * i, &w, 2);
	}
	file[sizeof(words)] = 'x';
	return sizeof(words) + 1;
}

static void test_orders_and_resolutions(void **state)
{
	static const struct {
		uint32_t magic, fraction;
		const char *says;
	} cases[] = {
		{0xA1B2C3D4, 999999, "7999999000 1/9 x\n"},
		{0xA1B23C4D, 999999999, "7999999999 1/9 x\n"},
		{0xA1B2C3D4, UINT32_MAX, "4301967295000 1/9 x\n"},
	};

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		size_t n = make_by_words(cases[i / 2].magic, i % 2, 7, cases[i / 2].fraction);

		begin();
		assert_int_equal(feed_exact(file, n), 0);
		assert_string_equal(seen, cases[i / 2].says);
		assert_int_equal(pcap_file_reader_link_type(reader), 1);
	}
}

static void refused(size_t n, const char *says)
{
	begin();
	assert_int_equal(feed_exact(file, n), -1);
	assert_int_equal(err.code, ERR_INPUT);
	assert_string_equal(err.msg, says);
}

static void test_refusals(void **state)
{
	size_t n = make_file();
	uint32_t caplen = PCAPNG_SNAPLEN_MAX;
	uint16_t minor = 3;

	(void)state;
	memcpy(file + 32, &caplen, 4);
	begin();
	assert_int_equal(feed_exact(file, n), 0); /* waits for more */
	caplen++;
	memcpy(file + 32, &caplen, 4);
	refused(n, "pcap record at byte 24: captured length 262145 is over 262144");
	for (size_t at = 0; at < 40; at++) { /* the same when it comes in two slices */
		begin();
		feed_exact(file, at);
		assert_int_equal(feed_exact(file + at, n - at), -1);
	}
	memcpy(file + 6, &minor, 2);
	refused(n, "pcap file: version 2.3 is not 2.4");
	memcpy(file, "GET ", 4);
	refused(n, "not a pcap file: magic is 0x20544547");
	assert_int_equal(pcap_file_reader_feed(reader, file, 0, &err), -1);
	assert_int_equal(pcap_file_reader_end(reader, &err), -1);
	assert_string_equal(err.msg, "not a pcap file: magic is 0x20544547");
	assert_int_equal(pcap_file_reader_good_bytes(reader), 0);
}

static void test_the_handler_may_stop(void **state)
{
	size_t n = make_file();

	(void)state;
	stop = true;
	assert_int_equal(feed_exact(file, n), -1);
	assert_string_equal(err.msg, "enough");
	assert_int_equal(pcap_file_reader_good_bytes(reader), 24);
	stop = false;
	assert_int_equal(feed_exact(file, n), -1);
	assert_string_equal(seen, "");
	pcap_file_reader_free(NULL);
}

static void test_short_length_on_the_wire_is_raised(void **state)
{
	size_t n = pcap_file_write_header(file, 1, 0);

	(void)state;
	n += pcap_file_write_packet(file + n, 3, 4, 2, (const uint8_t *)"four");
	assert_int_equal(feed_exact(file, n), 0);
	assert_string_equal(seen, "3 4/4 four\n");
}

static void test_times_after_2106_stay_at_the_end(void **state)
{
	size_t n = pcap_file_write_header(file, 1, 0);

	(void)state;
	n += pcap_file_write_packet(file + n, UINT64_C(4294967295999999999), 1, 1, (const uint8_t *)"a");
	n += pcap_file_write_packet(file + n, UINT64_C(4294967296000000005), 1, 1, (const uint8_t *)"b");
	assert_int_equal(feed_exact(file, n), 0);
	assert_string_equal(seen, "4294967295999999999 1/1 a\n4294967295000000005 1/1 b\n");
}

static void test_libpcap_reads_it(void **state)
{
	char errbuf[PCAP_ERRBUF_SIZE] = "";
	struct pcap_pkthdr *h;
	const u_char *data;
	FILE *f = fmemopen(file, make_file(), "rb");
	pcap_t *p;

	(void)state;
	assert_non_null(f);
	p = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, errbuf);
	if (!p)
		fail_msg("%s", errbuf);
	assert_int_equal(pcap_datalink(p), DLT_RAW);
	assert_int_equal(pcap_next_ex(p, &h, &data), 1);
	assert_int_equal(h->ts.tv_usec, 999999999);
	assert_int_equal(h->caplen, 4);
	assert_int_equal(h->len, 1500);
	assert_int_equal(pcap_next_ex(p, &h, &data), 1);
	assert_int_equal(pcap_next_ex(p, &h, &data), 1);
	assert_int_equal(h->caplen, 21);
	assert_int_equal(pcap_next_ex(p, &h, &data), PCAP_ERROR_BREAK);
	pcap_close(p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_round_trip_in_any_slices),
		T(test_ends_within_something),
		T(test_orders_and_resolutions),
		T(test_refusals),
		T(test_the_handler_may_stop),
		T(test_short_length_on_the_wire_is_raised),
		T(test_times_after_2106_stay_at_the_end),
		T(test_libpcap_reads_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
