"""The agent guards its host: under pressure captures hold back, what that costs is counted and told, live and in the file; ceilings hold
for all captures together; the agent steps back behind the workload."""
import pathlib
import re
import subprocess
import time

import pytest

from rig import Sender, Sink, numbers_of, read_pcapng, wait_for
from rig.shed import Memory, shed_notes, shed_of
from test_13_agent_ceilings import RATE, assert_rate, stats_of

PORT, OTHER_PORT = 7000, 7001
# Nothing counts but what a test makes up.
NOTHING = {"enabled": True, "interval": "100ms", "cpu_pressure": 0, "memory_pressure": 0, "io_pressure": 0, "load": 0, "memory_free": "0"}


def level_of(agent):
    return agent.info()["guard"]["level"]


@pytest.fixture
def guarded(net, agents, gateways, folder):
    """(gateway, agent, memory, source): web/0 with a threshold of 1 GiB; source sends to its eth0."""
    source, node = net.ns("src"), net.ns("n0")
    Sink(node, PORT)
    memory = Memory(folder, 8192)
    agent = agents(node, config={"guard": NOTHING | {"memory_free": "1GiB"}, "capture": {"ring": "1MiB"}}, proc=memory.proc)
    return gateways({"web": [agent]}), agent, memory, source


def shedding(gateway, agent, live, memory):
    """Until the host's need is felt and told."""
    memory.set(100)
    wait_for(lambda: level_of(agent) == "shedding", "pressure")
    wait_for(lambda: gateway.job(live.job)["packets"]["dropped"]["agent"] > 0, "what is shed to be told live")


def calm(agent, live, memory):
    memory.set(8192)
    wait_for(lambda: level_of(agent) == "calm", "the pressure to be over")
    wait_for(lambda: shed_notes(stats_of(live))[-1][2], "the end of it to be told")


def test_pressure_is_shed_counted_and_told(guarded):
    """Memory runs out: nothing is read any more, and when that is over the capture goes on.  No packet is unaccounted for."""
    gateway, agent, memory, source = guarded
    live = gateway.live(packet_filter=f"udp port {PORT}")
    gateway.wait_running(live.job)
    sender = Sender(source, agent.ns.ip, PORT, size=1000, pps=3000, burst=10)
    live.wait_packets(100)
    shedding(gateway, agent, live, memory)
    refused = gateway.live(packet_filter=f"udp port {PORT}")
    assert refused.status == 503 and refused.error["code"] == "host_busy"
    assert refused.error["message"].startswith("web/0: host short of memory")
    assert refused.headers["retry-after"] == "10"
    guard = agent.info()["guard"]
    assert guard["why"] == "host short of memory" and guard["refused"] == 1 and guard["host"]["memory_available"] == 100 << 20
    calm(agent, live, memory)
    live.wait_packets(len(live.packets()) + 100)
    last = sender.stop()
    tails = []

    def ends():
        """One of those that come when all is calm is in the file: then none before it is on its way any more."""
        tails.append(Sender(source, agent.ns.ip, PORT, size=1000, count=1, first=last).wait())
        return numbers_of(live.packets(), PORT)[-1] == last
    wait_for(ends, "the last packet")
    job = gateway.finish(live.job)
    live.wait_end()

    stats, shed = stats_of(live)[-1], shed_of(stats_of(live))
    assert shed > 0 and job["packets"]["dropped"]["agent"] == shed == job["instances"][0]["dropped"]["agent"]
    assert stats.delivered == len(live.packets()) and stats.accepted == stats.delivered + stats.dropped_os + shed
    assert {why for _, why, _ in shed_notes(stats_of(live))} == {"host short of memory"}
    assert f", {shed} agent," in stats.comments[-1]
    numbers = numbers_of(live.packets(), PORT)
    before, after = [n for n in numbers if n < last], [n for n in numbers if n >= last]
    assert before == sorted(set(before)) and numbers == before + after, "out of order or twice"
    lost = last - before[0] - len(before)
    assert lost <= shed + stats.dropped_os <= lost + len(tails) - len(after), "some are neither in the file nor counted"
    told = [e["type"] for e in gateway.events(live.job) if "shed" in e["type"]]
    assert told == ["instance_sheds", "instance_shed_over"]
    changes = [(e["data"]["was"], e["data"]["level"]) for e in agent.logged("guard.pressure")]
    assert changes == [("calm", "shedding"), ("shedding", "narrowed"), ("narrowed", "eased"), ("eased", "calm")]
    ended = wait_for(lambda: agent.logged("capture.ended"), "the log line")[-1]["data"]
    assert agent.info()["guard"]["shed"] == shed
    assert ended["dropped_agent"] == shed and ended["dropped_kernel"] == stats.dropped_os


