"""The whole of it, with the command, the logins of cf and bosh, real containers and VMs' namespaces: who asks for one or several instances of an app or of a group of VMs, live
or stored, gets what tcpdump sees right there; captures follow their apps; and rights that go end them."""
import time

import pytest

from rig import Sender, Tcpdump, numbers_of, read_pcapng, wait_for
from rig.cell import cells, new_app, new_handle  # noqa: F401  (fixtures)
from rig.cloud_controller import down
from rig.foundation import APP_PORT, platform  # noqa: F401
from rig.reference import accepted_by_all

FILTER = ["udp", "port", str(APP_PORT)]
QUICK = {"recheck": {"interval": "1s", "grace": "1h"}}


def by_name(capture):
    """{"shop/0 eth0": packets} of the interfaces of a file; several of one name together."""
    found = {}
    for i in capture.interfaces:
        found.setdefault(i.name, [])
    for name in found:
        found[name] = [p.data for p in capture.of(name)]
    return found


def traffic(p, places, count=50):
    """So many datagrams to each, with its own number of them; {name: (where, address)}."""
    senders = [Sender(p.source, address, APP_PORT, count=count + 7 * n) for n, (_, address) in enumerate(places.values())]
    for s in senders:
        s.wait()
    return {name: count + 7 * n for n, name in enumerate(places)}


# ---- the eight ----

CASES = {
    "one app instance": (["cf", "shop/1"], ["shop/1"]),
    "all of an app": (["cf", "shop"], ["shop/0", "shop/1", "shop/2"]),
    "one VM": (["bosh", "-e", "lab", "-d", "cf", "router/1"], ["router/1"]),
    "a group of VMs": (["bosh", "-e", "lab", "-d", "cf", "router"], ["router/0", "router/1", "router/2"]),
}


@pytest.mark.parametrize("case", CASES)
def test_use_case(platform, folder, case):  # noqa: F811
    p = platform()
    argv, names = CASES[case]
    places = {f"shop/{i}": (c.ns, c.ip) for i, c in p.web.items()} | {v.name: (v.ns, v.ns.ip) for v in p.vms}
    known = []
    for mode in ([], ["--store", "--wait"]):
        path = folder / f"file{len(mode)}.pcapng"
        dumps = {name: Tcpdump(places[name][0], "eth0", " ".join(FILTER)) for name in names}
        command = p.pcap.start(*argv, *mode, "-y", "-w", path, *FILTER)
        job = p.wait_running(names, known)
        known.append(job)
        sent = traffic(p, places)
        for name, dump in dumps.items():
            wait_for(lambda: dump.count() == sent[name], f"tcpdump in {name} to have all")
        wait_for(lambda: p.job(job)["packets"]["captured"] == sum(sent[n] for n in names), "all packets")
        command.interrupt()
        if mode:
            p.gateway.api("POST", f"/v1/captures/{job}/stop", token=p.token() if argv[0] == "cf" else p.bosh_token())
        result = command.wait()
        assert result.code == 0, result
        capture = read_pcapng(path.read_bytes())
        assert by_name(capture) == {f"{name} eth0": [q.data for q in dumps[name].stop().packets] for name in names}
        accepted_by_all(path)
        wait_for(lambda: p.job(job)["state"] == ("ready" if mode else "streamed"), "its record to be closed")


