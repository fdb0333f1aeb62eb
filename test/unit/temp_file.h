/* temp_file.h - a file of its own for a unit test, in a folder that goes with it. */
#ifndef PCAPLINE_TEST_UNIT_TEMP_FILE_H
#define PCAPLINE_TEST_UNIT_TEMP_FILE_H

#include <stddef.h>

#define TEMP_FILE_PATH_MAX 128

struct temp_file {
	char dir[TEMP_FILE_PATH_MAX];
	char path[TEMP_FILE_PATH_MAX + 16]; /* dir/file: not made by temp_file_init */
};

/* Both abort the test program when the system refuses. */
void temp_file_init(struct temp_file *t);
void temp_file_write(const struct temp_file *t, const void *p, size_t n);

void temp_file_done(struct temp_file *t); /* removes the folder with all that is in it */

#endif
