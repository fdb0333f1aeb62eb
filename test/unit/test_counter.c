/* test_counter.c - cli/counter.c, cli/text.c: what came, and how it reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/counter.h"
#include "cli/text.h"

#include <string.h>

#define SECOND UINT64_C(1000000000)

static struct counter *new_counter(void **state)
{
	struct counter *c = counter_new(NULL);

	(void)state;
	assert_non_null(c);
	return c;
}

static void feed_section(struct counter *c)
{
	struct pcapng_block b = {.kind = PCAPNG_SECTION};

	assert_int_equal(counter_block(c, &b, NULL), 0);
}

static int feed_interface(struct counter *c, const char *name, struct err *err)
{
	struct pcapng_block b = {.kind = PCAPNG_INTERFACE};

	b.interface.name = name;
	return counter_block(c, &b, err);
}

static void feed_packets(struct counter *c, uint32_t id, unsigned n, uint32_t caplen)
{
	struct pcapng_block b = {.kind = PCAPNG_PACKET};

	b.packet.interface_id = id;
	b.packet.caplen = caplen;
	while (n--)
		assert_int_equal(counter_block(c, &b, NULL), 0);
}

static void feed_stats(struct counter *c, uint32_t id, unsigned have, uint64_t os, uint64_t ifdrop, const char *comment)
{
	struct pcapng_block b = {.kind = PCAPNG_STATS};

	b.stats.interface_id = id;
	b.stats.have = have;
	b.stats.dropped_os = os;
	b.stats.dropped_interface = ifdrop;
	b.stats.accepted = 50;
	b.stats.received = 60;
	b.stats.comment = comment;
	assert_int_equal(counter_block(c, &b, NULL), 0);
}

static void test_rows_and_totals(void **state)
{
	struct counter *c = new_counter(state);
	struct counter_row total;

	feed_section(c);
	feed_interface(c, "web/0 eth0", NULL);
	feed_interface(c, "web/1 eth0", NULL);
	feed_packets(c, 0, 3, 100);
	feed_packets(c, 1, 2, 10);
	feed_packets(c, 2, 1, 1); /* not described: the reader refuses it; here it counts for nobody */
	assert_int_equal(counter_rows_n(c), 2);
	assert_string_equal(counter_row(c, 1)->name, "web/1 eth0");
	assert_int_equal(counter_row(c, 0)->packets, 3);
	assert_int_equal(counter_row(c, 0)->bytes, 300);
	counter_total(c, &total);
	assert_int_equal(total.packets, 5);
	assert_int_equal(total.bytes, 320);
	assert_false(total.has_received);
	counter_free(c);
}

/* Statistics are totals: the latest stands, it is not added to those before. */
static void test_statistics_replace(void **state)
{
	struct counter *c = new_counter(state);
	struct counter_row total;

	feed_section(c);
	feed_interface(c, "a", NULL);
	feed_interface(c, "b", NULL);
	feed_stats(c, 0, PCAPNG_STATS_OSDROP | PCAPNG_STATS_IFDROP, 5, 1, NULL);
	feed_stats(c, 0, PCAPNG_STATS_OSDROP, 7, 99, NULL);
	feed_stats(c, 1, PCAPNG_STATS_OSDROP | PCAPNG_STATS_ACCEPTED | PCAPNG_STATS_RECEIVED, 2, 0, NULL);
	feed_stats(c, 9, PCAPNG_STATS_OSDROP, 1000, 0, NULL);
	counter_total(c, &total);
	assert_int_equal(total.dropped_os, 9);
	assert_int_equal(total.dropped_interface, 1);
	assert_true(total.has_received);
	assert_int_equal(total.received, 50);
	counter_free(c);
}

static void test_end_notes(void **state)
{
	struct counter *c = new_counter(state);
	char lost[STOP_NOTE_MAX], limit[STOP_NOTE_MAX];

	stop_note_format(STOP_AGENT_LOST, "broke", lost);
	stop_note_format(STOP_MAX_PACKETS, "", limit);
	feed_section(c);
	feed_interface(c, "a", NULL);
	feed_interface(c, "b", NULL);
	feed_stats(c, 0, 0, 0, 0, "just a comment");
	assert_false(counter_row(c, 0)->has_end);
	assert_false(counter_is_early(counter_row(c, 0)));
	feed_stats(c, 0, 0, 0, 0, lost);
	feed_stats(c, 0, 0, 0, 0, limit); /* the first stands */
	feed_stats(c, 1, 0, 0, 0, limit);
	assert_int_equal(counter_row(c, 0)->end, STOP_AGENT_LOST);
	assert_int_equal(counter_row(c, 1)->end, STOP_MAX_PACKETS);
	assert_true(counter_is_early(counter_row(c, 0)));
	assert_false(counter_is_early(counter_row(c, 1)));
	counter_free(c);
}

