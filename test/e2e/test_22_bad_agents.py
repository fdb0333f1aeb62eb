"""N instances, one file: packet for packet, in the order of time, each link type as it is, whatever some of the agents do."""
import struct
import time

import pytest

from rig import Pki, Sender, Sink, Tcpdump, numbers_of, read_pcap, tshark, wait_for
from rig.fake_agent import SECTION, block, interface, packet, passing_on, refusing, silent, streaming
from rig.pcapng import EN10MB, LINUX_SLL, LINUX_SLL2, RAW
from rig.reference import accepted_by_all

PORT = 7000


def running(gateway, live, n):
    """Until n interfaces are described and the job runs."""
    gateway.wait_state(live.job, "running")
    wait_for(lambda: len(live.capture().interfaces) >= n, f"{n} interfaces")


def finished(gateway, live, folder, name="x.pcapng"):
    gateway.finish(live.job)
    live.wait_end()
    assert not live.broken
    path = folder / name
    path.write_bytes(live.data)
    accepted_by_all(path)
    return live.capture(), path


@pytest.mark.threads
def test_three_instances_packet_for_packet(net, agents, gateways, folder):
    """A tcpdump on each of three eth0 and our one file hold the same packets; interleaved traffic stands in order of time."""
    spaces = [net.ns(n) for n in "abc"]
    gateway = gateways({"web": [agents(n) for n in spaces]})
    text = f"udp portrange {PORT}-{PORT + 2}"
    for i, n in enumerate(spaces):
        Sink(n, PORT + (i - 1) % 3)
    dumps = [Tcpdump(n, "eth0", text) for n in spaces]
    live = gateway.live(packet_filter=text)
    running(gateway, live, 3)
    # Each sends to the next: every packet is seen twice, by its sender and by its receiver.
    senders = [Sender(n, spaces[(i + 1) % 3].ip, PORT + i, size=200, pps=1000, count=1000) for i, n in enumerate(spaces)]
    sent = sum(s.wait() for s in senders)
    live.wait_packets(2 * sent)
    for dump in dumps:
        wait_for(lambda d=dump: d.count() == 2000, "tcpdump to have all")
    capture, _ = finished(gateway, live, folder)
    assert len(capture.packets) == 2 * sent
    for i, dump in enumerate(dumps):
        theirs = dump.stop().packets
        ours = capture.of(f"web/{i}")
        assert [p.data for p in ours] == [p.data for p in theirs]
        assert [p.length for p in ours] == [p.length for p in theirs]
    assert capture.is_in_time_order()
    # Interleaved indeed: between the first and the last packet of one instance there are many of the others.
    names = [p.interface.name for p in capture.packets]
    changes = sum(a != b for a, b in zip(names, names[1:]))
    assert changes > sent // 2
    # Cause before effect: each packet stands at its sender before it stands at its receiver.
    first_seen = {}
    for p in capture.packets:
        first_seen.setdefault(p.data[28:], p.interface.name)
    for i in range(3):
        for p in capture.of(f"web/{i}"):
            if numbers_of([p], PORT + i):
                assert first_seen[p.data[28:]] == f"web/{i} eth0"


def test_interfaces_say_who_they_are(net, agents, gateways, folder):
    gateway = gateways({"web": [agents(net.ns(n)) for n in "ab"]})
    live = gateway.live(packet_filter="udp port 9", note="why it was made")
    running(gateway, live, 2)
    capture, _ = finished(gateway, live, folder)
    assert sorted(i.name for i in capture.interfaces) == ["web/0 eth0", "web/1 eth0"]
    for interface_ in capture.interfaces:
        assert interface_.filter == "udp port 9" and interface_.link_type == EN10MB and interface_.description
        assert interface_.last_stats.delivered == 0
        assert "user_stop" in interface_.last_stats.comments[-1]
    text = "\n".join(capture.comments)
    assert "why it was made" in text and "alice" in text and live.job in text


