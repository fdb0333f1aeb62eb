/* http_rig.h - for the unit tests of the HTTP server and client: certificates made in memory, a server with a few routes,
 * and a raw socket to say to it what no well-behaved client would.  Everything aborts the test program when the system
 * refuses; waits are bounded by RIG_WAIT_MS. */
#ifndef PCAPLINE_TEST_UNIT_HTTP_RIG_H
#define PCAPLINE_TEST_UNIT_HTTP_RIG_H

#include "common/http_server.h"
#include "common/tls_files.h"

#include <stdatomic.h>

#define RIG_WAIT_MS    30000
#define RIG_BLOCK      (512 * 1024)
#define RIG_HEADER_MAX 4096
#define RIG_BODY_MAX   1000
#define RIG_FILE_TEXT  "0123456789abcdefghij" /* what /file answers */

/* ---- certificates ---- */
enum rig_client {
	RIG_RIGHT,
	RIG_NONE, /* no certificate at all */
	RIG_WRONG_CA,
	RIG_EXPIRED,
	RIG_NOT_YET,
	RIG_WRONG_NAME,
	RIG_NAME_IN_CN, /* the right name, but only as common name */
	RIG_WRONG_PURPOSE,
	RIG_CLIENTS
};
#define RIG_CLIENT_NAME "gateway.test"

struct rig_certs {
	struct tls_files server; /* for localhost, 127.0.0.1 and ::1; ca: the clients' CA, which is also its own */
	struct tls_files client[RIG_CLIENTS];
};

void rig_certs_init(struct rig_certs *c);
void rig_certs_done(struct rig_certs *c);

/* ---- a server ----
 *   /echo     what was asked, as JSON         /early       401 from on_headers, the body unread
 *   /file     RIG_FILE_TEXT, ETag "v1"        /forget      no answer from the handler
 *   /err?k=N  an err of kind N                /stream?n=N  N blocks, as large as asked for, of rig_byte
 *   /reader   the same by a reader; ?n=N: N times rig_byte; ?cut=N: reading fails behind byte N
 *   /known    200 if its query has at most a and b, once each
 *   /abort    a block, then an abort          /hold        a byte, then waits until the peer hangs up or `release`
 *   /quiet    waits quiet_ms for a hang-up, then a good end (or an abort when there was one) */
struct rig {
	struct http_server_options o; /* defaults set by rig_init, to be changed before rig_start */
	struct http_server *server;
	int quiet_ms;
	atomic_bool release;

	/* counted */
	atomic_uint headers, requests, done, streams_opened, streams_closed;
	atomic_size_t largest_read; /* the largest max that a stream's or a reader's read was given */
};

void rig_init(struct rig *r);
void rig_start(struct rig *r);
void rig_stop(struct rig *r); /* also checks that every request and stream that began has ended */
uint8_t rig_byte(uint64_t pos);

/* rig_wait: until *what is at least n. */
void rig_wait(const atomic_uint *what, unsigned n);

/* ---- a raw client ---- */
int rig_connect(uint16_t port);
void rig_send(int fd, const void *p, size_t n);
bool rig_try_send(int fd, const void *p, size_t n); /* false: the peer is gone */
void rig_say(int fd, const char *text);

/* rig_read: up to size - 1 bytes, terminated, until stop (NULL: the end of the connection) was seen.  Returns how many. */
size_t rig_read(int fd, char *ret, size_t size, const char *stop);
bool rig_is_closed(int fd); /* waits for the peer to end or reset the connection, dropping what comes before */

/* rig_ask: one connection, text said, everything answered until it ends (text asks for that, or is refused). */
size_t rig_ask(uint16_t port, const void *text, size_t n, char *ret, size_t size);

#endif
