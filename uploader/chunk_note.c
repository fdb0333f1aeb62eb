/* chunk_note.c - see chunk_note.h. */
#include "uploader/chunk_note.h"

#include "common/fs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *chunk_note_format(const struct chunk_note *n, const char *part)
{
	char sum[SHA_STATE_TEXT_MAX];

	return fs_path("%s %" PRIu32 " %s %s %s", frame_format_name(n->frame.format), n->frame.interfaces,
		n->last ? "end" : "more", sha_state_save(&n->sum, sum), part);
}

int chunk_note_parse(const char *text, struct chunk_note *ret, const char **ret_part, struct err *err)
{
	char format[8], more[5], sum[SHA_STATE_TEXT_MAX];
	struct chunk_note n = {0};
	int end = -1;

	if (sscanf(text, "%7s %" SCNu32 " %4s %223s%n", format, &n.frame.interfaces, more, sum, &end) != 4 || end < 0 ||
		text[end] != ' ' || !frame_format_parse(format, &n.frame.format) || n.frame.format == FRAME_NOTHING ||
		n.frame.interfaces > PCAPNG_INTERFACES_MAX || !sha_state_load(&n.sum, sum))
		return err_set(err, ERR_IO, "the database's note \"%s\" is none of ours", text);
	n.last = strcmp(more, "end") == 0;
	if (!n.last && strcmp(more, "more") != 0)
		return err_set(err, ERR_IO, "the database's note \"%s\" is none of ours", text);
	*ret = n;
	*ret_part = text + end + 1;
	return 0;
}