/* Each interface says its own in comments; the other figures are not touched by what it does not say. */
static void test_what_agents_shed(void **state)
{
	struct counter *c = new_counter(state);
	struct counter_row total;
	char line[200];

	feed_section(c);
	feed_interface(c, "a", NULL);
	feed_interface(c, "b", NULL);
	feed_stats(c, 0, PCAPNG_STATS_OSDROP, 3, 0, "shed by the agent: 4 packets; x, since 2026-01-05T10:00:00.000Z");
	feed_stats(c, 1, 0, 0, 0, "shed by the agent: 20 packets; x, since 2026-01-05T10:00:00.000Z");
	feed_stats(c, 0, PCAPNG_STATS_OSDROP, 3, 0, "shed by the agent: 10 packets; x, since 2026-01-05T10:00:00.000Z");
	feed_stats(c, 0, 0, 0, 0, "shed by the agent: many packets");
	feed_stats(c, 0, 0, 0, 0, NULL);
	assert_int_equal(counter_row(c, 0)->dropped_agent, 10);
	counter_total(c, &total);
	assert_int_equal(total.dropped_agent, 30);
	assert_int_equal(total.dropped_os, 3);
	assert_non_null(strstr(
		counter_line(c, 1, 150, line, sizeof(line)), ", 33 dropped | a: 0 (13 dropped), b: 0 (20 dropped)"));
	counter_free(c);
}

/* A second section numbers its interfaces anew; the same name goes on in its row. */
static void test_sections(void **state)
{
	struct counter *c = new_counter(state);

	feed_section(c);
	feed_interface(c, "a", NULL);
	feed_interface(c, "b", NULL);
	feed_section(c);
	feed_packets(c, 0, 1, 1); /* nothing described yet */
	feed_interface(c, "b", NULL);
	feed_packets(c, 0, 4, 1);
	assert_int_equal(counter_rows_n(c), 2);
	assert_int_equal(counter_row(c, 0)->packets, 0);
	assert_int_equal(counter_row(c, 1)->packets, 4);
	counter_free(c);
}

