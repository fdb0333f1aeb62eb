/* device.h - one network device opened for one capture: a libpcap handle, its kernel ring and its filter.
 * Life: device_open (nothing is captured yet), device_join, device_read..., device_leave (nothing more comes in; what the
 * ring holds can still be read), device_close.  One thread at a time.  The only file that speaks to live libpcap. */
#ifndef PCAPLINE_COLLECTOR_DEVICE_H
#define PCAPLINE_COLLECTOR_DEVICE_H

#include "collector/capture_stats.h"
#include "common/err.h"
#include "schema/capture_request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device;

struct device_options {
	const char *name;                    /* an interface of its network namespace, or "any" */
	int netns;                           /* descriptor of that namespace, borrowed; -1: the one we are in */
	unsigned ifindex;                    /* the interface must have this number; 0: any */
	const char *filter;                  /* the user's; "" : everything */
	const struct capture_forced *forced; /* operators'; borrowed */
	size_t forced_n;
	const char *own_traffic; /* expression of what is left out in any case, see own_traffic.h */
	uint32_t snaplen;
	uint64_t ring_bytes;
	uint64_t
		block_timeout_ms; /* a block of the ring that is not full is handed over after this, or up to twice this */
};

struct device_packet {
	uint64_t ts_ns;
	uint32_t caplen, len;
	const uint8_t *data; /* in the ring: gone when the function returns */
};

/* Takes one packet; false: that was enough for now (the packet itself counts as taken). */
typedef bool (*device_packet_fn)(void *ctx, const struct device_packet *p);

/* device_open: NULL with err, whose detail is one of unknown_device (ERR_NOT_FOUND), no_permission (ERR_PERM), device_down (ERR_STATE),
 * bad_filter (ERR_INPUT), bad_forced_filter (ERR_STATE), device_error (ERR_UNAVAILABLE); err->field names the option at fault.  In another namespace also what netns_run says.
 * Only opening is done there: host names in the filter are looked up by this one, and everything later works on the handle. */
struct device *device_open(const struct device_options *o, struct err *err);
void device_close(struct device *d); /* accepts NULL */

int device_join(struct device *d, struct err *err);
void device_leave(struct device *d);

/* device_read: hands over what is there, without waiting.  0: the ring is empty, 1: it may hold more, -1: err. */
int device_read(struct device *d, device_packet_fn fn, void *ctx, struct err *err);

int device_fd(const struct device *d);      /* readable when device_read has something to do; borrowed */
int device_poll_ms(const struct device *d); /* read again after this time even if nothing is readable; -1: no need */
int device_counts(struct device *d, struct capture_counts *ret, struct err *err);

/* device_is_gone: the interface that was opened does not exist any more. */
bool device_is_gone(const struct device *d);

/* device_has_figures: false when the interface's own figures (dropped_interface) cannot be had: libpcap reads them under /sys, which shows this namespace. */
bool device_has_figures(const struct device *d);

/* device_filters_in_kernel: false when the filter asks for what the kernel's cannot see (the made-up header of "any"): then the counters
 * speak of everything that the device carried. */
bool device_filters_in_kernel(const struct device *d);

uint16_t device_link_type(
	const struct device *d); /* as files name it (LINKTYPE_), which is not always libpcap's DLT_ */
uint32_t device_snaplen(const struct device *d);

#endif
