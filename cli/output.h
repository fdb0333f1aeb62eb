/* output.h - where the captured bytes go: a file of ours (mode 0600), or stdout.
 *
 * Life: out_open (before anything is asked of the gateway, so that a path that cannot be written costs nothing),
 * out_begin when data will come (only now is an old file emptied), out_write..., out_close.
 * Each write is a whole number of blocks; after a failed one the file is cut back to the end of the last whole write. */
#ifndef PCAPLINE_CLI_OUTPUT_H
#define PCAPLINE_CLI_OUTPUT_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct out {
	char *path; /* "-" : stdout */
	int fd;
	bool is_stdout;
	bool is_new;     /* made by us, nothing in it yet: removed if nothing comes */
	bool is_regular; /* can be cut and measured */
	uint64_t bytes;  /* written */
};

#define OUTPUT_PIPE_CLOSED "pipe_closed" /* err.detail: the reader of stdout has gone, which is no failure */

/* out_open: refuses a terminal as stdout (ERR_INPUT).  fresh: the file must not exist yet. */
int out_open(struct out *o, const char *path, bool fresh, struct err *err);
int out_begin(struct out *o, struct err *err);

/* out_write: head and then body (either may be empty) as one unit: all of both, or the file is cut back to before them.
 * ERR_FULL or ERR_IO; ERR_CANCELLED with OUTPUT_PIPE_CLOSED. */
int out_write(struct out *o, const void *head, size_t head_n, const void *body, size_t body_n, struct err *err);

/* out_rewind: back to nothing, to begin anew.  ERR_STATE where that cannot be done (a pipe that has got bytes). */
int out_rewind(struct out *o, struct err *err);

/* out_close: reports what the system found out only now (a full remote disk).  A file that we made and that got no byte
 * although out_begin was not reached is removed.  Closing twice is fine. */
int out_close(struct out *o, struct err *err);

/* out_is_open: between open and close. */
bool out_is_open(const struct out *o);

#endif
