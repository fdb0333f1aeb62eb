/* fuzz_shed_note.c - the comment of a stranger's statistics block: what is taken for a note is written and read back as the same. */
#include "schema/shed_note.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = strndup((const char *)data, n), again[SHED_NOTE_MAX];
	struct shed_note a, b;

	/* Written in milliseconds, and times before 1970 or of other eras are not ours: those of today must come back. */
	if (text && shed_note_parse(text, &a)) {
		assert(a.why[0] && memchr(a.why, '\0', sizeof(a.why)));
		shed_note_format(&a, again);
		if (a.from_ns > 0 && shed_note_parse(again, &b))
			assert(a.packets == b.packets && strcmp(a.why, b.why) == 0);
	}
	free(text);
	return 0;
}
