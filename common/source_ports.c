#include "common/source_ports.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_uint first_port; /* 0: any */
static atomic_uint next_port;  /* counts on; what is left over by SOURCE_PORTS_N is the place to begin at */

void source_ports_set(uint16_t first)
{
	atomic_store(&first_port, first);
}

static int bind_to(int fd, int family, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_any};

	if (family == AF_INET6)
		return bind(fd, (const struct sockaddr *)&in6, sizeof(in6));
	return bind(fd, (const struct sockaddr *)&in, sizeof(in));
}

/* curl_opensocket_callback.  Ports are taken in turn, so that each rests for as long as can be. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol), one = 1;
	unsigned first = atomic_load(&first_port);

	(void)ctx;
	(void)purpose;
	if (fd < 0 || first == 0 || (a->family != AF_INET && a->family != AF_INET6))
		return fd;
	if (a->family == AF_INET6) /* else it would need the port of IPv4 as well */
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	for (unsigned i = 0; i < SOURCE_PORTS_N; i++) {
		unsigned port = first + atomic_fetch_add(&next_port, 1) % SOURCE_PORTS_N;

		if (bind_to(fd, a->family, (uint16_t)port) == 0)
			break;
	}
	return fd;
}

CURLcode source_ports_of(CURL *easy)
{
	return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
}
