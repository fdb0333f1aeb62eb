"""Ethernet frames of real protocols, made by hand, each of which knows where its headers end.

A part is (headers, rest): what a capture of headers only keeps, and what it cuts.  Each function here puts its header before a part:

    ethernet(0x0800, ip4(17, udp(53, dns(MARKER))))
"""
import struct

MARKER = b"payload-that-stays-home"
SOURCE = "02:00:5e:10:20:30"  # of all frames: a filter's word
_MACS = bytes.fromhex("02005e405060") + bytes.fromhex(SOURCE.replace(":", ""))
A4, B4 = bytes([192, 0, 2, 1]), bytes([198, 51, 100, 2])
A6, B6 = bytes.fromhex("20010db8" + "00" * 11 + "01"), bytes.fromhex("20010db8" + "00" * 11 + "02")


def data(text=b""):
    """Payload: nothing of it is kept."""
    return b"", MARKER + text + MARKER


def before(header, part):
    return header + part[0], part[1]


def behind(part, more):
    """Padding or a trailer."""
    return part[0], part[1] + more


def size(part):
    return len(part[0]) + len(part[1])


def checksum(p):
    total = sum(struct.unpack(f">{len(p) // 2}H", p))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


# ---- links ----

def ethernet(ethertype, part):
    return before(_MACS + struct.pack(">H", ethertype), part)


def vlan(number, ethertype, part):
    return before(struct.pack(">HH", number, ethertype), part)


def mpls(labels, part):
    n = len(labels)
    return before(b"".join(struct.pack(">I", label << 12 | (i == n - 1) << 8 | 64) for i, label in enumerate(labels)), part)


def pppoe(protocol, part):
    return before(struct.pack(">BBHHH", 0x11, 0, 7, size(part) + 2, protocol), part)


def arp():
    return struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + _MACS[6:] + A4 + bytes(6) + B4, b""


# ---- IP ----

def ip4(protocol, part, options=b"", fragment=0, more=False):
    """fragment   its offset in bytes"""
    assert len(options) % 4 == 0 and fragment % 8 == 0
    words = 5 + len(options) // 4
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, words * 4 + size(part), 77, more << 13 | fragment // 8, 64, protocol, 0) + A4 + B4 + options
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return before(head, part)


def ip6(protocol, part):
    return before(struct.pack(">IHBB", 0x60000000, size(part), protocol, 64) + A6 + B6, part)


