/* request.c - see request.h. */
#include "cli/request.h"

#include "common/buf.h"
#include "common/fs.h"
#include "schema/capture_request.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct request_values, member)

const struct arg_option request_options[] = {
	{'i', "interface", "DEVICE", ARG_LIST, AT(devices), 0, 0,
		"device to capture on (default eth0; \"any\", \"lo\", \"eth0,lo\"...); several times for several"},
	{'s', "snapshot-length", "N", ARG_NUMBER, AT(snaplen), 0, PCAPNG_SNAPLEN_MAX,
		"bytes kept of each packet (default 65535, 0: as many as can be)"},
	{0, "headers-only", NULL, ARG_FLAG, AT(headers_only), 0, 0,
		"no payload: packets are cut behind their transport header, before they leave the instance"},
	{'c', "count", "N", ARG_NUMBER, AT(packets), 1, CAPTURE_PACKETS_MAX, "end after N packets"},
	{'w', "write", "FILE", ARG_TEXT, AT(write), 0, 0, "write to FILE; - is stdout"},
	{'f', "filter", "FILTER", ARG_TEXT, AT(filter), 0, 0, "the filter (all words are then targets)"},
	{0, "duration", "TIME", ARG_DURATION, AT(duration_ms), 1000, CAPTURE_DURATION_MAX_S *UINT64_C(1000),
		"end after this time (60s, 5m, 2h)"},
	{0, "max-size", "SIZE", ARG_SIZE, AT(bytes), 1, CAPTURE_BYTES_MAX, "end after this much data (100M, 2G)"},
	{0, "store", NULL, ARG_FLAG, AT(store), 0, 0, "store it at the gateway; fetch it later"},
	{0, "auto", NULL, ARG_FLAG, AT(auto_mode), 0, 0, "store it if the gateway can, else live"},
	{0, "wait", NULL, ARG_FLAG, AT(wait), 0, 0, "with --store: wait until it is stored (and fetch it with -w)"},
	{0, "retention", "TIME", ARG_DURATION, AT(retention_ms), 1000, UINT64_C(365) * 24 * 3600 * 1000,
		"with --store or --auto: keep it for so long (12h, 7d), as far as the gateway allows"},
	{0, "format", "FORMAT", ARG_TEXT, AT(format), 0, 0, "pcapng (default) or pcap"},
	{0, "note", "TEXT", ARG_TEXT, AT(note), 0, 0, "why; stands in the job, the audit trail and the file"},
	{0},
};

const char request_targets_help[] =
	"The first word is always a target.  Words after it are targets too, up to \"--\" or the first word that "
	"begins a\n"
	"filter: a word of the filter language (tcp, port, host, not, ...) or one with a character that no name has.\n"
	"A word with a / is a target (NAME/N).  All from there on is the filter.  To leave no doubt, put \"--\" "
	"between\n"
	"targets and filter, or give the filter with -f.\n"
	"\n"
	"  pcap host web                           all instances of web, live to ./web-JOB.pcapng\n"
	"  pcap host web/0 web/1 -c 100 tcp port 80\n"
	"  pcap host web db -w - | wireshark -k -i -\n"
	"  pcap host -f 'net 10.0.0.0/8' web --store --duration 5m --wait -w web.pcapng\n";

/* Words that can begin a filter or stand alone in it, as in libpcap's scanner.  A target of such a name can be the first
 * word, or stand before a "--". */
static const char *const filter_words[] = {"dst", "src", "host", "net", "mask", "port", "portrange", "less", "greater",
	"proto", "protochain", "gateway", "type", "subtype", "direction", "dir", "addr1", "addr2", "addr3", "addr4",
	"link", "ether", "ppp", "slip", "fddi", "tr", "wlan", "arp", "rarp", "ip", "sctp", "tcp", "udp", "icmp", "igmp",
	"igrp", "pim", "vrrp", "carp", "radio", "ip6", "icmp6", "ah", "esp", "atalk", "aarp", "decnet", "lat", "sca",
	"moprc", "mopdl", "iso", "esis", "es-is", "isis", "is-is", "l1", "l2", "iih", "lsp", "snp", "csnp", "psnp",
	"clnp", "stp", "ipx", "netbeui", "broadcast", "multicast", "and", "or", "not", "len", "length", "inbound",
	"outbound", "ifindex", "ifname", "on", "vlan", "mpls", "pppoed", "pppoes", "geneve", "vxlan", "llc", "lane",
	"metac", "bcc", "oam", "oamf4", "oamf4ec", "oamf4sc", "ilmic", "vpi", "vci", "connectmsg", "metaconnect", "rnr",
	"rset", "ruleset", "rulenum", "reason", "srnr", "subrulenum", "action", "fisu", "lssu", "lsu", "msu", "sio",
	"opc", "dpc", "sls", NULL};

