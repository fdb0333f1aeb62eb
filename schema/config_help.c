/* config_help.c - the table of keys as a YAML file with comments, which loads as it stands once the required values are in. */
#include "schema/config.h"

#include <inttypes.h>
#include <string.h>

struct help_unit {
	const char *name;
	uint64_t factor;
};

static const struct help_unit help_sizes[] = {
	{"TiB", UINT64_C(1) << 40},
	{"GiB", UINT64_C(1) << 30},
	{"MiB", UINT64_C(1) << 20},
	{"KiB", UINT64_C(1) << 10},
	{NULL, 0},
};
static const struct help_unit help_durations[] = {
	{"d", 24 * 3600 * 1000},
	{"h", 3600 * 1000},
	{"m", 60 * 1000},
	{"s", 1000},
	{"ms", 1},
	{NULL, 0},
};

static void help_amount(uint64_t n, const struct help_unit *units, FILE *out)
{
	for (; n && units->name; units++) {
		if (n % units->factor == 0) {
			fprintf(out, "%" PRIu64 "%s", n / units->factor, units->name);
			return;
		}
	}
	fprintf(out, "%" PRIu64, n);
}

static void help_range(const struct config_key *k, FILE *out)
{
	static const struct help_unit none[] = {{NULL, 0}};
	const struct help_unit *units = k->type == CONFIG_SIZE       ? help_sizes
					: k->type == CONFIG_DURATION ? help_durations
								     : none;

	help_amount(k->least, units, out);
	fputs("..", out);
	help_amount(k->most, units, out);
	if (*k->unit && k->type == CONFIG_NUMBER)
		fprintf(out, " %s", k->unit);
}

static void help_kind(const struct config_key *k, FILE *out)
{
	switch (k->type) {
	case CONFIG_NUMBER:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
		fputs(" (", out);
		help_range(k, out);
		fputc(')', out);
		break;
	case CONFIG_BOOL:
		fputs(" (true or false)", out);
		break;
	case CONFIG_CHOICE:
		fprintf(out, " (%s)", k->choices);
		break;
	case CONFIG_LIST:
		fputs(" (a list)", out);
		break;
	case CONFIG_TEXT:
		break;
	}
}

static void help_key(const struct config_key *k, FILE *out)
{
	const char *indent = *k->section ? "  " : "";

	fprintf(out, "%s# %s", indent, k->text);
	help_kind(k, out);
	if (!k->default_text && k->type != CONFIG_LIST)
		fprintf(out, "; required\n%s#%s: \"\"\n", indent, k->key);
	else if (k->type == CONFIG_LIST)
		fprintf(out, "\n%s#%s: []\n", indent, k->key);
	else if (k->type == CONFIG_TEXT)
		fprintf(out, "\n%s%s: \"%s\"\n", indent, k->key, k->default_text);
	else
		fprintf(out, "\n%s%s: %s\n", indent, k->key, k->default_text);
}

static int help_is_first(const struct config_key *keys, size_t i)
{
	for (size_t before = 0; before < i; before++)
		if (!strcmp(keys[before].section, keys[i].section))
			return 0;
	return 1;
}

void config_help(const struct config_key *keys, size_t keys_n, FILE *out)
{
	for (size_t i = 0; i < keys_n; i++) {
		if (!help_is_first(keys, i))
			continue;
		if (*keys[i].section)
			fprintf(out, "\n%s:\n", keys[i].section);
		for (size_t k = i; k < keys_n; k++)
			if (!strcmp(keys[k].section, keys[i].section))
				help_key(&keys[k], out);
	}
}
