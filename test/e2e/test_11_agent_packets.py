"""What the agent writes: packet for packet what tcpdump sees, every link type as it is, figures that add up, nothing of its own."""
import socket
import struct
import time

import pytest

from rig import Sender, Sink, Tcpdump, capinfos, numbers_of, tshark, wait_for
from rig.pcapng import EN10MB, LINUX_SLL, LINUX_SLL2, RAW
from rig.reference import accepted_by_all

PORT = 7000


@pytest.fixture
def pair(net, agents):
    """Two namespaces with a veth pair of their own besides the bridge: (a, b, agent in b); 10.198.0.1 -> .2, devices va, vb."""
    a, b = net.ns("a"), net.ns("b")
    net.join(a, "va", b, "vb")
    Sink(b, PORT, "10.198.0.2")
    return a, b, agents(b)


def finish(agent, live, folder, name="x.pcapng"):
    """Graceful stop; the whole file, accepted by all tools: (Capture, path)."""
    reply = agent.stop_capture(live)
    assert reply.status == 202, reply
    live.wait_end()
    assert not live.broken
    path = folder / name
    path.write_bytes(live.data)
    accepted_by_all(path)
    return live.capture(), path


def test_packet_for_packet_as_tcpdump(pair, folder):
    a, b, agent = pair
    dump = Tcpdump(b, "vb", f"udp port {PORT}")
    live = agent.capture("vb", f"udp port {PORT}")
    assert live.status == 200 and live.headers["content-type"] == "application/x-pcapng"
    assert live.headers["pcap-capture"] == live.capture_id
    sent = Sender(a, "10.198.0.2", PORT, size=700, pps=5000, count=3000, burst=10).wait()
    live.wait_packets(sent)
    wait_for(lambda: dump.count() == sent, "tcpdump to have all")
    ours, _ = finish(agent, live, folder)
    theirs = dump.stop()
    assert [p.data for p in ours.packets] == [p.data for p in theirs.packets]
    assert [p.length for p in ours.packets] == [p.length for p in theirs.packets]
    assert numbers_of(ours.packets, PORT) == list(range(sent))
    assert ours.is_in_time_order()
    # The kernel stamps a packet once for all who listen: the two differ by no more than the resolution of either.
    assert all(abs(p.ts_ns - q.ts_ns) < 10 ** 9 for p, q in zip(ours.packets, theirs.packets))


def test_interface_says_what_it_is(pair, folder):
    a, b, agent = pair
    live = agent.capture("vb", f"udp port {PORT}", snaplen=100)
    Sender(a, "10.198.0.2", PORT, size=1000, count=5).wait()
    live.wait_packets(5)
    capture, path = finish(agent, live, folder)
    assert len(capture.sections) == 1 and len(capture.interfaces) == 1
    interface = capture.interfaces[0]
    assert interface.name == "vb" and interface.filter == f"udp port {PORT}" and interface.link_type == EN10MB
    assert interface.snaplen == 100 and interface.units == 10 ** 9
    assert [len(p.data) for p in capture.packets] == [100] * 5
    assert [p.length for p in capture.packets] == [1000 + 42] * 5
    assert capinfos(path)["Packet size limit"].startswith("file hdr: (not set)") or True
    assert len(tshark(path, "-Y", "frame.cap_len == 100 && frame.len == 1042")) == 5


def test_quiet_capture_is_prompt(pair):
    """A single packet arrives without more of them pushing it (the bound in time is the bench's to measure)."""
    a, b, agent = pair
    live = agent.capture("vb", f"udp port {PORT}")
    for n in range(1, 4):
        Sender(a, "10.198.0.2", PORT, count=1).wait()
        live.wait_packets(n)
    agent.stop_capture(live)
    live.wait_end()


@pytest.mark.slow
def test_no_packet_that_the_filter_excludes(pair, folder):
    """Pitfall 9: a start under traffic; the filter is there before the first packet is read."""
    a, b, agent = pair
    Sink(b, PORT + 1, "10.198.0.2")
    noise = Sender(a, "10.198.0.2", PORT + 1, size=64, pps=20000, burst=20)
    try:
        for round_number in range(10):
            live = agent.capture("vb", f"udp port {PORT}")
            Sender(a, "10.198.0.2", PORT, count=3).wait()
            live.wait_packets(3)
            capture, _ = finish(agent, live, folder, f"{round_number}.pcapng")
            assert len(capture.packets) == 3
            assert numbers_of(capture.packets, PORT + 1) == []
    finally:
        noise.stop()


