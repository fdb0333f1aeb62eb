/* table.c - see table.h. */
#include "cli/table.h"

#include "cli/text.h"

#include <stdlib.h>
#include <string.h>

struct table {
	const char *const *heads;
	size_t columns;
	size_t width[TABLE_COLUMNS_MAX]; /* of the widest cell so far */
	char **cells;                    /* rows * columns strings */
	size_t cells_n, cells_cap;
};

struct table *table_new(const char *const *heads, struct err *err)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t) {
		err_nomem(err);
		return NULL;
	}
	t->heads = heads;
	for (; heads[t->columns] && t->columns < TABLE_COLUMNS_MAX; t->columns++)
		t->width[t->columns] = text_columns(heads[t->columns]);
	return t;
}

static int make_room(struct table *t, struct err *err)
{
	size_t cap = t->cells_cap ? t->cells_cap * 2 : 64 * t->columns;
	char **cells;

	if (t->cells_n + t->columns <= t->cells_cap)
		return 0;
	if (t->cells_cap > SIZE_MAX / sizeof(*cells) / 4 || !(cells = realloc(t->cells, cap * sizeof(*cells))))
		return err_nomem(err);
	t->cells = cells;
	t->cells_cap = cap;
	return 0;
}

int table_add(struct table *t, const char *const *cells, struct err *err)
{
	char text[TABLE_CELL_MAX];

	if (make_room(t, err) < 0)
		return -1;
	for (size_t i = 0; i < t->columns; i++) {
		size_t width;

		text_clean(cells[i] ? cells[i] : "", text, sizeof(text));
		width = text_columns(text);
		if (!(t->cells[t->cells_n + i] = strdup(text))) {
			while (i--)
				free(t->cells[t->cells_n + i]);
			return err_nomem(err);
		}
		if (width > t->width[i])
			t->width[i] = width;
	}
	t->cells_n += t->columns;
	return 0;
}

static void print_row(const struct table *t, FILE *to, const char *const *cells)
{
	for (size_t i = 0; i < t->columns; i++) {
		fputs(cells[i], to);
		if (i + 1 < t->columns)
			fprintf(to, "%*s", (int)(t->width[i] - text_columns(cells[i]) + 2), "");
	}
	fputc('\n', to);
}

void table_print(const struct table *t, FILE *to)
{
	print_row(t, to, t->heads);
	for (size_t row = 0; row < t->cells_n; row += t->columns)
		print_row(t, to, (const char *const *)t->cells + row);
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->cells_n; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}
