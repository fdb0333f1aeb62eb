"""Instances that are dead, hung, refusing, frozen, killed, lying or strangers: each is named, none stalls or spoils the others."""
import struct
import time

import pytest

from rig import Pki, Sender, Sink, numbers_of, tshark, wait_for
from rig.fake_agent import SECTION, block, interface, packet, passing_on, refusing, silent, streaming
from rig.pcapng import EN10MB, LINUX_SLL, LINUX_SLL2, RAW
from rig.reference import accepted_by_all

PORT = 7000


def running(gateway, live, n):
    """Until n interfaces are described and the job runs."""
    gateway.wait_state(live.job, "running")
    wait_for(lambda: len(live.capture().interfaces) >= n, f"{n} interfaces")


def instance(job, name):
    return next(i for i in job["instances"] if i["name"] == name)


def is_lost(found):
    """Failed at its start, or ended by a fault that is named."""
    return found["state"] == "failed" or (found["state"] == "ended" and bool((found.get("error") or {}).get("message")))


def wait_lost(gateway, live, names, what):
    wait_for(lambda: {i["name"] for i in gateway.job(live.job)["instances"] if is_lost(i)} == set(names), what)


def finished(gateway, live, folder, name="x.pcapng"):
    gateway.finish(live.job)
    live.wait_end()
    assert not live.broken
    path = folder / name
    path.write_bytes(live.data)
    accepted_by_all(path)
    return live.capture(), path




def test_link_types_together_in_one_file(net, agents, gateways, fakes, folder):
    """Pitfall 17: Ethernet, loopback, tun and `any` in one job, each decoded as what it is."""
    a, b, c, d = [net.ns(n) for n in "abcd"]
    net.join(a, "cap0", b, "peer0")
    b_ip = "10.198.0.2"
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
    live.wait_packets(sent)
    bad = {f"web/{n}" for n in ("dead", "hole", "deaf", "mute", "full")}
    wait_lost(gateway, live, bad, "the bad ones to be named")
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
    wait_lost(gateway, live, ["web/0", "web/1"], "the killed and the frozen one to be noticed")
    job = gateway.finish(live.job)
    live.wait_end()
    assert instance(job, "web/0")["stop_reason"] == "agent_lost" == instance(job, "web/1")["stop_reason"]
    assert job["stop_reason"] == "user_stop" and live.capture().is_ordered_as_told(job)
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


FORGED = streaming(SECTION, interface(), packet(time.time_ns(), b"forged" * 20), then="hang")


def refuses_agents(gateways, agents, net, fakes, identities):
    """None of these gets a request, nor a packet into the file."""
    made = {name: fakes(FORGED, identity=identity) for name, identity in identities.items()}
    instances = [{"id": name, "agent": fake.address} for name, fake in made.items()]
    gateway = gateways({"web": {"users": ["alice"], "instances": instances + [{"id": "good", "agent": agents(net.ns("a")).address}]}})
    live = gateway.live(packet_filter="udp port 9")
    running(gateway, live, 1)
    wait_lost(gateway, live, {f"web/{name}" for name in made}, "all wrong ones to be refused")
    gateway.finish(live.job)
    live.wait_end()
    assert live.packets() == []
    assert all(not fake.requests for fake in made.values())


def test_gateway_trusts_no_wrong_agent(session, net, agents, gateways, fakes, pki):
    """Pitfall 22, the other way: with a wrong certificate an agent gets no request, and cannot put packets into a file."""
    other = Pki(session, session.work / "pki-other-agents", "Another CA")
    refuses_agents(gateways, agents, net, fakes, {
        "wrong-ca": other.agent,
        "expired": pki.issue("agent-expired", ["pcap-agent"], expired=True),
        "early": pki.issue("agent-early", ["pcap-agent"], early=True),
        "wrong-name": pki.issue("agent-wrong", ["pcap-gateway"]),
        "client": pki.gateway_client,
    })


def test_gateway_wants_the_name_as_alternative_name(net, agents, gateways, fakes, pki):
    """A common name is no DNS name: RFC 6125 6.4.4, and agents.name says "DNS SAN"."""
    refuses_agents(gateways, agents, net, fakes, {"cn": pki.issue("agent-cn", [], common_name="pcap-agent")})


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
    wait_lost(gateway, live, ["web/bad"], "the bad one to be refused")
    sent = Sender(a, b.ip, PORT, count=20).wait()
    wait_for(lambda: len(live.capture().of("web/good")) == sent, "the good one's packets")
    capture, _ = finished(gateway, live, folder)
    assert instance(gateway.job(live.job), "web/bad")["error"]["message"]


@pytest.mark.slow
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
