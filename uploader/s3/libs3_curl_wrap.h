/* libs3_curl_wrap.h - what libs3 hands to libcurl, put right.  libs3 2.0 verifies no TLS peer, follows redirects, reads the status of an upload before
 * there is one, calls a transfer that was cut short good, and keeps what a store says in arrays that it does not guard.  It signs and composes
 * well, though.  So it may do that, and the exchange itself is ours: programs are linked with --wrap=curl_easy_perform, and the
 * wrapper sets our own options and callbacks on libs3's handle, so that not one byte of an answer gets to libs3's parsers.
 * common/http_client does not call curl_easy_perform and is not touched. */
#ifndef PCAPLINE_UPLOADER_S3_LIBS3_CURL_WRAP_H
#define PCAPLINE_UPLOADER_S3_LIBS3_CURL_WRAP_H

#include "common/buf.h"
#include "common/err.h"
#include "uploader/s3/s3_endpoint.h"
#include "uploader/s3/s3_xml.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum libs3_abort {
	LIBS3_ABORT_NONE,
	LIBS3_ABORT_HEADERS, /* too many */
	LIBS3_ABORT_BODY,    /* longer than what was asked for */
	LIBS3_ABORT_ENOUGH,  /* an error that talks on and on has said enough */
	LIBS3_ABORT_NOMEM,
	LIBS3_ABORT_CANCELLED,
	LIBS3_ABORT_SILENCE,
	LIBS3_ABORT_FILE, /* what is to be sent cannot be read */
};

/* One exchange of this thread. */
struct libs3_transfer {
	/* what to do, set by the caller */
	char *ca_pem; /* NULL: the system's CAs */
	unsigned connect_timeout_ms, idle_timeout_ms;
	int send_fd; /* -1: there is no body to send */
	uint64_t send_bytes;
	uint8_t *into; /* the body of a 2xx answer; NULL: collected in body */
	size_t into_max;
	const struct s3_endpoint *
		at; /* with cancelled: asked every now and then, once a second at least, whether to give up; NULL: never */
	const atomic_bool *cancelled;

	/* what came of it, set by the wrapper */
	bool performed;
	CURLcode code;
	int status;                           /* the final one; 0: no answer */
	char etag[S3_ETAG_MAX];               /* without quotes, "" : none */
	char date[64], region[64], range[96]; /* headers Date, x-amz-bucket-region, Content-Range */
	int64_t length;                       /* Content-Length; -1: none */
	struct buf body;
	size_t into_n;
	enum libs3_abort abort;
	int file_errno; /* LIBS3_ABORT_FILE; 0: the file is too short */
	char error[CURL_ERROR_SIZE];

	/* inside */
	CURL *easy;
	uint64_t sent, received;
	uint64_t moved, moved_ns; /* bytes both ways at the last look that found more, and when that was */
	size_t header_bytes;
};

/* Between the two, this thread's curl_easy_perform is t's.  One request of libs3 between them.  It is composed under a lock, as libs3 calls gmtime(). */
void libs3_transfer_begin(struct libs3_transfer *t);
void libs3_transfer_end(struct libs3_transfer *t);
void libs3_transfer_done(struct libs3_transfer *t); /* frees */

/* libs3_transfer_judge: -1 when the exchange itself failed, whatever the status: ERR_NET, ERR_TIMEOUT, ERR_AUTH (certificate), ERR_IO (our file), ERR_LIMIT. */
int libs3_transfer_judge(const struct libs3_transfer *t, struct err *err);

#endif
