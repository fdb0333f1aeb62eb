/* test_output.c - one job's stream: interfaces and their numbers, limits to the packet and the byte, classic pcap, viewers that join, and both sinks
 * getting the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http_server.h"
#include "gateway/capture/output.h"
#include "schema/pcap_file.h"
#include "test/unit/segment_rig.h"
#include "test/unit/store_rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG  (16u * 1024 * 1024)
#define GOT_MAX  (8u * 1024 * 1024)
#define ONE      72u   /* bytes of a packet of seg_of_one */
#define TAIL     1536u /* kept free under max_bytes for the last statistics of an interface */
#define WHOLE_IS 4096u /* from here on a segment goes on uncopied */

static struct err err;
static struct output *out;
static struct live *live;
static struct live_viewer *viewer;
static uint8_t *got;
static size_t got_n;

static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	live = live_new(BACKLOG, JOB_PCAPNG, &err);
	got = malloc(GOT_MAX);
	assert_true(live && got);
	got_n = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (viewer)
		live_detach(viewer);
	viewer = NULL;
	output_free(out);
	out = NULL;
	live_unref(live);
	free(got);
	return 0;
}

/* With the live sink and a viewer from its first byte, unless o says otherwise. */
static void use(struct output_options o)
{
	const struct pcapng_section section = {.comment = "the section"};
	uint64_t at;

	if (!o.snaplen)
		o.snaplen = 65535;
	if (o.live)
		assert_non_null(viewer = live_attach(live, -1, NULL, -1, &at, &err));
	if (!(out = output_new(&o, &section, &err)))
		fail_msg("%s", err.msg);
}

