/* pcapng_link_type.c - names and numbers of link types (https://www.tcpdump.org/linktypes.html). */
#include "schema/pcapng.h"

#include <stdio.h>

static const struct {
	uint16_t link_type;
	const char *name; /* as libpcap names them: DLT_... without the prefix */
} link_types[] = {
	{0, "NULL"},
	{1, "EN10MB"},
	{6, "IEEE802"},
	{8, "SLIP"},
	{9, "PPP"},
	{10, "FDDI"},
	{50, "PPP_SERIAL"},
	{51, "PPP_ETHER"},
	{100, "ATM_RFC1483"},
	{101, "RAW"},
	{104, "C_HDLC"},
	{105, "IEEE802_11"},
	{107, "FRELAY"},
	{108, "LOOP"},
	{109, "ENC"},
	{113, "LINUX_SLL"},
	{119, "PRISM_HEADER"},
	{127, "IEEE802_11_RADIO"},
	{147, "USER0"},
	{187, "BLUETOOTH_HCI_H4"},
	{189, "USB_LINUX"},
	{192, "PPI"},
	{195, "IEEE802_15_4_WITHFCS"},
	{201, "BLUETOOTH_HCI_H4_WITH_PHDR"},
	{220, "USB_LINUX_MMAPPED"},
	{224, "FC_2"},
	{227, "CAN_SOCKETCAN"},
	{228, "IPV4"},
	{229, "IPV6"},
	{230, "IEEE802_15_4_NOFCS"},
	{231, "DBUS"},
	{239, "NFLOG"},
	{247, "INFINIBAND"},
	{253, "NETLINK"},
	{254, "BLUETOOTH_LINUX_MONITOR"},
	{271, "VSOCK"},
	{276, "LINUX_SLL2"},
};

/* Where libpcap's number in memory (DLT_) is not the number in files (LINKTYPE_) on Linux. */
static const struct {
	int dlt;
	uint16_t link_type;
} dlts[] = {
	{11, 100}, /* ATM_RFC1483 */
	{12, 101}, /* RAW: tun devices */
	{15, 102}, /* SLIP_BSDOS */
	{16, 103}, /* PPP_BSDOS */
	{18, 246}, /* PFSYNC */
	{19, 106}, /* ATM_CLIP */
};

const char *pcapng_link_type_name(uint16_t link_type)
{
	static _Thread_local char other[16];

	for (size_t i = 0; i < sizeof(link_types) / sizeof(link_types[0]); i++)
		if (link_types[i].link_type == link_type)
			return link_types[i].name;
	snprintf(other, sizeof(other), "DLT %u", link_type);
	return other;
}

int pcapng_link_type_of_dlt(int dlt)
{
	for (size_t i = 0; i < sizeof(dlts) / sizeof(dlts[0]); i++)
		if (dlts[i].dlt == dlt)
			return dlts[i].link_type;
	return dlt >= 0 && dlt <= UINT16_MAX ? dlt : -1;
}
