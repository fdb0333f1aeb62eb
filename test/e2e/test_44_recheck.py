"""The right asked again, with what a gateway has without any platform: static tokens and the inventory.  And what a target stands for, without a capture."""
import re
import signal

import pytest
import yaml

from rig import PORT, read_pcapng, wait_for
from rig.session import PROJECT

FILTER = f"udp port {PORT}"
SOON = {"recheck": {"interval": "1s", "grace": "1s"}}


def reload(gateway):
    before = sum(line["event"] == "gateway.reloaded" for line in gateway.log_lines())
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: sum(line["event"] == "gateway.reloaded" for line in gateway.log_lines()) > before, "the files to be read again")


def ended(live, gateway, reason):
    live.wait_end()
    assert not live.broken
    job = gateway.job(live.job)
    assert job["stop_reason"] == reason and job["error"]["code"] == reason, job
    notes = [c for i in read_pcapng(live.data).interfaces for c in i.last_stats.comments]
    assert notes and all(n.startswith(f"capture ended ({reason}): {job['error']['message']}") for n in notes), notes
    assert reason in [e["data"].get("reason") for e in gateway.events(live.job) if e["type"] == "stopping"]
    return job


def running(f):
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    f.send(count=20).wait()
    live.wait_packets(20)
    return live


@pytest.mark.threads
def test_token_taken_back(fleet):
    f = fleet(config=SOON)
    live = running(f)
    others = f.gateway.live(packet_filter=FILTER)
    token = f.gateway.tokens["alice"]
    f.gateway.tokens["alice"] = f.gateway.session.new_token("alice2")
    f.gateway.write_tokens()
    reload(f.gateway)
    for l in (live, others):
        ended(l, f.gateway, "right_gone")
    assert len(read_pcapng(live.data).packets) == 20
    assert token not in f.gateway.log()


def test_group_taken_away(fleet):
    f = fleet(config=SOON)
    live = running(f)
    f.gateway.write_inventory({"web": {"instances": [{"id": "0", "agent": f.agents[0].address}], "users": ["bob"], "orgs": []}})
    reload(f.gateway)
    ended(live, f.gateway, "target_gone")


def test_one_of_two_taken_away(fleet):
    """What is left goes on, the other one is let go; a capture of hosts takes nobody in."""
    f = fleet(2, config=SOON)
    live = running(f)
    state = lambda: {i["name"]: (i["state"], i["stop_reason"]) for i in f.gateway.job(live.job)["instances"]}  # noqa: E731
    wait_for(lambda: state() == {"web/0": ("running", None), "web/1": ("running", None)}, "both to run")
    f.gateway.write_inventory({"web": {"instances": [{"id": "1", "agent": f.agents[1].address}], "users": ["alice"], "orgs": []}})
    reload(f.gateway)
    wait_for(lambda: state() == {"web/0": ("ended", "instance_left"), "web/1": ("running", None)}, "one to be let go")
    f.gateway.write_inventory({"web": f.agents})
    reload(f.gateway)
    f.send(1, count=5).wait()
    live.wait_packets(25)
    assert state()["web/0"][0] == "ended"
    f.gateway.finish(live.job)
    live.wait_end()
    assert f.gateway.job(live.job)["stop_reason"] == "user_stop"


# ---- what a target stands for ----

def test_resolve(fleet):
    f = fleet(2)
    ask = lambda body, user="alice": f.gateway.api("POST", "/v1/resolve", body, user=user)
    reply = ask({"target": {"type": "host"}, "options": {"device": "eth0,lo"}})
    assert reply.status == 200 and reply.json["limit"] == 50
    assert [(i["name"], i["device"], i["agent"], i["error"]) for i in reply.json["instances"]] == [
        (f"web/{n}", d, f.agents[n].address, None) for n in (0, 1) for d in ("eth0", "lo")]
    assert [i["name"] for i in ask({"targets": [{"type": "host", "instances": ["web/1"]}, {"type": "host", "instances": ["web/0", "web/1"]}]}).json["instances"]] == ["web/1", "web/0"]
    rows = [
        ({"target": {"type": "host"}}, "bob", 404, "not_found", "target"),
        ({"target": {"type": "cf", "app": "x"}}, "alice", 400, "input", "target.type"),
        ({"targets": [{"type": "host"}, {"type": "host", "instances": ["db"]}]}, "alice", 404, "not_found", "targets[1].instances"),
        ({"target": {"type": "host"}, "targets": []}, "alice", 400, "input", "targets"),
        ({}, "alice", 400, "input", "target"),
        ({"target": {"type": "host"}, "shell": 1}, "alice", 400, "input", "shell"),
    ]
    for body, user, status, code, field in rows:
        reply = ask(body, user)
        assert (reply.status, reply.error["code"], reply.error["field"]) == (status, code, field), (body, reply)
    assert ask({"target": {"type": "host"}}, None).status == 401
    assert not f.gateway.api("GET", "/v1/captures").json["captures"], "nothing was started"


@pytest.mark.parametrize("path", ["/v1/resolve", "/v1/devices", "/v1/captures"])
def test_second_token(fleet, path):
    """It is checked like the first, wherever it is of no use too."""
    f = fleet()
    body = f.gateway.request(mode="store")
    for second, status in ((f"Bearer {f.gateway.tokens['bob']}", (200, 202)), ("Bearer nonsense", (401,)), ("nonsense", (401,))):
        reply = f.gateway.api("POST", path, body, headers={"Pcap-Second-Token": second})
        assert reply.status in status, reply
        if reply.status == 401:
            assert reply.error["field"] == "Pcap-Second-Token" and "nonsense" not in reply.body.decode()
    for job in f.gateway.api("GET", "/v1/captures").json["captures"]:
        assert job["owner"]["user_id"] == "alice"
        f.gateway.finish(job["id"])


def test_several_devices(fleet):
    """Each is an interface of its own."""
    f = fleet(2)
    live = f.gateway.live(packet_filter=FILTER, device="eth0,lo")
    wait_for(lambda: [i["state"] for i in f.gateway.job(live.job)["instances"]] == ["running"] * 4, "all four to run")
    f.round_robin(20)
    s = f.nodes[1].socket()
    for _ in range(7):
        s.sendto(bytes(8), ("127.0.0.1", PORT))
    s.close()
    live.wait_packets(27)
    f.gateway.finish(live.job)
    live.wait_end()
    capture = read_pcapng(live.data)
    assert {name: len(capture.of(name)) for name in ("web/0 eth0", "web/0 lo", "web/1 eth0", "web/1 lo")} == {
        "web/0 eth0": 10, "web/0 lo": 0, "web/1 eth0": 10, "web/1 lo": 7}


# ---- the description ----

def test_every_call_is_described():
    served = set(re.findall(r'^\t\{"([A-Z]+)", "([^"]+)", API_', (PROJECT / "gateway/api/api.c").read_text(), re.M))
    paths = yaml.safe_load((PROJECT / "schema/openapi.yaml").read_text())["paths"]
    described = {(m.upper(), re.sub(r"\{[^}]*\}", "*", p)) for p, calls in paths.items() for m in calls if m != "parameters"}
    assert served == described
