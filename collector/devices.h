/* devices.h - what can be captured from: the devices of this namespace or of another one. */
#ifndef PCAPLINE_COLLECTOR_DEVICES_H
#define PCAPLINE_COLLECTOR_DEVICES_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

#define DEVICES_MAX          1024 /* a cell has some hundreds */
#define DEVICE_ADDRESSES_MAX 32   /* of each that are told */

/* devices_list: a new array of {"name","up","loopback","addresses","description"}, "any" last; NULL with err.
 * netns: descriptor of the namespace, -1: this one; container: for the descriptions. */
json_t *devices_list(int netns, bool container, struct err *err);

/* devices_host_end: eth0 of a container that is not entered, by its end here; note: the description. */
json_t *devices_host_end(const char *host_end, const char *address, const char *note, struct err *err);

#endif
