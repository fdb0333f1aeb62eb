"""Partners that go away in the middle: agents, gateway and client in turn; others go on, and nothing is left running."""
import signal

import pytest

from rig import PORT, Sender, Sink, numbers_of, read_pcapng, tshark, wait_for
from rig.reference import accepted_by_all

FILTER = f"udp port {PORT}"


def started(f, **kwargs):
    kwargs.setdefault("packet_filter", FILTER)
    live = f.gateway.live(**kwargs)
    assert live.status == 200, live.error
    wait_for(lambda: all(i["state"] == "running" for i in f.gateway.job(live.job)["instances"]), "all instances to run")
    return live


def instance(f, job, name):
    return next(i for i in f.gateway.job(job)["instances"] if i["name"] == name)


def black_hole(ns):
    """From now on nothing gets in or out, without a word to anybody."""
    rules = "\n".join(["add table inet hole"] + [f"add chain inet hole {c} {{ type filter hook {c} priority 0; policy drop; }}" for c in ("input", "output")])
    done = ns.run(["nft", "-f", "-"], input=rules)
    assert done.returncode == 0, done.stderr


def free_again(f, *agents):
    wait_for(lambda: all(a.captures() == 0 for a in agents), "the agents to be free", timeout_s=20)


def test_black_holed_frozen_and_killed(fleet, folder):
    """Pitfall 20: two go on in time order while the others are silent, long before these are given up."""
    f = fleet(5, config={"agents": {"idle_timeout": "120s", "stop_timeout": "2s"}})
    live = started(f)
    f.round_robin(50)
    live.wait_packets(50)
    black_hole(f.nodes[0])
    f.agents[1].freeze()
    f.agents[2].kill9()
    good = [f.send(i, pps=1000, count=1000) for i in (3, 4)]
    for s in good:
        s.wait()
    wait_for(lambda: all(len(live.capture().of(f"web/{i} ")) == 1010 for i in (3, 4)), "the good ones' packets")
    assert instance(f, live.job, "web/0")["state"] == "running" == instance(f, live.job, "web/1")["state"], \
        "they were given up: that the others went on shows nothing"
    killed = wait_for(lambda: (i := instance(f, live.job, "web/2"))["state"] == "ended" and i, "the killed one to be missed")
    assert killed["stop_reason"] == "agent_lost" and killed["error"]["code"] == "agent_lost"
    job = f.gateway.finish(live.job)
    live.wait_end()
    assert not live.broken and job["state"] == "streamed" and job["stop_reason"] == "user_stop"
    capture = read_pcapng(live.data)
    assert capture.is_ordered_as_told(job)
    for i in (3, 4):
        assert len(capture.of(f"web/{i} ")) == 1010
        found = next(x for x in job["instances"] if x["name"] == f"web/{i}")
        assert found["packets"] == 1010 and found["stop_reason"] == "user_stop"
    (folder / "x.pcapng").write_bytes(live.data)
    accepted_by_all(folder / "x.pcapng")
    assert any("capture ended (agent_lost)" in c and "web/2" in c for c in capture.comments)
    f.agents[1].thaw()
    free_again(f, f.agents[1], f.agents[3], f.agents[4])


@pytest.mark.slow
def test_silent_agent_is_given_up(fleet):
    f = fleet(2, config={"agents": {"idle_timeout": "3s"}})
    live = started(f)
    black_hole(f.nodes[0])
    wait_for(lambda: instance(f, live.job, "web/0")["state"] == "ended", "the silent one to be given up", timeout_s=20)
    lost = instance(f, live.job, "web/0")
    assert lost["stop_reason"] == "agent_lost" and lost["error"]["code"] == "agent_silent" and f.agents[0].address in lost["error"]["message"]
    assert f.gateway.job(live.job)["state"] == "running"
    f.send(1, count=20).wait()
    live.wait_packets(20)
    f.gateway.finish(live.job)
    live.wait_end()


