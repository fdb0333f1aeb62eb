#include "collector/device.h"

#include "collector/filter.h"
#include "collector/netns.h"
#include "collector/own_traffic.h"
#include "collector/packet_socket.h"
#include "common/clock.h"
#include "schema/pcapng.h"

#include <net/if.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANY_DEVICE      "any"
#define LOOPBACK_DEVICE "lo"

struct device {
	pcap_t *pcap;
	unsigned ifindex;    /* 0: any */
	unsigned lo_ifindex; /* of its namespace's lo; 0: none */
	bpf_u_int32 netmask;
	bool elsewhere;       /* in another namespace than ours */
	uint32_t fraction_ns; /* what one unit of tv_usec is worth */
	bool in_kernel;

	/* during device_read */
	device_packet_fn fn;
	void *ctx;
	bool enough;
};

static int fail(struct err *err, enum err_code code, const char *detail, const char *field, const char *text)
{
	err_set(err, code, "%s", text);
	err_detail(err, detail);
	return err_field(err, field);
}

static int refuse_device(struct err *err, const char *name, int status, const char *text)
{
	switch (status) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		err_set(err, ERR_NOT_FOUND, "no device \"%s\" on this instance", name);
		err_detail(err, "unknown_device");
		break;
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		err_set(err, ERR_PERM, "the agent may not capture on \"%s\": it lacks CAP_NET_RAW%s%s", name,
			*text ? ": " : "", text);
		err_detail(err, "no_permission");
		break;
	case PCAP_ERROR_IFACE_NOT_UP:
		err_set(err, ERR_STATE, "device \"%s\" is down", name);
		err_detail(err, "device_down");
		break;
	default:
		err_set(err, ERR_UNAVAILABLE, "device \"%s\": %s", name, *text ? text : pcap_statustostr(status));
		err_detail(err, "device_error");
	}
	return err_field(err, "options.device");
}

/* What only notes a value in a handle that is not active yet cannot fail.  Returns libpcap's status; errbuf: its words. */
static int activate(struct device *d, const struct device_options *o, bool promiscuous, char errbuf[PCAP_ERRBUF_SIZE])
{
	int status;

	d->pcap = pcap_create(o->name, errbuf);
	if (!d->pcap)
		return PCAP_ERROR;
	pcap_set_snaplen(d->pcap, (int)o->snaplen);
	pcap_set_promisc(d->pcap, promiscuous);
	pcap_set_timeout(d->pcap, (int)o->block_timeout_ms);
	pcap_set_buffer_size(d->pcap, (int)o->ring_bytes);
	pcap_set_protocol_linux(d->pcap, PACKET_SOCKET_NO_PROTOCOL);
	d->fraction_ns = pcap_set_tstamp_precision(d->pcap, PCAP_TSTAMP_PRECISION_NANO) == 0 ? 1 : 1000;
	status = pcap_activate(d->pcap);
	if (status < 0) { /* warnings are positive */
		snprintf(errbuf, PCAP_ERRBUF_SIZE, "%s", pcap_geterr(d->pcap));
		pcap_close(d->pcap);
		d->pcap = NULL;
	}
	return status;
}

/* Only network devices: by other names libpcap opens USB and Bluetooth monitors, the D-Bus, and netfilter queues, where it would take
 * the workload's own packets. */
static int open_handle(struct device *d, const struct device_options *o, struct err *err)
{
	char errbuf[PCAP_ERRBUF_SIZE] = "";
	bool any = strcmp(o->name, ANY_DEVICE) == 0;
	bool promiscuous =
		!any && !d->elsewhere; /* a container's veth brings what is for the container, and nothing else */
	int status;

	d->ifindex = any ? 0 : if_nametoindex(o->name);
	if (!any && (d->ifindex == 0 || (o->ifindex != 0 && o->ifindex != d->ifindex)))
		return refuse_device(err, o->name, PCAP_ERROR_NO_SUCH_DEVICE, "");
	status = activate(d, o, promiscuous, errbuf);
	if (status == PCAP_ERROR_PROMISC_PERM_DENIED)
		status = activate(d, o, false, errbuf);
	if (status < 0)
		return refuse_device(err, o->name, status, errbuf);
	/* It was opened by name, and names change hands. */
	if (!any && packet_socket_ifindex(pcap_fileno(d->pcap)) != d->ifindex)
		return refuse_device(err, o->name, PCAP_ERROR_NO_SUCH_DEVICE, "");
	/* The newer made-up header names the interface of each packet; where it is not offered the older one serves. */
	if (any && pcap_set_datalink(d->pcap, DLT_LINUX_SLL2) < 0 && pcap_datalink(d->pcap) != DLT_LINUX_SLL)
		return refuse_device(err, o->name, PCAP_ERROR, pcap_geterr(d->pcap));
	if (pcap_setnonblock(d->pcap, 1, errbuf) < 0)
		return refuse_device(err, o->name, PCAP_ERROR, errbuf);
	return 0;
}

