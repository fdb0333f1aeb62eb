#include "gateway/targets/target.h"

#include <stdlib.h>
#include <string.h>

static bool is_same(const struct target_instance *a, const struct target_instance *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->device, b->device) == 0 &&
	       strcmp(a->agent.handle, b->agent.handle) == 0 && strcmp(a->agent.address, b->agent.address) == 0 &&
	       strcmp(a->agent.instance, b->agent.instance) == 0 && strcmp(a->host, b->host) == 0 && a->port == b->port;
}

bool target_instance_is(const struct target_instance *a, const struct target_instance *b)
{
	if (!a->agent.handle[0])
		return is_same(a, b) && a->agent.index == b->agent.index;
	return strcmp(a->agent.handle, b->agent.handle) == 0 && strcmp(a->device, b->device) == 0 &&
	       strcmp(a->host, b->host) == 0 && a->port == b->port;
}

int target_set_add(struct target_set *t, const struct target_instance *i, size_t max, struct err *err)
{
	struct target_instance *more;

	for (size_t n = 0; n < t->n; n++) {
		if (is_same(&t->instances[n], i))
			return 0;
	}
	if (t->n >= max) {
		err_set(err, ERR_LIMIT,
			"target.instances: more than %zu instances, the limit of one capture here; name fewer", max);
		err_field(err, "target.instances");
		return err_detail(err, "too_many_instances");
	}
	if (!(more = realloc(t->instances, (t->n + 1) * sizeof(*more))))
		return err_nomem(err);
	t->instances = more;
	t->instances[t->n++] = *i;
	return 0;
}

void target_set_done(struct target_set *t)
{
	free(t->instances);
	scope_list_done(&t->scopes);
	memset(t, 0, sizeof(*t));
}