static void interface_add(uint16_t link_type, uint32_t expected)
{
	char name[16];
	const struct pcapng_interface i = {.link_type = link_type, .name = name, .snaplen = 65535};
	uint32_t id = UINT32_MAX;

	snprintf(name, sizeof(name), "i%u", expected);
	if (output_interface(out, &i, &id, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(id, expected);
}

/* What merge_next would say of these blocks. */
static struct merge_piece piece_of(struct segment *s, size_t off, size_t len)
{
	struct merge_piece p = {.segment = s, .off = off, .len = len};

	for (size_t pos = off; pos < off + len;) {
		struct block_view v = block_at(s->data + pos);

		p.packets += v.type == PCAPNG_BLOCK_PACKET;
		p.captured_bytes += v.caplen;
		pos += v.len;
	}
	return p;
}

/* Gives the whole segment, frees it. */
static void give(struct segment *s, enum output_result expected, uint64_t packets)
{
	struct merge_piece p = piece_of(s, 0, s->len);
	uint64_t n = 99, bytes = 99;
	enum output_result result = output_piece(out, &p, &n, &bytes, &err);

	if (result != expected)
		fail_msg("result %d, not %d: %s", result, expected, err.msg);
	assert_int_equal(n, packets);
	if (packets == p.packets)
		assert_int_equal(bytes, p.captured_bytes);
	segment_unref(s);
}

static struct segment *packets_from(uint32_t first, uint32_t n, uint32_t caplen)
{
	struct segment *s = seg_new();

	for (uint32_t i = first; i < first + n; i++)
		seg_packet(s, 0, 1000 + i, caplen, i);
	return s;
}

static void flush_all(void)
{
	if (output_flush(out, &err) < 0)
		fail_msg("%s", err.msg);
}

/* Everything that v gets to the end of the stream. */
static void read_all(struct live_viewer *v)
{
	ssize_t k;

	got_n = 0;
	while ((k = live_read(v, got + got_n, GOT_MAX - got_n)) > 0)
		got_n += (size_t)k;
	assert_int_equal(k, HTTP_STREAM_END);
}

static void end_and_read(void)
{
	flush_all();
	live_end(live, true);
	read_all(viewer);
	assert_int_equal(got_n, output_bytes(out));
}

static void assert_numbers(const struct seen *s, uint32_t n)
{
	uint32_t next = 0;

	assert_int_equal(s->packets, n);
	for (size_t i = 0; i < s->n; i++) {
		if (s->blocks[i].kind == PCAPNG_PACKET)
			assert_int_equal(s->blocks[i].number, next++);
	}
}

static void a_stream_is_a_file(void **state)
{
	const struct pcapng_stats last = {.interface_id = 1, .ts_ns = 5, .comment = "the end"};
	struct segment *s = packets_from(0, 3, 40);
	struct seen seen;

	(void)state;
	use((struct output_options){.format = JOB_PCAPNG, .live = live});
	interface_add(SEG_ETHERNET, 0);
	interface_add(SEG_RAW, 1);
	seg_stats(s, 1, 7);
	give(s, OUTPUT_OK, 3);
	give(packets_from(3, 5, 77), OUTPUT_OK, 5);
	assert_int_equal(output_stats(out, &last, &err), 0);
	end_and_read();
	seen_pcapng(&seen, got, got_n);
	assert_int_equal(seen.sections, 1);
	assert_int_equal(seen.interfaces, 2);
	assert_int_equal(seen.stats, 2);
	assert_string_equal(seen.blocks[0].text, "the section");
	assert_string_equal(seen.blocks[1].text, "i0");
	assert_string_equal(seen.blocks[2].text, "i1");
	assert_string_equal(seen.blocks[seen.n - 1].text, "the end");
	assert_numbers(&seen, 8);
	seen_done(&seen);
}

static void large_segments_go_on_uncopied_and_in_order(void **state)
{
	struct segment *large = packets_from(3, 100, 40);
	struct merge_piece p = piece_of(large, 0, large->len);
	uint64_t n, bytes;
	struct seen seen;

	(void)state;
	assert_true(large->len >= WHOLE_IS);
	use((struct output_options){.format = JOB_PCAPNG, .live = live});
	interface_add(SEG_ETHERNET, 0);
	give(packets_from(0, 3, 40), OUTPUT_OK, 3); /* gathered */
	assert_int_equal(output_piece(out, &p, &n, &bytes, &err), OUTPUT_OK);
	assert_int_equal(n, 100);
	assert_int_equal(bytes, 4000);
	assert_int_equal(atomic_load(&large->refs), 2); /* the live sink holds the same one */
	segment_unref(large);
	give(packets_from(103, 2, 40), OUTPUT_OK, 2);
	end_and_read();
	seen_pcapng(&seen, got, got_n);
	assert_numbers(&seen, 105);
	seen_done(&seen);
}

/* Pieces end and begin anywhere in a segment. */
static void parts_of_segments_are_enough(void **state)
{
	struct segment *s = packets_from(0, 400, 40);
	uint64_t n, bytes, all = 0;
	struct seen seen;

	(void)state;
	use((struct output_options){.format = JOB_PCAPNG, .live = live});
	interface_add(SEG_ETHERNET, 0);
	for (size_t pos = 0, k = 1; pos < s->len; k += 3) {
		size_t len = k * ONE < s->len - pos ? k * ONE : s->len - pos;
		struct merge_piece p = piece_of(s, pos, len);

		assert_int_equal(output_piece(out, &p, &n, &bytes, &err), OUTPUT_OK);
		assert_int_equal(n * ONE, len);
		assert_int_equal(bytes, n * 40);
		all += n;
		pos += len;
	}
	assert_int_equal(all, 400);
	segment_unref(s);
	end_and_read();
	seen_pcapng(&seen, got, got_n);
	assert_numbers(&seen, 400);
	seen_done(&seen);
}

static void max_packets_is_kept_to_the_packet(void **state)
{
	static const struct {
		uint32_t packets; /* of one segment of 100 after 3 single ones */
		uint64_t max;
		enum output_result result;
		uint32_t out;
	} rows[] = {
		{10, 14, OUTPUT_OK, 10},
		{10, 13, OUTPUT_FULL_PACKETS, 10},
		{10, 12, OUTPUT_FULL_PACKETS, 9},
		{10, 4, OUTPUT_FULL_PACKETS, 1},
		{100, 104, OUTPUT_OK, 100}, /* as a whole segment */
		{100, 103, OUTPUT_FULL_PACKETS, 100},
		{100, 102, OUTPUT_FULL_PACKETS, 99},
		{100, UINT64_MAX, OUTPUT_OK, 100},
		{100, 0, OUTPUT_OK, 100},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct pcapng_stats last = {.comment = "the end"};
		struct seen seen;

		use((struct output_options){.format = JOB_PCAPNG, .live = live, .max_packets = rows[i].max});
		interface_add(SEG_ETHERNET, 0);
		give(packets_from(0, 3, 40), OUTPUT_OK, 3);
		give(packets_from(3, rows[i].packets, 40), rows[i].result, rows[i].out);
		if (rows[i].result != OUTPUT_OK)
			give(packets_from(1000, 1, 40), rows[i].result, 0); /* and so it stays */
		assert_int_equal(output_stats(out, &last, &err), 0);
		end_and_read();
		seen_pcapng(&seen, got, got_n);
		assert_numbers(&seen, 3 + rows[i].out);
		assert_int_equal(seen.stats, 1);
		seen_done(&seen);
		teardown(state);
		setup(state);
	}
}

/* The statistics at the end, as long as they get, still fit under the limit. */
static void write_longest_end(uint32_t interfaces)
{
	char text[PCAPNG_TEXT_MAX + 1];
	struct pcapng_stats last = {.have = ~0u, .received = UINT64_MAX, .comment = text};

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (last.interface_id = 0; last.interface_id < interfaces; last.interface_id++)
		assert_int_equal(output_stats(out, &last, &err), 0);
}

static void max_bytes_is_kept_to_the_byte(void **state)
{
	static const struct {
		uint32_t packets;
		int64_t over; /* of the limit over what these packets need */
		enum output_result result;
		uint32_t out;
	} rows[] = {
		{10, 0, OUTPUT_OK, 10},
		{10, -1, OUTPUT_FULL_BYTES, 9},
		{10, -(int64_t)ONE, OUTPUT_FULL_BYTES, 9},
		{10, -(int64_t)ONE - 1, OUTPUT_FULL_BYTES, 8},
		{100, 0, OUTPUT_OK, 100}, /* as a whole segment */
		{100, -1, OUTPUT_FULL_BYTES, 99},
		{100, -100 * (int64_t)ONE, OUTPUT_FULL_BYTES, 0},
	};
	uint64_t headers;

	use((struct output_options){.format = JOB_PCAPNG, .live = live});
	interface_add(SEG_ETHERNET, 0);
	interface_add(SEG_RAW, 1);
	headers = output_bytes(out);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t max = headers + 2 * TAIL + rows[i].packets * (uint64_t)ONE + (uint64_t)rows[i].over;
		struct seen seen;

		teardown(state);
		setup(state);
		use((struct output_options){.format = JOB_PCAPNG, .live = live, .max_bytes = max});
		interface_add(SEG_ETHERNET, 0);
		interface_add(SEG_RAW, 1);
		give(packets_from(0, rows[i].packets, 40), rows[i].result, rows[i].out);
		if (rows[i].result != OUTPUT_OK)
			give(packets_from(1000, 1, 8), rows[i].result, 0); /* nor one that would fit */
		write_longest_end(2);
		end_and_read();
		assert_true(got_n <= max);
		seen_pcapng(&seen, got, got_n);
		assert_numbers(&seen, rows[i].out);
		assert_int_equal(seen.stats, 2);
		seen_done(&seen);
	}
}

/* Whoever keeps the quota says how large it may become, and may say more later. */
static void an_allowance_is_kept_to_the_byte(void **state)
{
	for (int over = -1; over <= 1; over++) {
		struct seen seen;
		uint64_t allowed;

		teardown(state);
		setup(state);
		use((struct output_options){.format = JOB_PCAPNG, .live = live});
		interface_add(SEG_ETHERNET, 0);
		allowed = output_need(out, 3 * ONE);
		output_allow(out, allowed);
		give(packets_from(0, 3, 40), OUTPUT_OK, 3);
		assert_int_equal(output_need(out, 0), allowed);
		allowed = (uint64_t)((int64_t)(allowed + 10 * ONE) + over);
		output_allow(out, allowed);
		give(packets_from(3, 10, 40), over < 0 ? OUTPUT_FULL_QUOTA : OUTPUT_OK, over < 0 ? 9 : 10);
		give(packets_from(100, 1, 40), OUTPUT_FULL_QUOTA, 0);
		write_longest_end(1);
		end_and_read();
		assert_true(got_n <= allowed);
		seen_pcapng(&seen, got, got_n);
		assert_numbers(&seen, over < 0 ? 12 : 13);
		seen_done(&seen);
	}
}

/* What an interface takes that comes between the asking and the writing is no full quota. */
static void an_interface_comes_after_the_asking(void **state)
{
	struct seen seen;
	uint64_t allowed;

	(void)state;
	use((struct output_options){.format = JOB_PCAPNG, .live = live});
	interface_add(SEG_ETHERNET, 0);
	output_allow(out, output_need(out, 3 * ONE));
	interface_add(SEG_ETHERNET, 1);
	give(packets_from(0, 3, 40), OUTPUT_ASK_AGAIN, 0);
	allowed = output_need(out, 3 * ONE);
	output_allow(out, allowed);
	give(packets_from(0, 3, 40), OUTPUT_OK, 3);
	interface_add(SEG_ETHERNET, 2); /* of a quota that has no more */
	give(packets_from(3, 1, 40), OUTPUT_ASK_AGAIN, 0);
	output_allow(out, allowed);
	give(packets_from(3, 1, 40), OUTPUT_ASK_AGAIN, 0); /* nobody asked */
	output_need(out, ONE);
	output_allow(out, allowed);
	give(packets_from(3, 1, 40), OUTPUT_FULL_QUOTA, 0);
	write_longest_end(3);
	end_and_read();
	seen_pcapng(&seen, got, got_n);
	assert_numbers(&seen, 3);
	seen_done(&seen);
}

static void a_limit_below_the_headers_lets_no_packet_through(void **state)
{
	struct seen seen;

	(void)state;
	use((struct output_options){.format = JOB_PCAPNG, .live = live, .max_bytes = 1});
	interface_add(SEG_ETHERNET, 0);
	give(packets_from(0, 2, 40), OUTPUT_FULL_BYTES, 0);
	end_and_read();
	seen_pcapng(&seen, got, got_n);
	assert_int_equal(seen.packets, 0);
	seen_done(&seen);
}

static void interfaces_have_an_end(void **state)
{
	const struct pcapng_interface i = {.link_type = SEG_ETHERNET};
	uint32_t id;

	(void)state;
	use((struct output_options){.format = JOB_PCAPNG});
	for (uint32_t n = 0; n < PCAPNG_INTERFACES_MAX; n++)
		interface_add(SEG_ETHERNET, n);
	assert_int_equal(output_interface(out, &i, &id, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

/* ---- classic pcap ---- */

static void packets_become_records(void **state)
{
	struct segment *s = packets_from(0, 3, 41);
	struct seen seen;

	(void)state;
	use((struct output_options){.format = JOB_PCAP, .live = live, .snaplen = 200});
	assert_int_equal(output_bytes(out), 0);
	interface_add(SEG_RAW, 0);
	interface_add(SEG_RAW, 1);
	assert_int_equal(output_bytes(out), PCAP_FILE_HEADER_BYTES);
	seg_stats(s, 0, 7); /* has no place in this format */
	seg_packet(s, 1, UINT64_C(1767607200987654321), 40, 3);
	give(s, OUTPUT_OK, 4);
	give(packets_from(4, 200, 40), OUTPUT_OK, 200);
	write_longest_end(2);
	end_and_read();
	assert_int_equal(got_n, PCAP_FILE_HEADER_BYTES + 204 * PCAP_FILE_RECORD_BYTES + 3 * 41 + 201 * 40);
	assert_int_equal(seen_pcap(&seen, got, got_n), SEG_RAW);
	assert_numbers(&seen, 204);
	assert_int_equal(seen.blocks[0].ts_ns, 1000);
	assert_int_equal(seen.blocks[0].caplen, 41);
	assert_int_equal(seen.blocks[0].len, 42);
	assert_int_equal(seen.blocks[3].ts_ns, UINT64_C(1767607200987654321));
	seen_done(&seen);
}

static void records_have_limits_too(void **state)
{
	const uint64_t max = PCAP_FILE_HEADER_BYTES + 4 * (PCAP_FILE_RECORD_BYTES + 40);
	struct seen seen;

	(void)state;
	use((struct output_options){.format = JOB_PCAP, .live = live, .max_bytes = max});
	interface_add(SEG_ETHERNET, 0);
	give(packets_from(0, 3, 40), OUTPUT_OK, 3);
	give(packets_from(3, 2, 40), OUTPUT_FULL_BYTES, 1);
	end_and_read();
	assert_int_equal(got_n, max);
	seen_pcap(&seen, got, got_n);
	assert_numbers(&seen, 4);
	seen_done(&seen);
}

static void classic_pcap_takes_one_link_type(void **state)
{
	const struct pcapng_interface raw = {.link_type = SEG_RAW, .name = "r"};
	uint32_t id = 77;

	(void)state;
	use((struct output_options){.format = JOB_PCAP, .live = live});
	interface_add(SEG_ETHERNET, 0);
	assert_int_equal(output_interface(out, &raw, &id, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_string_equal(err.detail, "link_type_mismatch");
	assert_non_null(strstr(err.msg, pcapng_link_type_name(SEG_RAW)));
	assert_non_null(strstr(err.msg, pcapng_link_type_name(SEG_ETHERNET)));
	assert_int_equal(id, 77);
	interface_add(SEG_ETHERNET, 1); /* the refused one left no trace */
	assert_int_equal(output_bytes(out), PCAP_FILE_HEADER_BYTES);
}

/* ---- joining ---- */

static struct live_viewer *join(int64_t offset, size_t *ret_prelude)
{
	uint64_t at;
	struct live_viewer *v = output_join(out, live, offset, -1, &at, ret_prelude, &err);

	if (!v)
		fail_msg("%s", err.msg);
	return v;
}

static void who_joins_gets_every_header_once(void **state)
{
	enum { JOINS = 5 };
	struct live_viewer *v[JOINS];
	size_t prelude[JOINS];
	static const uint32_t packets[JOINS] = {9, 9, 9, 6, 2};

	(void)state;
	use((struct output_options){.format = JOB_PCAPNG}); /* nobody looks so far */
	v[0] = join(-1, &prelude[0]);
	interface_add(SEG_ETHERNET, 0);
	v[1] = join(-1, &prelude[1]); /* the interface is gathered, not flushed */
	flush_all();
	interface_add(SEG_RAW, 1);
	v[2] = join(-1, &prelude[2]);
	give(packets_from(0, 3, 40), OUTPUT_OK, 3);
	interface_add(SEG_ETHERNET, 2);
	v[3] = join(-1, &prelude[3]);
	give(packets_from(3, 4, 40), OUTPUT_OK, 4);
	v[4] = join(-1, &prelude[4]);
	give(packets_from(7, 2, 40), OUTPUT_OK, 2);
	interface_add(SEG_ETHERNET, 3);
	flush_all();
	live_end(live, true);
	for (unsigned i = 0; i < JOINS; i++) {
		struct seen seen;

		read_all(v[i]);
		assert_true(prelude[i] > 0);
		seen_pcapng(&seen, got, got_n);
		assert_int_equal(seen.sections, 1);
		assert_int_equal(seen.interfaces, 4);
		for (size_t n = 0, next = 0; n < seen.n; n++) {
			char name[16];

			if (seen.blocks[n].kind != PCAPNG_INTERFACE)
				continue;
			snprintf(name, sizeof(name), "i%zu", next++);
			assert_string_equal(seen.blocks[n].text, name);
		}
		assert_int_equal(seen.packets, packets[i]);
		assert_int_equal(seen.blocks[seen.n - 2].number, 8);
		seen_done(&seen);
		live_detach(v[i]);
	}
}

static void who_comes_back_gets_no_headers_again(void **state)
{
	struct live_viewer *v;
	size_t prelude;
	uint64_t at;

	(void)state;
	use((struct output_options){.format = JOB_PCAPNG, .live = live});
	interface_add(SEG_ETHERNET, 0);
	give(packets_from(0, 3, 40), OUTPUT_OK, 3);
	v = join(5, &prelude); /* what is gathered counts as there */
	assert_int_equal(prelude, 0);
	assert_int_equal(live_read(v, got, GOT_MAX), output_bytes(out) - 5);
	live_detach(v);
	assert_null(output_join(out, live, (int64_t)output_bytes(out) + 1, -1, &at, &prelude, &err));
	assert_int_equal(err.code, ERR_INPUT);
}

static void classic_pcap_is_joined_before_and_behind_its_header(void **state)
{
	struct live_viewer *early, *late;
	size_t prelude;
	struct seen seen;

	(void)state;
	use((struct output_options){.format = JOB_PCAP});
	early = join(-1, &prelude);
	assert_int_equal(prelude, 0);
	interface_add(SEG_ETHERNET, 0);
	give(packets_from(0, 3, 40), OUTPUT_OK, 3);
	late = join(-1, &prelude);
	assert_int_equal(prelude, PCAP_FILE_HEADER_BYTES);
	give(packets_from(3, 3, 40), OUTPUT_OK, 3);
	flush_all();
	live_end(live, true);
	read_all(early);
	assert_int_equal(seen_pcap(&seen, got, got_n), SEG_ETHERNET);
	assert_numbers(&seen, 6);
	seen_done(&seen);
	read_all(late);
	assert_int_equal(seen_pcap(&seen, got, got_n), SEG_ETHERNET);
	assert_int_equal(seen.packets, 3);
	seen_done(&seen);
	live_detach(early);
	live_detach(late);
}

static void a_sink_that_is_left_gets_nothing_more(void **state)
{
	struct seen seen;
	size_t prelude;

	(void)state;
	use((struct output_options){.format = JOB_PCAPNG, .live = live});
	interface_add(SEG_ETHERNET, 0);
	give(packets_from(0, 3, 40), OUTPUT_OK, 3);
	flush_all();
	output_leave(out);
	output_leave(out);
	give(packets_from(3, 100, 40), OUTPUT_OK, 100);
	flush_all();
	live_end(live, true);
	read_all(viewer);
	seen_pcapng(&seen, got, got_n);
	assert_numbers(&seen, 3);
	seen_done(&seen);
	live_detach(viewer);
	live_unref(live);

	/* Who comes later begins a new one, with all headers. */
	assert_non_null(live = live_new(BACKLOG, JOB_PCAPNG, &err));
	viewer = join(-1, &prelude);
	give(packets_from(103, 2, 40), OUTPUT_OK, 2);
	flush_all();
	live_end(live, true);
	read_all(viewer);
	seen_pcapng(&seen, got, got_n);
	assert_int_equal(seen.interfaces, 1);
	assert_int_equal(seen.packets, 2);
	assert_int_equal(seen.blocks[2].number, 103);
	seen_done(&seen);
}

/* ---- with a store ---- */

static void both_sinks_get_the_same_bytes(void **state)
{
	struct store_rig rig;
	struct store_job *job;
	struct driver_object object;
	uint8_t *stored;
	size_t n;

	(void)state;
	store_rig_init(&rig);
	store_rig_open(&rig);
	job = store_rig_begin(&rig);
	use((struct output_options){.format = JOB_PCAPNG, .live = live, .store = job});
	interface_add(SEG_ETHERNET, 0);
	give(packets_from(0, 7, 40), OUTPUT_OK, 7);
	give(packets_from(7, 200, 40), OUTPUT_OK, 200);
	give(packets_from(207, 1, 40), OUTPUT_OK, 1);
	write_longest_end(1);
	end_and_read();
	if (store_job_finish(job, &object, &err) < 0)
		fail_msg("%s", err.msg);
	stored = store_rig_object(&rig, &n);
	assert_non_null(stored);
	assert_int_equal(n, got_n);
	assert_memory_equal(stored, got, n);
	free(stored);
	store_rig_close(&rig);
	store_rig_done(&rig);
}

/* Writes until it is full, and reads what came of it. */
static void fill_store(struct store_rig *r, uint64_t room, enum output_result says)
{
	struct store_job *job;
	struct driver_object object;
	enum output_result result = OUTPUT_OK;
	uint64_t n, bytes;
	uint32_t all = 0;
	uint8_t *stored;
	size_t stored_n;
	struct seen seen;

	store_rig_open(r);
	job = store_rig_begin(r);
	use((struct output_options){.format = JOB_PCAPNG, .store = job});
	interface_add(SEG_ETHERNET, 0);
	while (result == OUTPUT_OK && all < 100000) {
		struct segment *s = packets_from(all, all % 2 ? 3 : 150, 40);
		struct merge_piece p = piece_of(s, 0, s->len);

		result = output_piece(out, &p, &n, &bytes, &err);
		all += (uint32_t)n;
		segment_unref(s);
	}
	assert_int_equal(result, says);
	assert_int_equal(all, (room - (output_bytes(out) - all * (uint64_t)ONE)) / ONE);
	write_longest_end(1);
	flush_all();
	pthread_mutex_lock(&r->lock);
	r->fail_parts = 0;
	pthread_mutex_unlock(&r->lock);
	if (store_job_finish(job, &object, &err) < 0)
		fail_msg("%s", err.msg);
	stored = store_rig_object(r, &stored_n);
	assert_non_null(stored);
	assert_true(stored_n <= room + STORE_TAIL_BYTES);
	assert_int_equal(stored_n, output_bytes(out));
	seen_pcapng(&seen, stored, stored_n);
	assert_numbers(&seen, all);
	assert_int_equal(seen.stats, 1);
	seen_done(&seen);
	free(stored);
	store_rig_close(r);
	store_rig_done(r);
}

static void a_full_store_ends_with_a_good_file(void **state)
{
	struct store_rig rig;

	(void)state;
	store_rig_init(&rig);
	rig.job_bytes_max = STORE_TAIL_BYTES + 200 * 1000;
	fill_store(&rig, 200 * 1000, OUTPUT_FULL_STORE);
}

/* The store takes nothing for as long as the capture runs. */
static void so_does_a_full_spool(void **state)
{
	struct store_rig rig;

	(void)state;
	store_rig_init(&rig);
	rig.spool_job_max_bytes = 200 * 1000;
	rig.fail_parts = UINT32_MAX;
	rig.fail_code = ERR_NET;
	fill_store(&rig, 200 * 1000, OUTPUT_FULL_SPOOL);
}

/* ---- with threads: agents' interfaces and viewers come while packets go out ---- */

static void *add_interfaces(void *arg)
{
	const struct pcapng_interface i = {.link_type = SEG_ETHERNET, .name = "more"};
	struct err e = {0};
	uint32_t id;

	for (unsigned n = 0; n < 50; n++) {
		if (output_interface(out, &i, &id, &e) < 0)
			return arg;
	}
	return NULL;
}

static void *join_and_leave(void *arg)
{
	struct err e = {0};

	for (unsigned n = 0; n < 50; n++) {
		uint8_t byte;
		size_t prelude;
		uint64_t at;
		struct live_viewer *v = output_join(out, live, -1, -1, &at, &prelude, &e);

		if (!v || prelude == 0 || live_read(v, &byte, 1) != 1)
			return arg;
		live_detach(v);
	}
	return NULL;
}

static void interfaces_and_viewers_come_any_time(void **state)
{
	pthread_t threads[2];
	struct seen seen;
	void *bad;

	(void)state;
	use((struct output_options){.format = JOB_PCAPNG, .live = live});
	interface_add(SEG_ETHERNET, 0);
	assert_int_equal(pthread_create(&threads[0], NULL, add_interfaces, out), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, join_and_leave, out), 0);
	for (uint32_t i = 0; i < 1000; i += 10)
		give(packets_from(i, 10, 40), OUTPUT_OK, 10);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
	end_and_read();
	seen_pcapng(&seen, got, got_n);
	assert_numbers(&seen, 1000);
	assert_int_equal(seen.interfaces, 51);
	seen_done(&seen);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_stream_is_a_file),
		test(large_segments_go_on_uncopied_and_in_order),
		test(parts_of_segments_are_enough),
		test(max_packets_is_kept_to_the_packet),
		test(max_bytes_is_kept_to_the_byte),
		test(an_allowance_is_kept_to_the_byte),
		test(an_interface_comes_after_the_asking),
		test(a_limit_below_the_headers_lets_no_packet_through),
		test(interfaces_have_an_end),
		test(packets_become_records),
		test(records_have_limits_too),
		test(classic_pcap_takes_one_link_type),
		test(who_joins_gets_every_header_once),
		test(who_comes_back_gets_no_headers_again),
		test(classic_pcap_is_joined_before_and_behind_its_header),
		test(a_sink_that_is_left_gets_nothing_more),
		test(both_sinks_get_the_same_bytes),
		test(a_full_store_ends_with_a_good_file),
		test(so_does_a_full_spool),
		test(interfaces_and_viewers_come_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
