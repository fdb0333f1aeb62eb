/* driver_file_internal.h - what the files of the file driver share: driver_file.c (the driver, objects), driver_file_upload.c (parts) and
 * driver_file_complete.c (an object out of parts). */
#ifndef PCAPLINE_UPLOADER_DRIVER_FILE_INTERNAL_H
#define PCAPLINE_UPLOADER_DRIVER_FILE_INTERNAL_H

#include "uploader/driver.h"

#include <pthread.h>
#include <sys/types.h>

struct driver_file {
	struct driver base;
	char *root_path;
	int root;    /* descriptors of the folders */
	int uploads; /* root/.uploads */
	/* Held while folders are made for an object or removed after one, so that neither pulls them from under the other. */
	pthread_mutex_t tree;
};

struct file_part {
	uint64_t offset, bytes;
	char sha256[DIGEST_SHA256_HEX_MAX];
	off_t index_end; /* of its line */
};

struct file_upload {
	struct driver_file *d;
	char *key;
	char *part_name, *index_name;
	char *meta; /* JSON, as it will stand beside the object, but for size and checksum */
	int data, index;
	struct file_part *parts; /* 1.. at 0.. */
	uint32_t n, cap;
};

uint64_t file_upload_end(const struct file_upload *u); /* where the next part begins */

/* The line of the index, without its end; also the text that the store remembers for the part. */
#define FILE_PART_LINE_MAX 128
void file_part_line(uint32_t seq, const struct file_part *p, char ret[FILE_PART_LINE_MAX]);

void *driver_file_upload_begin(
	struct driver *d, const char *key, const struct driver_tags *tags, const char *resume_text, struct err *err);
char *driver_file_upload_state(void *upload, struct err *err);
int driver_file_upload_part(void *upload, uint32_t seq, bool alone, int fd, uint64_t bytes, const char *sha256,
	char **ret_part, struct err *err);
int driver_file_upload_complete(
	void *upload, uint32_t n, const char *const *parts, const struct driver_object *expect, struct err *err);
int driver_file_upload_abort(void *upload, struct err *err);
void driver_file_upload_free(void *upload);

/* The object's file to read; -1: ERR_NOT_FOUND... */
int driver_file_open_at(struct driver_file *d, const char *key, uint64_t *ret_bytes, struct err *err);

#endif
