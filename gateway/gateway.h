/* gateway.h - what the parts of the running gateway share.  Made once by main.c; everything in it but the marked fields is fixed
 * after the start. */
#ifndef PCAPLINE_GATEWAY_GATEWAY_H
#define PCAPLINE_GATEWAY_GATEWAY_H

#include "common/http_server.h"
#include "common/id.h"
#include "common/tls_files.h"
#include "gateway/readiness.h"
#include "schema/config_gateway.h"
#include "schema/job_db.h"
#include "uploader/link.h"
#include "uploader/store.h"

#include <stdatomic.h>

struct identity_source;
struct targets;
struct jobs;
struct store_health;
struct examination;
struct audit;
struct page;
struct page_login;

struct gateway {
	struct config_gateway config;
	char id[ID_MAX];             /* of this process, in the jobs it runs */
	struct tls_files server_tls; /* public listener; empty: plain, loopback */
	struct tls_files agents_tls; /* towards the agents */
	struct job_db *db;
	struct store *store;             /* NULL: storage is switched off */
	struct store_health *health;     /* of the store, asked in bounded time; NULL: the store is asked itself */
	struct examination *examination; /* of the store; NULL: none */
	struct link_key link_key;
	struct identity_source *identities; /* who is it? */
	struct targets *targets;            /* what may they capture, and where is it? */
	struct jobs *jobs;                  /* running captures */
	struct audit *audit;                /* who did what */
	struct page *page;                  /* NULL: there is none */
	struct page_login *login;           /* in a browser; NULL: not offered */
	struct http_server *server;
	/* Base of links, without a slash at the end.  NULL until the listener, which may choose its port, is there; its first requests may be sooner. */
	char *_Atomic public_url;
	atomic_bool draining; /* no new captures */
	struct readiness readiness;
};

#endif
