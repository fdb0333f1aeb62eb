/* s3_labels.h - what an object says of itself: tags, metadata, content type and file name out of driver_tags and the key.  User text is encoded into what S3 allows
 * and never trusted; another text never gives the same label (unless it was too long and is cut).
 * Source: "Object tagging restrictions", "User-defined object metadata", Amazon S3 User Guide. */
#ifndef PCAPLINE_UPLOADER_S3_S3_LABELS_H
#define PCAPLINE_UPLOADER_S3_S3_LABELS_H

#include "uploader/driver.h"
#include "uploader/s3/s3_sign.h"

#include <stddef.h>

#define S3_TAG_VALUE_MAX  257 /* 256 characters */
#define S3_META_VALUE_MAX 301 /* five of them and their names stay below 2 KiB */
#define S3_LABELS_N       5   /* job, user, org, space, source */

/* s3_label_tag: letters, digits, space and + - . _ : / @ stay, each other byte ('=' too) becomes "=XX".  A space at either end is encoded too. Cut at 256 characters, never
 * within an "=XX". */
void s3_label_tag(const char *text, char ret[S3_TAG_VALUE_MAX]);

/* s3_label_meta: RFC 3986 unreserved bytes stay, each other becomes "%XX".  Cut likewise. */
void s3_label_meta(const char *text, char ret[S3_META_VALUE_MAX]);

/* "packets" for the file's name in a downloads folder: the key's last component. */
const char *s3_label_file_name(const char *key);
const char *s3_label_content_type(const char *key);

/* All of an object's labels, ready to be sent. */
struct s3_labels {
	char tags[S3_LABELS_N][S3_TAG_VALUE_MAX];
	char meta[S3_LABELS_N][S3_META_VALUE_MAX];
	char disposition[256];
	const char *content_type; /* constant */
};
extern const char *const s3_label_names[S3_LABELS_N];

void s3_labels_make(const struct driver_tags *tags, const char *key, struct s3_labels *ret);

/* s3_labels_headers: Content-Type, Content-Disposition and the metadata (none for an empty value) as headers; returns how many (at most S3_LABEL_HEADERS_MAX).
 * They point into l. */
#define S3_LABEL_HEADERS_MAX (2 + S3_LABELS_N)
size_t s3_labels_headers(const struct s3_labels *l, struct s3_pair ret[S3_LABEL_HEADERS_MAX]);

#endif
