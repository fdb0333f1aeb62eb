/* store_rig_bucket.h - a driver that does as a bucket does, in a folder: uploads have ids and must be opened, parts come in any order and several at
 * once, only the last one may be small, an upload can be forgotten.  Objects stand where the file driver would put them. */
#ifndef PCAPLINE_TEST_UNIT_STORE_RIG_BUCKET_H
#define PCAPLINE_TEST_UNIT_STORE_RIG_BUCKET_H

#include "uploader/driver.h"

#include <stdint.h>

struct driver *store_rig_bucket_new(const char *root, unsigned parallel, uint64_t part_bytes_min);

/* How many uploads are open; forget: they all go, as if a lifecycle rule had aborted them. */
unsigned store_rig_bucket_uploads(const char *root);
void store_rig_bucket_forget(const char *root);

#endif