@pytest.mark.slow
def test_all_agents_dead(fleet):
    f = fleet(2, config={"agents": {"connect_timeout": "2s"}})
    f.agents[0].kill9()
    black_hole(f.nodes[1])
    for mode in ("live", "store"):
        reply = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode=mode))
        assert reply.status == 502 and reply.error["code"] == "start_failed" and "web/0" in reply.error["message"], reply
        job = f.gateway.job(reply.headers["pcap-job"])
        assert job["state"] == "failed" and job["stop_reason"] == "start_failed"
        assert [i["error"]["code"] for i in job["instances"]] == ["agent_unreachable", "agent_timeout"]
    one = f.gateway.api("POST", "/v1/captures", f.gateway.request(instances=["web/0"]))
    assert one.status == 502 and one.error["code"] == "agent_unreachable" and f.agents[0].address in one.error["message"]
    f.agents[0].start()
    live = f.gateway.live(instances=["web/0"], packet_filter=FILTER)
    assert live.status == 200
    f.gateway.finish(live.job)
    live.wait_end()


def test_refusing_agent_is_named_everywhere(fleet, folder):
    """Its own limit is reached: said in the job, in the events and in the file; the others go on."""
    f = fleet(2, agent_config={"limits": {"captures": 1}})
    first = f.gateway.live(instances=["web/0"], packet_filter=FILTER)
    f.gateway.wait_running(first.job)
    second = f.gateway.live(packet_filter=FILTER)
    assert second.status == 200
    wait_for(lambda: instance(f, second.job, "web/0")["state"] == "failed" and instance(f, second.job, "web/1")["state"] == "running", "one and one")
    error = instance(f, second.job, "web/0")["error"]
    assert error["code"] == "too_many_captures" and error["message"]
    f.send(1, count=10).wait()
    second.wait_packets(10)
    f.gateway.finish(second.job)
    second.wait_end()
    said = [e for e in f.gateway.events(second.job) if e["type"] == "instance_failed"]
    assert [(e["data"]["instance"], e["data"]["code"]) for e in said] == [("web/0", "too_many_captures")]
    assert any("nothing from web/0" in c for c in read_pcapng(second.data).comments)
    alone = f.gateway.api("POST", "/v1/captures", f.gateway.request(instances=["web/0"]))
    assert alone.status == 429 and alone.error["code"] == "too_many_captures" and alone.headers["retry-after"]
    f.gateway.finish(first.job)
    first.wait_end()


def test_agent_told_to_end(fleet):
    """Pitfall 18: what it had is in the file; the other one goes on; started again it serves new captures."""
    f = fleet(2)
    live = started(f)
    f.round_robin(200)
    f.sinks[0].take(100)
    f.agents[0].stop(signal.SIGTERM)
    wait_for(lambda: instance(f, live.job, "web/0")["state"] == "ended", "its part to end")
    assert instance(f, live.job, "web/0")["stop_reason"] == "agent_shutdown"
    wait_for(lambda: instance(f, live.job, "web/0")["packets"] == 100, "its last packets to be merged")
    assert f.gateway.job(live.job)["state"] == "running"
    f.agents[0].start()
    again = started(f)
    f.round_robin(100)
    again.wait_packets(100)
    wait_for(lambda: f.gateway.job(live.job)["packets"]["captured"] == 250, "the other one's packets")
    for l in (live, again):
        f.gateway.finish(l.job)
        l.wait_end()
    capture = read_pcapng(live.data)
    assert numbers_of(capture.of("web/0 "), PORT) == list(range(0, 200, 2))
    assert any("capture ended (agent_shutdown)" in c and "web/0" in c for c in capture.comments)


def test_last_agent_ends(fleet):
    f = fleet(1)
    live = started(f)
    f.send(count=10).wait()
    live.wait_packets(10)
    f.agents[0].stop(signal.SIGTERM)
    live.wait_end()
    assert not live.broken and len(read_pcapng(live.data).packets) == 10
    job = f.gateway.wait_state(live.job, "streamed")
    assert job["stop_reason"] == "instances_ended"


