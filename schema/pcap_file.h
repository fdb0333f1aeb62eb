/* pcap_file.h - the classic pcap format with nanoseconds (magic a1b23c4d), for tools that do not read pcapng.
 * One link type for the whole file, no interfaces, no statistics, no comments. */
#ifndef PCAPLINE_SCHEMA_PCAP_FILE_H
#define PCAPLINE_SCHEMA_PCAP_FILE_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

#define PCAP_FILE_HEADER_BYTES 24u
#define PCAP_FILE_RECORD_BYTES 16u

/* Each writes at dst (which has room) and returns the length. */
size_t pcap_file_write_header(uint8_t *dst, uint16_t link_type, uint32_t snaplen);
size_t pcap_file_write_packet(uint8_t *dst, uint64_t ts_ns, uint32_t caplen, uint32_t len, const uint8_t *data);

/* Reading, fed in slices; both byte orders, micro- and nanoseconds; caplen bounded by PCAPNG_SNAPLEN_MAX. */
struct pcap_file_packet {
	uint64_t ts_ns;
	uint32_t caplen, len;
	const uint8_t *data;
};
struct pcap_file_reader;
typedef int (*pcap_file_packet_fn)(void *ctx, const struct pcap_file_packet *p, struct err *err);
struct pcap_file_reader *pcap_file_reader_new(pcap_file_packet_fn fn, void *ctx, struct err *err);
int pcap_file_reader_feed(struct pcap_file_reader *r, const uint8_t *p, size_t n, struct err *err);
int pcap_file_reader_end(struct pcap_file_reader *r, struct err *err);
uint64_t pcap_file_reader_good_bytes(const struct pcap_file_reader *r);
uint32_t pcap_file_reader_link_type(const struct pcap_file_reader *r); /* 0xffffffff: header not in yet */
void pcap_file_reader_free(struct pcap_file_reader *r);

#endif
