/* counter.c - see counter.h. */
#include "cli/counter.h"

#include "cli/text.h"
#include "common/clock.h"
#include "common/parse.h"
#include "schema/shed_note.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE_WINDOW_NS CLOCK_NS_PER_S

struct counter {
	struct counter_row *rows;
	size_t rows_n, rows_cap;
	uint32_t row_of[PCAPNG_INTERFACES_MAX]; /* by interface id of the section that is being read */
	uint32_t ids_n;
	uint64_t stream_bytes;
	uint64_t rate_from_ns, rate_from_bytes, rate; /* rate: bytes per second of the last whole window */
};

struct counter *counter_new(struct err *err)
{
	struct counter *c = calloc(1, sizeof(*c));

	if (!c)
		err_nomem(err);
	return c;
}

void counter_free(struct counter *c)
{
	if (!c)
		return;
	free(c->rows);
	free(c);
}

/* The row of that name, a new one if need be; past the bound all further interfaces share the last row. */
static int find_row(struct counter *c, const char *name, uint32_t *ret, struct err *err)
{
	char clean[COUNTER_NAME_MAX];

	text_clean(name, clean, sizeof(clean));
	for (size_t i = 0; i < c->rows_n; i++)
		if (!strcmp(c->rows[i].name, clean)) {
			*ret = (uint32_t)i;
			return 0;
		}
	if (c->rows_n == PCAPNG_INTERFACES_MAX) {
		*ret = PCAPNG_INTERFACES_MAX - 1;
		return 0;
	}
	if (c->rows_n == c->rows_cap) {
		size_t cap = c->rows_cap ? c->rows_cap * 2 : 8;
		struct counter_row *rows = realloc(c->rows, cap * sizeof(*rows));

		if (!rows)
			return err_nomem(err);
		c->rows = rows;
		c->rows_cap = cap;
	}
	c->rows[c->rows_n] = (struct counter_row){0};
	memcpy(c->rows[c->rows_n].name, clean, sizeof(clean));
	*ret = (uint32_t)c->rows_n++;
	return 0;
}

static int add_interface(struct counter *c, const struct pcapng_interface *i, struct err *err)
{
	if (c->ids_n == PCAPNG_INTERFACES_MAX)
		return err_set(err, ERR_LIMIT, "more than %u interfaces in one section", PCAPNG_INTERFACES_MAX);
	if (find_row(c, i->name ? i->name : "", &c->row_of[c->ids_n], err) < 0)
		return -1;
	c->ids_n++;
	return 0;
}

static void add_packet(struct counter *c, uint32_t interface_id, uint32_t caplen)
{
	struct counter_row *row;

	if (interface_id >= c->ids_n) /* the reader refuses it before we see it */
		return;
	row = &c->rows[c->row_of[interface_id]];
	row->packets++;
	row->bytes += caplen;
}

bool counter_is_early(const struct counter_row *row)
{
	return row->has_end && row->end != STOP_NONE && row->end != STOP_USER && row->end != STOP_MAX_DURATION &&
	       row->end != STOP_MAX_BYTES && row->end != STOP_MAX_PACKETS;
}

static void read_end_note(struct counter_row *row, const char *comment)
{
	if (!row->has_end && stop_note_parse(comment, &row->end, row->end_text))
		row->has_end = true;
}

/* Statistics are totals since the interface's start: the latest replace those before. */
static void add_stats(struct counter *c, const struct pcapng_stats *s)
{
	struct counter_row *row;
	struct shed_note shed;

	if (s->interface_id >= c->ids_n)
		return;
	row = &c->rows[c->row_of[s->interface_id]];
	if (s->have & PCAPNG_STATS_OSDROP)
		row->dropped_os = s->dropped_os;
	if (s->have & PCAPNG_STATS_IFDROP)
		row->dropped_interface = s->dropped_interface;
	if (s->have & PCAPNG_STATS_ACCEPTED)
		row->received = s->accepted;
	else if (s->have & PCAPNG_STATS_RECEIVED)
		row->received = s->received;
	if (s->have & (PCAPNG_STATS_ACCEPTED | PCAPNG_STATS_RECEIVED))
		row->has_received = true;
	if (shed_note_parse(s->comment, &shed))
		row->dropped_agent = shed.packets;
	else if (s->comment)
		read_end_note(row, s->comment);
}

