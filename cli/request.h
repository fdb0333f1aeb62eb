/* request.h - the options of a capture (tcpdump's and ours) and the start request they make. */
#ifndef PCAPLINE_CLI_REQUEST_H
#define PCAPLINE_CLI_REQUEST_H

#include "cli/args.h"
#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

struct request_values {
	struct arg_list devices;
	const char *filter, *write, *format, *note;
	struct arg_number snaplen, packets, duration_ms, bytes, retention_ms;
	bool store, auto_mode, wait, headers_only;
};

extern const struct arg_option request_options[];

/* request_targets_n: how many of the words name targets; the rest is the filter.  See request_targets_help. */
size_t request_targets_n(const struct args *words, bool has_filter_option);
extern const char request_targets_help[];

/* request_split: the same where the first word may be of the filter already: least words are targets whatever they are. */
size_t request_split(const struct args *words, bool has_filter_option, size_t least);

/* request_check: options that contradict each other, ERR_INPUT. */
int request_check(const struct request_values *v, const struct args *words, struct err *err);

/* request_build: the start request for these targets, a list that it takes over; words from targets_n on are the filter. */
json_t *request_build(
	const struct request_values *v, const struct args *words, size_t targets_n, json_t *targets, struct err *err);

/* request_devices: "eth0,lo" of all that -i was given, into ret; ERR_INPUT: more than fits. */
#define REQUEST_DEVICES_MAX 512
int request_devices(const struct arg_list *devices, char ret[REQUEST_DEVICES_MAX], struct err *err);

/* request_host: {"target":{"type":"host",...},...} as a new reference; NULL with ERR_INPUT on options that contradict each
 * other.  What is left out on the command line is left out here: defaults are the gateway's. */
json_t *request_host(const struct request_values *v, const struct args *words, struct err *err);

/* request_file_name: "web-0-JOB.pcapng", the file of a live capture without -w; new string, NULL on no memory. */
char *request_file_name(const char *first_target, const char *job, const char *format);

#endif
