/* config_metrics.h - section `metrics`, which gateway and agent have alike: the listener that monitoring asks. */
#ifndef PCAPLINE_SCHEMA_CONFIG_METRICS_H
#define PCAPLINE_SCHEMA_CONFIG_METRICS_H

#include "schema/config.h"

struct config_metrics {
	char *address;     /* "127.0.0.1" */
	uint64_t port;     /* 0..65535; 0: there is no such listener */
	char *certificate; /* "": path; "" : plain HTTP, loopback only */
	char *private_key; /* "" */
	char *client_ca;   /* "": path; "" : no client certificate is asked for */
	char *client_name; /* "prom_scraper": DNS SAN that it must bear */
};

/* Its keys, where `type` has a struct config_metrics `metrics`. */
#define CONFIG_METRICS_KEYS(type)                                                                                      \
	{"metrics", "address", CONFIG_TEXT, offsetof(type, metrics.address), "127.0.0.1", 1, 45, NULL, "",             \
		"Numeric address of the listener that monitoring asks, GET /metrics"},                                 \
		{"metrics", "port", CONFIG_NUMBER, offsetof(type, metrics.port), "0", 0, 65535, NULL, "",              \
			"Its port; 0: there is none"},                                                                 \
		{"metrics", "certificate", CONFIG_TEXT, offsetof(type, metrics.certificate), "", 0, 4096, NULL, "",    \
			"File of its certificate, PEM, with its chain; empty: plain HTTP, on loopback only"},          \
		{"metrics", "private_key", CONFIG_TEXT, offsetof(type, metrics.private_key), "", 0, 4096, NULL, "",    \
			"File of its private key, PEM"},                                                               \
		{"metrics", "client_ca", CONFIG_TEXT, offsetof(type, metrics.client_ca), "", 0, 4096, NULL, "",        \
			"File of the CA that signed the certificates of who may ask, PEM; empty: anybody may"},        \
	{                                                                                                              \
		"metrics", "client_name", CONFIG_TEXT, offsetof(type, metrics.client_name), "prom_scraper", 1, 253,    \
			NULL, "", "DNS name that their certificates must bear"                                         \
	}

int config_metrics_check(const struct config_metrics *m, struct err *err);

/* config_is_loopback: a numeric address, of this machine alone? */
bool config_is_loopback(const char *address);

#endif
