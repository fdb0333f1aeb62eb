/* driver.h - what a storage back end must do: take the chunks of one object in order while the capture runs, make one object of them, sign a link,
 * read it, erase it.  The struct of functions is the contract; a fake one serves in tests.
 *
 * Functions of one upload are called by one thread at a time; those of the driver itself by any.  All may block. */
#ifndef PCAPLINE_UPLOADER_DRIVER_H
#define PCAPLINE_UPLOADER_DRIVER_H

#include "common/digest.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct driver;

struct driver_object {
	uint64_t bytes;
	char sha256[DIGEST_SHA256_HEX_MAX];
};

/* Who an object belongs to: tags and metadata (the file driver keeps them in a side record). */
struct driver_tags {
	const char *job, *user, *org, *space, *source;
};

/* What erase found and took away. */
struct driver_erased {
	uint32_t objects; /* objects and versions of them */
	uint32_t uploads; /* uploads that had been begun and not completed */
	uint64_t bytes;   /* of the objects */
};

enum driver_severity { DRIVER_GOOD, DRIVER_NOTE, DRIVER_WARNING, DRIVER_ERROR };

/* One finding of an examination. */
struct driver_finding {
	enum driver_severity severity;
	char check[32]; /* "encryption" */
	char text[320]; /* a plain sentence */
};

#define DRIVER_FINDINGS_MAX 16
struct driver_findings {
	struct driver_finding items[DRIVER_FINDINGS_MAX];
	size_t n;
};

struct driver_ops {
	const char *name; /* "file" */

	/* How many calls of upload_part, for different parts of one upload, may run at once (0 and 1: one, in order). */
	unsigned (*parallel)(const struct driver *d);

	/* upload_begin: a new upload for key, or (resume_text not "") the one that a text from upload_state describes.
	 * Never overwrites: for a new upload an object that already stands at key is ERR_STATE; a resumed one is let in, because it may have
	 * been completed just before the crash (upload_complete finds out).  A new upload of a job replaces an unfinished one of the same job. */
	void *(*upload_begin)(struct driver *d, const char *key, const struct driver_tags *tags,
		const char *resume_text, struct err *err);

	/* upload_open: called once, before the first upload_part that is not alone, and again when the store has forgotten the upload (ERR_NOT_FOUND) and no
	 * part of it was confirmed yet; upload_state is asked anew after it.  NULL: nothing to do. */
	int (*upload_open)(void *upload, struct err *err);

	/* upload_state: what to remember so that the upload can be resumed after a crash; new string, caller frees. */
	char *(*upload_state)(void *upload, struct err *err);

	/* upload_part: bytes of fd from offset 0 become part seq (1, 2, ...; in order, unless parallel says more).  Returns when the store has it for good; the
	 * same seq again (after a failure or a crash) replaces it and, of a driver that takes them in order, what came after it.  alone: it is the only part there
	 * will be.  *ret_part: text to remember for the part, new string.  ERR_NOT_FOUND: the store has forgotten the upload. */
	int (*upload_part)(void *upload, uint32_t seq, bool alone, int fd, uint64_t bytes, const char *sha256,
		char **ret_part, struct err *err);

	/* upload_beyond: of a resumed upload that is open: *ret: the store has parts with numbers over n, which a crash has left.  They cannot be taken away, so
	 * no small part may come before them.  ERR_NOT_FOUND: the store has forgotten the upload.  NULL: there are none, or they do no harm. */
	int (*upload_beyond)(void *upload, uint32_t n, bool *ret, struct err *err);

	/* upload_complete: the object is parts 1..n (texts as returned).  After success it stands at key and was checked: size and checksum of what
	 * the store holds against expect.  Then the upload can only be freed.  An object that stands at key as expected is success too, whatever
	 * parts are left (a crash after completing); a different one is ERR_STATE.  A mismatch is ERR_IO and leaves nothing at key. */
	int (*upload_complete)(void *upload, uint32_t n, const char *const *parts, const struct driver_object *expect,
		struct err *err);

	/* upload_cancel: any thread: calls for this upload that are under way, and all but upload_abort that come, end soon with ERR_CANCELLED.  NULL: they never
	 * take long. */
	void (*upload_cancel)(void *upload);

	int (*upload_abort)(void *upload, struct err *err); /* nothing of it is left in the store */
	void (*upload_free)(void *upload);

	/* open: size bytes readable from the returned descriptor (caller closes); ERR_NOT_FOUND.  NULL when there is read instead. */
	int (*open)(struct driver *d, const char *key, uint64_t *ret_bytes, struct err *err);

	/* read: exactly n bytes of the object from offset on, all of them or -1.  NULL when there is open. */
	int (*read)(struct driver *d, const char *key, uint64_t offset, void *dst, size_t n, struct err *err);

	/* url: a signed URL of the store's own, new string, good for *ttl_s from now on; that is made less when the keys that sign end before.  NULL member:
	 * links are the gateway's business. */
	char *(*url)(struct driver *d, const char *key, uint64_t *ttl_s, const char *file_name, struct err *err);

	/* erase: every version of the object and every upload of it that is open; verifies that they are gone; already gone is success.  Adds to *ret, on -1 too: what
	 * is gone until then. */
	int (*erase)(struct driver *d, const char *key, struct driver_erased *ret, struct err *err);

	int (*check)(struct driver *d, struct err *err); /* reachable, writable?  Cheap: asked every few seconds */

	/* examine: what an operator should know of the store, best to worst in no order; may put things right (a lifecycle rule).  NULL: nothing to tell.
	 * -1 only when the store could not be asked at all. */
	int (*examine)(struct driver *d, struct driver_findings *ret, struct err *err);

	/* cancel: any thread: whatever the driver is doing or is asked from now on, for its uploads too, ends soon with ERR_CANCELLED; but not read, whose bytes somebody waits
	 * for.  Nothing follows but free.  NULL: it never takes long. */
	void (*cancel)(struct driver *d);
	void (*free)(struct driver *d);
};

/* A driver begins with this. */
struct driver {
	const struct driver_ops *ops;
};

/* The file driver: objects below root, written aside (root/.uploads), flushed, checked, renamed.  Takes root over (makes it 0700).
 * Keys as in file_tree.h.  Beside each object stands <key>.meta, JSON with its tags, size and checksum; it goes with the object. */
struct driver *driver_file_new(const char *root, struct err *err);

#endif
