"""Limits through the API: just below, at and above each; the first one reached wins and is named by the job, the file and the command; what counts
per hour outlives the process; 200 starts at once overshoot nothing."""
import concurrent.futures
import datetime
import json
import time

import pytest

from rig import PORT, Http, read_pcapng, wait_for
from rig.gateway import free_port
from rig.metrics import scrape

FILTER = f"udp port {PORT}"
QUIET = "udp port 9"
KIB = 1024


def start(f, user="alice", mode="store", retention_s=None, **options):
    body = f.gateway.request(mode=mode, packet_filter=options.pop("packet_filter", QUIET), **options)
    if retention_s is not None:
        body["retention_s"] = retention_s
    return f.gateway.api("POST", "/v1/captures", body, user)


def left(reply):
    """(limit, remaining) of an answer; its reset is a time that has begun to run."""
    assert 0 < int(reply.headers["ratelimit-reset"]) <= 3600, reply.headers
    return int(reply.headers["ratelimit-limit"]), int(reply.headers["ratelimit-remaining"])


def standing(f, user="alice"):
    info = f.gateway.api("GET", "/v1/info", user=user).json
    return {row["limit"]: row for row in info["standing"]}


def end_notes(data):
    return [c for i in read_pcapng(data).interfaces if i.stats for c in i.last_stats.comments]


@pytest.mark.threads
def test_two_hundred_starts_at_once(fleet):
    """Ten places: ten run, the rest is told to come again, and not one of these has been a start."""
    f = fleet(1, config={"limits": {"captures": 10, "captures_per_user": 200, "connections": 400, "starts_per_hour": 500}},
              agent_config={"limits": {"captures": 20}})
    body = json.dumps(f.gateway.request(packet_filter=QUIET, mode="store"))
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        replies = list(pool.map(lambda _: f.gateway.http.request("POST", "/v1/captures", body, f.gateway.tokens["alice"], timeout=60), range(200)))
    taken = [r for r in replies if r.status == 202]
    refused = [r for r in replies if r.status == 429]
    assert (len(taken), len(refused)) == (10, 190), {r.status for r in replies}
    assert all(r.error["code"] == "too_many_captures" and "(captures)" in r.error["message"] for r in refused)
    assert all(1 <= int(r.headers["retry-after"]) <= 30 for r in refused)
    assert f.agents[0].captures() == 10
    assert standing(f)["starts_per_hour"]["used"] == 10 and standing(f)["captures_per_user"]["used"] == 10
    f.gateway.finish(taken[0].json["id"])
    wait_for(lambda: standing(f)["captures_per_user"]["used"] == 9, "its place to be free")
    assert start(f).status == 202


def test_starts_are_counted_across_restarts(fleet, cli):
    f = fleet(1, config={"limits": {"starts_per_hour": 4}})
    assert "standing" not in f.gateway.api("GET", "/v1/info", user=None).json
    bad = start(f, snaplen=1)
    assert bad.status == 400 and "ratelimit-reset" in bad.headers and bad.headers["ratelimit-remaining"] == "4", "a refusal is no start"
    live = f.gateway.live(packet_filter=QUIET)
    assert live.status == 200 and (live.headers["ratelimit-limit"], live.headers["ratelimit-remaining"]) == ("4", "3")
    f.gateway.finish(live.job)
    live.wait_end()
    stored = start(f)
    assert stored.status == 202 and left(stored) == (4, 2)
    failed = start(f, device="nosuch")
    assert failed.status == 404 and left(failed) == (4, 1), "its agent was asked: that was a start"
    f.gateway.kill9()
    f.gateway.start()
    assert standing(f)["starts_per_hour"]["used"] == 3
    last = start(f)
    assert last.status == 202 and left(last) == (4, 0)
    for _ in range(2):
        refused = start(f)
        assert refused.status == 429 and refused.error["code"] == "too_many_starts" and left(refused) == (4, 0)
        assert "(starts_per_hour)" in refused.error["message"]
        assert int(refused.headers["retry-after"]) == int(refused.headers["ratelimit-reset"])
        f.gateway.restart()
    pcap = cli(f.gateway)
    shown = pcap.ok("info").text
    row = next(line.split() for line in shown.splitlines() if line.startswith("starts_per_hour "))
    assert row[:4] == ["starts_per_hour", "user", "4", "4"] and row[-1] == "s", shown
    assert {r["limit"] for r in pcap.ok("info", "--json").json["standing"]} >= {"captures_per_user", "starts_per_day", "quota_user", "quota_org"}
    told = pcap.run("host", "web", "-c", "1")
    assert told.code == 5 and "starts_per_hour" in told.err, told


