"""How captures end at the agent: every packet that the kernel had delivered is sent, and nothing is left behind."""
import signal

import pytest

from rig import Sender, Sink, numbers_of, wait_for
from rig.reference import accepted_by_all

PORT = 7000


@pytest.fixture
def pair(net, agents):
    a, b = net.ns("a"), net.ns("b")
    net.join(a, "va", b, "vb")
    Sink(b, PORT, "10.198.0.2")
    return a, b, agents(b)


def whole_run(packets):
    """The numbers, which must follow each other without a gap."""
    numbers = numbers_of(packets, PORT)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "numbers are missing or out of order"
    return numbers


def test_graceful_stop_under_load_delivers_everything(pair, folder):
    """Pitfall 18: what the kernel had when stop was asked is in the file; nothing in between is missing."""
    a, b, agent = pair
    sender = Sender(a, "10.198.0.2", PORT, size=300, pps=15000, burst=15)
    live = agent.capture("vb", f"udp port {PORT}")
    live.wait_packets(3000)
    assert agent.stop_capture(live).status == 202
    seen = len(live.packets())
    live.wait_end()
    sender.stop()
    assert not live.broken
    capture = live.capture()
    numbers = whole_run(capture.packets)
    stats = capture.interfaces[0].last_stats
    assert len(numbers) >= seen and stats.delivered == len(numbers)
    assert stats.accepted == stats.delivered + stats.dropped_os and stats.dropped_os == 0
    assert "user_stop" in stats.comments[-1]
    path = folder / "x.pcapng"
    path.write_bytes(live.data)
    accepted_by_all(path)
    wait_for(lambda: agent.captures() == 0, "the capture to be gone")


@pytest.mark.threads
def test_sigterm_drains(pair):
    """Pitfall 18: SIGTERM ends the captures gracefully, with the reason, before the agent goes."""
    a, b, agent = pair
    sender = Sender(a, "10.198.0.2", PORT, size=300, pps=5000, burst=5)
    lives = [agent.capture("vb", f"udp port {PORT}") for _ in range(3)]
    for live in lives:
        live.wait_packets(500)
    agent.stop(signal.SIGTERM)
    sender.stop()
    for live in lives:
        live.wait_end()
        assert not live.broken
        capture = live.capture()
        whole_run(capture.packets)
        assert "agent_shutdown" in capture.interfaces[0].last_stats.comments[-1]
        assert capture.interfaces[0].last_stats.delivered == len(capture.packets)


@pytest.mark.threads
def test_capture_ends_when_the_gateway_is_gone(pair):
    """Pitfall 13: cut connection, under traffic and quiet: the slot is free within seconds."""
    a, b, agent = pair
    sender = Sender(a, "10.198.0.2", PORT, pps=1000)
    busy, quiet = agent.capture("vb", f"udp port {PORT}"), agent.capture("vb", "udp port 9")
    busy.wait_packets(10)
    assert agent.captures() == 2
    busy.abort()
    quiet.abort()
    wait_for(lambda: agent.captures() == 0, "both captures to end", timeout_s=15)
    sender.stop()


def test_gateway_that_takes_nothing_is_gone(net, agents):
    """A frozen reader: after limits.peer_timeout the capture ends, however full the socket."""
    a, b = net.ns("a"), net.ns("b")
    net.join(a, "va", b, "vb")
    Sink(b, PORT, "10.198.0.2")
    agent = agents(b, config={"limits": {"peer_timeout": "2s"}})
    live = agent.capture("vb", f"udp port {PORT}", read=False)
    sender = Sender(a, "10.198.0.2", PORT, size=1400, pps=0, burst=50)
    wait_for(lambda: agent.captures() == 0, "the capture to end", timeout_s=60)
    sender.stop()
    live.abort()