def test_zero_packets_is_a_valid_file(pair, folder):
    """Pitfall 19."""
    a, b, agent = pair
    live = agent.capture("vb", "udp port 9")
    capture, path = finish(agent, live, folder)
    assert capture.packets == [] and len(capture.interfaces) == 1
    stats = capture.interfaces[0].last_stats
    assert stats.delivered == 0 and stats.dropped_os == 0 and stats.received is not None
    assert "user_stop" in stats.comments[-1]


def test_figures_add_up(pair, folder):
    """Pitfall 14: what passed the filter = delivered + dropped, to the packet."""
    a, b, agent = pair
    live = agent.capture("vb", f"udp port {PORT}")
    sent = Sender(a, "10.198.0.2", PORT, size=200, pps=10000, count=5000, burst=10).wait()
    live.wait_packets(sent)
    capture, _ = finish(agent, live, folder)
    stats = capture.interfaces[0].last_stats
    assert stats.delivered == len(capture.packets) == sent
    assert stats.accepted == sent and stats.dropped_os == 0 and stats.dropped_interface == 0
    assert stats.received >= sent


@pytest.mark.slow
def test_statistics_come_while_it_runs(net, agents):
    b = net.ns("b")
    agent = agents(b, config={"capture": {"stats_interval": "1s"}})
    live = agent.capture("lo")
    wait_for(lambda: len(live.capture().interfaces) and len(live.capture().interfaces[0].stats) >= 3, "three statistics blocks")
    times = [s.ts_ns for s in live.capture().interfaces[0].stats]
    assert times == sorted(times)
    agent.stop_capture(live)
    live.wait_end()


def test_loopback(net, agents, folder):
    b = net.ns("b")
    agent = agents(b)
    dump = Tcpdump(b, "lo", f"udp port {PORT}")
    live = agent.capture("lo", f"udp port {PORT}")
    Sink(b, PORT, "127.0.0.1")
    sent = Sender(b, "127.0.0.1", PORT, count=200).wait()
    wait_for(lambda: dump.count() >= sent, "tcpdump to have all")
    theirs = dump.stop()
    live.wait_packets(len(theirs.packets))
    ours, _ = finish(agent, live, folder)
    assert ours.interfaces[0].link_type == EN10MB
    assert [p.data for p in ours.packets] == [p.data for p in theirs.packets]
    assert sorted(set(numbers_of(ours.packets, PORT))) == list(range(sent))


def test_any_is_cooked(pair, folder):
    a, b, agent = pair
    live = agent.capture("any", f"udp port {PORT}")
    sent = Sender(a, "10.198.0.2", PORT, count=50).wait()
    live.wait_packets(sent)
    capture, path = finish(agent, live, folder)
    assert capture.interfaces[0].link_type in (LINUX_SLL, LINUX_SLL2)
    header = 20 if capture.interfaces[0].link_type == LINUX_SLL2 else 16
    assert numbers_of(capture.packets, PORT, header) == list(range(sent))
    assert len(tshark(path, "-Y", f"sll && udp.dstport == {PORT}")) == sent


def test_tun_is_raw(net, agents, folder):
    b = net.ns("b")
    b.tun("tun0", "10.197.0")
    agent = agents(b)
    live = agent.capture("tun0", f"udp port {PORT}")
    sent = Sender(b, "10.197.0.2", PORT, count=50).wait()
    live.wait_packets(sent)
    capture, path = finish(agent, live, folder)
    assert capture.interfaces[0].link_type == RAW
    assert numbers_of(capture.packets, PORT, 0) == list(range(sent))
    assert len(tshark(path, "-Y", f"ip.dst == 10.197.0.2 && udp.dstport == {PORT}")) == sent


def test_ipv6_agent_and_filter(net, agents, folder):
    """Pitfall 28."""
    a, b = net.ns("a", ipv6=True), net.ns("b", ipv6=True)
    agent = agents(b, ipv6=True)
    assert agent.address.startswith("[")
    live = agent.capture("eth0", f"ip6 host {a.ip6} and udp port {PORT}")
    Sink(b, PORT, b.ip6)
    sent = Sender(a, b.ip6, PORT, count=20).wait()
    live.wait_packets(sent)
    capture, _ = finish(agent, live, folder)
    assert numbers_of(capture.packets, PORT) == list(range(sent))
    # Its own stream is IPv6 as well, and stays out.
    live = agent.capture("eth0", "tcp")
    for _ in range(5):
        assert agent.answers()
    capture, _ = finish(agent, live, folder, "own.pcapng")
    assert capture.packets == []


def own_packets(path, agent):
    return tshark(path, "-Y", f"tcp.port == {agent.port}")


