/* director.h - what a BOSH director says of a deployment, asked with a user's own token: may this user go onto its VMs (as bosh ssh does), and which are they?
 * Its answers are read tolerantly, as they differ between versions, and within bounds. */
#ifndef PCAPLINE_GATEWAY_TARGETS_DIRECTOR_H
#define PCAPLINE_GATEWAY_TARGETS_DIRECTOR_H

#include "common/err.h"
#include "gateway/targets/platform.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIRECTOR_INSTANCES_MAX 10000
#define DIRECTOR_TEXT_MAX      128 /* name of a group, id of an instance, with the terminator */
#define DIRECTOR_ADDRESS_MAX   46
#define DIRECTOR_NO_INDEX      UINT64_MAX

struct director_instance {
	const char *group; /* without slash */
	const char *id;    /* without slash; "" : it has none */
	uint64_t index;    /* within the group, with gaps; DIRECTOR_NO_INDEX only when there is an id */
	json_t *ips;       /* for director_addresses; NULL: none */
	bool has_vm;
	bool expects_vm; /* no errand, and not detached */
};

struct director_instances {
	json_t *list; /* what the items' texts are of */
	struct director_instance *items;
	size_t n;
};

/* director_instances_read: from the answer, whose entries that name no instance are left out.  ERR_NET (platform_failed): no list, too long, or nothing in
 * it is an instance. */
int director_instances_read(json_t *answer, struct director_instances *ret, struct err *err);
void director_instances_done(struct director_instances *d);

/* director_addresses: numeric ones, each once, in the director's order; returns how many, at most max.  Networks, and what is no address, are left out. */
size_t director_addresses(const struct director_instance *i, char (*ret)[DIRECTOR_ADDRESS_MAX], size_t max);

/* director_deployment: all instances of a deployment that the token's bearer may go onto: admin of it.  name: one segment of a path, not "." or "..".
 *   ERR_NOT_FOUND  not there or not visible, without telling which
 *   ERR_PERM       visible, and no more
 *   ERR_AUTH       the director does not take the token
 *   others         as platform_get and platform_refuse */
int director_deployment(
	const struct platform *p, const char *token, const char *name, struct director_instances *ret, struct err *err);

#endif
