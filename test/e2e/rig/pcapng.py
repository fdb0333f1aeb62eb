"""A small pcapng and pcap reader of the tests' own, so that what we write is not judged by the code that wrote it."""
import struct

SECTION, INTERFACE, SIMPLE, STATS, PACKET = 0x0A0D0D0A, 1, 3, 5, 6
END, COMMENT = 0, 1

# link types
EN10MB, RAW, LINUX_SLL, LINUX_SLL2, DLT_RAW = 1, 101, 113, 276, 12


class Interface:
    def __init__(self, link_type, snaplen, options):
        self.link_type, self.snaplen, self.options = link_type, snaplen, options
        self.name = _text(options, 2)
        self.description = _text(options, 3)
        self.filter = (options[11][0][1:].decode() if 11 in options else None)
        resolution = options[9][0][0] if 9 in options else 6
        self.units = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10 ** resolution
        self.comments = [c.decode() for c in options.get(COMMENT, [])]
        self.stats = []

    @property
    def last_stats(self):
        return self.stats[-1]


class Stats:
    """Counters of an interface statistics block; None when absent."""

    def __init__(self, ts_ns, options):
        self.ts_ns, self.options = ts_ns, options
        number = lambda code: struct.unpack(options["endian"] + "Q", options[code][0])[0] if code in options else None  # noqa: E731
        self.received, self.dropped_interface, self.accepted, self.dropped_os, self.delivered = map(number, (4, 5, 6, 7, 8))
        self.comments = [c.decode() for c in options.get(COMMENT, [])]


class Packet:
    """One packet: bytes as captured, length on the wire, nanoseconds since 1970, its Interface."""

    __slots__ = ("data", "length", "ts_ns", "interface", "options")

    def __init__(self, data, length, ts_ns, interface, options):
        self.data, self.length, self.ts_ns, self.interface, self.options = data, length, ts_ns, interface, options


class Capture:
    """A whole file: interfaces, packets in file order, section options, all comments."""

    def __init__(self):
        self.interfaces, self.packets, self.sections, self.blocks = [], [], [], []

    @property
    def comments(self):
        found = [c.decode() for s in self.sections for c in s.get(COMMENT, [])]
        for i in self.interfaces:
            found += i.comments
            for s in i.stats:
                found += s.comments
        return found

    def copy(self):
        """One whose lists stay as they are now."""
        c = Capture()
        c.interfaces, c.packets, c.sections, c.blocks = map(list, (self.interfaces, self.packets, self.sections, self.blocks))
        return c

    def of(self, name):
        """Packets of the interface(s) whose name begins so."""
        return [p for p in self.packets if (p.interface.name or "").startswith(name)]

    def is_in_time_order(self):
        return self.late() == 0

    def late(self):
        """How many packets stand behind one of a later time."""
        newest, found = 0, 0
        for p in self.packets:
            found += p.ts_ns < newest
            newest = max(newest, p.ts_ns)
        return found

    def is_ordered_as_told(self, job):
        """In the order of time, but for what the job counts as late: what comes after merge.window, as of an agent that stood still for a moment."""
        return self.late() <= sum(i["late_packets"] for i in job["instances"])


def _text(options, code):
    return options[code][0].decode() if code in options else None


def _options(body, endian):
    options, at = {"endian": endian}, 0
    while at < len(body):
        assert len(body) - at >= 4, "option cut off"
        code, length = struct.unpack_from(endian + "HH", body, at)
        at += 4
        if code == END:
            break
        assert at + length <= len(body), f"option {code} of {length} bytes does not fit"
        options.setdefault(code, []).append(body[at:at + length])
        at += (length + 3) & ~3
    return options


