/* fuzz_headers.c - any packet of any link type: never more is kept than there is, nothing is read behind what was captured, and what was cut stays as it is.
 * Input: two bytes of link type and two of how much longer the packet was on the wire, big endian; the rest is the packet. */
#include "collector/headers.h"
#include "schema/capture_request.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HEAD 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* In a block of its own size, so that the sanitizer sees who reads on. */
static uint32_t keep(uint16_t link_type, const uint8_t *p, uint32_t caplen, uint32_t len)
{
	uint8_t *copy = malloc(caplen ? caplen : 1);
	uint32_t ret;

	assert(copy);
	memcpy(copy, p, caplen);
	ret = headers_keep(link_type, copy, caplen, len);
	free(copy);
	assert(ret <= caplen && ret <= len && ret <= CAPTURE_HEADERS_MAX);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint32_t caplen, len, kept;
	uint16_t link_type;

	if (n < HEAD || n > HEAD + 65535)
		return 0;
	link_type = (uint16_t)(data[0] << 8 | data[1]);
	caplen = (uint32_t)n - HEAD;
	len = caplen + (uint32_t)(data[2] << 8 | data[3]);
	data += HEAD;
	kept = keep(link_type, data, caplen, len);
	assert(keep(link_type, data, kept, len) == kept);
	for (uint32_t cut = 0; cut < kept; cut += 7)
		keep(link_type, data, cut, len);
	keep(link_type, data, caplen, caplen / 2); /* no kernel says so */
	return 0;
}