def test_apps_and_vms_in_one_file(platform, folder):  # noqa: F811
    p = platform()
    path = folder / "both.pcapng"
    command = p.pcap.start("cf", "shop/0", "shop/1", "--bosh", "cf/router/2", "-e", "lab", "-w", path, "-i", "eth0,lo", *FILTER)
    names = ["shop/0", "shop/1", "router/2"]
    job = wait_for(lambda: next((j["id"] for j in p.jobs() if j["state"] == "running"), None), "the capture")
    wait_for(lambda: [i["state"] for i in p.job(job)["instances"]] == ["running"] * 6, "all of it to run")
    c = p.web[0]
    Sender(c.ns, "127.0.0.1", APP_PORT, count=9).wait()
    sent = traffic(p, {"shop/0": (c.ns, c.ip), "shop/1": (p.web[1].ns, p.web[1].ip), "router/2": (p.vms[2].ns, p.vms[2].ns.ip)})
    wait_for(lambda: p.job(job)["packets"]["captured"] == sum(sent.values()) + 9, "all packets")
    result = command.interrupt().wait()
    assert result.code == 0, result
    capture = read_pcapng(path.read_bytes())
    assert {n: len(d) for n, d in by_name(capture).items()} == {
        **{f"{n} eth0": sent[n] for n in names}, "shop/0 lo": 9, "shop/1 lo": 0, "router/2 lo": 0}
    assert capture.is_ordered_as_told(wait_for(lambda: (j := p.job(job))["state"] == "streamed" and j, "its record to be closed"))


def test_devices(platform):  # noqa: F811
    p = platform()
    shown = {d["name"]: d for i in p.pcap.ok("devices", "cf", "shop/0", "--json").json["instances"] for d in i["devices"]}
    assert {"eth0", "lo"} <= set(shown) and shown["lo"]["loopback"] and p.web[0].ip in " ".join(shown["eth0"]["addresses"])
    text = p.pcap.ok("devices", "bosh", "-e", "lab", "-d", "cf", "router/0").text
    assert "eth0" in text and p.vms[0].ns.ip in text


# ---- what is not what it was ----

def live(p, target, token=None, **options):
    stream = p.gateway.http.stream("POST", "/v1/captures", {"target": target, "options": {"filter": " ".join(FILTER), **options}}, token or p.token())
    stream.job = stream.headers.get("pcap-job")
    return stream


def instances(p, job):
    return {(i["name"], i["state"]): i for i in p.job(job)["instances"]}


def wait_event(p, job, type, count=1):
    """The data of the events of this type, once there are so many."""
    return wait_for(lambda: (e := [e["data"] for e in p.events(job, type)]) and len(e) >= count and e, f"{count} of the event {type}")


def test_another_machine_at_the_address(platform):  # noqa: F811
    """VMs are made again, and addresses go round."""
    p = platform()
    p.director.deployments["cf"].instances[0]["ips"] = [p.vms[1].ns.ip]
    stream = live(p, {"type": "bosh", "deployment": "cf", "instances": ["router/0"]}, p.bosh_token())
    assert (stream.status, stream.error["code"]) == (502, "other_instance"), stream.error
    p.director.deployments["cf"].instances[0]["ips"] = [p.vms[1].ns.ip, p.vms[0].ns.ip]
    stream = live(p, {"type": "bosh", "deployment": "cf", "instances": ["router/0"]}, p.bosh_token())
    wait_for(lambda: ("router/0", "running") in instances(p, stream.job), "the second address to serve")
    traffic(p, {v.name: (v.ns, v.ns.ip) for v in p.vms[:2]}, 20)
    stream.wait_packets(20)
    p.gateway.api("POST", f"/v1/captures/{stream.job}/stop", token=p.bosh_token())
    stream.wait_end()
    assert numbers_of(stream.capture().packets, APP_PORT) == list(range(20))


def test_a_cell_knows_better(platform):  # noqa: F811
    """Pitfall 27: Cloud Controller's picture is old; the handle is now another app's, or nobody's."""
    p = platform()
    stranger = p.cells[0].container(new_app(), 0)
    stats = {s["index"]: s for s in p.cc.stats[p.shop]}
    stats[0]["instance_guid"], stats[2]["instance_guid"] = stranger.handle, new_handle()
    stream = live(p, {"type": "cf", "app": p.shop})
    wait_for(lambda: {s for _, s in instances(p, stream.job)} == {"running", "failed"}, "one to run, two to be refused")
    Sender(p.source, stranger.ip, APP_PORT, count=30).wait()
    traffic(p, {"shop/1": (p.web[1].ns, p.web[1].ip)}, 10)
    stream.wait_packets(10)
    failed = {n: i["error"] for (n, s), i in instances(p, stream.job).items() if s == "failed"}
    assert {n: e["code"] for n, e in failed.items()} == {"shop/0": "other_app", "shop/2": "unknown_container"}, failed
    p.gateway.api("POST", f"/v1/captures/{stream.job}/stop", token=p.token())
    stream.wait_end()
    assert len(stream.capture().packets) == 10


