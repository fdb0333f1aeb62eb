/* Reasons for an end: every one has a name that reads back, and the comment in the file does too. */
#include "schema/stop_reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_names_read_back(void **state)
{
	enum stop_reason r;

	(void)state;
	for (int i = STOP_NONE; i <= STOP_INTERNAL; i++) {
		const char *name = stop_reason_name((enum stop_reason)i);

		r = STOP_INTERNAL;
		assert_true(stop_reason_parse(name, &r));
		assert_int_equal(r, i);
		assert_true(strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name));
		assert_true(strlen(stop_reason_text((enum stop_reason)i)) > 5);
	}
	assert_string_equal(stop_reason_name(STOP_NONE), "");
	assert_string_equal(stop_reason_name(STOP_USER), "user_stop");
	assert_string_equal(stop_reason_name(STOP_INTERNAL), "internal_error");
}

static void test_unknown_names_are_refused(void **state)
{
	static const char *const names[] = {"user", "user_stop ", "USER_STOP", "internal_error2", " "};
	enum stop_reason r = STOP_KILLED;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(stop_reason_parse(names[i], &r));
	assert_int_equal(r, STOP_KILLED);
	assert_string_equal(stop_reason_name((enum stop_reason)(STOP_INTERNAL + 1)), "");
	assert_string_equal(stop_reason_text((enum stop_reason)(STOP_INTERNAL + 1)), "");
}

static void test_notes(void **state)
{
	char note[STOP_NOTE_MAX], text[STOP_NOTE_MAX];
	enum stop_reason r;

	(void)state;
	assert_string_equal(
		stop_note_format(STOP_MAX_PACKETS, "100 packets", note), "capture ended (max_packets): 100 packets");
	assert_string_equal(stop_note_format(STOP_USER, NULL, note), "capture ended (user_stop)");
	assert_string_equal(stop_note_format(STOP_USER, "", note), "capture ended (user_stop)");
	for (int i = STOP_USER; i <= STOP_INTERNAL; i++) {
		stop_note_format((enum stop_reason)i, i % 2 ? "): (odd): text" : NULL, note);
		assert_true(stop_note_parse(note, &r, text));
		assert_int_equal(r, i);
		assert_string_equal(text, i % 2 ? "): (odd): text" : "");
		assert_true(stop_note_parse(note, &r, NULL));
	}
}

static void test_other_comments_are_not_notes(void **state)
{
	static const char *const comments[] = {"", "capture ended", "capture ended (", "capture ended ()",
		"capture ended (): x", "capture ended (user_stop", "capture ended (user_stop)x",
		"capture ended (user_stop):", "capture ended (user_stop):x", "capture ended (nonsense)",
		"Capture ended (user_stop)", " capture ended (user_stop)",
		"capture ended (user_stopxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx)"};
	enum stop_reason r = STOP_KILLED;
	char text[STOP_NOTE_MAX] = "kept";

	(void)state;
	for (size_t i = 0; i < sizeof(comments) / sizeof(comments[0]); i++)
		if (stop_note_parse(comments[i], &r, text))
			fail_msg("taken as a note: %s", comments[i]);
	assert_false(stop_note_parse(NULL, &r, text));
	assert_int_equal(r, STOP_KILLED);
	assert_string_equal(text, "kept");
}

static void test_long_notes_are_cut_between_characters(void **state)
{
	const size_t head = strlen("capture ended (user_stop): ");
	char note[STOP_NOTE_MAX], text[2 * STOP_NOTE_MAX], back[STOP_NOTE_MAX];
	enum stop_reason r;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(strlen(stop_note_format(STOP_USER, text, note)), STOP_NOTE_MAX - 1);
	assert_true(stop_note_parse(note, &r, back));
	assert_int_equal(strlen(back), STOP_NOTE_MAX - 1 - head);
	for (size_t before = 0; before < 4; before++) { /* how much of the character still fits */
		memset(text, 'a', sizeof(text) - 1);
		memcpy(text + STOP_NOTE_MAX - 1 - head - before, "\xe2\x82\xac", 3);
		stop_note_format(STOP_USER, text, note);
		assert_int_equal(strlen(note), before == 3 ? STOP_NOTE_MAX - 1 : STOP_NOTE_MAX - 1 - before);
	}
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "capture ended (user_stop): ", head);
	assert_true(stop_note_parse(text, &r, back));
	assert_int_equal(strlen(back), STOP_NOTE_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_read_back),
		cmocka_unit_test(test_unknown_names_are_refused),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_other_comments_are_not_notes),
		cmocka_unit_test(test_long_notes_are_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
