/* filter.h - a stranger's filter text made into a program, within a limit of time.
 * libpcap's compiler takes minutes for 8 KB of "port 1 or port 2 or ...", waits for name servers, and cannot be interrupted.  So it
 * runs in a child process that lives FILTER_COMPILE_MS at the most, holds no file but the pipe to us, and takes nobody along if it dies. */
#ifndef PCAPLINE_COLLECTOR_FILTER_H
#define PCAPLINE_COLLECTOR_FILTER_H

#include "common/err.h"

#include <pcap/pcap.h>

#define FILTER_COMPILE_MS 3000
#define FILTER_INSNS_MAX  65536u /* what we take from the child; what can be attached is bounded in own_traffic.h */

/* filter_compile: for the link type (and the kernel's extensions) of this handle; from any thread.  ret is freed by filter_done.
 * -1: ERR_INPUT with libpcap's own words, or because the limit was reached; ERR_UNAVAILABLE, ERR_NOMEM when there is no process to be had. */
int filter_compile(pcap_t *pcap, const char *text, bpf_u_int32 netmask, struct bpf_program *ret, struct err *err);
void filter_done(struct bpf_program *p);

/* filter_both: the program that accepts what both accept, first being asked first; their texts never meet, so that neither can reach past its own end ("a) or (b").  Both are as
 * the compiler left them; ret is freed by filter_done.  -1: ERR_LIMIT over FILTER_INSNS_MAX, ERR_INTERNAL when they do not make a valid program. */
int filter_both(
	const struct bpf_program *first, const struct bpf_program *second, struct bpf_program *ret, struct err *err);

#endif
