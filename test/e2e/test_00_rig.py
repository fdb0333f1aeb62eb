"""The rig itself: what the other tests rest on."""
import pytest

from rig import Sender, Sink, Tcpdump, WebServer, capinfos, numbers_of, read_pcap, read_pcapng, tshark, wait_for
from rig.daemon import sanitizer_report
from rig.reference import _tool


def test_wait_for_says_what_was_missing():
    with pytest.raises(AssertionError, match="the moon"):
        wait_for(lambda: False, "the moon", timeout_s=0)


def test_sanitizer_reports_are_seen():
    assert sanitizer_report("x\n==1==ERROR: AddressSanitizer: heap-use-after-free on\n")
    assert sanitizer_report("a.c:1:2: runtime error: signed integer overflow")
    assert not sanitizer_report("all is well")


def test_traffic_and_reference(net, session):
    a, b = net.ns("a"), net.ns("b")
    Sink(b, 7000)
    dump = Tcpdump(b, "eth0", "udp port 7000")
    sent = Sender(a, b.ip, 7000, size=100, pps=5000, count=500).wait()
    assert sent == 500
    wait_for(lambda: dump.count() == 500, "tcpdump to have 500")
    capture = dump.stop()
    assert numbers_of(capture.packets, 7000) == list(range(500))
    assert capture.is_in_time_order()
    assert capinfos(dump.path)["Number of packets"] == "500"
    assert len(tshark(dump.path, "-Y", "udp.dstport == 7000")) == 500


def test_our_pcapng_reader_agrees_with_editcap(net, folder):
    a, b = net.ns("a"), net.ns("b")
    dump = Tcpdump(b, "eth0", "udp port 7000")
    Sink(b, 7000)
    Sender(a, b.ip, 7000, pps=0, count=50).wait()
    wait_for(lambda: dump.count() == 50, "tcpdump to have 50")
    dump.stop()
    _tool(["editcap", "-F", "pcapng", str(dump.path), str(folder / "x.pcapng")])
    ours, theirs = read_pcapng(folder / "x.pcapng"), read_pcap(dump.path)
    assert [(p.ts_ns, p.data, p.length) for p in ours.packets] == [(p.ts_ns, p.data, p.length) for p in theirs.packets]
    cut = (folder / "x.pcapng").read_bytes()[:-7]
    with pytest.raises(AssertionError, match="cut off"):
        read_pcapng(cut)
    read_pcapng(cut, partial=True)


def test_ipv6_and_web_server(net, folder):
    a, b = net.ns("a", ipv6=True), net.ns("b", ipv6=True)
    server = WebServer(b, folder / "www", {"hello": b"x" * 100000})
    assert server.get(a, "hello") == b"x" * 100000
    sink = Sink(b, 7000, b.ip6)
    assert Sender(a, b.ip6, 7000, pps=0, count=3).wait() == 3
    assert len(sink.socket.recv(1000)) == 64