def test_link_types_together_in_one_file(net, agents, gateways, fakes, folder):
    """Pitfall 17: Ethernet, loopback, tun and `any` in one job, each decoded as what it is."""
    a, b, c, d = [net.ns(n) for n in "abcd"]
    net.join(a, "cap0", b, "peer0")
    a_ip, b_ip = "10.198.0.1", "10.198.0.2"
    Sink(b, PORT, b_ip)
    c.tun("cap0", "10.197.0")
    real = {n.label: agents(n) for n in (a, b, c, d)}

    def device(name):
        return lambda options: options.update(device=name)

    lo, cooked = fakes(passing_on(real["d"], device("lo"))), fakes(passing_on(real["b"], device("any")))
    gateway = gateways({"web": [real["a"], lo, real["c"], cooked]})
    live = gateway.live(device="cap0", packet_filter=f"udp port {PORT}")
    running(gateway, live, 4)
    Sink(d, PORT, "127.0.0.1")
    count = 20
    for ns, host in ((a, b_ip), (d, "127.0.0.1"), (c, "10.197.0.2")):
        Sender(ns, host, PORT, count=count).wait()
    live.wait_packets(4 * count)
    capture, path = finished(gateway, live, folder)
    types = {i.name.split()[0]: i.link_type for i in capture.interfaces}
    assert types["web/0"] == EN10MB and types["web/1"] == EN10MB and types["web/2"] == RAW
    assert types["web/3"] in (LINUX_SLL, LINUX_SLL2)
    headers = {EN10MB: 14, RAW: 0, LINUX_SLL: 16, LINUX_SLL2: 20}
    for name, link_type in types.items():
        assert sorted(set(numbers_of(capture.of(name + " "), PORT, headers[link_type]))) == list(range(count)), name
    assert len(tshark(path, "-Y", f"udp.dstport == {PORT}")) == len(capture.packets)
    # A classic pcap file cannot say all that: refused, not mislabelled.
    classic = gateway.live(device="cap0", packet_filter=f"udp port {PORT}", format="pcap")
    if classic.status == 200:
        ended = gateway.wait_state(classic.job, {"failed", "streamed"} | {"running"})
        refused = [i for i in ended["instances"] if i["state"] == "failed"]
        wait_for(lambda: [i for i in gateway.job(classic.job)["instances"] if i["state"] == "failed"], "the other link types to be refused")
        refused = [i for i in gateway.job(classic.job)["instances"] if i["state"] == "failed"]
        assert all("link" in i["error"]["message"] for i in refused), refused
        gateway.finish(classic.job)
        classic.wait_end()
        assert len(classic.pcap().interfaces) == 1


def test_classic_pcap(net, agents, gateways, folder):
    a, b = net.ns("a"), net.ns("b")
    Sink(b, PORT)
    gateway = gateways({"web": [agents(a), agents(b)]})
    live = gateway.live(packet_filter=f"udp port {PORT}", format="pcap")
    gateway.wait_state(live.job, "running")
    wait_for(lambda: all(i["state"] == "running" for i in gateway.job(live.job)["instances"]), "both to run")
    sent = Sender(a, b.ip, PORT, count=100).wait()
    wait_for(lambda: len(live.pcap().packets) == 2 * sent, "all packets")
    gateway.finish(live.job)
    live.wait_end()
    path = folder / "x.pcap"
    path.write_bytes(live.data)
    assert accepted_by_all(path) == 2 * sent
    assert read_pcap(path).is_in_time_order()


def test_limits_are_over_all_instances(net, agents, gateways):
    a, b = net.ns("a"), net.ns("b")
    Sink(b, PORT)
    gateway = gateways({"web": [agents(a), agents(b)]})
    sender = Sender(a, b.ip, PORT, pps=2000)
    live = gateway.live(packet_filter=f"udp port {PORT}", max_packets=301)
    live.wait_end()
    sender.stop()
    assert len(live.packets()) == 301
    job = gateway.wait_state(live.job, "streamed")
    assert job["stop_reason"] == "max_packets" and job["packets"]["captured"] == 301


# ---- agents that are dead, hung, refusing, frozen, killed, wrong (pitfall 20) ----

def instance(job, name):
    return next(i for i in job["instances"] if i["name"] == name)