class Parser:
    """Reads a pcapng stream as it comes: feed() it pieces, `capture` grows."""

    def __init__(self):
        self.capture, self._left, self._at, self._endian, self._first = Capture(), b"", 0, "<", 0

    @property
    def left(self):
        """Bytes of a block that is not whole yet."""
        return len(self._left)

    def feed(self, data):
        data, at = self._left + data, 0
        while len(data) - at >= 12:
            place = self._at + at
            if struct.unpack_from("<I", data, at)[0] == SECTION:
                self._endian = "<" if struct.unpack_from("<I", data, at + 8)[0] == 0x1A2B3C4D else ">"
                self._first = len(self.capture.interfaces)
            kind, length = struct.unpack_from(self._endian + "II", data, at)
            assert length >= 12 and length % 4 == 0, f"block at {place}: length {length}"
            assert place or kind == SECTION, "the file does not begin with a section header"
            if at + length > len(data):
                break
            assert struct.unpack_from(self._endian + "I", data, at + length - 4)[0] == length, f"block at {place}: trailer differs"
            _block(self.capture, kind, data[at + 8:at + length - 4], self._endian, self._first)
            self.capture.blocks.append((kind, place, length))
            at += length
        self._left, self._at = data[at:], self._at + at


def read_pcapng(data, partial=False):
    """data: bytes or path.  Strict: AssertionError says what is wrong.  partial: a cut last block is no fault."""
    if not isinstance(data, (bytes, bytearray)):
        with open(data, "rb") as f:
            data = f.read()
    parser = Parser()
    parser.feed(data)
    assert partial or not parser.left, f"the last block is cut off: {parser.left} bytes of it are there"
    assert partial or parser.capture.sections, "no section header"
    return parser.capture


def _block(capture, kind, body, endian, first):
    if kind == SECTION:
        assert struct.unpack_from(endian + "IHH", body)[0] == 0x1A2B3C4D
        capture.sections.append(_options(body[16:], endian))
    elif kind == INTERFACE:
        link_type, _, snaplen = struct.unpack_from(endian + "HHI", body)
        capture.interfaces.append(Interface(link_type, snaplen, _options(body[8:], endian)))
    elif kind in (PACKET, STATS):
        number, high, low = struct.unpack_from(endian + "III", body)
        assert first + number < len(capture.interfaces), f"interface {number} is not described"
        interface = capture.interfaces[first + number]
        ts_ns = ((high << 32) | low) * 10 ** 9 // interface.units
        if kind == STATS:
            interface.stats.append(Stats(ts_ns, _options(body[12:], endian)))
            return
        caplen, length = struct.unpack_from(endian + "II", body, 12)
        assert caplen <= len(body) - 20, f"packet of {caplen} bytes in a block of {len(body)}"
        packet = Packet(bytes(body[20:20 + caplen]), length, ts_ns, interface, _options(body[20 + ((caplen + 3) & ~3):], endian))
        capture.packets.append(packet)


def read_pcap(data, partial=False):
    """Classic pcap, micro- or nanoseconds; a Capture with one interface."""
    if not isinstance(data, (bytes, bytearray)):
        with open(data, "rb") as f:
            data = f.read()
    capture = Capture()
    if partial and len(data) < 24:
        return capture
    magic = struct.unpack_from("<I", data)[0]
    endian = "<" if magic in (0xA1B2C3D4, 0xA1B23C4D) else ">"
    magic, _, _, _, _, snaplen, link_type = struct.unpack_from(endian + "IHHiIII", data)
    assert magic in (0xA1B2C3D4, 0xA1B23C4D), f"magic {magic:#x}"
    scale = 1 if magic == 0xA1B23C4D else 1000
    capture.interfaces.append(Interface(link_type, snaplen, {"endian": endian}))
    at = 24
    while at < len(data):
        if len(data) - at < 16:
            assert partial, "record cut off"
            break
        seconds, fraction, caplen, length = struct.unpack_from(endian + "IIII", data, at)
        if at + 16 + caplen > len(data):
            assert partial, "record cut off"
            break
        capture.packets.append(Packet(bytes(data[at + 16:at + 16 + caplen]), length, seconds * 10 ** 9 + fraction * scale,
                                      capture.interfaces[0], {}))
        at += 16 + caplen
    return capture