def test_slow_reader_loses_by_count(net, agents):
    """Pitfalls 14 and 21: what a stopped reader did not take is lost in the ring and counted; sent = delivered + dropped."""
    a, b = net.ns("a"), net.ns("b")
    net.join(a, "va", b, "vb")
    Sink(b, PORT, "10.198.0.2")
    agent = agents(b, config={"capture": {"ring": "1MiB"}, "limits": {"peer_timeout": "60s"}})
    live = agent.capture("vb", f"udp port {PORT}")
    live.pause()
    sent = Sender(a, "10.198.0.2", PORT, size=1400, pps=0, count=30000, burst=50).wait()
    live.resume()
    wait_for(lambda: live.capture().interfaces[0].stats and live.capture().interfaces[0].last_stats.accepted == sent, "all to be accounted")
    agent.stop_capture(live)
    live.wait_end()
    assert not live.broken
    stats = live.capture().interfaces[0].last_stats
    packets = len(live.packets())
    assert stats.dropped_os > 0, "nothing was lost: the test has no load"
    assert stats.delivered == packets and packets + stats.dropped_os == sent == stats.accepted


@pytest.mark.memory
def test_slow_reader_costs_no_memory(net, agents):
    """Pitfall 16: what a stopped reader does not take is not queued in the agent."""
    a, b = net.ns("a"), net.ns("b")
    net.join(a, "va", b, "vb")
    Sink(b, PORT, "10.198.0.2")
    agent = agents(b)
    live = agent.capture("vb", f"udp port {PORT}", read=False)
    rss = agent.rss_kb()
    Sender(a, "10.198.0.2", PORT, size=1400, pps=0, count=30000, burst=50).wait()
    assert agent.rss_kb() - rss < 8 * 1024
    live.abort()


def test_device_goes_away(net, agents):
    a, b = net.ns("a"), net.ns("b")
    net.join(a, "va", b, "vb")
    agent = agents(b)
    agent.allowed_errors.append("vb")
    live = agent.capture("vb", "udp")
    b.ip_cmd("link", "del", "vb")
    live.wait_end()
    capture = live.capture()
    assert "device_gone" in capture.interfaces[0].last_stats.comments[-1]
    wait_for(lambda: agent.captures() == 0, "the capture to be gone")


def test_agent_killed_cuts_the_stream(pair):
    """A cut stream is no good end: the reader can tell."""
    a, b, agent = pair
    live = agent.capture("vb", f"udp port {PORT}")
    Sender(a, "10.198.0.2", PORT, count=10).wait()
    live.wait_packets(10)
    agent.kill9()
    live.wait_end()
    assert live.broken
    agent.start()
    assert agent.captures() == 0


@pytest.mark.threads
def test_many_captures_at_once(pair):
    """Each gets its own filter and all of its packets."""
    a, b, agent = pair
    for i in range(1, 8):
        Sink(b, PORT + i, "10.198.0.2")
    lives = [agent.capture("vb", f"udp port {PORT + i}") for i in range(8)]
    senders = [Sender(a, "10.198.0.2", PORT + i, pps=500, count=400) for i in range(8)]
    for sender in senders:
        sender.wait()
    for i, live in enumerate(lives):
        live.wait_packets(400)
        agent.stop_capture(live)
        live.wait_end()
        assert numbers_of(live.packets(), PORT + i) == list(range(400))
    wait_for(lambda: agent.captures() == 0, "all to be gone")


@pytest.mark.threads
def test_no_leak_over_many_captures(net, agents):
    """Descriptors and threads come back to where they were."""
    agent = agents(net.ns("b"))

    def one():
        live = agent.capture("lo")
        agent.stop_capture(live)
        live.wait_end()
    one()
    wait_for(lambda: agent.captures() == 0, "the first to be gone")
    fds = agent.fds()
    for _ in range(20):
        one()
    wait_for(lambda: agent.fds() <= fds + 1 and agent.captures() == 0, f"descriptors to come back to {fds}")


@pytest.mark.memory
def test_memory_stays_flat(pair):
    """Pitfall 16."""
    a, b, agent = pair
    live = agent.capture("vb", f"udp port {PORT}")
    Sender(a, "10.198.0.2", PORT, size=1400, pps=0, count=2000, burst=50).wait()
    rss = agent.rss_kb()
    Sender(a, "10.198.0.2", PORT, size=1400, pps=30000, count=40000, burst=30).wait()
    assert agent.rss_kb() - rss < 16 * 1024
    agent.stop_capture(live)
    live.wait_end()