def test_bad_instances_never_stall_the_good_one(net, agents, gateways, fakes):
    """Dead, deaf, mute and refusing agents are named; the good one's packets flow at once."""
    a, b = net.ns("a"), net.ns("b")
    Sink(b, PORT)
    dead = {"id": "dead", "agent": "127.0.0.1:1"}
    black_hole = {"id": "hole", "agent": f"10.199.{net.number}.250:9494"}
    deaf, mute = fakes(handshake=False), fakes(silent)
    full = fakes(refusing(429, "too_many_captures", "16 captures run here"))
    gateway = gateways({"web": {"users": ["alice"], "instances": [
        {"id": "good", "agent": agents(b).address}, dead, black_hole,
        {"id": "deaf", "agent": deaf.address}, {"id": "mute", "agent": mute.address}, {"id": "full", "agent": full.address}]}},
        config={"agents": {"connect_timeout": "2s", "start_timeout": "3s"}})
    live = gateway.live(packet_filter=f"udp port {PORT}")
    assert live.status == 200
    running(gateway, live, 1)
    sent = Sender(a, b.ip, PORT, count=50).wait()
    live.wait_packets(sent, timeout_s=10)
    bad = {f"web/{n}" for n in ("dead", "hole", "deaf", "mute", "full")}
    wait_for(lambda: {i["name"] for i in gateway.job(live.job)["instances"] if i["state"] == "failed"} == bad, "the bad ones to be named")
    job = gateway.finish(live.job)
    live.wait_end()
    assert job["state"] == "streamed" and instance(job, "web/good")["packets"] == sent
    for name in bad:
        assert instance(job, name)["error"]["message"]
    assert "16 captures run here" in instance(job, "web/full")["error"]["message"]
    text = "\n".join(live.capture().comments)
    assert "web/dead" in text and "web/mute" in text
    assert {e["data"]["instance"] for e in gateway.events(live.job) if "failed" in e["type"]} == bad


def test_all_instances_bad_is_a_failure(gateways, fakes):
    gateway = gateways({"web": [fakes(refusing(500, "internal", "no")), {"id": "x", "agent": "127.0.0.1:1"}]})
    reply = gateway.api("POST", "/v1/captures", gateway.request(mode="store"))
    if reply.status == 202:
        assert gateway.wait_state(reply.json["id"], "failed")["stop_reason"] == "start_failed"
    else:
        assert reply.status == 502 and reply.error["message"]


def test_filter_and_device_errors_reach_the_user(net, agents, gateways):
    gateway = gateways({"web": [agents(net.ns("a"))]})
    reply = gateway.api("POST", "/v1/captures", gateway.request(packet_filter="tcp prot 80"))
    assert reply.status == 400 and reply.error["field"] == "options.filter" and "syntax error" in reply.error["message"], reply
    reply = gateway.api("POST", "/v1/captures", gateway.request(device="eth9"))
    assert reply.status in (400, 404) and reply.error["field"] == "options.device" and "eth9" in reply.error["message"], reply


@pytest.mark.threads
def test_frozen_and_killed_agents_in_mid_stream(net, agents, gateways):
    """One frozen, one killed: the third goes on in order of time, within the merge window."""
    spaces = [net.ns(n) for n in "abc"]
    made = [agents(n) for n in spaces]
    for n in spaces:
        Sink(n, PORT)
    gateway = gateways({"web": made}, config={"agents": {"idle_timeout": "5s"}})
    live = gateway.live(packet_filter=f"udp port {PORT}")
    running(gateway, live, 3)
    Sender(spaces[0], spaces[1].ip, PORT, count=10).wait()
    live.wait_packets(20)
    made[0].freeze()
    made[1].kill9()
    before = len(live.packets())
    sent = Sender(spaces[2], spaces[0].ip, PORT, pps=200, count=400).wait()
    wait_for(lambda: len(live.capture().of("web/2")) == sent, "the good one's packets")
    assert len(live.packets()) >= before + sent
    wait_for(lambda: instance(gateway.job(live.job), "web/1")["state"] == "failed", "the killed one to be noticed")
    wait_for(lambda: instance(gateway.job(live.job), "web/0")["state"] == "failed", "the frozen one to be noticed")
    job = gateway.finish(live.job)
    live.wait_end()
    assert instance(job, "web/0")["stop_reason"] == "agent_lost" == instance(job, "web/1")["stop_reason"]
    assert job["stop_reason"] == "user_stop" and live.capture().is_in_time_order()
    made[0].thaw()


def test_last_instance_lost_ends_the_capture(net, agents, gateways):
    agent = agents(net.ns("a"))
    gateway = gateways({"web": [agent]})
    live = gateway.live(packet_filter="udp port 9")
    running(gateway, live, 1)
    agent.kill9()
    live.wait_end()
    job = gateway.wait_state(live.job, {"streamed", "failed"})
    assert job["stop_reason"] == "instances_ended"
    assert not live.broken, "the gateway ends its own stream well, with the reason in it"