def test_a_capture_that_ends_under_pressure(guarded, cli, folder):
    """What was in the ring when it began is still in the file, and the command's last words count what was shed."""
    gateway, agent, memory, source = guarded
    path = folder / "x.pcapng"
    pcap = cli(gateway).start("host", "web", "-w", path, f"udp port {PORT}")
    job = wait_for(lambda: gateway.api("GET", "/v1/captures").json["captures"], "the job")[0]["id"]
    gateway.wait_running(job)
    sender = Sender(source, agent.ns.ip, PORT, size=1000, pps=3000, burst=10)
    wait_for(lambda: gateway.job(job)["packets"]["captured"] > 10, "packets")
    memory.set(100)
    wait_for(lambda: gateway.job(job)["packets"]["dropped"]["agent"] > 0, "what is shed to be told live")
    sender.stop()
    pcap.interrupt()
    assert pcap.wait().code == 0
    capture = read_pcapng(path.read_bytes())
    stats = capture.interfaces[0].stats
    shed = shed_of(stats)
    assert stats[-1].accepted == len(capture.packets) + stats[-1].dropped_os + shed
    assert gateway.job(job)["packets"]["dropped"]["agent"] == shed
    assert f"{shed} packets shed by the agent" in pcap.err
    assert shed_notes(stats)[-1][2], "no end of it"


def test_no_capture_where_memory_is_short(net, agents):
    """A threshold far above what any machine has."""
    agent = agents(net.ns("a"), config={"guard": NOTHING | {"memory_free": "1000000GiB"}})
    live = agent.capture("lo")
    assert live.status == 503 and live.error["code"] == "host_busy" and live.error["message"].startswith("host short of memory")
    assert live.headers["retry-after"] == "10"
    guard = agent.info()["guard"]
    assert guard["level"] == "shedding" and guard["why"] == "host short of memory" and guard["refused"] == 1
    assert guard["host"]["memory_available"] < guard["host"]["memory_total"]
    assert wait_for(lambda: agent.logged("guard.pressure"), "the log line")[0]["data"]["level"] == "shedding"
    assert agent.captures() == 0


def test_rings_count_for_the_agent_s_memory(net, agents):
    agent = agents(net.ns("a"), config={"guard": NOTHING, "capture": {"ring": "64MiB"}, "limits": {"memory": "200MiB"}})
    lives = []
    while len(lives) < 4 and (not lives or lives[-1].status == 200):
        lives.append(agent.capture("lo"))
    refused = lives.pop()
    assert refused.status == 429 and refused.error["code"] == "agent_memory" and "limits.memory, 200 MiB" in refused.error["message"]
    assert 1 <= len(lives) <= 3
    assert agent.info()["guard"]["own"]["memory"] >= len(lives) * 64 << 20
    agent.stop_capture(lives[0])
    lives[0].wait_end()
    wait_for(lambda: agent.captures() == len(lives) - 1, "room")
    # The ring goes a moment after the capture.
    again = wait_for(lambda: (lambda live: live if live.status == 200 else None)(agent.capture("lo")), "room for one more")
    for live in [again, *lives[1:]]:
        agent.stop_capture(live)
        live.wait_end()


@pytest.mark.slow
def test_rate_of_all_captures_together(net, agents):
    """Two captures, each flooded far above limits.rate_total: together they keep it, neither starves, and all that is missing is counted."""
    a, b = net.ns("a"), net.ns("b")
    net.join(a, "va", b, "vb")
    for port in (PORT, OTHER_PORT):
        Sink(b, port, "10.198.0.2")
    agent = agents(b, config={"guard": NOTHING, "capture": {"ring": "1MiB"}, "limits": {"rate_total": RATE}})
    began = time.monotonic()
    lives = [agent.capture("vb", f"udp port {port}") for port in (PORT, OTHER_PORT)]
    senders = [Sender(a, "10.198.0.2", port, size=1000, pps=3000, burst=50) for port in (PORT, OTHER_PORT)]
    wait_for(lambda: all(live.size > RATE / 2 for live in lives), "both floods to come through")
    assert_rate(lives, began)
    wait_for(lambda: all(shed_of(stats_of(live)) > 0 for live in lives), "statistics of what is shed")
    wait_for(lambda: RATE / 4 < agent.info()["guard"]["own"]["bytes_per_s"] < RATE * 4, "the rate to be told")
    for live in lives:
        agent.stop_capture(live)
        live.wait_end()
        stats, shed = stats_of(live)[-1], shed_of(stats_of(live))
        assert stats.accepted == stats.delivered + stats.dropped_os + shed
        assert {why for _, why, _ in shed_notes(stats_of(live))} == {"limits.rate_total reached"}
    for sender in senders:
        sender.stop()


def test_behind_the_workload(net, agents):
    """Nice, I/O class and OOM score by default."""
    agent = agents(net.ns("a"), config={"guard": {"enabled": None, "nice": None}, "limits": None})
    fields = pathlib.Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()
    assert int(fields[16]) == 10
    for task in pathlib.Path(f"/proc/{agent.pid}/task").iterdir():
        assert int((task / "stat").read_text().rpartition(")")[2].split()[16]) == 10
    assert pathlib.Path(f"/proc/{agent.pid}/oom_score_adj").read_text().strip() == "500"
    assert subprocess.run(["ionice", "-p", str(agent.pid)], capture_output=True, text=True).stdout.strip() == "idle"
    assert not agent.logged("guard.priority")
    guard = agent.info()["guard"]
    assert guard["enabled"] and guard["ceilings"] == {"rate": 0, "rate_total": 0, "cpu": 75, "cpu_total": 100, "memory": 1280 << 20}
    assert re.match(r"\d{4}-\d\d-\d\dT", guard["since"])