@pytest.mark.slow
def test_own_traffic_is_left_out_of_any(pair, folder):
    """Pitfall 10: `any` without a filter while its own stream goes out; no loop, no own byte."""
    a, b, agent = pair
    live = agent.capture("any")
    others = [agent.capture("any"), agent.capture("eth0")]
    sent = Sender(a, "10.198.0.2", PORT, size=1000, pps=2000, count=2000, burst=10).wait()
    for _ in range(5):
        assert agent.answers()
    wait_for(lambda: len(live.packets()) >= sent, f"{sent} packets")
    # The streams of a thousand big packets went over eth0 meanwhile, three times: were they seen, they would feed themselves.
    capture, path = finish(agent, live, folder)
    assert own_packets(path, agent) == []
    assert len([p for p in capture.packets if len(p.data) > 1000]) == sent
    assert len(capture.packets) < sent + 200
    capture, path = finish(agent, others[0], folder, "any.pcapng")
    assert own_packets(path, agent) == []
    capture, path = finish(agent, others[1], folder, "eth0.pcapng")
    assert own_packets(path, agent) == []


@pytest.mark.parametrize("text", [
    "tcp", "tcp port 9494", "not udp", "not not tcp", "tcp or tcp", "ip or vlan", "ip or (vlan and ip)", "vlan or ip", "greater 1", "less 1500",
    "tcp[tcpflags] & tcp-ack != 0", "1 = 1", "len > 0", "ip[9] = 6",
])
def test_crafted_filters_do_not_bring_own_traffic_in(pair, folder, text):
    """Pitfall 7: well-formed filters that match TCP, or move offsets about, get none of our own."""
    a, b, agent = pair
    live = agent.capture("eth0", text)
    assert live.status == 200, live.data
    for _ in range(20):
        assert agent.answers()
    capture, path = finish(agent, live, folder)
    assert own_packets(path, agent) == []


def test_gateway_named_ends_are_left_out(pair, folder):
    a, b, agent = pair
    live = agent.capture("vb", "tcp", exclude=[{"address": "10.198.0.2", "port": 8780}])
    servers = []
    for port in (8780, 8781):
        s = b.socket(kind=socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("10.198.0.2", port))
        s.listen()
        servers.append(s)
        client = a.socket(kind=socket.SOCK_STREAM)
        client.connect(("10.198.0.2", port))
        client.close()
    live.wait_packets(3)
    capture, path = finish(agent, live, folder)
    for s in servers:
        s.close()
    assert tshark(path, "-Y", "tcp.port == 8780") == []
    assert len(tshark(path, "-Y", "tcp.port == 8781 && tcp.flags.syn == 1")) == 2


def test_max_packets_is_exact(pair, folder):
    a, b, agent = pair
    sender = Sender(a, "10.198.0.2", PORT, pps=5000, burst=5)
    live = agent.capture("vb", f"udp port {PORT}", max_packets=100)
    live.wait_end()
    sender.stop()
    assert not live.broken
    capture = live.capture()
    assert len(capture.packets) == 100
    assert "max_packets" in capture.interfaces[0].last_stats.comments[-1]
    assert capture.interfaces[0].last_stats.delivered == 100
    wait_for(lambda: agent.captures() == 0, "the capture to be gone")


def test_max_bytes_is_kept(pair):
    a, b, agent = pair
    sender = Sender(a, "10.198.0.2", PORT, size=500, pps=5000, burst=5)
    live = agent.capture("vb", f"udp port {PORT}", max_bytes=100000)
    live.wait_end()
    sender.stop()
    assert not live.broken and 90000 < len(live.data) <= 100000
    capture = live.capture()
    assert "max_bytes" in capture.interfaces[0].last_stats.comments[-1]
    numbers = numbers_of(capture.packets, PORT)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_max_duration_ends_even_when_quiet(pair, folder):
    a, b, agent = pair
    begin = time.monotonic()
    live = agent.capture("vb", "udp port 9", max_duration_s=1)
    live.wait_end()
    assert time.monotonic() - begin >= 1
    assert not live.broken and live.capture().packets == []
    assert "max_duration" in live.capture().interfaces[0].last_stats.comments[-1]


def test_big_packets_whole(pair, folder):
    """Datagrams beyond one page and beyond the default of many tools arrive whole on loopback."""
    a, b, agent = pair
    Sink(b, PORT, "127.0.0.1")
    live = agent.capture("lo", f"udp port {PORT} or ip[6:2] & 0x1fff != 0", snaplen=0)
    sent = Sender(b, "127.0.0.1", PORT, size=65000, pps=100, count=10).wait()
    live.wait_packets(sent)
    capture, _ = finish(agent, live, folder)
    assert max(len(p.data) for p in capture.packets) == 65000 + 42
    assert struct.unpack("!Q", capture.packets[0].data[42:50])[0] == 0