int counter_block(void *ctx, const struct pcapng_block *b, struct err *err)
{
	struct counter *c = ctx;

	switch (b->kind) {
	case PCAPNG_SECTION:
		c->ids_n = 0;
		break;
	case PCAPNG_INTERFACE:
		return add_interface(c, &b->interface, err);
	case PCAPNG_PACKET:
		add_packet(c, b->packet.interface_id, b->packet.caplen);
		break;
	case PCAPNG_STATS:
		add_stats(c, &b->stats);
		break;
	case PCAPNG_OTHER:
		break;
	}
	return 0;
}

int counter_pcap_packet(void *ctx, const struct pcap_file_packet *p, struct err *err)
{
	struct counter *c = ctx;
	struct pcapng_interface all = {.name = ""}; /* the classic format does not tell instances apart */

	if (!c->ids_n && add_interface(c, &all, err) < 0)
		return -1;
	add_packet(c, 0, p->caplen);
	return 0;
}

void counter_stream_bytes(struct counter *c, uint64_t n)
{
	c->stream_bytes += n;
}

size_t counter_rows_n(const struct counter *c)
{
	return c->rows_n;
}

const struct counter_row *counter_row(const struct counter *c, size_t i)
{
	return &c->rows[i];
}

uint64_t counter_bytes(const struct counter *c)
{
	return c->stream_bytes;
}

void counter_total(const struct counter *c, struct counter_row *ret)
{
	*ret = (struct counter_row){0};
	for (size_t i = 0; i < c->rows_n; i++) {
		ret->packets += c->rows[i].packets;
		ret->bytes += c->rows[i].bytes;
		ret->received += c->rows[i].received;
		ret->has_received |= c->rows[i].has_received;
		ret->dropped_os += c->rows[i].dropped_os;
		ret->dropped_interface += c->rows[i].dropped_interface;
		ret->dropped_agent += c->rows[i].dropped_agent;
	}
}

static uint64_t rate_now(struct counter *c, uint64_t mono_ns)
{
	uint64_t passed = mono_ns - c->rate_from_ns;

	if (!c->rate_from_ns) {
		c->rate_from_ns = mono_ns;
		c->rate_from_bytes = c->stream_bytes;
	} else if (passed >= RATE_WINDOW_NS) {
		c->rate = (uint64_t)((double)(c->stream_bytes - c->rate_from_bytes) * (double)CLOCK_NS_PER_S /
				     (double)passed);
		c->rate_from_ns = mono_ns;
		c->rate_from_bytes = c->stream_bytes;
	}
	return c->rate;
}

/* One row's words; losses are named only where there are some. */
static void row_text(const struct counter_row *row, bool first, char *ret, size_t size)
{
	uint64_t dropped = row->dropped_os + row->dropped_interface + row->dropped_agent;
	int n = snprintf(ret, size, "%s%s: %" PRIu64, first ? " | " : ", ", row->name, row->packets);

	if (dropped && n > 0 && (size_t)n < size)
		snprintf(ret + n, size - (size_t)n, " (%" PRIu64 " dropped)", dropped);
}

/* Appends the rows that fit; of those that do not, how many there are. */
static void add_rows(const struct counter *c, unsigned width, char *ret, size_t size)
{
	char text[COUNTER_NAME_MAX + 64], rest[24];

	if (c->rows_n == 1 && !c->rows[0].name[0])
		return;
	for (size_t i = 0; i < c->rows_n; i++) {
		bool last = i + 1 == c->rows_n;
		size_t need;

		row_text(&c->rows[i], i == 0, text, sizeof(text));
		snprintf(rest, sizeof(rest), " +%zu", c->rows_n - i);
		need = strlen(ret) + strlen(text) + (last ? 0 : strlen(rest));
		if (need > width || need >= size) {
			need = strlen(ret) + strlen(rest);
			if (i && need <= width && need < size)
				memcpy(ret + strlen(ret), rest, strlen(rest) + 1);
			return;
		}
		memcpy(ret + strlen(ret), text, strlen(text) + 1);
	}
}

char *counter_line(struct counter *c, uint64_t mono_ns, unsigned width, char *ret, size_t size)
{
	char packets[40], bytes[32], rate[32], line[160];
	struct counter_row total;
	uint64_t dropped;

	counter_total(c, &total);
	dropped = total.dropped_os + total.dropped_interface + total.dropped_agent;
	parse_format_bytes(c->stream_bytes, bytes, sizeof(bytes));
	parse_format_bytes(rate_now(c, mono_ns), rate, sizeof(rate));
	snprintf(line, sizeof(line), "%s, %s, %s/s, %" PRIu64 " dropped",
		text_count(total.packets, "packet", "packets", packets, sizeof(packets)), bytes, rate, dropped);
	snprintf(ret, size, "%.*s", (int)width, line);
	add_rows(c, width, ret, size);
	return ret;
}
