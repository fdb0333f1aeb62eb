/* replay_main.c - makes a plain program of a fuzz target: replays files and folders of files through it, so that every seed (and every
 * crash found once) is a unit test with any compiler.
 *
 *     build/fuzz/fuzz_pcapng test/fuzz/seeds/pcapng [crash-file...]
 *
 * Besides each file as it is, the target gets the empty input and, from each file, some of its beginnings and some copies with one bit or
 * byte changed: always the same ones, so that a failure comes back.  Each input lies in a block of exactly its size, for AddressSanitizer's sake. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SEED_BYTES_MAX (4 * 1024 * 1024)
#define CUTS_PER_SEED  48
#define FLIPS_PER_SEED 160

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned long inputs_n;

static bool feed(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (!copy) {
		fprintf(stderr, "replay: out of memory\n");
		return false;
	}
	if (n)
		memcpy(copy, data, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	inputs_n++;
	return true;
}

/* xorshift64: any numbers do, as long as they are the same each time. */
static uint64_t next_number(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static bool feed_variants(uint8_t *data, size_t n)
{
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15) ^ n;

	if (!feed(data, n))
		return false;
	for (size_t i = 0; i < CUTS_PER_SEED && i < n; i++) {
		size_t cut = n <= CUTS_PER_SEED ? i : (size_t)(next_number(&state) % n);

		if (!feed(data, cut))
			return false;
	}
	for (size_t i = 0; i < FLIPS_PER_SEED && n; i++) {
		size_t at = (size_t)(next_number(&state) % n);
		uint8_t old = data[at], number = (uint8_t)next_number(&state);

		/* Lengths and counts like to break at their ends. */
		switch (number % 4) {
		case 0:
			data[at] = 0;
			break;
		case 1:
			data[at] = 0xff;
			break;
		default:
			data[at] ^= (uint8_t)(1u << (number >> 5));
		}
		if (!feed(data, n))
			return false;
		data[at] = old;
	}
	return true;
}

static bool replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(SEED_BYTES_MAX);
	size_t n = 0;
	bool good = false;

	if (!f || !data) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		goto out;
	}
	n = fread(data, 1, SEED_BYTES_MAX, f);
	if (ferror(f) || !feof(f)) {
		fprintf(stderr, "replay: %s: cannot be read, or is over %d bytes\n", path, SEED_BYTES_MAX);
		goto out;
	}
	printf("%s (%zu bytes)\n", path, n);
	fflush(stdout); /* the last line names the culprit of a crash */
	good = feed_variants(data, n);
out:
	free(data);
	if (f)
		fclose(f);
	return good;
}

static bool replay_folder(const char *path)
{
	struct dirent **entries = NULL;
	int n = scandir(path, &entries, NULL, alphasort);
	bool good = n >= 0;

	if (n < 0)
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		char file[PATH_MAX];

		if (entries[i]->d_name[0] != '.' && good) {
			int len = snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);

			good = len > 0 && (size_t)len < sizeof(file) && replay_file(file);
		}
		free(entries[i]);
	}
	free(entries);
	return good;
}

int main(int argc, char **argv)
{
	bool good = feed((const uint8_t *)"", 0);

	for (int i = 1; i < argc && good; i++) {
		struct stat st;

		if (stat(argv[i], &st) < 0) {
			fprintf(stderr, "replay: %s: %s\n", argv[i], strerror(errno));
			good = false;
		} else {
			good = S_ISDIR(st.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
		}
	}
	printf("%lu inputs\n", inputs_n);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
