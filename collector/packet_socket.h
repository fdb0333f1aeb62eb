/* packet_socket.h - what we ask of the packet socket under a libpcap handle that libpcap has no function for.
 *
 * libpcap's way is to join the device first and attach the filter later, and to leave by closing.  Then packets from before the filter are
 * in the ring and in the kernel's counters, and nobody can take out what the ring still holds without more coming in.  So a handle is
 * opened for a protocol number that no frame bears (PACKET_SOCKET_NO_PROTOCOL), and joins and leaves the device by packet(7)'s bind: from
 * the first to the last packet the kernel's counters then speak of exactly the packets that passed the filter. */
#ifndef PCAPLINE_COLLECTOR_PACKET_SOCKET_H
#define PCAPLINE_COLLECTOR_PACKET_SOCKET_H

#include "common/err.h"

#include <stdbool.h>

#define PACKET_SOCKET_NO_PROTOCOL 0xffff /* reserved by IANA, RFC 1701 */

int packet_socket_join(int fd, struct err *err);  /* from now on all frames of the device */
int packet_socket_leave(int fd, struct err *err); /* the kernel waits for frames under way before it returns */

/* packet_socket_ifindex: the number of the interface that it is bound to; 0: none, any, or not to be had. */
unsigned packet_socket_ifindex(int fd);

/* packet_socket_has_interface: does an interface of this number exist in the namespace that the socket belongs to? */
bool packet_socket_has_interface(int fd, unsigned ifindex);

/* packet_socket_filtered: is a filter attached in the kernel?  (libpcap filters in user land what the kernel's filter cannot say.) */
bool packet_socket_filtered(int fd);

/* packet_socket_skip_outgoing: puts before the attached filter: no outgoing frames of the interface ifindex.  A packet on
 * lo is seen going out and coming in; libpcap drops the first in user land, when it has taken room in the ring and stands in the counters. */
int packet_socket_skip_outgoing(int fd, unsigned ifindex, struct err *err);

#endif
