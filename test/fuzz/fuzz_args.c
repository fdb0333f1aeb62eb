/* fuzz_args.c - a command line, its arguments separated by NUL bytes: options, targets and filter of `pcap host`, its words also as apps and VMs.  Whatever is typed ends in a request that
 * is whole JSON, or in a refusal that says why. */
#include "cli/request.h"
#include "cli/target.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX  64
#define BYTES_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Every word as an app, a VM and a deployment: a target in the list, or a refusal; and the list as text. */
static void check_targets(const struct args *args)
{
	json_t *targets = json_array();
	char text[64];

	for (size_t i = 0; i < args->words_n; i++) {
		struct err err = {0};

		assert(target_add_app(targets, args->words[i], i % 2, NULL, &err) == 0 || err.code == ERR_INPUT);
		assert(target_add_vm(targets, "d", args->words[i], &err) == 0 || err.code == ERR_INPUT);
		assert(target_add_deployment(targets, args->words[i], &err) == 0 || err.code == ERR_INPUT);
	}
	assert(json_array_size(targets) <= args->words_n * 2 + 1);
	assert(strlen(target_text(targets, text, sizeof(text))) < sizeof(text));
	json_decref(targets);
}

static void check(int argc, char *const *argv)
{
	struct request_values v = {0};
	struct arg_table table = {request_options, &v};
	struct args args;
	struct err err = {0};
	json_t *request = NULL;

	if (args_parse(argc, argv, &table, 1, false, &args, &err) == 0) {
		assert(args.used == argc && args.dashes <= args.words_n);
		assert(args.has_dashes || args.dashes == args.words_n);
		assert(request_targets_n(&args, v.filter != NULL) <= args.words_n);
		assert(request_split(&args, v.filter != NULL, 0) <= args.words_n);
		check_targets(&args);
		request = request_host(&v, &args, &err);
	}
	if (request) {
		char *text = json_dumps(request, JSON_COMPACT),
		     *name = request_file_name(args.words[0], "job", "pcapng");

		assert(text && json_array_size(json_object_get(json_object_get(request, "target"), "instances")));
		assert(name && !strchr(name, '/') && *name != '.' && *name != '-');
		free(name);
		free(text);
	} else {
		assert(err.code && err.msg[0]);
	}
	json_decref(request);
	args_done(&args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[BYTES_MAX + 1], *argv[ARGS_MAX + 1] = {NULL};
	int argc = 0;

	if (n > BYTES_MAX)
		return 0;
	if (n)
		memcpy(text, data, n);
	text[n] = '\0';
	for (size_t at = 0; at < n && argc < ARGS_MAX; at += strlen(text + at) + 1)
		argv[argc++] = text + at;
	check(argc, argv);
	return 0;
}
