/* metrics_server.h - the listener that monitoring asks: GET /metrics and nothing else, on a port of its own.
 *
 * Few connections, so whoever asks too often keeps others waiting here and nowhere else.  Plain HTTP on loopback only; with tls the server's certificate, and with tls->ca_pem also the
 * client's, which must bear client_name (Cloud Foundry's prom_scraper has "prom_scraper"). */
#ifndef PCAPLINE_COMMON_METRICS_SERVER_H
#define PCAPLINE_COMMON_METRICS_SERVER_H

#include "common/metrics.h"
#include "common/tls_files.h"

struct metrics_server;

struct metrics_server_options {
	const char *address; /* numeric */
	uint16_t port;
	const struct tls_files *tls; /* borrowed; without a certificate in it: plain */
	const char *client_name;     /* copied; looked at when tls has a CA */
	/* Puts the program's figures on the page; called by any number of threads at once.  What it waits for is bounded. */
	void (*show)(void *ctx, struct metrics_page *p);
	void *ctx;
};

struct metrics_server *metrics_server_start(const struct metrics_server_options *o, struct err *err);
uint16_t metrics_server_port(const struct metrics_server *s);
void metrics_server_stop(struct metrics_server *s); /* accepts NULL */

#endif
