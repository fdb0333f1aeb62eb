/* table.h - rows of text in aligned columns.  Cells are copied and made printable; the last column is not padded. */
#ifndef PCAPLINE_CLI_TABLE_H
#define PCAPLINE_CLI_TABLE_H

#include "common/err.h"

#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12
#define TABLE_CELL_MAX    128 /* bytes of one cell shown, with the terminator; longer text is cut with "..." */

struct table;

struct table *table_new(const char *const *heads /* NULL-terminated, borrowed */, struct err *err);
int table_add(struct table *t, const char *const *cells /* as many as heads; NULL counts as "" */, struct err *err);
void table_print(const struct table *t, FILE *to);
void table_free(struct table *t);

#endif
