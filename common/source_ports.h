/* source_ports.h - the local ports that this process's own connections leave from, so that they can be told from everybody else's: a capture leaves the platform's own
 * streams out by them. */
#ifndef PCAPLINE_COMMON_SOURCE_PORTS_H
#define PCAPLINE_COMMON_SOURCE_PORTS_H

#include <curl/curl.h>
#include <stdint.h>

#define SOURCE_PORTS_N 4096

/* source_ports_set: before any connection is made; first 0: any port. */
void source_ports_set(uint16_t first);

/* source_ports_of: has every connection of this handle leave from one of them.  When all are taken (a connection keeps its port for a minute after its end) it is any port: a packet
 * of ours too many in a capture is better than none. */
CURLcode source_ports_of(CURL *easy);

#endif
