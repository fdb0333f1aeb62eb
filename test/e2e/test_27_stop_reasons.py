"""Pitfall 12: "why did it stop?"  Each reason of the closed list is brought about, and stands in the job, in an event and in the file;
no other word is ever used."""
import re
import shutil
import signal
import struct
import subprocess

import pytest

from rig import PORT, read_pcapng, wait_for
from rig.fake_agent import SECTION, block, interface, streaming
from rig.session import PROJECT

FILTER = f"udp port {PORT}"
REASONS = re.findall(r'^\tSTOP_\w+,\s*/\* "(\w+)"', (PROJECT / "schema/stop_reason.h").read_text(), re.M)
NOTE = re.compile(r"capture ended \(([^)]*)\)")


# ---- the words that are found ----

def words_of_job(job):
    return {w for w in (job["stop_reason"], *(i["stop_reason"] for i in job["instances"])) if w}


def words_of_events(events):
    found = {e["data"]["reason"] for e in events if e["data"].get("reason")}
    # What a restarted gateway finished has its reason as a flag.
    return found | {"interrupted" for e in events if e["data"].get("interrupted") is True}


def words_of_file(data):
    """Of the last statistics block of each interface."""
    return {m.group(1) for i in read_pcapng(data).interfaces if i.stats for c in i.last_stats.comments if (m := NOTE.match(c))}


def words_of_log(daemon):
    return {r for line in daemon.log_lines() if re.match(r"(capture|instance)\.", line["event"]) and (r := line.get("data", {}).get("reason"))}


# ---- the ways to an end: each gives (job id, bytes of the file or stream, None where there is none) ----

def running(f, **kwargs):
    kwargs.setdefault("packet_filter", FILTER)
    live = f.gateway.live(**kwargs)
    assert live.status == 200, live.error
    f.gateway.wait_running(live.job)
    return live


def streamed(live):
    live.wait_end()
    assert not live.broken
    return live.job, live.data


def user_stop(f):
    live = running(f)
    f.gateway.finish(live.job)
    return streamed(live)


def limit(**options):
    def way(f):
        sender = f.send(pps=2000, size=500, burst=20)
        live = f.gateway.live(packet_filter=FILTER, **options)
        live.wait_end()
        sender.stop()
        return streamed(live)
    return way


def client_gone(f):
    live = running(f)
    live.abort()
    f.gateway.wait_state(live.job, "streamed")
    late = f.gateway.api("GET", f"/v1/captures/{live.job}/live?offset=0")
    return live.job, late.body if late.status == 200 else None  # it is there for a moment only


def device_gone(f):
    f.net.join(f.source, "va", f.nodes[0], "vb")
    live = running(f, device="vb")
    f.source.ip_cmd("link", "del", "va")
    return streamed(live)


def agent_lost(f):
    live = running(f)
    f.agents[0].kill9()
    return streamed(live)


def agent_shutdown(f):
    live = running(f)
    f.agents[0].stop(signal.SIGTERM)
    return streamed(live)


def instances_ended(f):
    """Two that end for different reasons; the file has the reason of each."""
    live = running(f)
    wait_for(lambda: all(i["state"] == "running" for i in f.gateway.job(live.job)["instances"]), "both to run")
    f.agents[0].kill9()
    f.agents[1].stop(signal.SIGTERM)
    job, data = streamed(live)
    assert words_of_file(data) == {"agent_lost", "agent_shutdown"}
    return job, None  # it has no word for the whole


def said_by_agent(word):
    """What a real agent says too late for anybody to hear, or in faults that cannot be made here."""
    def way(f, fakes):
        comment = f"capture ended ({word}): as it says".encode()
        comment = struct.pack("<HH", 1, len(comment)) + comment + b"\0" * (-len(comment) % 4)
        fake = fakes(streaming(SECTION, interface(), block(5, struct.pack("<III", 0, 0, 0) + comment + bytes(4))))
        f.gateway.write_inventory({"fake": [fake]})
        f.gateway.send(signal.SIGHUP)
        wait_for(lambda: f.gateway.logged("gateway.reloaded"), "the fake to be known")
        return streamed(f.gateway.live(group="fake"))
    return way


