/* chunk_note.h - what the database remembers with each closed chunk, as one line of text (job_chunk.part):
 *   "<format> <interfaces> <more|end> <sum> <part>"
 * the state of the stream after the chunk, so that it can be gone on with when the chunk's file is gone, and the driver's own text for
 * the part ("" until the store has it). */
#ifndef PCAPLINE_UPLOADER_SPOOL_CHUNK_NOTE_H
#define PCAPLINE_UPLOADER_SPOOL_CHUNK_NOTE_H

#include "common/err.h"
#include "uploader/spool/frame.h"
#include "uploader/spool/sha_state.h"

#include <stdbool.h>

struct chunk_note {
	struct frame frame;   /* after the chunk */
	struct sha_state sum; /* over all chunks up to its end */
	bool last;            /* the object ends with it */
};

/* New string, NULL on no memory. */
char *chunk_note_format(const struct chunk_note *n, const char *part);

/* *ret_part: borrowed from text.  -1: ERR_IO, not such a line. */
int chunk_note_parse(const char *text, struct chunk_note *ret, const char **ret_part, struct err *err);

#endif
