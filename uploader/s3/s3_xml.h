/* s3_xml.h - the few XML documents of S3's API, read and written (libxml2).  What comes from the store is hostile input: no DTD, no entity, no network, no document
 * over the caller's limit, no depth over 16, every text bounded, every list bounded.  A key, id or ETag that is too long is an error, never cut.  Namespaces are ignored:
 * stores differ in them.  Any number of threads at once; results are untouched on failure; err detail "bad_answer" tells an answer that is another document or none.
 * Source: Amazon S3 API Reference, the answers' "Response Syntax"; Ceph's deviations as noted where they are met. */
#ifndef PCAPLINE_UPLOADER_S3_S3_XML_H
#define PCAPLINE_UPLOADER_S3_S3_XML_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define S3_CODE_MAX      64
#define S3_KEY_MAX       1025 /* 1024 bytes */
#define S3_UPLOAD_ID_MAX 1025
#define S3_ETAG_MAX      132

/* <Error>: code "" when the document is none (HTML of a proxy, nothing at all).  Never fails. */
struct s3_error {
	char code[S3_CODE_MAX];
	char message[256];
	char region
		[64]; /* <Region>: of a bucket that lives elsewhere, or, in errors of any kind, the store's own (MinIO) */
	char endpoint[256];   /* <Endpoint>, the same */
	char server_time[32]; /* <ServerTime> of RequestTimeTooSkewed */
};
void s3_xml_error(const void *xml, size_t n, struct s3_error *ret);

/* <InitiateMultipartUploadResult>: its <UploadId>. */
int s3_xml_upload_id(const void *xml, size_t n, char ret[S3_UPLOAD_ID_MAX], struct err *err);

/* <CompleteMultipartUploadResult>: its <ETag> without quotes, "" when it gives none (RGW 16 never does).  A 200 may hold an <Error> instead (then
 * ERR_UNAVAILABLE, its code in the message and lower-cased with '_' in err detail). */
int s3_xml_completed(const void *xml, size_t n, char ret_etag[S3_ETAG_MAX], struct err *err);

/* <CopyPartResult>: the part's ETag without quotes; an <Error> as above. */
int s3_xml_copied(const void *xml, size_t n, char ret_etag[S3_ETAG_MAX], struct err *err);

/* One page of a list.  Entries in the document's order; at most 1000. */
struct s3_part {
	uint32_t number;
	uint64_t bytes;
	char etag[S3_ETAG_MAX]; /* without quotes */
};
struct s3_parts {
	struct s3_part *items;
	size_t n;
	bool more;
	uint32_t next; /* part-number-marker of the next page */
};
int s3_xml_parts(const void *xml, size_t n, struct s3_parts *ret, struct err *err); /* <ListPartsResult> */
void s3_parts_free(struct s3_parts *p);

struct s3_upload {
	char key[S3_KEY_MAX], id[S3_UPLOAD_ID_MAX];
};
struct s3_uploads {
	struct s3_upload *items;
	size_t n;
	bool more;
	char next_key[S3_KEY_MAX], next_id[S3_UPLOAD_ID_MAX];
};
/* <ListMultipartUploadsResult>; keys are decoded when <EncodingType> says url.  RGW 16 encodes without saying so: better not to ask for it in this list. */
int s3_xml_uploads(const void *xml, size_t n, struct s3_uploads *ret, struct err *err);
void s3_uploads_free(struct s3_uploads *u);

/* <ListVersionsResult> (versions and delete markers) and <ListBucketResult> (version ""; next_key is its last key, for start-after or marker, and next_version the
 * continuation token). */
struct s3_version {
	char key[S3_KEY_MAX];
	char version[S3_UPLOAD_ID_MAX]; /* "null" of an unversioned object */
	bool marker;                    /* a delete marker */
	uint64_t bytes;
};
struct s3_versions {
	struct s3_version *items;
	size_t n;
	bool more;
	char next_key[S3_KEY_MAX], next_version[S3_UPLOAD_ID_MAX];
};
int s3_xml_versions(const void *xml, size_t n, struct s3_versions *ret, struct err *err);
void s3_versions_free(struct s3_versions *v);

/* <VersioningConfiguration>: "" (never), "Enabled", "Suspended". */
int s3_xml_versioning(const void *xml, size_t n, char ret[16], struct err *err);

/* <ServerSideEncryptionConfiguration>: the default algorithm, "" when there is none. */
int s3_xml_encryption(const void *xml, size_t n, char ret[16], struct err *err);

/* <PublicAccessBlockConfiguration>: are all four flags set? */
int s3_xml_public_block(const void *xml, size_t n, bool *ret_all, struct err *err);

/* ---- written ---- */

/* <CompleteMultipartUpload> of parts 1..n with these ETags, without those that are NULL (not the last one); appends to dst. */
int s3_xml_complete(struct buf *dst, const char *const *etags, uint32_t n, struct err *err);

/* <Tagging> of these pairs (name, value).  S3 allows letters, digits, spaces and + - = . _ : / @ ; the caller has seen to that; here XML is escaped. */
int s3_xml_tagging(struct buf *dst, const char *const (*pairs)[2], size_t n, struct err *err);

/* The gateway's lifecycle rule: what begins with prefix expires after days (0: never), uploads left open are aborted after abort_days (0: never),
 * non-current versions go after noncurrent_days (0: never); one of them must be set.  Delete markers go with either.  id is the rule's name; a rule that has it is ours. */
struct s3_lifecycle_rule {
	const char *id, *prefix;
	uint32_t days, abort_days, noncurrent_days;
};

/* s3_xml_lifecycle_merge: current (NULL: the bucket has none; an answer with nothing in it is not that) with our rule put in place of the one with our id, or added; rules of others say what they said, elements that
 * we do not know included, in their order.  *ret_changed false: current says it already, in whatever form (dst gets nothing).
 * ERR_LIMIT: it would be more than 1000 rules.  ERR_INPUT and others: current cannot be read, so it is not overwritten either.
 * Whoever puts the result must send Content-MD5, and AWS's header x-amz-transition-default-minimum-object-size as the answer to GET had it: without, that goes back to its default. */
int s3_xml_lifecycle_merge(const void *current, size_t n, const struct s3_lifecycle_rule *rule, struct buf *dst,
	bool *ret_changed, struct err *err);

#endif
