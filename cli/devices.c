/* devices.c - see devices.h. */
#include "cli/devices.h"

#include "cli/table.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/buf.h"

#include <string.h>

static int add_device(struct table *table, const char *instance, const json_t *device, struct err *err)
{
	char state[32], addresses[TABLE_CELL_MAX * 2] = "";
	const char *cells[] = {instance, json_text(device, "name"), state, addresses, json_text(device, "description")};
	size_t i, len = 0;
	json_t *one;

	snprintf(state, sizeof(state), "%s%s", json_is_true(json_object_get(device, "up")) ? "up" : "down",
		json_is_true(json_object_get(device, "loopback")) ? ", loopback" : "");
	json_array_foreach(json_object_get(device, "addresses"), i, one)
	{
		int n = snprintf(addresses + len, sizeof(addresses) - len, "%s%s", i ? ", " : "",
			json_string_value(one) ? json_string_value(one) : "?");

		if (n < 0 || (size_t)n >= sizeof(addresses) - len)
			break;
		len += (size_t)n;
	}
	return table_add(table, cells, err);
}

/* Instances that failed are said; the devices of the others go into the table. */
static int add_all(struct table *table, const json_t *instances, struct err *err)
{
	json_t *instance, *device;
	size_t i, k;

	json_array_foreach(instances, i, instance)
	{
		char name[128], message[600];

		if (json_is_object(json_object_get(instance, "error"))) {
			const char *text = json_text(instance, "error.message");

			talk_say("%s: %s", text_clean(json_text(instance, "name"), name, sizeof(name)),
				text_clean(*text ? text : json_text(instance, "error.code"), message, sizeof(message)));
		}
		json_array_foreach(json_object_get(instance, "devices"), k,
			device) if (add_device(table, json_text(instance, "name"), device, err) < 0) return -1;
	}
	return 0;
}

/* Nothing came of any of them? */
static bool is_failure(const json_t *instances)
{
	size_t i, failed = 0;
	json_t *one;

	json_array_foreach(instances, i, one) failed += json_is_object(json_object_get(one, "error"));
	return failed && failed == json_array_size(instances);
}

static int print(const json_t *instances)
{
	static const char *const heads[] = {"instance", "device", "state", "addresses", "description", NULL};
	struct err err = {0};
	struct table *table = table_new(heads, &err);

	if (!table || add_all(table, instances, &err) < 0) {
		table_free(table);
		return cli_fail(&err);
	}
	if (!is_failure(instances))
		table_print(table, stdout);
	table_free(table);
	return cli_flush_stdout();
}

int devices_run(const struct cli *cli, const struct api *api, json_t *target)
{
	struct err err = {0};
	json_t *answer = NULL, *instances;
	int rc;

	if (api_call(api, "POST", "/v1/devices", json_pack("{s:o}", "target", target), &answer, &err) < 0)
		return cli_fail(&err);
	instances = json_object_get(answer, "instances");
	rc = cli->globals.json ? cli_print_json(answer) : print(instances);
	if (rc == CLI_OK && is_failure(instances))
		rc = CLI_FAILED;
	json_decref(answer);
	return rc;
}