def wrong_agents(pki, other):
    return [
        ("wrong-ca", other.agent),
        ("expired", pki.issue("agent-expired", ["pcap-agent"], expired=True)),
        ("wrong-name", pki.issue("agent-wrong", ["pcap-gateway"])),
        ("only-common-name", pki.issue("agent-cn", [], common_name="pcap-agent")),
    ]


def test_gateway_trusts_no_wrong_agent(session, net, agents, gateways, fakes, pki):
    """Pitfall 22, the other way: with a wrong certificate an agent gets no request, and cannot put packets into a file."""
    other = Pki(session, session.work / "pki-other-agents", "Another CA")
    made = {name: fakes(streaming(SECTION, interface(), packet(time.time_ns(), b"forged" * 20), then="hang"), identity=identity)
            for name, identity in wrong_agents(pki, other)}
    instances = [{"id": name, "agent": fake.address} for name, fake in made.items()]
    gateway = gateways({"web": {"users": ["alice"], "instances": instances + [{"id": "good", "agent": agents(net.ns("a")).address}]}})
    live = gateway.live(packet_filter="udp port 9")
    running(gateway, live, 1)
    wait_for(lambda: sum(i["state"] == "failed" for i in gateway.job(live.job)["instances"]) == len(made), "all wrong ones to be refused")
    gateway.finish(live.job)
    live.wait_end()
    assert live.packets() == []
    assert all(not fake.requests for fake in made.values())


NOW = 1_700_000_000_000_000_000


@pytest.mark.parametrize("what,stream", [
    ("no pcapng", [b"GIF89a" + b"x" * 1000]),
    ("data before a section", [interface()]),
    ("packet of an unknown interface", [SECTION, packet(NOW, b"x" * 60)]),
    ("length not divisible by four", [SECTION, struct.pack("<II", 6, 33) + b"x" * 25]),
    ("length beyond the cap", [SECTION, interface(), struct.pack("<II", 6, 0x7FFFFFFC) + b"x" * 100]),
    ("trailer differs", [SECTION, interface()[:-4] + struct.pack("<I", 8)]),
    ("captured length beyond the block", [SECTION, interface(), block(6, struct.pack("<IIIII", 0, 0, 0, 1 << 20, 1 << 20) + b"x" * 60)]),
    ("cut in a block", [SECTION, interface(), packet(NOW, b"x" * 60)[:-10]]),
    ("option beyond the block", [SECTION, block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HH", 2, 60000))]),
    ("ten thousand interfaces", [SECTION + interface() * 10000]),
])
def test_broken_streams_of_an_agent(net, agents, gateways, fakes, folder, what, stream):
    """A broken stream ends that instance alone; what comes out is still a good file."""
    a, b = net.ns("a"), net.ns("b")
    Sink(b, PORT)
    bad = fakes(streaming(*stream, then="end"))
    gateway = gateways({"web": {"users": ["alice"], "instances": [{"id": "good", "agent": agents(b).address}, {"id": "bad", "agent": bad.address}]}})
    live = gateway.live(packet_filter=f"udp port {PORT}")
    wait_for(lambda: any(i.name == "web/good eth0" for i in live.capture().interfaces), "the good interface")
    wait_for(lambda: instance(gateway.job(live.job), "web/bad")["state"] == "failed", "the bad one to be refused")
    sent = Sender(a, b.ip, PORT, count=20).wait()
    wait_for(lambda: len(live.capture().of("web/good")) == sent, "the good one's packets")
    capture, _ = finished(gateway, live, folder)
    assert instance(gateway.job(live.job), "web/bad")["error"]["message"]


def test_absurd_times_of_an_agent_do_not_stall_others(net, agents, gateways, fakes):
    """A clock decades ahead or behind: the others' packets still come, the odd ones are there, none is lost."""
    a, b = net.ns("a"), net.ns("b")
    Sink(b, PORT)
    odd = fakes(streaming(SECTION, interface(), packet(4_000_000_000_000_000_000, b"a" * 60), packet(1, b"b" * 60), then="hang"))
    gateway = gateways({"web": {"users": ["alice"], "instances": [{"id": "good", "agent": agents(b).address}, {"id": "odd", "agent": odd.address}]}})
    live = gateway.live(packet_filter=f"udp port {PORT}")
    running(gateway, live, 2)
    sent = Sender(a, b.ip, PORT, count=100).wait()
    wait_for(lambda: len(live.capture().of("web/good")) == sent and len(live.capture().of("web/odd")) == 2, "all packets")
    gateway.finish(live.job)
    live.wait_end()
