/* spool_measure.c - how far the bytes of a spool file can be believed. */
#include "uploader/spool/spool.h"

#include "common/fs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The walk over one file: a window that always has room for the longest unit. */
static int measure_fd(
	int fd, struct frame *f, struct sha_state *sum, struct digest *chunk, uint64_t *ret_bytes, struct err *err)
{
	const size_t room = 2u * FRAME_UNIT_BYTES_MAX;
	uint8_t *window = malloc(room);
	size_t have = 0, whole;
	uint64_t done = 0;
	ssize_t got;

	if (!window)
		return err_nomem(err);
	do {
		got = pread(fd, window + have, room - have, (off_t)(done + have));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err_sys(err, errno, "reading at byte %" PRIu64, done + have);
			free(window);
			return -1;
		}
		have += (size_t)got;
		whole = frame_walk(f, window, have);
		sha_state_add(sum, window, whole);
		digest_add(chunk, window, whole);
		done += whole;
		have -= whole;
		memmove(window, window + whole, have);
	} while (got != 0 && !f->bad);
	free(window);
	*ret_bytes = done;
	return 0;
}

int spool_measure(struct spool *sp, uint32_t seq, enum spool_kind kind, struct frame *f, struct sha_state *sum,
	struct digest *chunk, uint64_t *ret_bytes, struct err *err)
{
	uint64_t size;
	int fd = spool_chunk_fd(sp, seq, kind, &size, err), rc;

	if (fd < 0)
		return -1;
	rc = measure_fd(fd, f, sum, chunk, ret_bytes, err);
	fs_close(fd);
	return rc < 0 ? err_in(err, "chunk %" PRIu32, seq) : 0;
}
