/* No pcap.h in here: it and linux/filter.h define the same macros. */
#include "collector/packet_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int rebind(int fd, uint16_t protocol, struct err *err)
{
	struct sockaddr_ll sll = {0};
	socklen_t n = sizeof(sll);

	if (getsockname(fd, (struct sockaddr *)&sll, &n) < 0)
		return err_sys(err, errno, "packet socket");
	sll.sll_family = AF_PACKET;
	sll.sll_protocol = htons(protocol);
	if (bind(fd, (struct sockaddr *)&sll, sizeof(sll)) < 0)
		return err_sys(err, errno, "packet socket on interface %d", sll.sll_ifindex);
	return 0;
}

int packet_socket_join(int fd, struct err *err)
{
	return rebind(fd, ETH_P_ALL, err);
}

int packet_socket_leave(int fd, struct err *err)
{
	return rebind(fd, PACKET_SOCKET_NO_PROTOCOL, err);
}

unsigned packet_socket_ifindex(int fd)
{
	struct sockaddr_ll sll = {0};
	socklen_t n = sizeof(sll);

	if (getsockname(fd, (struct sockaddr *)&sll, &n) < 0 || sll.sll_ifindex < 0)
		return 0;
	return (unsigned)sll.sll_ifindex;
}

bool packet_socket_has_interface(int fd, unsigned ifindex)
{
	struct ifreq r = {.ifr_ifindex = (int)ifindex};

	return ioctl(fd, SIOCGIFNAME, &r) == 0;
}

/* SO_GET_FILTER speaks of instructions, not bytes; asked for none it tells how many there are. */
static size_t filter_length(int fd)
{
	socklen_t n = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n) < 0)
		return 0;
	return n;
}

bool packet_socket_filtered(int fd)
{
	return filter_length(fd) > 0;
}

int packet_socket_skip_outgoing(int fd, unsigned ifindex, struct err *err)
{
	const struct sock_filter head[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ifindex, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const size_t head_n = sizeof(head) / sizeof(head[0]);
	size_t body_n = filter_length(fd);
	struct sock_filter *all = NULL;
	struct sock_fprog prog;
	socklen_t n;
	int rc = -1;

	if (body_n == 0 || body_n > BPF_MAXINSNS - head_n)
		return err_set(
			err, ERR_LIMIT, "a filter of %zu instructions leaves no room for %zu more", body_n, head_n);
	all = calloc(head_n + body_n, sizeof(*all));
	if (!all)
		return err_nomem(err);
	memcpy(all, head, sizeof(head));
	n = (socklen_t)body_n;
	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, all + head_n, &n) < 0 || n != body_n) {
		err_sys(err, errno, "reading the filter back");
		goto out;
	}
	prog.len = (unsigned short)(head_n + body_n);
	prog.filter = all;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0) {
		err_sys(err, errno, "attaching the filter");
		goto out;
	}
	rc = 0;
out:
	free(all);
	return rc;
}
