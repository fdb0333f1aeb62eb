/* capture_request.h - what is asked for when a capture starts: the options that user, gateway and agent share, and the request
 * that the gateway sends to an agent.  One place reads them from JSON (strictly, with limits) and writes them to JSON.
 *
 * Agent's API (HTTP/1.1 over mutual TLS, refusals as in the gateway's API):
 *   POST /v1/captures           body: agent request; 200 application/x-pcapng, the stream; headers Pcap-Capture: ID, Pcap-Payload: full or headers
 *   POST /v1/captures/{id}/stop graceful: everything the kernel had delivered is sent, then the stream ends; 202
 *   POST /v1/devices            body: {"target"}; {"devices":[{"name","up","loopback","addresses":["10.0.0.1"],"description"}]}
 *   GET  /v1/info               {"version","api_level","targets":["host","container"],"payloads":["full","headers"],"enters":B,"instance","captures":N,
 *                               "captures_max":N,
 *                               "guard":{"enabled":B,"level":"calm|eased|narrowed|shedding","why":"" or "host under memory pressure","since":TIME,
 *                               "host":{"cpu_pressure","memory_pressure","io_pressure" percent of time,"load_per_core","memory_available","memory_total" bytes;
 *                               null: not to be had},"own":{"memory" bytes with rings,"cpu_percent" of a core,"bytes_per_s"},
 *                               "ceilings":{"rate","rate_total","cpu","cpu_total","memory"; 0: none},"shed" packets,"refused","cut" captures}}
 * A start is refused with 503 host_busy and Retry-After while the host is under heavy pressure or has no memory for the ring, with 429 agent_memory at limits.memory.
 * Why a container is refused: collector/container.h. */
#ifndef PCAPLINE_SCHEMA_CAPTURE_REQUEST_H
#define PCAPLINE_SCHEMA_CAPTURE_REQUEST_H

#include "common/err.h"
#include "common/id.h"
#include "schema/pcapng.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CAPTURE_DEVICE_MAX        16   /* IFNAMSIZ, with the terminator */
#define CAPTURE_DEVICES_MAX       4    /* of one instance in one capture */
#define CAPTURE_FILTER_MAX        8192 /* bytes of filter text (bosh pcap takes 5000) */
#define CAPTURE_DURATION_MAX_S    (7u * 24 * 3600)
#define CAPTURE_BYTES_MAX         (UINT64_C(1) << 50)
#define CAPTURE_PACKETS_MAX       (UINT64_C(1) << 53)
#define CAPTURE_RATE_MAX          (UINT64_C(1) << 34) /* as pace.h has it */
#define CAPTURE_SNAPLEN_MIN       16u
#define CAPTURE_SNAPLEN_DEFAULT   65535u
#define CAPTURE_EXCLUDES_MAX      64
#define CAPTURE_FORCED_MAX        8     /* filters that operators force on one capture */
#define CAPTURE_FORCED_FILTER_MAX 1024  /* bytes of one */
#define CAPTURE_FORCED_BY_MAX     560   /* whose it is, "group cf/router" */
#define CAPTURE_NAME_MAX          256   /* name of an instance, "web/3" */
#define CAPTURE_BODY_MAX          65536 /* bytes of a start request's JSON */
#define CAPTURE_HEADERS_MAX                                                                                            \
	1024u /* bytes of a packet in a capture of headers only: several tunnels with all their options */

/* What becomes of payload, in JSON and in the agent's answer: by this the gateway knows that the agent understood. */
#define CAPTURE_PAYLOAD_FULL    "full"
#define CAPTURE_PAYLOAD_HEADERS "headers"
#define AGENT_PAYLOAD_HEADER    "Pcap-Payload"

/* Zero-initialised is not valid: capture_options_init sets the defaults. */
struct capture_options {
	/* Default "eth0"; [A-Za-z0-9._:@-]{1,15}, not "." or "..".  A user may name several, "eth0,lo"; an agent takes one. */
	char device[CAPTURE_DEVICES_MAX * CAPTURE_DEVICE_MAX];
	/* "" : everything.  Plain text without control characters but tab */
	char filter[CAPTURE_FILTER_MAX + 1];
	uint32_t snaplen;        /* CAPTURE_SNAPLEN_MIN..PCAPNG_SNAPLEN_MAX; 0 in JSON means the largest */
	uint64_t max_duration_s; /* 0: no limit of its own */
	uint64_t max_bytes;      /* of the pcapng stream; 0: none */
	uint64_t max_packets;    /* 0: none */
	bool headers_only;       /* JSON "payload": "headers": packets end behind their transport header */
};

