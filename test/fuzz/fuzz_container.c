/* fuzz_container.c - any bytes as a cell's metadata store, as a state of runc's and as a process's stat: refused, or within every limit. */
#include "collector/container_runc.h"
#include "collector/container_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define HANDLE "3f1b9c52-7d0e-4c1a-5e2b-77aa" /* of the seeds */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void try_store(const uint8_t *data, size_t n, const char *handle, const char *address)
{
	const struct container_key key = {.handle = handle, .address = address};
	struct container_entry e;
	struct err err = {0};
	int rc = container_store_parse(data, n, &key, &e, &err);

	if (rc < 0)
		assert(err.msg[0] && (err.code == ERR_INPUT || err.code == ERR_LIMIT || err.code == ERR_STATE));
	if (rc != 1)
		return;
	assert(container_handle_is_valid(e.handle) && (!*handle || strcmp(e.handle, handle) == 0));
	assert(memchr(e.ip, 0, sizeof(e.ip)) && memchr(e.app, 0, sizeof(e.app)));
	assert(memchr(e.workload, 0, sizeof(e.workload)));
}

static void try_state(const uint8_t *data, size_t n)
{
	struct container_process p;
	struct err err = {0};

	if (container_runc_parse(data, n, HANDLE, &p, &err) == 0)
		assert(p.pid > 0 && p.start > 0);
	else
		assert(err.code == ERR_INPUT && err.msg[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1);
	uint64_t start;

	assert(text);
	memcpy(text, data, n);
	text[n] = '\0';
	try_store(data, n, HANDLE, "");
	try_store(data, n, "", "10.255.40.7");
	try_state(data, n);
	(void)container_process_start(text, &start);
	free(text);
	return 0;
}
