/* fuzz_director.c - any bytes as a director's list of instances: what is taken has names that fit and addresses that are such, in their one way of writing. */
#include "gateway/targets/director.h"

#include "common/json_in.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_name(const char *text)
{
	assert(strlen(text) < DIRECTOR_TEXT_MAX && !strchr(text, '/'));
	for (; *text; text++)
		assert((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check_addresses(const struct director_instance *i)
{
	char all[8][DIRECTOR_ADDRESS_MAX], first[1][DIRECTOR_ADDRESS_MAX], again[DIRECTOR_ADDRESS_MAX];
	size_t n = director_addresses(i, all, 8);

	assert(n <= 8 && director_addresses(i, first, 1) == (n > 0));
	assert(n == 0 || strcmp(first[0], all[0]) == 0);
	for (size_t k = 0; k < n; k++) {
		int family = strchr(all[k], ':') ? AF_INET6 : AF_INET;
		unsigned char raw[sizeof(struct in6_addr)];

		assert(inet_pton(family, all[k], raw) == 1 && inet_ntop(family, raw, again, sizeof(again)));
		assert(strcmp(again, all[k]) == 0 && strcmp(again, "0.0.0.0") != 0 && strcmp(again, "::") != 0);
		for (size_t other = 0; other < k; other++)
			assert(strcmp(all[other], all[k]) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	json_t *answer = json_in_parse(data, n, NULL);
	struct director_instances d;
	struct err err = {0};

	if (director_instances_read(answer, &d, &err) < 0) {
		assert(err.code == ERR_NET && err.msg[0] && err.detail[0] && !d.items && !d.list && d.n == 0);
		json_decref(answer);
		return 0;
	}
	assert(d.n <= json_array_size(answer) && d.n <= DIRECTOR_INSTANCES_MAX);
	json_decref(answer); /* d holds what it needs */
	for (size_t i = 0; i < d.n; i++) {
		assert(d.items[i].group[0] && (d.items[i].id[0] || d.items[i].index != DIRECTOR_NO_INDEX));
		assert(!d.items[i].has_vm || d.items[i].ips);
		check_name(d.items[i].group);
		check_name(d.items[i].id);
		check_addresses(&d.items[i]);
	}
	director_instances_done(&d);
	return 0;
}
