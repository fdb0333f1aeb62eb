"""Pitfall 21: a capture does not harm the workload.  The agent's own ceilings hold - captures at once (test_10_agent_trust.py,
test_too_many_captures), bytes per second, CPU - and what they shed is counted."""
import os
import pathlib
import time

import pytest

from rig import Sender, Sink, numbers_of, wait_for
from rig.shed import shed_notes, shed_of

PORT, QUIET_PORT = 7000, 7001
RATE = 256 * 1024
SPAN_S = 3


@pytest.fixture
def capped(net, agents):
    """capped(**limits): namespaces and an agent with these ceilings and the smallest ring."""
    a, b = net.ns("a"), net.ns("b")
    net.join(a, "va", b, "vb")
    a.ip_cmd("link", "set", "va", "mtu", "65535")
    b.ip_cmd("link", "set", "vb", "mtu", "65535")
    Sink(b, PORT, "10.198.0.2")
    Sink(b, QUIET_PORT, "10.198.0.2")
    return lambda **limits: (a, agents(b, config={"capture": {"ring": "1MiB"}, "limits": limits}))


def flood(ns, size, pps=0):
    return Sender(ns, "10.198.0.2", PORT, size=size, pps=pps, burst=50)


def stats_of(live):
    return live.capture().interfaces[0].stats


def cpu_s(agent):
    """CPU time of all of its threads."""
    fields = pathlib.Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def over_span(figure):
    """How much of a figure there is per second, over at least SPAN_S."""
    begin, before = time.monotonic(), figure()
    wait_for(lambda: time.monotonic() - begin >= SPAN_S, "the span to be over")
    return (figure() - before) / (time.monotonic() - begin)


def assert_rate(lives, began):
    """These captures, which began (monotonic) with nothing, bring their ceiling's worth, and never more than it lets through since then.

    Counted from there: what waited on its way while nobody read would be too much of a span that begins later."""
    def size():
        return sum(live.size for live in lives)
    wait_for(lambda: size() > SPAN_S * RATE, "the flood to come through")
    assert size() < (time.monotonic() - began) * RATE * 5 / 4 + RATE / 2


def check_shed(agent, live, ceiling="rate"):
    """Ends a flooded capture: each packet that the kernel took is in the stream or counted, and stream and log say who held it back."""
    agent.stop_capture(live)
    live.wait_end()
    assert not live.broken
    stats, shed = stats_of(live)[-1], shed_of(stats_of(live))
    assert shed > 0, "nothing was shed: the test has no load"
    assert {why for _, why, _ in shed_notes(stats_of(live))} == {f"limits.{ceiling} reached"}
    assert stats.delivered == len(live.packets())
    assert stats.accepted == stats.delivered + stats.dropped_os + shed
    numbers = numbers_of(live.packets(), PORT)
    assert numbers == sorted(set(numbers)), "out of order or twice"
    ended = wait_for(lambda: [e for e in agent.logged("capture.ended") if e["data"]["capture"] == live.capture_id], "the log line")[0]["data"]
    assert ended["rested_ms"] > 0 and ended["dropped_kernel"] == stats.dropped_os
    assert ended["dropped_agent"] == shed


@pytest.mark.slow
@pytest.mark.threads
def test_rate_ceiling_holds_and_sheds_by_count(capped):
    """A flood far above limits.rate; a second capture of the same agent, below it, loses nothing."""
    ns, agent = capped(rate=RATE)
    began = time.monotonic()
    live, quiet = agent.capture("vb", f"udp port {PORT}"), agent.capture("vb", f"udp port {QUIET_PORT}")
    flooding = flood(ns, 1000)
    few = Sender(ns, "10.198.0.2", QUIET_PORT, size=64, pps=100, count=300)
    heard = len(stats_of(live))
    assert_rate([live], began)
    # Statistics go out in time although the capture rests nearly always.
    wait_for(lambda: len(stats_of(live)) > heard and shed_of(stats_of(live)) > 0, "statistics of what is shed")
    few.wait()
    check_shed(agent, live)
    flooding.stop()
    quiet.wait_packets(300)
    agent.stop_capture(quiet)
    quiet.wait_end()
    assert numbers_of(quiet.packets(), QUIET_PORT) == list(range(300))
    assert stats_of(quiet)[-1].dropped_os == 0


@pytest.mark.slow
def test_cpu_ceiling_holds_and_sheds_by_count(capped):
    """More than 1 % of a core can carry: what one capture costs stays near that.

    Packets so large cost their sender a small part of what they cost the agent, so that a machine with other work brings them forth as well."""
    ns, agent = capped(cpu=1)
    live = agent.capture("vb", f"udp port {PORT}")
    flooding = flood(ns, 30000, pps=5000)
    wait_for(lambda: shed_of(stats_of(live)) > 0, "the ceiling to be reached")
    share = over_span(lambda: cpu_s(agent))
    assert share < 0.05
    check_shed(agent, live, "cpu")
    flooding.stop()


def test_stop_is_heard_in_a_rest(capped):
    """At the lowest rate a capture rests nearly always; its end does not wait, and what the ring holds comes without a pause."""
    ns, agent = capped(rate="64KiB")
    live = agent.capture("vb", f"udp port {PORT}")
    flooding = flood(ns, 1000)
    wait_for(lambda: shed_of(stats_of(live)) > 0, "the ring to be full")
    size = live.size
    begin = time.monotonic()
    check_shed(agent, live)
    took_s = time.monotonic() - begin
    flooding.stop()
    drained = live.size - size
    assert drained > 512 * 1024, "the ring was not full"
    assert took_s < drained / (64 * 1024), "the end was paced"


def test_gateway_that_leaves_in_a_rest(capped):
    ns, agent = capped(rate="64KiB")
    live = agent.capture("vb", f"udp port {PORT}")
    flooding = flood(ns, 1000)
    wait_for(lambda: shed_of(stats_of(live)) > 0, "the ring to be full")
    live.abort()
    wait_for(lambda: agent.captures() == 0, "the capture to end", timeout_s=15)
    flooding.stop()
