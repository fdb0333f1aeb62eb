/* own_traffic.h - keeps the platform's own streams out of a capture, whatever the user's filter says.
 *
 * Own traffic is TCP, in both directions, over IPv4 or IPv6,
 *   - between our listening port at any local address of this network namespace and anything, and
 *   - between any end that the gateway named (its public port, say) and anything; loopback and link-local ends only when the gateway runs here.
 * Inside of a container loopback and link-local addresses are the container's: nothing of ours is there.
 *
 * The user's text and ours never meet as text: each is compiled alone and the two programs are joined as instructions, ours first.
 * So no text, however crafted, can reach past its own end (pitfall: "a) or (b"), and nothing that the user's text changes in the
 * compiler (vlan, mpls and pppoes move all later offsets) changes how our part reads a packet. */
#ifndef PCAPLINE_COLLECTOR_OWN_TRAFFIC_H
#define PCAPLINE_COLLECTOR_OWN_TRAFFIC_H

#include "common/buf.h"
#include "common/err.h"
#include "schema/capture_request.h"

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With more local addresses than this the port counts at every address: an exclusion that is too wide hides platform
 * traffic of other hosts, one that is too narrow would let a capture feed itself. */
#define OWN_TRAFFIC_ADDRESSES_MAX 64
#define OWN_TRAFFIC_TEXT_MAX      (64u * 1024)
#define OWN_TRAFFIC_INSNS_MAX     4096u /* the kernel's BPF_MAXINSNS, which no header of libpcap names */

struct own_traffic {
	uint16_t port;     /* where we listen */
	const char *local; /* our end of the connection that asked, numeric, borrowed; NULL: none */
	const char *peer;  /* its other end; NULL: not known */
	const struct capture_exclude *excludes; /* borrowed */
	size_t excludes_n;
	bool container; /* the capture is of a container's packets, not of this namespace's */
};

/* own_traffic_text: an expression, in libpcap's language, that matches own packets; appended to b (whose max bounds it).
 * -1: ERR_INPUT for an exclude that is no numeric address, or an unspecified one; ERR_IO when the local addresses cannot be read. */
int own_traffic_text(const struct own_traffic *o, struct buf *b, struct err *err);

/* own_traffic_combine: the program that accepts what `user` accepts and `own` does not.  Both are as pcap_compile left them; the result
 * is the caller's to free (own_traffic_program_done).  -1: ERR_LIMIT when the sum is over OWN_TRAFFIC_INSNS_MAX, ERR_INTERNAL when a program does not
 * look like the compiler's, or the sum fails bpf_validate. */
int own_traffic_combine(
	const struct bpf_program *own, const struct bpf_program *user, struct bpf_program *ret, struct err *err);
void own_traffic_program_done(struct bpf_program *p);

/* own_traffic_possible: can packets of this link type (a DLT) carry IP?  CAN or netlink, say, cannot, and need no exclusion. */
bool own_traffic_possible(int dlt);

#endif
