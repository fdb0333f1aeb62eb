/* no_news.c - for the browser alone, by LD_PRELOAD: nobody tells it of the network's changes.  The tests' bridges and namespaces come and go on the same machine, and at each
 * change Chromium breaks off all that is under way (ERR_NETWORK_CHANGED). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *a, socklen_t n)
{
	int (*real)(int, const struct sockaddr *, socklen_t) =
		(int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");

	if (a && n >= sizeof(struct sockaddr_nl) && a->sa_family == AF_NETLINK &&
		((const struct sockaddr_nl *)a)->nl_groups != 0) {
		errno = EPERM;
		return -1;
	}
	return real(fd, a, n);
}