def gateway_shutdown(f):
    job = f.gateway.store(packet_filter=FILTER)
    f.gateway.stop(signal.SIGTERM)
    f.gateway.start()
    return job, f.gateway.download(job)


def interrupted(f):
    live, job = running(f), f.gateway.store(packet_filter=FILTER)
    f.send(count=20).wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == 20, "its packets")
    f.gateway.kill9()
    f.gateway.start()
    f.gateway.wait_state(job, "ready")
    wait_for(lambda: f.gateway.events(job)[-1]["type"] == "ready", "the event")
    lost = f.gateway.wait_state(live.job, "failed")
    wait_for(lambda: f.gateway.events(live.job)[-1]["type"] == "failed", "the event")
    assert lost["stop_reason"] == "interrupted" and words_of_events(f.gateway.events(live.job)) == {"interrupted"}
    return job, f.gateway.download(job)


def killed(f):
    live = running(f)
    assert f.gateway.api("POST", "/v1/admin/kill", {"job": live.job}, "olga").status == 200
    f.gateway.wait_state(live.job, "killed")
    return streamed(live)


def deleted(f):
    live = running(f)
    assert f.gateway.api("DELETE", f"/v1/captures/{live.job}").status == 204
    assert f.gateway.wait_state(live.job, "purged")["stop_reason"] == "deleted"
    return streamed(live)


def storage_full(f):
    """Two together; one alone would meet the same limit in its agent, as max_bytes."""
    job = f.gateway.store(packet_filter=FILTER)
    wait_for(lambda: all(i["state"] == "running" for i in f.gateway.job(job)["instances"]), "both to run")
    senders = [f.send(i, pps=3000, size=1000, burst=30) for i in range(2)]
    f.gateway.wait_state(job, "ready")
    for s in senders:
        s.stop()
    return job, f.gateway.download(job)


def spool_full(f):
    """The store is full, so what waits for it fills its room.  Once the store has room again, all of it is there."""
    f.gateway.allowed_errors += ["storage"]
    objects = f.gateway.state_dir / "objects"
    f.gateway.stop(signal.SIGTERM)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(objects)], check=True)
    try:
        f.gateway.start()
        job = f.gateway.store(packet_filter=FILTER)
        sender = f.send(pps=2000, size=1000, burst=20)
        wait_for(lambda: f.gateway.job(job)["state"] == "finishing", "the end of the room")
        sender.stop()
        waiting = wait_for(lambda: f.gateway.job(job).get("storage"), "what waits to be told")
        assert waiting["parts_waiting"] > 0 and waiting["bytes_waiting"] > 0 and waiting["unreachable_since"], waiting
        subprocess.run(["mount", "-o", "remount,size=64m", str(objects)], check=True)
        f.gateway.wait_state(job, "ready")
        return job, f.gateway.download(job)
    finally:
        subprocess.run(["umount", "-l", str(objects)], check=True)


def storage_failed(f):
    """Its spool is taken away under it; whoever watches is told in the stream, and the job does not read `ready`."""
    f.gateway.allowed_errors += ["capture.output_failed", "capture.store_failed", "retention.recover_failed"]
    job = f.gateway.store(packet_filter=FILTER)
    viewer = f.gateway.http.stream("GET", f"/v1/captures/{job}/live", token=f.gateway.tokens["alice"])
    assert viewer.status == 200
    shutil.rmtree(f.gateway.state_dir / "spool" / job)
    sender = f.send(pps=2000, size=1000, burst=20)
    wait_for(lambda: f.gateway.job(job)["error"], "the failure to be told")
    sender.stop()
    assert f.gateway.job(job)["state"] != "ready"
    viewer.wait_end()
    return job, viewer.data


def quota(f):
    job = f.gateway.store(packet_filter=FILTER)
    sender = f.send(pps=2000, size=1000, burst=20)
    f.gateway.wait_state(job, "ready")
    sender.stop()
    return job, f.gateway.download(job)


def start_failed(f):
    f.agents[0].kill9()
    reply = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode="store"))
    assert reply.status == 502, reply
    return reply.headers["pcap-job"], None


