/* memory_file.h - a path for parsers that want a file: one in memory, made once for each fuzz target. */
#ifndef PCAPLINE_TEST_FUZZ_MEMORY_FILE_H
#define PCAPLINE_TEST_FUZZ_MEMORY_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The file holds these n bytes now; the path is the same each time. */
static inline const char *memory_file(const uint8_t *data, size_t n)
{
	static char path[64];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		if (fd < 0)
			abort();
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, n, 0) != (ssize_t)n)
		abort();
	return path;
}

#endif
