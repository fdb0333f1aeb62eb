/* test_fair.c - who goes next: users get the same, whatever number of streams each has, and nobody saves up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/limits/fair.h"

#define STREAMS 16

/* One stream of a user, that always has a next piece. */
struct stream {
	struct fair_piece piece; /* first: found again by it */
	unsigned user;
	uint64_t bytes;
};

static struct fair fair;
static struct fair_user users[STREAMS];
static uint64_t got[STREAMS];

static int setup(void **state)
{
	(void)state;
	fair = (struct fair){0};
	for (unsigned i = 0; i < STREAMS; i++) {
		users[i] = (struct fair_user){0};
		got[i] = 0;
	}
	return 0;
}

static void wait_again(struct stream *s)
{
	fair_add(&fair, &users[s->user], &s->piece, s->bytes);
}

/* `turns` pieces go, and those whose they were want more. */
static void serve(unsigned turns)
{
	while (turns-- > 0) {
		struct stream *s = (struct stream *)fair_first(&fair);

		assert_non_null(s);
		fair_remove(&fair, &s->piece);
		got[s->user] += s->bytes;
		wait_again(s);
	}
}

static void assert_about(uint64_t a, uint64_t b, uint64_t piece)
{
	assert_in_range(a, b > piece ? b - piece : 0, b + piece);
}

static void ten_streams_get_no_more_than_one(void **state)
{
	struct stream s[11];

	(void)state;
	for (unsigned i = 0; i < 11; i++) {
		s[i] = (struct stream){.user = i < 10 ? 0 : 1, .bytes = 1000};
		wait_again(&s[i]);
	}
	serve(1000);
	assert_about(got[0], 500 * 1000, 1000);
	assert_about(got[1], 500 * 1000, 1000);
}

static void it_is_bytes_that_count(void **state)
{
	struct stream s[] = {{.user = 0, .bytes = 250000}, {.user = 1, .bytes = 1000}, {.user = 2, .bytes = 70000}};

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		wait_again(&s[i]);
	serve(10000);
	assert_about(got[0], got[1], 250000);
	assert_about(got[2], got[1], 250000);
}

/* Who was away for long gets its share from then on, not what it left before. */
static void nobody_saves_up(void **state)
{
	struct stream early = {.user = 0, .bytes = 1000}, late = {.user = 1, .bytes = 1000};

	(void)state;
	wait_again(&early);
	serve(1000);
	wait_again(&late);
	serve(100);
	assert_about(got[1], 50 * 1000, 1000);
	assert_about(got[0], 1050 * 1000, 1000);
}

static void who_leaves_the_line_hinders_nobody(void **state)
{
	struct stream a = {.user = 0, .bytes = 10}, b = {.user = 1, .bytes = 10}, c = {.user = 2, .bytes = 10};

	(void)state;
	wait_again(&a);
	wait_again(&b);
	wait_again(&c);
	assert_ptr_equal(fair_first(&fair), &a.piece); /* as they came */
	fair_remove(&fair, &b.piece);
	fair_remove(&fair, &b.piece);
	fair_remove(&fair, &a.piece);
	assert_ptr_equal(fair_first(&fair), &c.piece);
	fair_remove(&fair, &c.piece);
	assert_null(fair_first(&fair));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ten_streams_get_no_more_than_one, setup),
		cmocka_unit_test_setup(it_is_bytes_that_count, setup),
		cmocka_unit_test_setup(nobody_saves_up, setup),
		cmocka_unit_test_setup(who_leaves_the_line_hinders_nobody, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
