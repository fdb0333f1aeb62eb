/* capture_table.h - the captures that run, or are just being opened: unique ids, a limit, and ways to end one or all.
 * A slot is in the table from before its device is opened until its stream is closed; so a stop finds it early, and the limit counts
 * devices that are being opened.  All functions may be called from any thread. */
#ifndef PCAPLINE_COLLECTOR_CAPTURE_TABLE_H
#define PCAPLINE_COLLECTOR_CAPTURE_TABLE_H

#include "collector/capture.h"
#include "common/err.h"
#include "common/id.h"
#include "schema/stop_reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the table needs of a capture; its owner keeps it alive while it is in the table. */
struct capture_slot {
	char id[ID_MAX];
	struct capture *capture;
	int fd; /* of the connection that it goes out by; open while the slot is in the table */

	/* the table's, by its lock: what capture_table_watch saw */
	unsigned turn;
	uint64_t turned_ns; /* when it had made that turn; 0: not looked at yet */
	bool cut;
};

struct capture_table;

struct capture_table *capture_table_new(size_t max, struct err *err);
void capture_table_free(struct capture_table *t); /* empty by then; accepts NULL */

/* capture_table_add: -1 ERR_STATE duplicate_capture, ERR_BUSY too_many_captures, ERR_UNAVAILABLE shutting_down (after a stop_all). */
int capture_table_add(struct capture_table *t, struct capture_slot *s, struct err *err);
void capture_table_remove(struct capture_table *t, const struct capture_slot *s);

size_t capture_table_count(struct capture_table *t);

/* capture_table_figures: of all captures that there ever were, the running ones as capture_figures tells.  None of them ever goes back: a slot's figures are taken over
 * when it is taken out. */
void capture_table_figures(struct capture_table *t, struct capture_figures *ret);
bool capture_table_stop(struct capture_table *t, const char *id, enum stop_reason reason); /* false: not there */
void capture_table_stop_all(struct capture_table *t, enum stop_reason reason); /* and nothing new from now on */
size_t capture_table_cut_all(struct capture_table *t); /* shuts their connections down; returns how many */

/* capture_table_watch: a look, now, at who makes turns (capture_turn).  Whoever is at work and has made none for span_ns is cut: its connection is
 * shut down, and on_cut told, under the lock.  true: one is still there, without a turn, span_ns after it was cut; ret_id: which.  Time in which nobody looked
 * (the process was stopped) is not held against anybody. */
bool capture_table_watch(struct capture_table *t, uint64_t now_ns, uint64_t span_ns,
	void (*on_cut)(void *ctx, const char *id), void *ctx, char ret_id[ID_MAX]);

bool capture_table_wait_empty(struct capture_table *t, uint64_t ms);

#endif
