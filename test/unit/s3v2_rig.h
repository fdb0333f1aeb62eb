/* s3v2_rig.h - the driver for signature version 2 with a store that may lie, for its units. */
#ifndef PCAPLINE_TEST_UNIT_S3V2_RIG_H
#define PCAPLINE_TEST_UNIT_S3V2_RIG_H

#include "common/id.h"
#include "test/unit/lying_store.h"
#include "test/unit/temp_file.h"
#include "uploader/s3/driver_s3.h"

#define S3V2_PARTS      3u
#define S3V2_PART_BYTES (1024u * 1024) /* together over what libcurl sends unasked */
#define S3V2_BYTES      (S3V2_PARTS * S3V2_PART_BYTES)
#define S3V2_SECRET     "quite-a-secret"

struct s3v2_rig {
	struct lying_store store;
	struct temp_file folder;
	char staging[TEMP_FILE_PATH_MAX + 16], endpoint[64], key[128], job[ID_MAX];
	struct driver_s3_options o;
	struct driver *d;
	struct driver_tags tags;
	struct driver_erased erased;
	uint8_t *bytes;
	char *parts[S3V2_PARTS];
	struct driver_object whole;
};

int s3v2_setup(void **state); /* of cmocka: *state becomes a struct s3v2_rig */
int s3v2_teardown(void **state);

void s3v2_open(struct s3v2_rig *f); /* a driver by f->o, in place of none */

/* All of these fail the test when they cannot. */
void *s3v2_begin(struct s3v2_rig *f, const char *resume);
void s3v2_put_parts(struct s3v2_rig *f, void *u);
void *s3v2_all_but_complete(struct s3v2_rig *f);
void s3v2_whole_object(struct s3v2_rig *f);

int s3v2_complete(struct s3v2_rig *f, void *u, struct err *err);
bool s3v2_is_staged(const struct s3v2_rig *f);
bool s3v2_sent(const struct s3v2_rig *f, const char *line); /* in the last upload's headers */

#endif