void capture_options_init(struct capture_options *o);

/* From the JSON object "options" (NULL: all defaults).  Field names in err start with path. */
int capture_options_from_json(json_t *obj, const char *path, struct capture_options *ret, struct err *err);
const char *capture_options_payload(const struct capture_options *o); /* CAPTURE_PAYLOAD_... */
json_t *capture_options_to_json(const struct capture_options *o);     /* new reference; NULL: no memory */

/* capture_options_devices: the single names, each once; returns how many. */
size_t capture_options_devices(const struct capture_options *o, char ret[CAPTURE_DEVICES_MAX][CAPTURE_DEVICE_MAX]);

/* ---- what on an agent's machine ---- */

#define AGENT_HANDLE_MAX   64
#define AGENT_GUID_MAX     64
#define AGENT_INDEX_ANY    UINT32_MAX
#define AGENT_INSTANCE_MAX 128

/* error.code (409) of an agent whose machine is not the one that is meant. */
#define AGENT_OTHER_INSTANCE "other_instance"

/* error.code (503) of an agent whose host has no room for a capture now; Retry-After. */
#define AGENT_HOST_BUSY         "host_busy"
#define AGENT_HOST_BUSY_RETRY_S "10"

enum agent_target_type { AGENT_TARGET_HOST, AGENT_TARGET_CONTAINER };

struct agent_target {
	enum agent_target_type type;
	/* host: who the machine must be (the agent's setting `instance`, of BOSH the instance's id): an address may have changed hands.  "" : whoever answers. */
	char instance[AGENT_INSTANCE_MAX];
	/* container: by its handle, [0-9a-f-]{28,36}, or, where the platform does not tell it, by its numeric address in the overlay.  One of the two is "". */
	char handle[AGENT_HANDLE_MAX];
	char address[46];
	char app[AGENT_GUID_MAX]; /* the app that it must belong to by the cell's own records */
	uint32_t index;           /* of the instance, confirmed where the records have it; AGENT_INDEX_ANY */
};

/* {"type":"host","instance"} or {"type":"container","handle" or "address","app","index"}.  Field names in err start with "target". */
int agent_target_from_json(json_t *obj, struct agent_target *ret, struct err *err);
json_t *agent_target_to_json(const struct agent_target *t); /* new reference; NULL: no memory */

/* One end of the platform's own traffic: TCP between this address, at one of these ports, and anything is left out of the capture. */
struct capture_exclude {
	char address[46]; /* numeric */
	uint16_t port;
	uint16_t port_last; /* of a range that begins with port; 0: port alone */
};

/* A filter that an operator forces on the capture: only what all of them and the user's accept is captured.  Each is compiled alone. */
struct capture_forced {
	char filter[CAPTURE_FORCED_FILTER_MAX + 1]; /* never "" */
	char by[CAPTURE_FORCED_BY_MAX];             /* names the rule when the filter is wrong */
};

/* What the gateway sends to an agent. */
struct agent_request {
	char id[ID_MAX];             /* of the capture, unique per instance */
	char job[ID_MAX];            /* for the agent's log */
	char name[CAPTURE_NAME_MAX]; /* of the instance, for the agent's log */
	struct agent_target target;
	struct capture_options options; /* one device */
	uint64_t max_rate;              /* bytes of the stream per second that the gateway takes; 0: it does not say */
	size_t excludes_n;
	struct capture_exclude excludes[CAPTURE_EXCLUDES_MAX];
	size_t forced_n;
	struct capture_forced forced[CAPTURE_FORCED_MAX];
};

/* {"id","job","name","target","options","max_rate","exclude":[{"address","port","port_last"}],"forced":[{"filter","by"}]}; options, max_rate, exclude, port_last and forced may be
 * left out.
 * On failure what is at ret means nothing. */
int agent_request_from_json(json_t *obj, struct agent_request *ret, struct err *err);
json_t *agent_request_to_json(const struct agent_request *r);

#endif
