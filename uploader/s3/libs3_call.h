/* libs3_call.h - requests to a bucket signed with signature version 2, by libs3.  Blocking; any number of threads at once.
 *
 * What failures mean is as in s3_client.h.  What libs3 2.0 does wrong is made up for here and in libs3_curl_wrap.h; what it cannot do (session tokens,
 * parts, tags, encryption, versions, lifecycle) is refused or absent.  Keys are of [A-Za-z0-9._/-]: libs3 stores a blank as '+'. */
#ifndef PCAPLINE_UPLOADER_S3_LIBS3_CALL_H
#define PCAPLINE_UPLOADER_S3_LIBS3_CALL_H

#include "uploader/s3/s3_client.h"
#include "uploader/s3/s3_xml.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIBS3_OBJECT_BYTES_MAX (UINT64_C(5) << 30) /* of one PUT, S3's own limit */

struct libs3_client;

/* libs3_client_new: o as for s3_client_new (region is not looked at).  ERR_INPUT also for what V2 has no place for: a session token, an access key over 79 bytes.
 * Takes o->credentials over, also when it fails. */
struct libs3_client *libs3_client_new(const struct s3_client_options *o, struct err *err);
void libs3_client_free(struct libs3_client *c); /* accepts NULL */

/* libs3_client_cancel: s3_endpoint_cancel; requests notice within about a second. */
void libs3_client_cancel(struct libs3_client *c, atomic_bool *flag);
bool libs3_client_is_tls(const struct libs3_client *c);

/* An object as it is sent: bytes of fd from offset 0. */
struct libs3_body {
	int fd;
	uint64_t bytes;
	const char *md5_base64;
	const char *content_type;
	const char *file_name; /* Content-Disposition: attachment */
	const struct s3_pair *
		metadata; /* names without x-amz-meta-, values of printable ASCII; those without a value are not sent */
	size_t metadata_n;
	const atomic_bool *cancelled; /* as below */
};
/* libs3_put: waits until fewer than connections_max of these are under way. */
int libs3_put(struct libs3_client *c, const char *key, const struct libs3_body *b, struct err *err);

struct libs3_object {
	uint64_t bytes;
	char etag[S3_ETAG_MAX]; /* without quotes */
};
/* cancelled, here and below: the flag of libs3_client_cancel that gives the call up (ERR_CANCELLED); may be NULL. */
int libs3_head(struct libs3_client *c, const char *key, const atomic_bool *cancelled, struct libs3_object *ret,
	struct err *err);

/* libs3_get: exactly n bytes from offset on, or -1. */
int libs3_get(struct libs3_client *c, const char *key, uint64_t offset, void *dst, size_t n,
	const atomic_bool *cancelled, struct err *err);

int libs3_delete(struct libs3_client *c, const char *key,
	struct err *err); /* of what is not there: 0 or ERR_NOT_FOUND, as the store sees it */

/* libs3_list: the first max (1..1000) objects whose keys begin with prefix; s3_versions_free.  timeout_ms: instead of connect and idle timeout; 0: those. */
int libs3_list(struct libs3_client *c, const char *prefix, unsigned max, unsigned timeout_ms, struct s3_versions *ret,
	struct err *err);

/* libs3_url: a presigned GET URL, good until an absolute time in whole seconds: *ttl_s from now on, made less where no store can count further; new string.
 * file_name NULL: as the object says. */
char *libs3_url(struct libs3_client *c, const char *key, uint64_t *ttl_s, const char *file_name, struct err *err);

#endif