def options6(following, part, n=8):
    """Hop-by-hop or destination options: n bytes, all padding."""
    return before(struct.pack(">BBBB", following, n // 8 - 1, 1, n - 4) + bytes(n - 4), part)


def routing6(following, part):
    return before(struct.pack(">BBBBI", following, 2, 2, 1, 0) + B6, part)


def fragment6(following, part, fragment=0, more=False):
    return before(struct.pack(">BBHI", following, 0, fragment | more, 77), part)


def ah(following, part):
    return before(struct.pack(">BBHII", following, 4, 0, 1, 1) + bytes(range(12)), part)


def esp(part):
    return before(struct.pack(">II", 1, 1), part)


# ---- behind IP ----

def tcp(to, part, options=b"", flags=0x18):
    assert len(options) % 4 == 0
    return before(struct.pack(">HHIIBBHHH", 40000, to, 1, 1, (5 + len(options) // 4) << 4, flags, 65535, 0, 0) + options, part)


def udp(to, part, length=None):
    return before(struct.pack(">HHHH", 40000, to, length or 8 + size(part), 0), part)


def udplite(to, part):
    return before(struct.pack(">HHHH", 40000, to, 8, 0), part)


def dccp(to, part):
    """A DCCP-Request with 48 bits of sequence number."""
    return before(struct.pack(">HHBBHBBHII", 40000, to, 5, 0, 0, 1, 0, 0, 1, 7), part)


def sctp(to, part):
    """With a chunk of data, which is cut as a whole."""
    chunk = struct.pack(">BBHIHHI", 0, 3, 16 + size(part), 1, 0, 0, 0)
    return before(struct.pack(">HHII", 40000, to, 7, 0), (b"", chunk + part[0] + part[1] + bytes(-size(part) % 4)))


def icmp(kind, part, code=0):
    return before(struct.pack(">BBHHH", kind, code, 0, 1, 1), part)


def neighbour(part):
    """A neighbour solicitation."""
    return before(struct.pack(">BBHI", 135, 0, 0, 0) + B6, part)


# ---- tunnels ----

def gre(ethertype, part, key=None, number=None, with_checksum=False):
    flags = (0x8000 if with_checksum else 0) | (0x2000 if key is not None else 0) | (0x1000 if number is not None else 0)
    head = struct.pack(">HH", flags, ethertype) + (bytes(4) if with_checksum else b"")
    for field in (key, number):
        head += struct.pack(">I", field) if field is not None else b""
    return before(head, part)


def vxlan(part, vni=42):
    return before(struct.pack(">BBHI", 8, 0, 0, vni << 8), part)


def geneve(ethertype, part, options=b"", vni=42):
    return before(struct.pack(">BBHI", len(options) // 4, 0, ethertype, vni << 8) + options, part)


# ---- payload that programs understand ----

def http():
    return data(b"GET / HTTP/1.1\r\nHost: ")


def dns():
    label = bytes([len(MARKER)]) + MARKER
    return b"", struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + label + b"\x00" + struct.pack(">HH", 1, 1)


def tls():
    """A ClientHello whose server name is the marker."""
    name = struct.pack(">HBH", len(MARKER) + 3, 0, len(MARKER)) + MARKER
    extensions = struct.pack(">HH", 0, len(name)) + name
    hello = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" + struct.pack(">H", len(extensions)) + extensions
    return b"", b"\x16\x03\x01" + struct.pack(">H", len(hello) + 4) + b"\x01" + struct.pack(">I", len(hello))[1:] + hello


def corpus():
    """{name: part} of everything that headers-only captures take apart."""
    plain4, plain6 = ip4(17, udp(53, dns())), ip6(17, udp(53, dns()))
    timestamps = bytes.fromhex("0101080a0000000100000002")
    cookie = bytes.fromhex("220a0102030405060708") + b"\x01\x01"
    return {
        "HTTP": ethernet(0x0800, ip4(6, tcp(80, http()))),
        "HTTP over IPv6, TCP options": ethernet(0x86DD, ip6(6, tcp(80, http(), timestamps))),
        "TLS": ethernet(0x0800, ip4(6, tcp(443, tls(), timestamps))),
        "TCP Fast Open": ethernet(0x0800, ip4(6, tcp(80, http(), cookie, flags=2))),
        "TCP, data in padding": behind(ethernet(0x0800, ip4(6, tcp(80, (b"", b"")))), MARKER),
        "DNS": ethernet(0x0800, plain4),
        "DNS over IPv6": ethernet(0x86DD, plain6),
        "IPv4 options": ethernet(0x0800, ip4(17, udp(7000, data()), options=bytes.fromhex("94040000"))),
        "IPv4 first fragment": ethernet(0x0800, ip4(17, udp(7000, data(bytes(18)), length=200), more=True)),
        "IPv4 last fragment": ethernet(0x0800, ip4(17, data(), fragment=64)),
        "IPv4 unknown protocol": ethernet(0x0800, ip4(253, data())),
        "IPv6 extension headers": ethernet(0x86DD, ip6(0, options6(60, options6(43, routing6(17, udp(7000, data())), n=16)))),
        "IPv6 first fragment": ethernet(0x86DD, ip6(44, fragment6(17, udp(7000, data(bytes(18)), length=200), more=True))),
        "IPv6 last fragment": ethernet(0x86DD, ip6(44, fragment6(17, data(), fragment=64))),
        "AH": ethernet(0x86DD, ip6(51, ah(17, udp(7000, data())))),
        "ESP": ethernet(0x0800, ip4(50, esp(data()))),
        "SCTP": ethernet(0x0800, ip4(132, sctp(7000, data()))),
        "DCCP": ethernet(0x0800, ip4(33, dccp(7000, data()))),
        "UDP-Lite": ethernet(0x0800, ip4(136, udplite(7000, data()))),
        "ping": ethernet(0x0800, ip4(1, icmp(8, data()))),
        "ping6": ethernet(0x86DD, ip6(58, icmp(128, data()))),
        "ICMP error": ethernet(0x0800, ip4(1, icmp(3, plain4, code=3))),
        "ICMP error that quotes TCP": ethernet(0x0800, ip4(1, icmp(11, ip4(6, tcp(80, http(), timestamps))))),
        "ICMPv6 error": ethernet(0x86DD, ip6(58, icmp(1, plain6, code=4))),
        "neighbour solicitation": ethernet(0x86DD, ip6(58, neighbour((b"", b"\x0e\x03" + MARKER[:22])))),
        "ARP, data in padding": behind(ethernet(0x0806, arp()), MARKER),
        "802.1Q": ethernet(0x8100, vlan(100, 0x0800, plain4)),
        "QinQ": ethernet(0x88A8, vlan(100, 0x8100, vlan(200, 0x86DD, plain6))),
        "MPLS": ethernet(0x8847, mpls([100, 200], plain4)),
        "MPLS, IPv6": ethernet(0x8847, mpls([100], plain6)),
        "PPPoE": ethernet(0x8864, pppoe(0x0021, plain4)),
        "GRE": ethernet(0x0800, ip4(47, gre(0x0800, plain4))),
        "GRE with everything": ethernet(0x0800, ip4(47, gre(0x6558, ethernet(0x86DD, plain6), key=7, number=9, with_checksum=True))),
        "IP in IP": ethernet(0x0800, ip4(4, plain4)),
        "IPv6 in IPv4": ethernet(0x0800, ip4(41, plain6)),
        "VXLAN": ethernet(0x0800, ip4(17, udp(4789, vxlan(ethernet(0x0800, ip4(6, tcp(80, http(), timestamps))))))),
        "VXLAN in VXLAN": ethernet(0x0800, ip4(17, udp(4789, vxlan(ethernet(0x0800, ip4(17, udp(4789, vxlan(ethernet(0x86DD, plain6))))))))),
        "Geneve": ethernet(0x86DD, ip6(17, udp(6081, geneve(0x6558, ethernet(0x0800, plain4), options=bytes.fromhex("0102000100000007"))))),
    }


def doubts():
    """{name: part} of what contradicts itself, or says that it is what it is not: cut where the doubt begins, which tshark would not always."""
    plain4 = ip4(17, udp(53, dns()))
    return {
        "no VXLAN at its port": ethernet(0x0800, ip4(17, udp(4789, data()))),
        "no Geneve at its port": ethernet(0x0800, ip4(17, udp(6081, data()))),
        "LLC": ethernet(len(MARKER) + 3, (b"", b"\x42\x42\x03" + MARKER)),
        "unknown ethertype": ethernet(0x88B5, data()),
        "MPLS, something else": ethernet(0x8847, mpls([100], data())),
        "MPLS, a wrong checksum": ethernet(0x8847, before(mpls([100], (b"", b""))[0], (b"", plain4[0][:10] + b"\0\0" + plain4[0][12:] + plain4[1]))),
        "IPv4: IHL of 4": ethernet(0x0800, (b"", b"\x44" + plain4[0][1:] + plain4[1])),
        "IPv4: total length of 19": ethernet(0x0800, (b"", plain4[0][:2] + b"\x00\x13" + plain4[0][4:] + plain4[1])),
        "TCP: data offset of 4": ethernet(0x0800, ip4(6, (b"", tcp(80, http())[0][:12] + b"\x40" + bytes(7) + MARKER))),
        "UDP: length of 7": ethernet(0x0800, ip4(17, (b"", struct.pack(">HHHH", 40000, 7000, 7, 0) + MARKER))),
        "IPv6: an extension beyond the end": ethernet(0x86DD, ip6(0, (b"", bytes([17, 200, 1, 4, 0, 0, 0, 0]) + MARKER))),
    }
