/* watch.h - asks the platform again while a capture runs: may its user still capture there, and where are the instances now?  A right that is gone, a target that is
 * gone, a switch that was closed end the capture with that reason; instances that come and go are told to it.  One thread per capture.
 *
 * Tokens expire: the newest that the owner has shown is what the platform is asked with (watch_renew).  Without a fresh one, and while a platform does not answer, nothing
 * new is known; then the capture goes on for recheck.grace (stored ones without a fresh token: recheck.stored), and ends as right_unknown.
 *
 * Life: watch_new, watch_start, (watch_hint, watch_renew from any thread), watch_stop, watch_join, watch_free.  Never started is fine. */
#ifndef PCAPLINE_GATEWAY_CAPTURE_WATCH_H
#define PCAPLINE_GATEWAY_CAPTURE_WATCH_H

#include "common/err.h"
#include "gateway/targets/targets.h"

struct gateway;
struct capture;
struct capture_watch;
struct watch;

/* c is borrowed until watch_join has returned. */
struct watch *watch_new(struct gateway *gw, struct capture *c, const struct capture_watch *what, struct err *err);

/* watch_start: when no thread can be had the capture is stopped (STOP_INTERNAL): nobody would look after its right. */
void watch_start(struct watch *w);

/* watch_hint: something has changed; look soon. */
void watch_hint(struct watch *w);

/* watch_renew: newer tokens of the same people; older ones and those of others are left alone. */
void watch_renew(struct watch *w, const struct people *people);

/* watch_stop: returns at once, and what the platform is being asked right now is given up; then watch_join. */
void watch_stop(struct watch *w);
void watch_join(struct watch *w);
void watch_free(struct watch *w); /* joined, or never started; accepts NULL */

#endif
