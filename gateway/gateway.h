/* gateway.h - what the parts of the running gateway share.  Made once by main.c; everything in it but the marked fields is fixed
 * after the start. */
#ifndef PCAPLINE_GATEWAY_GATEWAY_H
#define PCAPLINE_GATEWAY_GATEWAY_H

#include "common/http_server.h"
#include "common/id.h"
#include "common/tls_files.h"
#include "gateway/metrics/readiness.h"
#include "gateway/policy/stop_switch.h"
#include "schema/config_gateway.h"
#include "schema/job_db.h"
#include "uploader/link.h"
#include "uploader/store.h"

#include <stdatomic.h>

struct identity_source;
struct targets;
struct jobs;
struct limits;
struct rate;
struct store_health;
struct examination;
struct audit;
struct agents;
struct metrics_server;
struct policy;
struct enforcer;
struct eraser;
struct page;
struct page_login;

struct gateway {
	struct config_gateway config;
	char id[ID_MAX];              /* of this process, in the jobs it runs */
	struct tls_files server_tls;  /* public listener; empty: plain, loopback */
	struct tls_files agents_tls;  /* towards the agents */
	struct tls_files metrics_tls; /* of the listener that monitoring asks */
	struct job_db *db;
	struct store *store;             /* NULL: storage is switched off */
	struct store_health *health;     /* of the store, asked in bounded time; NULL: the store is asked itself */
	struct examination *examination; /* of the store; NULL: none */
	struct eraser *eraser; /* of what killed captures left in a store that may hang; NULL: whoever kills erases */
	struct link_key link_key;
	struct identity_source *identities; /* who is it? */
	struct targets *targets;            /* what may they capture, and where is it? */
	struct jobs *jobs;                  /* running captures */
	struct limits *limits;              /* may one more start? */
	struct rate *rate;                  /* how fast may packets come in? */
	struct audit *audit;                /* who did what */
	struct agents *agents;              /* which there are, as far as is known */
	struct policy *policy;              /* what is switched, and forced; NULL: nothing */
	struct enforcer *enforcer;          /* of it, on what runs */
	struct page *page;                  /* NULL: there is none */
	struct page_login *login;           /* in a browser; NULL: not offered */
	struct http_server *_Atomic server; /* NULL: nobody is served yet */
	struct metrics_server *metrics;     /* NULL: there is none */
	/* Base of links, without a slash at the end.  NULL until the listener, which may choose its port, is there; its first requests may be sooner. */
	char *_Atomic public_url;
	atomic_bool draining; /* no new captures */
	struct readiness readiness;
	struct stop_switch stop_switch; /* no new captures, by an operator's word */
};

#endif
