/* capture.h - one capture: packets of one device as a pcapng stream, written straight into the buffer that goes out.
 *
 * Life: capture_new, capture_open, capture_read until it says CAPTURE_END (or whoever reads is gone), capture_free.  capture_stop may
 * come at any time after capture_new, from any thread; everything else is for one thread at a time.
 *
 *   NEW -open-> OPENED -first read: section, interface-> RUNNING -stop, limit, error-> DRAINING -ring empty-> ENDED
 *                                                           |                                                  ^
 *                                                           +----------------- max_packets, max_bytes ---------+
 *              device   packets come in   in the ring
 *   NEW        no       no                -
 *   OPENED     joined   yes               waits
 *   RUNNING    joined   yes               read
 *   DRAINING   left     no                read to the last packet
 *   ENDED      left     no                what a limit cut off is let go
 *
 * Ceilings (pace.h) and the guard of the host (guard.h) hold while it is RUNNING: it rests instead of reading, and what the ring has no room for
 * meanwhile is shed (shed.h), told in the comment of the statistics (schema/shed_note.h).  A rest hears stop and hang-up and keeps statistics
 * and deadline; DRAINING knows none, for the ring bounds it.
 *
 * A capture of a container ends with STOP_CONTAINER_GONE when the container does, or its device: whatever the kernel had delivered
 * by then is still read, but at the host's end, when record or address are another container's now: what is in the ring then is let go.  (Its namespace lives on for as long as we hold a socket in it, so lo alone would never tell.)
 *
 * Headers only: what headers.h calls payload is cut before it gets into the stream, and lengths on the wire stay as they were; figures and limits
 * in bytes are of what is sent.
 *
 * Figures.  accepted (isb_filteraccept) = what passed the kernel's filter, including osdrop and what was shed; after a graceful end
 * accepted = delivered + osdrop + shed, to the packet.  After max_packets or max_bytes, or where another container took over, it is larger by what the ring still held. */
#ifndef PCAPLINE_COLLECTOR_CAPTURE_H
#define PCAPLINE_COLLECTOR_CAPTURE_H

#include "collector/container.h"
#include "collector/pace.h"
#include "common/err.h"
#include "schema/capture_request.h"
#include "schema/stop_reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct capture;
struct guard;

struct capture_settings {
	const struct agent_request *request; /* borrowed for capture_new only */
	uint64_t duration_max_ms;            /* above the request's own limit */
	struct pace_limits limits;
	struct guard *guard; /* borrowed until capture_free; NULL: none */
	uint64_t ring_bytes;
	uint64_t block_timeout_ms;
	uint64_t stats_interval_ms; /* also how long the stream is silent at the most */
};

struct capture *capture_new(const struct capture_settings *s, struct err *err);
void capture_free(struct capture *c); /* accepts NULL */

/* capture_open: own_traffic as in device.h; container (borrowed until capture_free): whose device it is, NULL: this host's;
 * peer_fd (borrowed, -1: none) is the reader's socket: when it hangs up the capture ends.
 * On failure err is as device_open, container_device or container_verify leaves it. */
int capture_open(struct capture *c, const char *own_traffic, struct container *container, int peer_fd, struct err *err);

/* capture_read: waits until there is something and fills at most max (> 0) bytes: > 0, CAPTURE_END, or CAPTURE_GONE: the peer hung up. */
ssize_t capture_read(struct capture *c, uint8_t *dst, size_t max);
#define CAPTURE_END  (-1)
#define CAPTURE_GONE (-2)

/* capture_stop: graceful; everything that the kernel had delivered is still read.  The first reason stays. */
void capture_stop(struct capture *c, enum stop_reason reason);

/* capture_turn: how many turns it has made, from any thread.  false: nobody is at work in it, its reader is (its bytes are on their way out). */
bool capture_turn(const struct capture *c, unsigned *ret);

/* What became of it, for the log; also while it runs, from the reading thread. */
struct capture_result {
	enum stop_reason reason; /* STOP_NONE: still running, or left by its reader */
	char text[ERR_MSG_MAX];  /* more about the reason, "" : nothing */
	uint64_t bytes;          /* of the stream */
	uint64_t packets;        /* delivered */
	uint64_t accepted, dropped_os, dropped_interface;
	uint64_t shed;      /* dropped because it was held back */
	uint64_t rested_ms; /* held back by its own ceilings */
};
void capture_result(struct capture *c, struct capture_result *ret);

/* How far it is, for monitoring; from any thread, without waiting for anything: as it stood when the reader last got something, or last asked for the result.  None ever goes back. */
struct capture_figures {
	uint64_t bytes, packets, accepted, dropped_os, dropped_interface, shed, rested_ms; /* as above */
};
void capture_figures(struct capture *c, struct capture_figures *ret);

#endif