# reason: (way, settings of the fleet)
WAYS = {
    "user_stop": (user_stop, {}),
    "max_duration": (limit(max_duration_s=1), {}),
    "max_bytes": (limit(max_bytes=20000), {}),
    "max_packets": (limit(max_packets=20), {}),
    "client_gone": (client_gone, {"config": {"live": {"grace": "1s"}}}),
    "instances_ended": (instances_ended, {"n": 2}),
    "device_gone": (device_gone, {}),
    "agent_error": (said_by_agent("agent_error"), {"n": 0}),
    "agent_lost": (agent_lost, {}),
    "agent_shutdown": (agent_shutdown, {}),
    "gateway_gone": (said_by_agent("gateway_gone"), {"n": 0}),
    "gateway_shutdown": (gateway_shutdown, {}),
    "interrupted": (interrupted, {}),
    "killed": (killed, {}),
    "deleted": (deleted, {}),
    "storage_full": (storage_full, {"n": 2, "config": {"storage": {"job_max": "1MiB", "chunk": "256KiB"}}}),
    "spool_full": (spool_full, {"config": {"storage": {"chunk": "64KiB", "job_max": "100MiB", "spool_job_max": "512KiB", "sweep_interval": "500ms"}}}),
    "storage_failed": (storage_failed, {"config": {"storage": {"chunk": "64KiB"}}}),
    "start_failed": (start_failed, {}),
    "quota": (quota, {"config": {"limits": {"quota_user": "256KiB"}, "storage": {"chunk": "64KiB"}}}),
}
NO_WAY = {"internal_error"}  # memory or threads that run out
# Those of platforms and containers are brought about where there are some.
ELSEWHERE = {
    "right_gone": "test/e2e/test_44_recheck.py",
    "target_gone": "test/e2e/test_44_recheck.py",
    "right_unknown": "test/unit/test_watch.c",
    "switched_off": "test/e2e/test_63_switches.py",
    "policy_changed": "test/e2e/test_63_switches.py",
    "instance_left": "test/unit/test_watch.c",
    "container_gone": "test/e2e/test_50_containers.py",
}


def test_every_reason_has_a_row():
    assert len(REASONS) == len(set(REASONS)) and set(REASONS) == set(WAYS) | NO_WAY | set(ELSEWHERE)
    for reason, path in ELSEWHERE.items():
        assert re.search(rf"{reason}|STOP_{reason.upper()}", (PROJECT / path).read_text()), f"{path} says nothing of {reason}"


def seen(f, job, data):
    """Words by place; none of them, in any job of this gateway, is outside of the list."""
    f.gateway.events(job)  # which end when all is over
    record = f.gateway.job(job)
    found = {"job": words_of_job(record), "events": words_of_events(f.gateway.events(job))}
    if data is not None:
        found["file"] = words_of_file(data)
        assert found["file"] == {i["stop_reason"] for i in record["instances"]}, (found, record)
    jobs = f.gateway.api("GET", "/v1/admin/captures", user="olga").json["captures"]
    everywhere = set().union(*found.values(), *map(words_of_log, [f.gateway, *f.agents]))
    for j in jobs:
        everywhere |= words_of_job(f.gateway.job(j["id"], "olga")) | words_of_events(f.gateway.events(j["id"], "olga"))
    assert everywhere <= set(REASONS), f"words that are not in the list: {everywhere - set(REASONS)}"
    return found


@pytest.mark.parametrize("reason", WAYS)
def test_reason(fleet, fakes, cli, reason):
    way, settings = WAYS[reason]
    f = fleet(**settings)
    job, data = way(f, fakes) if settings.get("n") == 0 else way(f)
    found = seen(f, job, data)
    assert all(reason in words for words in found.values()), found
    assert re.search(rf"^ended by +{f.gateway.job(job)['stop_reason']}: ", cli(f.gateway).ok("show", job).text, re.M)
    if reason not in ("start_failed", "client_gone", "instances_ended"):
        assert "file" in found


@pytest.mark.parametrize("word", ["bananas", "", "User_stop", "user_stop x", "a" * 300])
def test_a_word_of_an_agents_own_is_not_passed_on(fleet, fakes, word):
    """The stream then ended without a reason: the connection broke, as far as anybody can tell."""
    f = fleet(0)
    job, data = said_by_agent(word)(f, fakes)
    found = seen(f, job, data)
    assert found == {"job": {"instances_ended", "agent_lost"}, "events": {"instances_ended", "agent_lost"}, "file": {"agent_lost"}}