def test_each_limit_below_at_and_above(fleet, cli):
    f = fleet(1, config={
        "limits": {"duration": "100s", "snaplen": 1000, "max_packets": 20, "max_bytes": "100KiB"},
        "storage": {"retention": "1h", "retention_max": "2h"}})
    for field, most in (("max_duration_s", 100), ("snaplen", 1000), ("max_packets", 20), ("max_bytes", 100 * KIB)):
        for n in (most - 1, most):
            taken = start(f, **{field: n})
            assert taken.status == 202 and taken.json["options"][field] == n, taken
            f.gateway.api("DELETE", f"/v1/captures/{taken.json['id']}")
        above = start(f, **{field: most + 1})
        assert (above.status, above.error["code"], above.error["field"]) == (413, "over_limit", f"options.{field}"), above
    # What is left open is the limit; and its name is told where it ends the capture.
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    assert f.gateway.job(live.job)["options"] | {"snaplen": 1000, "max_packets": 20, "max_bytes": 100 * KIB, "max_duration_s": 100} == f.gateway.job(live.job)["options"]
    f.send(count=30).wait()
    live.wait_end()
    job = f.gateway.wait_state(live.job, "streamed")
    assert job["stop_reason"] == "max_packets" and job["packets"]["captured"] == 20 and "limits.max_packets" in job["error"]["message"]
    assert any("capture ended (max_packets)" in c and "limits.max_packets" in c for c in end_notes(live.data)), end_notes(live.data)
    assert "limits.max_packets" in cli(f.gateway).ok("show", live.job).text
    # A user's own limit is nobody else's.
    own = f.gateway.live(packet_filter=FILTER, max_packets=5)
    f.gateway.wait_running(own.job)
    f.send(count=10).wait()
    own.wait_end()
    assert f.gateway.wait_state(own.job, "streamed")["error"] is None

    # ---- retention ----
    above = start(f, retention_s=7201)
    assert (above.status, above.error["code"], above.error["field"]) == (413, "over_limit", "retention_s"), above
    kept = {}
    for asked in (None, 60, 7200):
        reply = start(f, retention_s=asked)
        assert reply.status == 202 and reply.json["retention_s"] == (asked or 3600), reply
        kept[reply.json["id"]] = asked or 3600
        f.gateway.wait_running(reply.json["id"])
    early = cli(f.gateway).run("host", "web", "--retention", "5m")
    assert early.code == 2 and "--store" in early.err, early
    by_command = cli(f.gateway).ok("host", "web", "--store", "--retention", "90m", "--json").json
    kept[by_command["id"]] = 5400
    f.gateway.wait_running(by_command["id"])
    f.gateway.kill9()  # and a restart forgets none of it
    f.gateway.start()
    for job, seconds in kept.items():
        ready = f.gateway.wait_state(job, "ready")
        ended, expires = (datetime.datetime.fromisoformat(ready[k].replace("Z", "+00:00")) for k in ("ended_at", "expires_at"))
        assert (expires - ended).total_seconds() == seconds, ready