def test_the_capture_follows_the_app(platform):  # noqa: F811
    """A restart, a move to the other cell, one more instance, one less; the file names what is missing in between."""
    p = platform(**QUICK)
    stream = live(p, {"type": "cf", "app": p.shop})
    wait_for(lambda: sorted(instances(p, stream.job)) == [(f"shop/{i}", "running") for i in range(3)], "all three")
    traffic(p, {"shop/0": (p.web[0].ns, p.web[0].ip)}, 10)
    stream.wait_packets(10)
    p.web[0].remove()
    p.place(0, p.cells[1])
    ended = wait_event(p, stream.job, "instance_ended")
    assert [(e["instance"], e["reason"]) for e in ended] == [("shop/0", "container_gone")]
    wait_for(lambda: ("shop/0", "running") in instances(p, stream.job), "shop/0 to join again")
    traffic(p, {"shop/0": (p.web[0].ns, p.web[0].ip)}, 20)
    stream.wait_packets(30)
    p.place(3, p.cells[0])
    wait_for(lambda: ("shop/3", "running") in instances(p, stream.job), "shop/3 to join")
    traffic(p, {"shop/3": (p.web[3].ns, p.web[3].ip)}, 5)
    stream.wait_packets(35)
    p.cc.stats[p.shop] = p.cc.stats[p.shop][:2]
    p.cc.processes[p.shop]["instances"] = 2
    wait_event(p, stream.job, "instance_ended", 3)
    assert {e["instance"]: e["reason"] for e in wait_event(p, stream.job, "instance_ended", 3)} == {
        "shop/0": "container_gone", "shop/2": "instance_left", "shop/3": "instance_left"}
    p.gateway.api("POST", f"/v1/captures/{stream.job}/stop", token=p.token())
    stream.wait_end()
    assert not stream.broken
    capture = stream.capture()
    assert {n: len(d) for n, d in by_name(capture).items()} == {"shop/0 eth0": 30, "shop/1 eth0": 0, "shop/2 eth0": 0, "shop/3 eth0": 5}
    comments = [c for i in capture.interfaces for c in i.comments]
    assert len(comments) == 2 and "nothing of shop/0 is here from" in comments[0] and "what shop/3 sent before is not here" in comments[1], comments
    assert any("capture ended (container_gone)" in c for c in capture.comments)


def test_all_instances_go_and_come_back(platform):  # noqa: F811
    """cf restart: for a while there are none."""
    p = platform(**QUICK)
    stream = live(p, {"type": "cf", "app": p.shop, "instances": [1]})
    wait_for(lambda: ("shop/1", "running") in instances(p, stream.job), "shop/1")
    p.cc.stats[p.shop] = [down(i) for i in range(3)]
    p.web[1].remove()
    wait_event(p, stream.job, "instance_ended")
    p.place(1, p.cells[0])
    wait_for(lambda: ("shop/1", "running") in instances(p, stream.job), "shop/1 to join again")
    traffic(p, {"shop/1": (p.web[1].ns, p.web[1].ip)}, 12)
    stream.wait_packets(12)
    p.gateway.api("POST", f"/v1/captures/{stream.job}/stop", token=p.token())
    stream.wait_end()
    assert len(stream.capture().packets) == 12


# ---- rights that go (pitfall 26) ----

