/* chunk_note.c - see chunk_note.h. */
#include "uploader/spool/chunk_note.h"

#include "common/fs.h"
#include "uploader/text_fields.h"

#include <inttypes.h>
#include <string.h>

char *chunk_note_format(const struct chunk_note *n, const char *part)
{
	char sum[SHA_STATE_TEXT_MAX];

	return fs_path("%s %" PRIu32 " %s %s %s", frame_format_name(n->frame.format), n->frame.interfaces,
		n->last ? "end" : "more", sha_state_save(&n->sum, sum), part);
}

static bool note_parse(const char *text, struct chunk_note *ret, const char **ret_part)
{
	char format[8], interfaces[8], more[8], sum[SHA_STATE_TEXT_MAX];
	struct chunk_note n = {0};
	uint64_t count;

	if (!(text = text_field(text, ' ', format, sizeof(format))) ||
		!(text = text_field(text, ' ', interfaces, sizeof(interfaces))) ||
		!(text = text_field(text, ' ', more, sizeof(more))) ||
		!(text = text_field(text, ' ', sum, sizeof(sum))))
		return false;
	if (!frame_format_parse(format, &n.frame.format) || n.frame.format == FRAME_NOTHING)
		return false;
	if (!text_u64(interfaces, &count) || count > PCAPNG_INTERFACES_MAX || !sha_state_load(&n.sum, sum))
		return false;
	n.frame.interfaces = (uint32_t)count;
	n.last = strcmp(more, "end") == 0;
	if (!n.last && strcmp(more, "more") != 0)
		return false;
	*ret = n;
	*ret_part = text;
	return true;
}

int chunk_note_parse(const char *text, struct chunk_note *ret, const char **ret_part, struct err *err)
{
	if (note_parse(text, ret, ret_part))
		return 0;
	return err_set(err, ERR_IO, "the database's note \"%s\" is none of ours", text);
}