static bool begins_filter(const char *word)
{
	for (size_t i = 0; filter_words[i]; i++)
		if (!strcmp(word, filter_words[i]))
			return true;
	if (!*word)
		return true;
	for (; *word; word++)
		if (!isalnum((unsigned char)*word) && !strchr("._-/", *word))
			return true;
	return false;
}

size_t request_split(const struct args *words, bool has_filter_option, size_t least)
{
	size_t n = least;

	if (words->has_dashes || has_filter_option)
		return words->dashes;
	while (n < words->words_n && !begins_filter(words->words[n]))
		n++;
	return n < words->words_n ? n : words->words_n;
}

size_t request_targets_n(const struct args *words, bool has_filter_option)
{
	return request_split(words, has_filter_option, 1);
}

int request_devices(const struct arg_list *devices, char ret[REQUEST_DEVICES_MAX], struct err *err)
{
	size_t len = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < devices->n; i++) {
		int n = snprintf(ret + len, REQUEST_DEVICES_MAX - len, "%s%s", i ? "," : "", devices->items[i]);

		if (n < 0 || (size_t)n >= REQUEST_DEVICES_MAX - len)
			return err_set(err, ERR_INPUT, "option --interface: all together are longer than %d bytes",
				REQUEST_DEVICES_MAX - 1);
		len += (size_t)n;
	}
	return 0;
}

static json_t *target_json(const struct args *words, size_t n, struct err *err)
{
	json_t *instances = json_array();

	for (size_t i = 0; i < n; i++) {
		if (strlen(words->words[i]) >= CAPTURE_NAME_MAX ||
			json_array_append_new(instances, json_string(words->words[i])) < 0) {
			json_decref(instances);
			err_set(err, ERR_INPUT, "\"%.40s\" is not the name of a target", words->words[i]);
			return NULL;
		}
	}
	return json_pack("{s:s, s:o}", "type", "host", "instances", instances);
}

/* The words of the filter with one blank between them, or the text of -f; NULL with err. */
static char *filter_text(const struct request_values *v, const struct args *words, size_t from, struct err *err)
{
	struct buf text;
	char *ret = NULL;

	buf_init(&text, CAPTURE_FILTER_MAX + 2);
	if (v->filter && from < words->words_n) {
		err_set(err, ERR_INPUT, "the filter is given twice, with -f and as words (\"%.40s\")",
			words->words[from]);
		goto out;
	}
	if (v->filter && buf_add_str(&text, v->filter, err) < 0)
		goto too_long;
	for (size_t i = from; i < words->words_n; i++)
		if ((text.len && buf_add_str(&text, " ", err) < 0) || buf_add_str(&text, words->words[i], err) < 0)
			goto too_long;
	if (text.len > CAPTURE_FILTER_MAX)
		goto too_long;
	if (!buf_str(&text) || !(ret = strdup(buf_str(&text))))
		err_nomem(err);
	goto out;
too_long:
	err_set(err, ERR_INPUT, "the filter is longer than %d bytes", CAPTURE_FILTER_MAX);
	err_field(err, "options.filter");
out:
	buf_done(&text);
	return ret;
}

static int add_u64(json_t *obj, const char *key, const struct arg_number *n, uint64_t per)
{
	uint64_t units = n->value / per + (n->value % per != 0);

	if (!n->given)
		return 0;
	return json_object_set_new(obj, key, json_integer((json_int_t)units));
}

