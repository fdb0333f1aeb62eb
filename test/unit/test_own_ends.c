/* Which ends of our own connections a capture leaves out. */
#include "gateway/capture/own_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static size_t known_n; /* agents that the source knows: 10.0.x.y:9494 */

static size_t agents(struct target_source *s, struct capture_exclude *ret, size_t max)
{
	(void)s;
	for (size_t i = 0; i < known_n && i < max; i++) {
		snprintf(ret[i].address, sizeof(ret[i].address), "10.0.%zu.%zu", i / 250, i % 250);
		ret[i].port = 9494;
	}
	return known_n < max ? known_n : max;
}

static void nothing(struct target_source *s)
{
	(void)s;
}

static const struct target_source_ops ops = {.agents = agents, .free = nothing};
static struct target_source source = {.ops = &ops, .type = "host"};

static struct target_instance instances[] = {
	{.host = "10.9.9.9", .port = 9494},
	{.host = "agent.example.org", .port = 9494},
	{.host = "fd00::9", .port = 9494},
	{.host = "10.9.9.9", .port = 9495},
};
static struct target_set targets = {.instances = instances, .n = 4};
static struct target_set none;

static struct config_gateway config;

static void collect(const char *listen, const char *local, struct target_set *of, struct own_ends *ret)
{
	static char address[64];
	struct target_source *sources[] = {&source};
	struct targets *all = targets_of(sources, 1);

	assert_non_null(all);
	snprintf(address, sizeof(address), "%s", listen);
	config.listen_address = address;
	own_ends_collect(&config, local, 8780, of, all, ret);
	targets_free(all);
}

static bool has(const struct own_ends *o, const char *address, uint16_t port)
{
	for (size_t i = 0; i < o->n; i++) {
		if (o->ends[i].port == port && strcmp(o->ends[i].address, address) == 0)
			return true;
	}
	return false;
}

static void one_address_is_that_one(void **state)
{
	struct own_ends o;

	(void)state;
	known_n = 0;
	collect("127.0.0.1", "127.0.0.1", &none, &o);
	assert_int_equal(o.n, 1);
	assert_true(has(&o, "127.0.0.1", 8780));
}

static void all_addresses_are_each_of_them(void **state)
{
	struct own_ends o;

	(void)state;
	known_n = 0;
	collect("0.0.0.0", "192.0.2.1", &none, &o);
	assert_string_equal(o.ends[0].address, "192.0.2.1");
	assert_true(has(&o, "127.0.0.1", 8780));
	collect("::", "192.0.2.1", &none, &o);
	assert_true(has(&o, "127.0.0.1", 8780));
}

static void agents_of_the_capture_come_first_and_once(void **state)
{
	struct own_ends o;

	(void)state;
	known_n = 2;
	snprintf(instances[3].host, sizeof(instances[3].host), "10.0.0.1");
	instances[3].port = 9494;
	collect("127.0.0.1", "127.0.0.1", &targets, &o);
	assert_int_equal(o.n,
		5); /* the listener, three numeric instances of which the source knows one, and the other it knows */
	assert_string_equal(o.ends[1].address, "10.9.9.9");
	assert_string_equal(o.ends[2].address, "fd00::9");
	assert_string_equal(o.ends[3].address, "10.0.0.1");
	assert_string_equal(o.ends[4].address, "10.0.0.0");
}

static void never_more_than_fit(void **state)
{
	struct own_ends o;

	(void)state;
	for (known_n = CAPTURE_EXCLUDES_MAX - 2; known_n <= CAPTURE_EXCLUDES_MAX + 300; known_n++) {
		collect("127.0.0.1", "127.0.0.1", &none, &o);
		assert_int_equal(o.n, known_n + 1 < CAPTURE_EXCLUDES_MAX ? known_n + 1 : CAPTURE_EXCLUDES_MAX);
	}
	collect("0.0.0.0", "127.0.0.1", &targets, &o);
	assert_int_equal(o.n, CAPTURE_EXCLUDES_MAX);
	assert_true(has(&o, "10.9.9.9", 9494));
}

/* What the store is sent would be captured, stored and sent again. */
static void ports_of_our_own_connections_at_each_address(void **state)
{
	struct own_ends o;
	size_t ranges = 0;

	(void)state;
	known_n = CAPTURE_EXCLUDES_MAX;
	config.outgoing_port = 61440;
	collect("127.0.0.1", "127.0.0.1", &targets, &o);
	config.outgoing_port = 0;
	assert_true(has(&o, "127.0.0.1", 8780));
	assert_true(has(&o, "127.0.0.1", 61440));
	for (size_t i = 0; i < o.n; i++) {
		assert_int_equal(o.ends[i].port_last, o.ends[i].port == 61440 ? 65535 : 0);
		ranges += o.ends[i].port == 61440;
	}
	assert_true(ranges > 0 && ranges <= 24);
	assert_true(has(&o, "10.9.9.9", 9494)); /* there is room for the agents left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_address_is_that_one),
		cmocka_unit_test(all_addresses_are_each_of_them),
		cmocka_unit_test(agents_of_the_capture_come_first_and_once),
		cmocka_unit_test(never_more_than_fit),
		cmocka_unit_test(ports_of_our_own_connections_at_each_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