def test_right_gone(platform):  # noqa: F811
    """Each in turn, and back.  Who is in no role of the space does not see the app any more."""
    p = platform(cf={"label": "capture"}, **QUICK)
    roles, org, app, labels = list(p.cc.roles), p.cc.orgs[p.org], p.cc.apps[p.shop], p.cc.spaces[p.space]["metadata"]["labels"]
    ways = [
        ("target_gone", p.cc.roles.clear, lambda: p.cc.roles.extend(roles)),
        ("right_gone", lambda: org.update(suspended=True), lambda: org.update(suspended=False)),
        ("switched_off", lambda: labels.update(capture="deny"), labels.clear),
        ("target_gone", lambda: p.cc.apps.pop(p.shop), lambda: p.cc.apps.update({p.shop: app})),
    ]
    for reason, close, reopen in ways:
        stream = live(p, {"type": "cf", "app": p.shop, "instances": [0]})
        assert stream.status == 200, stream.error
        wait_for(lambda: ("shop/0", "running") in instances(p, stream.job), "it to run")
        close()
        stream.wait_end()
        job = p.job(stream.job)
        assert (job["stop_reason"], job["error"]["code"]) == (reason, reason) and not stream.broken, job
        assert any(f"capture ended ({reason})" in c for c in stream.capture().comments)
        refused = live(p, {"type": "cf", "app": p.shop, "instances": [0]})
        assert (refused.status, refused.error["code"]) in ((404, "not_found"), (403, "suspended"), (403, "switched_off")), refused.error
        reopen()
    wait_for(lambda: p.cells[0].agent.captures() == 0, "the agent to be free")


def test_vm_right_gone(platform):  # noqa: F811
    p = platform(**QUICK)
    stream = live(p, {"type": "bosh", "deployment": "cf", "instances": ["router/0"]}, p.bosh_token())
    wait_for(lambda: ("router/0", "running") in instances(p, stream.job), "it to run")
    p.director.deployments["cf"].teams = ["blue"]
    stream.wait_end()
    assert p.job(stream.job)["stop_reason"] in ("right_gone", "target_gone")


@pytest.mark.slow
def test_token_that_expires(platform):  # noqa: F811
    """Fresh ones are taken from whatever the owner asks; without, it ends after the grace."""
    p = platform(recheck={"interval": "1s", "grace": "2s"})
    stream = wait_for(lambda: (s := live(p, {"type": "cf", "app": p.shop, "instances": [0]}, p.token(exp=int(time.time()) + 3))).status == 200 and s, "a start within the token's life")
    begin = time.time()
    wait_for(lambda: p.gateway.http.request("GET", f"/v1/captures/{stream.job}", None, p.token(exp=int(time.time()) + 5)).status == 200
             and time.time() > begin + 6, "the first token to be long over")
    stream.wait_end()  # nothing is shown from here on
    job = p.job(stream.job)
    assert job["stop_reason"] == "right_unknown", job
    types = [e["type"] for e in p.events(stream.job)]
    assert "token_needed" in types


@pytest.mark.slow
def test_platforms_that_are_away(platform):  # noqa: F811
    """Nothing is started on nobody's word; what runs goes on for a while."""
    p = platform(recheck={"interval": "1s", "grace": "1h"})
    stream = live(p, {"type": "cf", "app": p.shop, "instances": [0]})
    assert stream.status == 200, stream.error
    p.cc.close()
    wait_event(p, stream.job, "right_unknown")
    refused = live(p, {"type": "cf", "app": p.shop})
    assert refused.status == 502 and "Cloud Controller does not answer" in refused.error["message"], refused.error
    p.cc.open()
    wait_event(p, stream.job, "right_known")
    assert p.job(stream.job)["state"] == "running"
    # One that hangs keeps neither a capture nor the gateway from ending.
    p.cc.answers_s, asked = 3600, len(p.cc.asked)
    wait_for(lambda: len(p.cc.asked) > asked, "it to be asked")
    p.gateway.stop()
    stream.wait_end()
    assert not stream.broken