static bpf_u_int32 netmask_of(const char *name)
{
	char errbuf[PCAP_ERRBUF_SIZE];
	bpf_u_int32 net, mask;

	return pcap_lookupnet(name, &net, &mask, errbuf) == 0 ? mask : PCAP_NETMASK_UNKNOWN;
}

struct opening {
	struct device *d;
	const struct device_options *o;
};

/* Everything that looks a name up, and so has to be done where the name means the device. */
static int open_there(void *ctx, struct err *err)
{
	const struct opening *x = ctx;

	if (open_handle(x->d, x->o, err) < 0)
		return -1;
	x->d->lo_ifindex = if_nametoindex(LOOPBACK_DEVICE);
	x->d->netmask = netmask_of(x->o->name);
	return 0;
}

static int attach(struct device *d, struct bpf_program *p, struct err *err)
{
	const unsigned lo = d->lo_ifindex;
	int fd = pcap_fileno(d->pcap);

	if (pcap_setfilter(d->pcap, p) < 0)
		return fail(err, ERR_UNAVAILABLE, "device_error", "options.filter", pcap_geterr(d->pcap));
	d->in_kernel = packet_socket_filtered(fd);
	if (!d->in_kernel || lo == 0 || (d->ifindex != 0 && d->ifindex != lo))
		return 0;
	/* A filter without room for the addition stands as it is; then lo's counters count twice, and are not believed. */
	if (packet_socket_skip_outgoing(fd, lo, err) < 0)
		d->in_kernel = false;
	return 0;
}

/* The user's filter alone; whatever is wrong with it, that option is at fault. */
static int compile_user(struct device *d, const struct device_options *o, struct bpf_program *ret, struct err *err)
{
	struct err cause = {0};

	if (filter_compile(d->pcap, o->filter, d->netmask, ret, &cause) == 0)
		return 0;
	return fail(
		err, cause.code, cause.code == ERR_INPUT ? "bad_filter" : "device_error", "options.filter", cause.msg);
}

/* Without the exclusion a capture may feed itself: a link type that libpcap cannot filter is refused.  The text is our own, so it is
 * compiled right here; pcap_compile is safe in several threads since libpcap 1.8. */
static int compile_own(struct device *d, const struct device_options *o, struct bpf_program *ret, struct err *err)
{
	if (pcap_compile(d->pcap, ret, o->own_traffic, 1, PCAP_NETMASK_UNKNOWN) == 0)
		return 0;
	refuse_device(err, o->name, PCAP_ERROR, pcap_geterr(d->pcap));
	return err_in(err, "leaving out the platform's own traffic");
}

static int combine(
	const struct bpf_program *own, const struct bpf_program *user, struct bpf_program *ret, struct err *err)
{
	struct err cause = {0};

	if (own_traffic_combine(own, user, ret, &cause) == 0)
		return 0;
	if (cause.code == ERR_LIMIT) /* 400 and not 413: it is the filter and not the request that is too large */
		return fail(err, ERR_INPUT, "bad_filter", "options.filter", cause.msg);
	return fail(err, cause.code, "", "options.filter", cause.msg);
}

/* A filter that an operator forces is no business of the user's text: who set it can mend it. */
static int fail_forced(const struct capture_forced *f, const struct err *cause, struct err *err)
{
	err_set(err, cause->code == ERR_INPUT || cause->code == ERR_LIMIT ? ERR_STATE : cause->code,
		"the filter \"%s\" that the switch of %s forces: %s", f->filter, f->by, cause->msg);
	return err_detail(err, "bad_forced_filter");
}

/* Each in turn stands before what there is. */
static int force(
	struct device *d, const struct device_options *o, struct bpf_program *program /* is changed */, struct err *err)
{
	for (size_t i = 0; i < o->forced_n; i++) {
		const struct capture_forced *f = &o->forced[i];
		struct bpf_program one = {0}, both = {0};
		struct err cause = {0};
		int rc = filter_compile(d->pcap, f->filter, d->netmask, &one, &cause);

		if (rc == 0)
			rc = filter_both(&one, program, &both, &cause);
		filter_done(&one);
		if (rc < 0)
			return fail_forced(f, &cause, err);
		filter_done(program);
		*program = both;
	}
	return 0;
}