static json_t *options_json(const struct request_values *v, const struct args *words, size_t targets_n, struct err *err)
{
	json_t *o = json_object();
	char *filter = filter_text(v, words, targets_n, err), devices[REQUEST_DEVICES_MAX];
	int bad = 0;

	if (!filter || request_devices(&v->devices, devices, err) < 0) {
		free(filter);
		json_decref(o);
		return NULL;
	}
	if (v->devices.n)
		bad |= json_object_set_new(o, "device", json_string(devices));
	if (*filter)
		bad |= json_object_set_new(o, "filter", json_string(filter));
	bad |= add_u64(o, "snaplen", &v->snaplen, 1);
	if (v->headers_only)
		bad |= json_object_set_new(o, "payload", json_string(CAPTURE_PAYLOAD_HEADERS));
	bad |= add_u64(o, "max_duration_s", &v->duration_ms, 1000);
	bad |= add_u64(o, "max_bytes", &v->bytes, 1);
	bad |= add_u64(o, "max_packets", &v->packets, 1);
	free(filter);
	if (bad) {
		json_decref(o);
		err_set(err, ERR_INPUT, "device and filter must be UTF-8 text");
		return NULL;
	}
	return o;
}

int request_check(const struct request_values *v, const struct args *words, struct err *err)
{
	if (words->has_dashes && v->filter && words->dashes < words->words_n)
		return err_set(err, ERR_INPUT, "the filter is given twice, with -f and after --");
	if (v->store && v->auto_mode)
		return err_set(err, ERR_INPUT, "--store and --auto exclude each other");
	if (v->wait && !v->store && !v->auto_mode)
		return err_set(err, ERR_INPUT, "--wait goes with --store or --auto");
	if (v->retention_ms.given && !v->store && !v->auto_mode)
		return err_set(err, ERR_INPUT, "--retention goes with --store or --auto");
	if (v->write && v->store && !v->wait)
		return err_set(
			err, ERR_INPUT, "-w with --store needs --wait (or fetch it later with \"pcap download\")");
	if (v->format && strcmp(v->format, "pcapng") && strcmp(v->format, "pcap"))
		return err_set(err, ERR_INPUT, "option --format: \"%.40s\" is neither pcapng nor pcap", v->format);
	if (v->snaplen.given && v->snaplen.value && v->snaplen.value < CAPTURE_SNAPLEN_MIN)
		return err_set(err, ERR_INPUT, "option --snapshot-length: %u is outside %u..%u (or 0)",
			(unsigned)v->snaplen.value, CAPTURE_SNAPLEN_MIN, PCAPNG_SNAPLEN_MAX);
	return 0;
}

static const char *mode_of(const struct request_values *v)
{
	if (v->store)
		return "store";
	return v->auto_mode ? "auto" : "live";
}

json_t *request_build(
	const struct request_values *v, const struct args *words, size_t targets_n, json_t *targets, struct err *err)
{
	bool is_one = json_array_size(targets) == 1;
	json_t *options, *request;

	if (!(options = options_json(v, words, targets_n, err))) {
		json_decref(targets);
		return NULL;
	}
	request = json_pack("{s:O, s:o, s:s, s:s}", is_one ? "target" : "targets",
		is_one ? json_array_get(targets, 0) : targets, "options", options, "mode", mode_of(v), "format",
		v->format ? v->format : "pcapng");
	json_decref(targets);
	if (request && v->note && json_object_set_new(request, "note", json_string(v->note)) < 0) {
		json_decref(request);
		err_set(err, ERR_INPUT, "option --note: must be UTF-8 text");
		return NULL;
	}
	if (request && add_u64(request, "retention_s", &v->retention_ms, 1000) < 0) {
		json_decref(request);
		request = NULL;
	}
	if (!request)
		err_nomem(err);
	return request;
}

json_t *request_host(const struct request_values *v, const struct args *words, struct err *err)
{
	size_t targets_n = request_targets_n(words, v->filter != NULL);
	json_t *target;

	if (!targets_n) {
		err_set(err, ERR_INPUT, "no target: name at least one (NAME or NAME/N)");
		return NULL;
	}
	if (request_check(v, words, err) < 0 || !(target = target_json(words, targets_n, err)))
		return NULL;
	return request_build(v, words, targets_n, json_pack("[o]", target), err);
}

char *request_file_name(const char *first_target, const char *job, const char *format)
{
	char *name = fs_path("%.200s-%s.%s", first_target, job, format);

	for (char *p = name; p && *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			*p = '-';
	/* Neither hidden nor taken for an option by the next command. */
	if (name && (*name == '.' || *name == '-'))
		*name = '_';
	return name;
}
