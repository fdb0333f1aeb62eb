"""Counts what is in a capture file, without reading all of it into memory: pcap and pcapng as this machine writes them."""
import mmap
import re
import struct

PCAP_MAGICS = {0xA1B2C3D4, 0xA1B23C4D}
SECTION, PACKET, STATS = 0x0A0D0D0A, 6, 5
ISB_IFDROP, ISB_OSDROP, COMMENT = 5, 7, 1
VIEWER = re.compile(rb"(\d+) packets between .* are missing here")


class Counted:
    """packets, captured_bytes; said_lost: packets that the file itself calls lost, None when its format cannot say."""

    def __init__(self):
        self.packets = self.captured_bytes = 0
        self.said_lost = None


def _options(block, order="<"):
    while len(block) >= 4:
        code, n = struct.unpack_from(order + "HH", block)
        if code == 0:
            return
        yield code, block[4:4 + n]
        block = block[4 + (n + 3 & ~3):]


def _pcap(data, counted, only):
    pos, size, record = 24, len(data), struct.Struct("<8xII")
    while pos + 16 <= size:
        caplen, _ = record.unpack_from(data, pos)
        pos += 16 + caplen
        if pos > size:
            break
        if only is None or caplen == only:
            counted.packets += 1
            counted.captured_bytes += caplen


def _pcapng(data, counted, only):
    pos, size, head, caplen = 0, len(data), struct.Struct("<II"), struct.Struct("<I")
    by_interface, by_viewer = {}, 0
    while pos + 12 <= size:
        kind, n = head.unpack_from(data, pos)
        if n < 12 or pos + n > size:
            break
        if kind == PACKET:
            captured = caplen.unpack_from(data, pos + 20)[0]
            if only is None or captured == only:
                counted.packets += 1
                counted.captured_bytes += captured
        elif kind == STATS:
            lost = None
            for code, value in _options(data[pos + 20:pos + n - 4]):
                if code in (ISB_IFDROP, ISB_OSDROP):
                    lost = (lost or 0) + struct.unpack("<Q", value)[0]
                elif code == COMMENT and (m := VIEWER.match(value)):
                    by_viewer += int(m.group(1))
            if lost is not None:
                by_interface[data[pos + 8:pos + 12]] = lost
        pos += n
    counted.said_lost = sum(by_interface.values()) + by_viewer


def count(path, only=None):
    """only: packets of so many captured bytes, no others."""
    counted = Counted()
    with open(path, "rb") as f:
        if f.seek(0, 2) < 24:
            return counted
        with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
            magic = struct.unpack_from("<I", data)[0]
            if magic in PCAP_MAGICS:
                _pcap(data, counted, only)
            elif magic == SECTION:
                _pcapng(data, counted, only)
    return counted
