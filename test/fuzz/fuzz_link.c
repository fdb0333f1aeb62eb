/* fuzz_link.c - what link_verify accepts is exactly what link_sign writes. */
#include "uploader/link.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct link_key key;
	struct link l;
	struct err err = {0};
	char again[LINK_TEXT_MAX], *text = malloc(n + 1);

	assert(text);
	memcpy(text, data, n);
	text[n] = '\0';
	/* The key of the seeds: 00 01 02 ... 1f. */
	for (unsigned i = 0; i < LINK_KEY_BYTES; i++)
		key.bytes[i] = (uint8_t)i;
	if (link_verify(&key, text, 0, &l, &err) == 0) {
		assert(link_sign(&key, &l, again, &err) == 0);
		assert(strcmp(again, text) == 0);
	} else {
		assert(err.code == ERR_PERM && err.msg[0]);
	}
	free(text);
	return 0;
}