static void test_interfaces_bound(void **state)
{
	struct counter *c = new_counter(state);
	struct err err = {0};
	char name[32];

	feed_section(c);
	for (unsigned i = 0; i < PCAPNG_INTERFACES_MAX; i++) {
		snprintf(name, sizeof(name), "i%u", i);
		assert_int_equal(feed_interface(c, name, NULL), 0);
	}
	assert_int_equal(feed_interface(c, "one more", &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	feed_section(c);
	assert_int_equal(feed_interface(c, "one more", NULL), 0); /* shares the last row */
	feed_packets(c, 0, 1, 1);
	assert_int_equal(counter_rows_n(c), PCAPNG_INTERFACES_MAX);
	assert_int_equal(counter_row(c, PCAPNG_INTERFACES_MAX - 1)->packets, 1);
	counter_free(c);
}

static void test_names_are_cleaned(void **state)
{
	struct counter *c = new_counter(state);

	feed_section(c);
	feed_interface(c, "a\033[31m\n", NULL);
	assert_string_equal(counter_row(c, 0)->name, "a?[31m?");
	counter_free(c);
}

static void test_line_fits(void **state)
{
	struct counter *c = new_counter(state);
	static const struct {
		unsigned width;
		const char *line;
	} rows[] = {
		{200, "601 packets, 1.5 kB, 0 B/s, 4 dropped | web/0 eth0: 600 (4 dropped), web/1 eth0: 1, x: 0"},
		{88, "601 packets, 1.5 kB, 0 B/s, 4 dropped | web/0 eth0: 600 (4 dropped), web/1 eth0: 1, x: 0"},
		{87, "601 packets, 1.5 kB, 0 B/s, 4 dropped | web/0 eth0: 600 (4 dropped), web/1 eth0: 1 +1"},
		{84, "601 packets, 1.5 kB, 0 B/s, 4 dropped | web/0 eth0: 600 (4 dropped) +2"},
		{60, "601 packets, 1.5 kB, 0 B/s, 4 dropped"},
		{19, "601 packets, 1.5 kB"},
		{0, ""},
	};
	char line[256];

	feed_section(c);
	feed_interface(c, "web/0 eth0", NULL);
	feed_interface(c, "web/1 eth0", NULL);
	feed_interface(c, "x", NULL);
	feed_packets(c, 0, 600, 2);
	feed_packets(c, 1, 1, 2);
	feed_stats(c, 0, PCAPNG_STATS_OSDROP, 4, 0, NULL);
	counter_stream_bytes(c, 1500);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		counter_line(c, SECOND, rows[i].width, line, sizeof(line));
		assert_string_equal(line, rows[i].line);
		assert_in_range(strlen(line), 0, rows[i].width);
	}
	counter_free(c);
}

/* The rate is that of the last whole second, and falls to nothing when nothing comes. */
static void test_rate(void **state)
{
	struct counter *c = new_counter(state);
	char line[128];

	counter_line(c, 10 * SECOND, 100, line, sizeof(line));
	counter_stream_bytes(c, 4000);
	counter_line(c, 10 * SECOND + SECOND / 2, 100, line, sizeof(line));
	assert_string_equal(line, "0 packets, 4.0 kB, 0 B/s, 0 dropped");
	counter_line(c, 12 * SECOND, 100, line, sizeof(line));
	assert_string_equal(line, "0 packets, 4.0 kB, 2.0 kB/s, 0 dropped");
	counter_line(c, 13 * SECOND, 100, line, sizeof(line));
	assert_string_equal(line, "0 packets, 4.0 kB, 0 B/s, 0 dropped");
	counter_free(c);
}

static void test_classic_pcap(void **state)
{
	struct counter *c = new_counter(state);
	struct pcap_file_packet p = {.caplen = 60, .len = 60};
	char line[128];

	assert_int_equal(counter_pcap_packet(c, &p, NULL), 0);
	assert_int_equal(counter_pcap_packet(c, &p, NULL), 0);
	assert_int_equal(counter_rows_n(c), 1);
	counter_line(c, SECOND, 100, line, sizeof(line));
	assert_string_equal(line, "2 packets, 0 B, 0 B/s, 0 dropped");
	counter_free(c);
}

static void test_texts(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *age;
	} rows[] = {
		{0, "0s"}, {119, "119s"}, {120, "2m"}, {7199, "119m"}, {7200, "2h"}, {172799, "47h"}, {172800, "2d"}};
	json_t *job = json_pack("{s:{s:{s:i}}, s:n, s:s}", "packets", "dropped", "kernel", 7, "note", "id", "x");
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_string_equal(text_age(rows[i].seconds, text, sizeof(text)), rows[i].age);
	assert_string_equal(
		text_until("2026-01-05T10:00:10Z", UINT64_C(1767607200) * SECOND, text, sizeof(text)), "in 10s");
	assert_string_equal(
		text_until("2026-01-05T10:00:00Z", UINT64_C(1767607200) * SECOND, text, sizeof(text)), "now");
	assert_string_equal(
		text_since("2026-01-05T09:00:00Z", UINT64_C(1767607200) * SECOND, text, sizeof(text)), "60m");
	assert_string_equal(text_since("", 5, text, sizeof(text)), "-");
	assert_string_equal(text_clean("gr\xc3\xbc\xc3\x9f", text, sizeof(text)), "gr\xc3\xbc\xc3\x9f");
	assert_string_equal(text_clean("\xff\x1b", text, sizeof(text)), "??");
	assert_int_equal(text_columns("gr\xc3\xbc\xc3\x9f"), 4);
	assert_int_equal(json_count(job, "packets.dropped.kernel"), 7);
	assert_int_equal(json_count(job, "packets.dropped"), 0);
	assert_int_equal(json_count(job, "nothing.there"), 0);
	assert_string_equal(json_text(job, "id"), "x");
	assert_string_equal(json_text(job, "note"), "");
	assert_string_equal(json_text(NULL, "id"), "");
	json_decref(job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_and_totals),
		cmocka_unit_test(test_statistics_replace),
		cmocka_unit_test(test_end_notes),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_what_agents_shed),
		cmocka_unit_test(test_interfaces_bound),
		cmocka_unit_test(test_names_are_cleaned),
		cmocka_unit_test(test_line_fits),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_classic_pcap),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
