#include "collector/devices.h"

#include "collector/netns.h"
#include "common/fs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* On a cell loopback is where Envoy hands on in plain text what came in over TLS. */
#define LO_OF_CONTAINER "loopback: among others what Envoy and the app say to each other, in plain text"
#define LO_OF_HOST      "loopback"
#define ANY_TEXT        "all of them at once"

static int read_addresses(void *ctx, struct err *err)
{
	struct ifaddrs **ret = ctx;

	return getifaddrs(ret) < 0 ? err_sys(err, errno, "devices") : 0;
}

static json_t *device_json(const char *name, bool up, bool loopback, const char *description)
{
	return json_pack("{s:s, s:b, s:b, s:[], s:s}", "name", name, "up", up, "loopback", loopback, "addresses",
		"description", description);
}

/* The entry of this name, made when it is new; NULL: no memory, or too many. */
static json_t *entry_of(json_t *list, const struct ifaddrs *a, bool container)
{
	const bool loopback = a->ifa_flags & IFF_LOOPBACK;
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		if (strcmp(json_string_value(json_object_get(entry, "name")), a->ifa_name) == 0)
			return entry;
	}
	if (json_array_size(list) >= DEVICES_MAX)
		return NULL;
	entry = device_json(a->ifa_name, a->ifa_flags & IFF_UP, loopback,
		loopback ? (container ? LO_OF_CONTAINER : LO_OF_HOST) : "");
	return json_array_append_new(list, entry) < 0 ? NULL : entry;
}

static void add_address(json_t *entry, const struct sockaddr *sa)
{
	json_t *addresses = json_object_get(entry, "addresses");
	char text[INET6_ADDRSTRLEN];
	const void *raw = NULL;

	if (sa && sa->sa_family == AF_INET)
		raw = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
	else if (sa && sa->sa_family == AF_INET6)
		raw = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	if (raw && json_array_size(addresses) < DEVICE_ADDRESSES_MAX &&
		inet_ntop(sa->sa_family, raw, text, sizeof(text)))
		json_array_append_new(addresses, json_string(text));
}

json_t *devices_list(int netns, bool container, struct err *err)
{
	struct ifaddrs *all = NULL;
	json_t *list;

	if ((netns >= 0 ? netns_run(netns, read_addresses, &all, err) : read_addresses(&all, err)) < 0)
		return NULL;
	list = json_array();
	for (const struct ifaddrs *a = all; list && a; a = a->ifa_next) {
		json_t *entry = entry_of(list, a, container);

		if (entry)
			add_address(entry, a->ifa_addr);
	}
	freeifaddrs(all);
	if (!list || json_array_append_new(list, device_json("any", true, false, ANY_TEXT)) < 0) {
		json_decref(list);
		err_nomem(err);
		return NULL;
	}
	return list;
}

static bool is_up(const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {0};
	bool up;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	up = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP);
	fs_close(fd);
	return up;
}

json_t *devices_host_end(const char *host_end, const char *address, const char *note, struct err *err)
{
	json_t *list = json_array();
	json_t *entry = device_json("eth0", is_up(host_end), false, note);

	if (list && entry)
		json_array_append_new(json_object_get(entry, "addresses"), json_string(address));
	if (!list || json_array_append_new(list, entry) < 0) {
		json_decref(list);
		err_nomem(err);
		return NULL;
	}
	return list;
}