def test_quota(fleet, cli):
    """What runs ends at the quota and not one byte above it; a full one refuses, says when there is room, and lets live captures be."""
    f = fleet(1, config={"limits": {"quota_user": "512KiB"}, "storage": {"chunk": "64KiB"}})
    jobs = [f.gateway.store(packet_filter=FILTER) for _ in range(2)]
    sender = f.send(pps=2000, size=1000, burst=20)
    ready = [f.gateway.wait_state(job, "ready") for job in jobs]
    sender.stop()
    total = sum(job["object"]["size_bytes"] for job in ready)
    assert 504 * KIB < total <= 512 * KIB, ready
    for job in ready:
        assert job["stop_reason"] == "quota" and job["error"]["code"] == "quota" and "limits.quota_user" in job["error"]["message"]
        notes = end_notes(f.gateway.download(job["id"]))
        assert any("capture ended (quota)" in c and "limits.quota_user" in c for c in notes), notes
        assert "limits.quota_user" in cli(f.gateway).ok("show", job["id"]).text
    used = standing(f)["quota_user"]
    assert used["used"] == total and used["max"] == 512 * KIB
    f.gateway.restart()
    full = start(f)
    assert (full.status, full.error["code"], full.error["field"]) == (429, "quota_exceeded", "mode"), full
    assert 23 * 3600 < int(full.headers["retry-after"]) <= 24 * 3600
    auto = f.gateway.live(mode="auto", packet_filter=QUIET)
    assert auto.status == 200, "live takes no room"
    f.gateway.finish(auto.job)
    auto.wait_end()
    assert f.gateway.api("DELETE", f"/v1/captures/{jobs[0]}").status == 204
    again = f.gateway.store(packet_filter=QUIET)
    assert f.gateway.finish(again)["stop_reason"] == "user_stop"


@pytest.mark.parametrize("limit", ["rate_per_capture", "rate"])
def test_a_rate_slows_and_is_told(fleet, cli, limit):
    """What does not come through is counted: the agent holds back as it was told, and the kernel has no room for more."""
    f = fleet(1, config={"limits": {limit: "64KiB"}}, agent_config={"capture": {"ring": "1MiB"}})
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    sender = f.send(pps=4000, size=1000, burst=40)
    wait_for(lambda: (d := f.gateway.job(live.job)["packets"]["dropped"]) and d["kernel"] + d["agent"] > 0, "what is too much to be counted")
    sender.stop()
    f.gateway.finish(live.job)
    live.wait_end()
    job = f.gateway.job(live.job)
    assert job["limited_by"] == f"limits.{limit}" and f"limits.{limit}" in cli(f.gateway).ok("show", live.job).text
    assert job["state"] == "streamed" and job["instances"][0]["error"] is None, job
    said = [e["data"] for e in f.gateway.events(live.job) if e["type"] == "limited"]
    assert said == [{"limit": f"limits.{limit}", "bytes_per_s": 64 * KIB}]
    assert any(f"slowed to 65536 bytes per second (limits.{limit})" in c for c in end_notes(live.data)), end_notes(live.data)
    stats = live.capture().interfaces[0].last_stats
    shed = job["packets"]["dropped"]["agent"]
    assert stats.accepted == len(live.packets()) + stats.dropped_os + shed, "each packet is here, or counted"


@pytest.mark.slow
def test_a_rate_holds_with_many_streams(fleet):
    """Streams so many that each would be let through for having waited too long, did all of them take as much as a single one does."""
    rate, streams, port = 1024 * KIB, 48, free_port()
    f = fleet(1, config={"limits": {"rate": "1MiB", "captures_per_user": streams, "captures_per_org": 0, "captures_per_space": 0}, "metrics": {"port": port}},
              agent_config={"limits": {"captures": streams}})
    metrics = Http(("127.0.0.1", port))

    def brought(least):
        return wait_for(lambda: (n := scrape(metrics).value("pcapline_gateway_stream_bytes_total")) >= least and n, f"{least} bytes")

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        jobs = list(pool.map(lambda _: start(f, packet_filter=FILTER).json["id"], range(streams)))
    for job in jobs:
        f.gateway.wait_running(job)
    began, before = time.monotonic(), brought(0)
    sender = f.send(pps=300, size=1400)
    more = brought(6 * rate) - before
    took = time.monotonic() - began
    sender.stop()
    assert more <= rate * (took + 0.5), "more than it lets through since nothing came: figures are old, if anything, and a tenth of a second may come ahead"
    captured = [f.gateway.job(job)["packets"]["captured"] for job in jobs]
    assert min(captured) > 0, "each had its turn"
    for job in jobs:
        f.gateway.api("POST", f"/v1/captures/{job}/stop")
    for job in jobs:
        ended = f.gateway.wait_state(job, "ready")
        assert ended["instances"][0]["error"] is None and ended["limited_by"] == "limits.rate", ended
