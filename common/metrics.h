/* metrics.h - figures for operators' monitoring: what is counted, and the page that shows it (Prometheus text exposition format 0.0.4).
 *
 * A figure's rows are fixed when the program is made: a label takes one of a list of words, and whatever is none of them counts as the last one ("other"). So nobody who
 * asks for something can make the page grow, and no name of anybody ever stands in it.
 *
 * Counting is one atomic addition, any thread; it is for what happens to requests and captures, never for each packet. */
#ifndef PCAPLINE_COMMON_METRICS_H
#define PCAPLINE_COMMON_METRICS_H

#include "common/buf.h"
#include "common/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METRICS_PAGE_MAX     ((size_t)1024 * 1024)
#define METRICS_LABELS_MAX   2
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* ---- what is counted; static tables, zero at the start ---- */

struct metrics_label {
	const char *name; /* NULL: there is none */
	const char *const *words;
	size_t n; /* the last word is for what is none of the others */
};
#define METRICS_WORDS(list) (list), sizeof(list) / sizeof((list)[0])

struct metrics_counter {
	const char *name, *help;
	struct metrics_label labels[METRICS_LABELS_MAX];
	_Atomic uint64_t *cells; /* one for each word, or pair of words */
	bool sparse;             /* many rows: those that are zero are not shown */
};

/* metrics_word: its number among the label's words. */
size_t metrics_word(const struct metrics_label *l, const char *word);

/* metrics_count: n more; a and b are numbers of words, 0 where there is no label.  A number beyond the words is the last one's. */
void metrics_count(struct metrics_counter *c, size_t a, size_t b, uint64_t n);

/* Durations: how many took up to 5 ms ... 30 s, how many in all, and how long together. */
#define METRICS_BUCKETS_N 12
struct metrics_histogram {
	_Atomic uint64_t buckets[METRICS_BUCKETS_N + 1]; /* not cumulated; the last: longer */
	_Atomic uint64_t sum_ns;
};
void metrics_observe(struct metrics_histogram *h, uint64_t ns);

/* ---- the page.  Once it has failed, nothing more is added; metrics_page_end says why. ---- */

struct metrics_page {
	struct buf *out;
	const char *family;
	bool failed;
	struct err err;
};
void metrics_page_begin(struct metrics_page *p, struct buf *out);
int metrics_page_end(const struct metrics_page *p, struct err *err);

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

/* metrics_family: the figures that follow are called name, which is borrowed.  A counter's name ends in _total. */
void metrics_family(struct metrics_page *p, enum metrics_type type, const char *name, const char *help);

/* One row: label and word, in turns, up to METRICS_END (NULL alone need not be a pointer). */
#define METRICS_END ((const char *)NULL)
void metrics_u64(struct metrics_page *p, uint64_t value, ...) __attribute__((sentinel));
void metrics_real(struct metrics_page *p, double value, ...) __attribute__((sentinel));
void metrics_durations(struct metrics_page *p, const struct metrics_histogram *h, ...) __attribute__((sentinel));

/* A family of one row without labels. */
void metrics_single(struct metrics_page *p, enum metrics_type type, const char *name, const char *help, uint64_t value);
void metrics_counter_show(struct metrics_page *p, const struct metrics_counter *c);

/* metrics_process: what every program tells of itself, under the names that Prometheus' own client libraries use (process_...).  What the kernel does not tell is left out. */
void metrics_process(struct metrics_page *p);

#endif
