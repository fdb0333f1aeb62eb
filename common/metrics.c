/* metrics.c - counting, and the page. */
#include "common/metrics.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* From an answer out of memory to one that waited for a platform; the last one is the longest that anything here waits. */
static const double bounds[METRICS_BUCKETS_N] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

/* ---- counting ---- */

size_t metrics_word(const struct metrics_label *l, const char *word)
{
	size_t i;

	for (i = 0; i + 1 < l->n; i++) {
		if (strcmp(l->words[i], word) == 0)
			break;
	}
	return i;
}

static size_t rows_of(const struct metrics_label *l)
{
	return l->name ? l->n : 1;
}

static size_t at_most(size_t i, size_t n)
{
	return i < n ? i : n - 1;
}

void metrics_count(struct metrics_counter *c, size_t a, size_t b, uint64_t n)
{
	size_t bs = rows_of(&c->labels[1]);
	size_t cell = at_most(a, rows_of(&c->labels[0])) * bs + at_most(b, bs);

	atomic_fetch_add_explicit(&c->cells[cell], n, memory_order_relaxed);
}

void metrics_observe(struct metrics_histogram *h, uint64_t ns)
{
	double s = (double)ns / (double)CLOCK_NS_PER_S;
	size_t i = 0;

	while (i < METRICS_BUCKETS_N && s > bounds[i])
		i++;
	atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_ns, ns, memory_order_relaxed);
}

/* ---- the page ---- */

void metrics_page_begin(struct metrics_page *p, struct buf *out)
{
	memset(p, 0, sizeof(*p));
	p->out = out;
}

int metrics_page_end(const struct metrics_page *p, struct err *err)
{
	if (p->failed && err)
		*err = p->err;
	return p->failed ? -1 : 0;
}

static void put_n(struct metrics_page *p, const char *text, size_t n)
{
	if (!p->failed && buf_add(p->out, text, n, &p->err) < 0)
		p->failed = true;
}

static void put(struct metrics_page *p, const char *text)
{
	put_n(p, text, strlen(text));
}

/* What the format says stands escaped: backslash and line feed, in a label's value the quotation mark too. */
static void put_escaped(struct metrics_page *p, const char *text, const char *special)
{
	while (*text) {
		size_t n = strcspn(text, special);

		put_n(p, text, n);
		text += n;
		if (*text)
			put(p, *text == '\n' ? "\\n" : *text == '"' ? "\\\"" : "\\\\");
		text += *text != '\0';
	}
}

void metrics_family(struct metrics_page *p, enum metrics_type type, const char *name, const char *help)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};

	p->family = name;
	put(p, "# HELP ");
	put(p, name);
	put(p, " ");
	put_escaped(p, help, "\\\n");
	put(p, "\n# TYPE ");
	put(p, name);
	put(p, " ");
	put(p, types[type]);
	put(p, "\n");
}

/* Returns whether the brace is open. */
static bool put_label(struct metrics_page *p, bool open, const char *name, const char *word)
{
	put(p, open ? "," : "{");
	put(p, name);
	put(p, "=\"");
	put_escaped(p, word, "\\\n\"");
	put(p, "\"");
	return true;
}

static bool put_labels(struct metrics_page *p, const char *suffix, va_list ap)
{
	const char *name;
	bool open = false;

	put(p, p->family);
	put(p, suffix);
	while ((name = va_arg(ap, const char *)))
		open = put_label(p, open, name, va_arg(ap, const char *));
	return open;
}

static void put_value(struct metrics_page *p, bool open, const char *value)
{
	put(p, open ? "} " : " ");
	put(p, value);
	put(p, "\n");
}

static void format_u64(char ret[32], uint64_t v)
{
	snprintf(ret, 32, "%" PRIu64, v);
}

static void format_real(char ret[32], double v)
{
	snprintf(ret, 32, "%.15g", v);
}

void metrics_u64(struct metrics_page *p, uint64_t value, ...)
{
	char text[32];
	va_list ap;
	bool open;

	va_start(ap, value);
	open = put_labels(p, "", ap);
	va_end(ap);
	format_u64(text, value);
	put_value(p, open, text);
}

void metrics_real(struct metrics_page *p, double value, ...)
{
	char text[32];
	va_list ap;
	bool open;

	va_start(ap, value);
	open = put_labels(p, "", ap);
	va_end(ap);
	format_real(text, value);
	put_value(p, open, text);
}

void metrics_durations(struct metrics_page *p, const struct metrics_histogram *h, ...)
{
	/* Read first: what is counted meanwhile must not make a bucket larger than the whole. */
	uint64_t sum_ns = atomic_load_explicit(&h->sum_ns, memory_order_relaxed), n = 0;
	char text[32], bound[32];
	va_list ap;
	bool open;

	for (size_t i = 0; i <= METRICS_BUCKETS_N; i++) {
		n += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
		va_start(ap, h);
		open = put_labels(p, "_bucket", ap);
		va_end(ap);
		if (i < METRICS_BUCKETS_N)
			format_real(bound, bounds[i]);
		open = put_label(p, open, "le", i < METRICS_BUCKETS_N ? bound : "+Inf");
		format_u64(text, n);
		put_value(p, open, text);
	}
	va_start(ap, h);
	open = put_labels(p, "_sum", ap);
	va_end(ap);
	format_real(text, (double)sum_ns / (double)CLOCK_NS_PER_S);
	put_value(p, open, text);
	va_start(ap, h);
	open = put_labels(p, "_count", ap);
	va_end(ap);
	format_u64(text, n);
	put_value(p, open, text);
}

void metrics_single(struct metrics_page *p, enum metrics_type type, const char *name, const char *help, uint64_t value)
{
	metrics_family(p, type, name, help);
	metrics_u64(p, value, METRICS_END);
}

void metrics_counter_show(struct metrics_page *p, const struct metrics_counter *c)
{
	const struct metrics_label *a = &c->labels[0], *b = &c->labels[1];

	metrics_family(p, METRICS_COUNTER, c->name, c->help);
	for (size_t i = 0; i < rows_of(a) * rows_of(b); i++) {
		uint64_t n = atomic_load_explicit(&c->cells[i], memory_order_relaxed);

		if (n == 0 && c->sparse)
			continue;
		if (b->name)
			metrics_u64(p, n, a->name, a->words[i / b->n], b->name, b->words[i % b->n], METRICS_END);
		else if (a->name)
			metrics_u64(p, n, a->name, a->words[i], METRICS_END);
		else
			metrics_u64(p, n, METRICS_END);
	}
}