def test_wrong_agent_name(fleet, net, agents, gateways, pki):
    """Right CA, wrong name in the certificate; and right again when the inventory says so."""
    ns = net.ns("x")
    Sink(ns, PORT)
    agent = agents(ns, identity=pki.issue("agent-other", ["other-agent"]), start=False)
    agent.http = agent.client(pki.gateway_client, server_name="other-agent")
    agent.start()
    gateway = gateways({"web": [agent], "right": {"users": ["alice"], "orgs": [], "instances": [
        {"id": "0", "agent": agent.address, "agent_name": "other-agent"}]}})
    reply = gateway.api("POST", "/v1/captures", gateway.request())
    assert reply.status == 502 and reply.error["code"] == "agent_tls", reply
    assert agent.captures() == 0
    live = gateway.live(group="right", packet_filter="udp port 9")
    assert live.status == 200
    gateway.finish(live.job)
    live.wait_end()


# ---- row 13: nothing is left running ----

def test_gateway_killed_under_load(fleet):
    f = fleet(2)
    senders = [f.send(i, pps=2000) for i in range(2)]
    live, quiet = started(f), started(f, packet_filter="udp port 9")
    job = f.gateway.store(packet_filter=FILTER)
    live.wait_packets(500)
    f.gateway.kill9()
    live.wait_end()
    quiet.wait_end()
    assert live.broken and quiet.broken, "a cut stream must not look complete"
    free_again(f, *f.agents)
    for s in senders:
        s.stop()
    f.gateway.start()
    ended = f.gateway.wait_state(live.job, "failed")
    assert ended["stop_reason"] == "interrupted" and ended["error"]["code"] == "interrupted"
    assert f.gateway.wait_state(job, "ready")["stop_reason"] == "interrupted"
    assert f.gateway.events(live.job)[-1]["type"] == "failed"


def test_gateway_frozen(fleet):
    """An agent does not wait for ever for a gateway that takes nothing."""
    f = fleet(1, agent_config={"limits": {"peer_timeout": "2s"}})
    sender = f.send(pps=20000, size=1400, burst=20)
    live = started(f)
    live.wait_packets(100)
    f.gateway.freeze()
    free_again(f, f.agents[0])
    sender.stop()
    f.gateway.thaw()
    live.wait_end()
    job = f.gateway.wait_state(live.job, "streamed")
    assert job["instances"][0]["stop_reason"] in ("gateway_gone", "agent_lost")


def test_client_killed(fleet, cli):
    """The command is killed: live ends after the grace period, a stored one runs on."""
    f = fleet(1, config={"live": {"grace": "1s"}})
    pcap = cli(f.gateway)
    command = pcap.start("host", "web", "-w", pcap.folder / "x.pcapng", FILTER)
    wait_for(lambda: f.agents[0].captures() == 1, "the capture to run")
    command.kill9()
    free_again(f, f.agents[0])
    job = f.gateway.api("GET", "/v1/captures").json["captures"][0]
    assert f.gateway.wait_state(job["id"], "streamed")["stop_reason"] == "client_gone"
    stored = f.gateway.store(packet_filter=FILTER)
    f.send(count=5).wait()
    wait_for(lambda: f.gateway.job(stored)["packets"]["captured"] == 5, "its packets")
    assert f.gateway.finish(stored)["state"] == "ready"


# ---- row 28 ----

def test_ipv6_agent_and_filter(fleet, folder):
    f = fleet(1, ipv6=True)
    assert f.agents[0].address.startswith("[")
    Sink(f.nodes[0], PORT + 1, f.nodes[0].ip6)
    live = started(f, packet_filter=f"ip6 and udp port {PORT + 1} and dst host {f.nodes[0].ip6}")
    assert instance(f, live.job, "web/0")["agent"] == f.agents[0].address
    Sender(f.source, f.nodes[0].ip6, PORT + 1, count=20).wait()
    f.send(count=20).wait()  # IPv4: not asked for
    live.wait_packets(20)
    f.gateway.finish(live.job)
    live.wait_end()
    assert numbers_of(read_pcapng(live.data).packets, PORT + 1) == list(range(20))
    (folder / "x.pcapng").write_bytes(live.data)
    assert len(tshark(folder / "x.pcapng", "-Y", f"ipv6.dst == {f.nodes[0].ip6} && udp")) == 20
    assert f.agents[0].host in read_pcapng(live.data).interfaces[0].description