static int set_filter(struct device *d, const struct device_options *o, struct err *err)
{
	struct bpf_program user = {0}, own = {0}, both = {0};
	int rc = -1;

	if (compile_user(d, o, &user, err) < 0)
		return -1;
	if (force(d, o, &user, err) < 0) {
		filter_done(&user);
		return -1;
	}
	if (!own_traffic_possible(pcap_datalink(d->pcap)))
		rc = attach(d, &user, err);
	else if (compile_own(d, o, &own, err) == 0 && combine(&own, &user, &both, err) == 0)
		rc = attach(d, &both, err);
	pcap_freecode(&own);
	filter_done(&user);
	own_traffic_program_done(&both);
	return rc;
}

struct device *device_open(const struct device_options *o, struct err *err)
{
	struct device *d = calloc(1, sizeof(*d));
	struct opening opening = {.d = d, .o = o};
	int rc;

	if (!d) {
		err_nomem(err);
		return NULL;
	}
	d->elsewhere = o->netns >= 0;
	rc = d->elsewhere ? netns_run(o->netns, open_there, &opening, err) : open_there(&opening, err);
	if (rc < 0 || set_filter(d, o, err) < 0) {
		device_close(d);
		return NULL;
	}
	return d;
}

void device_close(struct device *d)
{
	if (!d)
		return;
	if (d->pcap)
		pcap_close(d->pcap);
	free(d);
}

int device_join(struct device *d, struct err *err)
{
	if (packet_socket_join(pcap_fileno(d->pcap), err) == 0)
		return 0;
	if (err) {
		err->code = ERR_UNAVAILABLE;
		err_detail(err, "device_error");
	}
	return err_field(err, "options.device");
}

void device_leave(struct device *d)
{
	/* It fails when the interface is gone, and then nothing comes from it either. */
	(void)packet_socket_leave(pcap_fileno(d->pcap), NULL);
}

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct device *d = (struct device *)(void *)user;
	struct device_packet p = {
		.ts_ns = (uint64_t)h->ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)h->ts.tv_usec * d->fraction_ns,
		.caplen = h->caplen,
		.len = h->len,
		.data = data,
	};

	if (!d->fn(d->ctx, &p)) {
		d->enough = true;
		pcap_breakloop(d->pcap);
	}
}

int device_read(struct device *d, device_packet_fn fn, void *ctx, struct err *err)
{
	int n;

	d->fn = fn;
	d->ctx = ctx;
	d->enough = false;
	n = pcap_dispatch(d->pcap, -1, on_packet, (u_char *)d);
	if (d->enough || n > 0 || n == PCAP_ERROR_BREAK)
		return 1;
	if (n == 0)
		return 0;
	return err_set(err, ERR_IO, "%s", pcap_geterr(d->pcap));
}

int device_fd(const struct device *d)
{
	return pcap_get_selectable_fd(d->pcap);
}

/* libpcap asks for it while the interface is down, to see it come back; its own 1 ms would be a busy loop. */
int device_poll_ms(const struct device *d)
{
	return pcap_get_required_select_timeout(d->pcap) ? 200 : -1;
}

int device_counts(struct device *d, struct capture_counts *ret, struct err *err)
{
	struct pcap_stat s;

	if (pcap_stats(d->pcap, &s) < 0)
		return err_set(err, ERR_IO, "%s", pcap_geterr(d->pcap));
	ret->received = s.ps_recv;
	ret->dropped_os = s.ps_drop;
	ret->dropped_interface = s.ps_ifdrop;
	return 0;
}

bool device_is_gone(const struct device *d)
{
	return d->ifindex != 0 && !packet_socket_has_interface(pcap_fileno(d->pcap), d->ifindex);
}

bool device_has_figures(const struct device *d)
{
	return !d->elsewhere;
}

bool device_filters_in_kernel(const struct device *d)
{
	return d->in_kernel;
}

/* They differ where the systems of old gave one number to different things; of those only these come from Linux devices. */
uint16_t device_link_type(const struct device *d)
{
	int dlt = pcap_datalink(d->pcap);

	switch (dlt) {
	case DLT_RAW:
		return 101;
	case DLT_ATM_RFC1483:
		return 100;
	case DLT_ATM_CLIP:
		return 106;
	default:
		return (uint16_t)dlt;
	}
}

uint32_t device_snaplen(const struct device *d)
{
	return (uint32_t)pcap_snapshot(d->pcap);
}
