/* test_cli_stream.c - cli/stream.c: at every moment the output holds whole blocks, and in the end all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/stream.h"
#include "common/buf.h"
#include "common/fs.h"
#include "test/unit/temp_file.h"

#include <stdlib.h>
#include <string.h>

#define PACKETS 20u

struct rig {
	struct temp_file file;
	struct out out;
	struct counter *counter;
	struct stream *stream;
	uint8_t data[8192];
	size_t n;
	size_t ends[PACKETS + 2]; /* where blocks end */
	size_t ends_n;
};

static void add(struct rig *r, size_t n)
{
	assert_true(n > 0);
	r->n += n;
	r->ends[r->ends_n++] = r->n;
}

static void make_pcapng(struct rig *r)
{
	struct pcapng_section section = {.application = "test"};
	struct pcapng_interface interface = {.link_type = 1, .name = "web/0 eth0"};
	uint8_t bytes[64] = {0};

	add(r, pcapng_write_section(r->data, sizeof(r->data), &section));
	add(r, pcapng_write_interface(r->data + r->n, sizeof(r->data) - r->n, &interface));
	for (uint32_t i = 0; i < PACKETS; i++) {
		struct pcapng_packet p = {.ts_ns = i, .caplen = i, .len = i, .data = bytes};

		add(r, pcapng_write_packet(r->data + r->n, sizeof(r->data) - r->n, &p));
	}
}

static void make_pcap(struct rig *r)
{
	uint8_t bytes[64] = {0};

	add(r, pcap_file_write_header(r->data, 1, 65535));
	for (uint32_t i = 0; i < PACKETS; i++)
		add(r, pcap_file_write_packet(r->data + r->n, i, i, i, bytes));
}

static void start(struct rig *r)
{
	assert_int_equal(out_open(&r->out, r->file.path, false, NULL), 0);
	assert_int_equal(out_begin(&r->out, NULL), 0);
	r->counter = counter_new(NULL);
	r->stream = stream_new(&r->out, r->counter, NULL);
	assert_non_null(r->stream);
}

static void stop(struct rig *r)
{
	stream_free(r->stream);
	counter_free(r->counter);
	out_close(&r->out, NULL);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	temp_file_init(&r->file);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	temp_file_done(&r->file);
	free(r);
	return 0;
}

static size_t last_end(const struct rig *r, size_t fed)
{
	size_t end = 0;

	for (size_t i = 0; i < r->ends_n && r->ends[i] <= fed; i++)
		end = r->ends[i];
	return end;
}

static void assert_file_is(const struct rig *r, size_t n)
{
	struct buf content;

	buf_init(&content, sizeof(r->data) + 1);
	assert_int_equal(fs_read(r->file.path, &content, NULL), 0);
	assert_int_equal(content.len, n);
	if (n)
		assert_memory_equal(content.data, r->data, n);
	buf_done(&content);
}

/* In slices of every size: after each the file ends with the last whole block. */
static void feed_in_slices(struct rig *r, size_t slice)
{
	size_t fed = 0;

	start(r);
	while (fed < r->n) {
		size_t n = r->n - fed < slice ? r->n - fed : slice;

		assert_int_equal(stream_feed(r->stream, r->data + fed, n, NULL), 0);
		fed += n;
		assert_int_equal(stream_bytes(r->stream), fed);
		assert_int_equal(r->out.bytes, last_end(r, fed));
		assert_int_equal(stream_kept(r->stream), fed - last_end(r, fed));
	}
	assert_file_is(r, r->n);
	assert_int_equal(counter_bytes(r->counter), r->n);
	assert_int_equal(counter_row(r->counter, 0)->packets, PACKETS);
	stop(r);
}

static void test_pcapng_slices(void **state)
{
	struct rig *r = *state;

	make_pcapng(r);
	for (size_t slice = 1; slice <= r->n; slice = slice < 100 ? slice + 1 : slice * 2)
		feed_in_slices(r, slice);
	feed_in_slices(r, r->n);
}

static void test_pcap_slices(void **state)
{
	struct rig *r = *state;

	make_pcap(r);
	for (size_t slice = 1; slice <= r->n; slice = slice < 100 ? slice + 1 : slice * 2)
		feed_in_slices(r, slice);
}

static void test_neither_format(void **state)
{
	struct rig *r = *state;
	struct err err = {0};

	start(r);
	assert_int_equal(stream_feed(r->stream, (const uint8_t *)"<html>this is a login page</html>", 33, &err), -1);
	assert_int_equal(err.code, ERR_INPUT);
	assert_non_null(strstr(err.msg, "the stream is broken"));
	assert_int_equal(r->out.bytes, 0);
	stop(r);
}

/* Whole blocks before the fault are kept, whichever slice they came in. */
static void test_fault_in_the_middle(void **state)
{
	struct rig *r = *state;
	size_t fault_at;
	struct err err = {0};

	make_pcapng(r);
	fault_at = r->ends[10];
	memset(r->data + fault_at, 0xff, 12); /* a block with an absurd length */
	start(r);
	assert_int_equal(stream_feed(r->stream, r->data, 7, &err), 0);
	assert_int_equal(stream_feed(r->stream, r->data + 7, r->n - 7, &err), -1);
	assert_int_equal(err.code, ERR_INPUT);
	stop(r);
	assert_file_is(r, fault_at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pcapng_slices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_slices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_neither_format, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fault_in_the_middle, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
