/* driver_file_internal.h - what the files of the file driver share: driver_file.c (the driver, objects), driver_file_upload.c (parts) and
 * driver_file_complete.c (an object out of parts). */
#ifndef PCAPLINE_UPLOADER_DRIVER_FILE_INTERNAL_H
#define PCAPLINE_UPLOADER_DRIVER_FILE_INTERNAL_H

#include "uploader/driver.h"
#include "uploader/staging.h"

#include <pthread.h>

struct driver_file {
	struct driver base;
	char *root_path;
	int root;    /* descriptors of the folders */
	int uploads; /* root/.uploads */
	/* Held while folders are made for an object or removed after one, so that neither pulls them from under the other. */
	pthread_mutex_t tree;
};

struct file_upload {
	struct driver_file *d;
	char *key, *job;
	char *meta; /* JSON, as it will stand beside the object, but for size and checksum */
	struct staging parts;
};

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
