"""The operators' brake and broom: kill against what hangs, the global stop, legal hold, erasing all of somebody's with a report."""
import contextlib
import json
import os
import sqlite3

import pytest

from rig import PORT, read_pcapng, store_faults, wait_for
from rig.gateway import ENDS

FILTER = f"udp port {PORT}"
USERS = {
    "alice": {"org": "acme", "space": "dev"}, "bob": {"org": "other", "space": "dev"}, "olga": {"operator": True},
}


@pytest.fixture
def platform(fleet):
    """platform(n, **kwargs): agents; the first is group web, the second group db."""
    def make(n=1, **kwargs):
        def groups(made):
            return {name: {"users": ["alice", "bob"], "orgs": [], "instances": [{"id": "0", "agent": a.address}]} for name, a in zip(("web", "db"), made)}
        return fleet(n, users=USERS, groups=groups, **kwargs)
    return make


def admin(f, call, body, user="olga", status=200):
    reply = f.gateway.api("POST", f"/v1/admin/{call}", body, user)
    assert reply.status == status, reply
    return reply.json


def stored(f, user="alice", **kwargs):
    job = f.gateway.store(user=user, packet_filter=FILTER, **kwargs)
    f.send(count=5).wait()
    wait_for(lambda: f.gateway.job(job, user)["packets"]["captured"] >= 5, "its packets")
    assert f.gateway.finish(job, user)["state"] == "ready"
    return job


def shown(f, job, user="olga"):
    return f.gateway.api("GET", f"/v1/captures/{job}", user=user)


def files_of(f, job):
    """Folders may go while they are read."""
    return [name for sub in ("objects", "spool") for _, folders, files in os.walk(f.gateway.state_dir / sub) for name in (*folders, *files) if job in name]


def sockets_to(daemon, ports):
    """How many connections of the process lead to one of the ports of agents."""
    inodes = set()
    for fd in os.listdir(f"/proc/{daemon.pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{daemon.pid}/fd/{fd}"))
        except OSError:
            continue  # it was closed meanwhile
    rows = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/{daemon.pid}/net/{name}").readlines()[1:]]
    return sum(int(r[2].rpartition(":")[2], 16) in ports and f"socket:[{r[9]}]" in inodes for r in rows)


def starts_today(f, user="alice"):
    return next(r["used"] for r in f.gateway.api("GET", "/v1/info", user=user).json["standing"] if r["limit"] == "starts_per_day")


# ---- kill ----

def test_whoever_is_killed_is_told_by_whom_and_why(platform, cli, folder):
    f = platform(2)
    db = f.gateway.store(user="bob", packet_filter=FILTER, instances=["db/0"])
    live = f.gateway.live(packet_filter=FILTER, instances=["web/0"])
    f.gateway.wait_running(live.job)
    f.send(count=20).wait()
    live.wait_packets(20)
    followed = cli(f.gateway).start("host", "web", "-w", str(folder / "cli.pcapng"))
    wait_for(lambda: len(f.gateway.api("GET", "/v1/captures?state=running").json["captures"]) == 2, "the command's capture")
    assert admin(f, "kill", {"group": "nobody"})["killed"] == []
    killed = admin(f, "kill", {"group": "web", "reason": "too much load on web"})["killed"]
    assert live.job in killed and len(killed) == 2 and db not in killed
    live.wait_end()
    sentence = "killed by olga: too much load on web"
    assert sentence in read_pcapng(live.data).interfaces[0].last_stats.comments[0]
    job = f.gateway.wait_state(live.job, "killed")
    assert job["stop_by"] == "olga" and job["error"] == {"code": "killed", "message": sentence}
    assert f.gateway.events(live.job)[-1]["data"] == {"reason": "killed", "by": "olga", "error": sentence}
    result = followed.wait()
    assert result.code == 7 and sentence in result.err, result
    shown_job = cli(f.gateway).run("show", live.job)
    assert sentence in shown_job.text and "stopped by" in shown_job.text
    assert f.gateway.job(db, "bob")["state"] == "running", "another group's"
    done = cli(f.gateway, user="olga").run("admin", "kill", "--group", "db", "--reason", "and this one")
    assert done.code == 0 and done.text == f"{db}\n"
    nothing = cli(f.gateway, user="olga").run("admin", "kill", "--user", "nobody")
    assert nothing.code == 0 and nothing.text == "" and "nothing matched" in nothing.err, nothing
    assert f.gateway.wait_state(db, "killed", "bob")["error"]["message"] == "killed by olga: and this one"


def test_a_frozen_agent_and_a_stalled_viewer_hold_nothing(platform):
    """Their captures end like others; no thread, descriptor or file of them is left in the gateway."""
    f = platform(2, config={"live": {"backlog": "1MiB"}})
    assert f.gateway.api("GET", "/v1/admin/captures", user="olga").status == 200
    threads, fds = f.gateway.threads(), f.gateway.fds()
    sender = f.send(pps=4000, size=1200, burst=8)
    stalled = f.gateway.live(packet_filter=FILTER, instances=["web/0"], read=False)
    both = f.gateway.store(packet_filter=FILTER, instances=["web/0", "db/0"])
    wait_for(lambda: f.gateway.job(stalled.job)["packets"]["dropped"]["gateway"] > 0, "the viewer to be behind")
    wait_for(lambda: f.gateway.job(both)["packets"]["captured"] > 100, "packets in the spool")
    f.agents[1].freeze()
    try:
        assert sorted(admin(f, "kill", {"all": True})["killed"]) == sorted([stalled.job, both])
        for job in (stalled.job, both):
            assert f.gateway.wait_state(job, "killed")["stop_reason"] == "killed"
        wait_for(lambda: f.agents[0].captures() == 0, "the agent that lives to be free")
        ports = {a.port for a in f.agents}
        wait_for(lambda: sockets_to(f.gateway, ports) == 0, "no connection to any agent")
        wait_for(lambda: (f.gateway.threads(), f.gateway.fds()) <= (threads, fds), f"no thread and no descriptor of them (before: {threads}, {fds})")
        assert not files_of(f, both) and not list((f.gateway.state_dir / "spool").iterdir())
    finally:
        f.agents[1].thaw()
        sender.stop()
        stalled.abort()
    wait_for(lambda: f.agents[1].captures() == 0, "the thawed agent to see that nobody listens")


def test_a_store_that_hangs_delays_no_kill(s3_fleet, store_proxy, bucket):
    """Killed at once, nothing left here; what the store holds goes as soon as it answers."""
    f = s3_fleet(1, store_proxy.url, idle_timeout="60s", gateway={"users": USERS})  # who waited for it would wait that long
    f.gateway.allowed_errors += ["storage", "store", "eraser", "capture", "retention"]
    job = f.gateway.store(packet_filter=FILTER)
    f.send_captured([job], 900, 1000)
    wait_for(lambda: bucket.uploads(), "an upload that is open")
    store_proxy.fault(store_faults.hang, times=10 ** 6)
    f.send(count=900, size=1000, pps=10000, burst=10).wait()
    wait_for(lambda: store_proxy.met, "the store to hang")
    threads = f.gateway.threads()
    assert admin(f, "kill", {"job": job})["killed"] == [job]
    f.gateway.wait_state(job, "killed", timeout_s=25)
    assert not list((f.gateway.state_dir / "spool").glob("*"))
    wait_for(lambda: f.agents[0].captures() == 0 and f.gateway.threads() < threads, "the capture's threads to be gone")
    store_proxy.heal()
    wait_for(lambda: not bucket.uploads() and not bucket.keys(), "the store to be empty", timeout_s=60)
    wait_for(lambda: f.gateway.events(job)[-1]["type"] == "erased", "the record to say so", timeout_s=60)
    assert f.gateway.job(job)["state"] == "killed"


def test_what_a_former_process_left_is_killed_too(s3_fleet, store_proxy, bucket, cli):
    """The gateway died, and its successor waits for the store: that capture does not run any more, and still is not finished."""
    f = s3_fleet(1, store_proxy.url, idle_timeout="60s", gateway={"users": USERS})
    f.gateway.allowed_errors += ["storage", "store", "eraser", "capture", "retention"]
    jobs = [f.gateway.store(packet_filter=FILTER) for _ in range(2)]
    f.send_captured(jobs, 900, 1000)
    wait_for(lambda: len(bucket.uploads()) == 2, "uploads that are open")
    assert admin(f, "hold", {"job": jobs[1], "reason": "case 4711"})["held"] == [jobs[1]]
    store_proxy.fault(store_faults.hang, times=10 ** 6)
    f.gateway.kill9()
    f.gateway.start()
    assert {f.gateway.job(job)["state"] for job in jobs} == {"finishing"}
    assert admin(f, "kill", {"all": True, "reason": "enough"}) == {"killed": [jobs[0]], "held": [jobs[1]], "failed": []}
    job = f.gateway.job(jobs[0])
    assert job["state"] == "killed" and job["stop_by"] == "olga" and job["error"] == {"code": "killed", "message": "killed by olga: enough"}
    (kill,) = [r for r in map(json.loads, (f.gateway.state_dir / "audit.jsonl").read_text().splitlines()) if r["action"] == "admin.kill"]
    assert kill["outcome"] == "ok" and kill["why"] == "enough" and kill["data"] == {
        "selector": {"all": True, "reason": "enough"}, "jobs": [jobs[0]], "held": [jobs[1]], "failed": []}
    said = cli(f.gateway, user="olga").run("admin", "kill", "--job", jobs[1])
    assert said.code == 0 and "does not run any more; it is on hold" in said.err and "0 captures killed" in said.err, said
    store_proxy.heal()
    f.gateway.wait_state(jobs[1], "ready")
    wait_for(lambda: not bucket.uploads() and len(bucket.keys()) == 1, "the killed one to be erased", timeout_s=60)
    wait_for(lambda: f.gateway.events(jobs[0])[-1]["type"] == "erased", "the record to say so", timeout_s=60)
    ends = [r["data"]["state"] for r in map(json.loads, (f.gateway.state_dir / "audit.jsonl").read_text().splitlines()) if r["action"] == "capture.end" and r["job"] == jobs[0]]
    assert ends == ["killed"]


def test_operators_come_in_when_all_places_are_taken(platform):
    f = platform(1, config={"limits": {"connections": 8, "captures_per_user": 20}})
    # A place may still be that of a connection that was closed just now.
    lives = [wait_for(lambda: (live := f.gateway.live(packet_filter=FILTER)).status == 200 and live, "a place") for _ in range(8)]
    refused = f.gateway.api("GET", "/v1/captures")
    assert refused.status == 503 and refused.error["code"] == "too_many_connections"
    assert f.gateway.api("POST", "/v1/admin/kill", {"all": True}, "alice").status == 403, "the reserve is for operators"
    assert len(admin(f, "kill", {"all": True})["killed"]) == 8
    for live in lives:
        live.wait_end()
    wait_for(lambda: f.gateway.api("GET", "/v1/captures").status == 200, "places for others")


# ---- the global stop ----

def test_halt_holds_over_restarts_until_it_is_lifted(platform, cli):
    f = platform(1)
    job = f.gateway.store(packet_filter=FILTER)
    for body, field in (({}, "reason"), ({"reason": ""}, "reason"), ({"reason": "x" * 201}, "reason"), ({"reason": "x", "kill": "no"}, "kill"), ({"reason": "x", "all": True}, "all")):
        assert admin(f, "halt", body, status=400)["error"]["field"] == field
    assert f.gateway.api("POST", "/v1/admin/halt", {"reason": "mine"}, "alice").status == 403
    kept = admin(f, "halt", {"reason": "a leak", "kill": False})
    assert kept["killed"] == [] and kept["halted"]["by"] == "olga" and f.gateway.job(job)["state"] == "running"
    done = cli(f.gateway, user="olga").run("admin", "halt", "--reason", "we look for a leak", "--yes")
    assert done.code == 0, done
    assert "who stopped all captures: we look for a leak" in f.gateway.wait_state(job, "killed")["error"]["message"]

    def assert_halted():
        for mode in ("live", "store"):
            reply = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode=mode))
            assert reply.status == 503 and reply.error["code"] == "halted", reply
            assert reply.error["message"].endswith("by olga: we look for a leak")
        ready = f.gateway.api("GET", "/readyz", user=None)
        assert ready.status == 200 and [r["what"] for r in ready.json["reasons"]] == ["halted"]
        assert f.gateway.api("GET", "/v1/info", user="olga").json["halted"]["by"] == "olga"
        halted = f.gateway.api("GET", "/v1/info").json["halted"]
        assert halted["reason"] == "we look for a leak" and "by" not in halted, "users are told why"
        assert list(f.gateway.api("GET", "/v1/info", user=None).json["halted"]) == ["since"], "strangers only that"

    assert_halted()
    f.gateway.restart()
    assert_halted()
    started = cli(f.gateway).run("host", "web", "--store")
    assert started.code == 3 and "we look for a leak" in started.err, started
    assert "we look for a leak" in cli(f.gateway).run("info").text
    lifted = cli(f.gateway, user="olga").run("admin", "resume")
    assert lifted.code == 0 and "by olga: we look for a leak" in lifted.err
    assert admin(f, "resume", {"reason": "it was none"}) == {"was": None}
    f.gateway.restart()
    assert f.gateway.api("GET", "/v1/info").json["halted"] is None
    f.gateway.finish(f.gateway.store(packet_filter=FILTER))


def test_a_damaged_stop_is_not_taken_for_none(platform):
    f = platform(1)
    f.gateway.stop()
    f.gateway.allowed_errors.append("not JSON")
    (f.gateway.state_dir / "halt.json").write_text("{")
    f.gateway.start(wait=False)
    assert f.gateway.wait_exit() == 1
    assert "halt.json" in f.gateway.log()
    (f.gateway.state_dir / "halt.json").unlink()
    f.gateway.start()


# ---- purge ----

def test_everything_of_a_user_with_a_report(platform, cli, folder):
    """The GDPR case: files, and what is known of the captures; others keep theirs."""
    f = platform(1)
    ready, bobs, held = stored(f), stored(f, "bob"), stored(f)
    live = f.gateway.live(packet_filter=FILTER, note="a-personal-note")
    f.gateway.wait_running(live.job)
    f.gateway.finish(live.job)
    live.wait_end()
    f.gateway.wait_state(live.job, ENDS)
    running = f.gateway.store(packet_filter=FILTER)
    streamed = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(streamed.job)
    f.send(count=20).wait()
    streamed.wait_packets(20)
    wait_for(lambda: f.gateway.job(streamed.job)["bytes"] > 0, "its figures")
    admin(f, "hold", {"job": held, "reason": "case 4711"})
    used = starts_today(f)
    assert any(b"a-personal-note" in path.read_bytes() for path in f.gateway.state_dir.glob("jobs.db*")), "as it is looked for below"
    operator = cli(f.gateway, user="olga")
    plan = operator.run("--json", "admin", "purge", "--user", "alice", "--records", "--dry-run")
    assert plan.code == 8, plan
    plan = plan.json
    assert plan["dry_run"] and {p["job"] for p in plan["purged"]} == {ready, live.job, running, streamed.job} and [h["job"] for h in plan["held"]] == [held]
    sizes = {p["job"]: p["size_bytes"] for p in plan["purged"]}
    assert sizes[ready] == shown(f, ready).json["object"]["size_bytes"] and sizes[live.job] == sizes[streamed.job] == 0
    assert f.gateway.job(ready)["state"] == "ready" and f.gateway.job(running)["state"] == "running", "a dry run does nothing"
    assert {p["job"] for p in admin(f, "purge", {"user": "alice", "dry_run": True})["purged"]} == {ready, running, streamed.job}, "without records only what has a file"
    asked = operator.run("admin", "purge", "--user", "alice", "--records")
    assert asked.code == 1 and f.gateway.job(ready)["state"] == "ready", "nobody there to be asked"
    report_path = folder / "report.json"
    done = operator.run("admin", "purge", "--user", "alice", "--records", "--yes", "--reason", "article 17", "-o", str(report_path))
    assert done.code == 8 and "on hold: case 4711 (olga)" in done.err, done
    report = json.loads(report_path.read_text())
    assert report["asked"] == {"user": "alice", "records": True, "reason": "article 17"}
    answer = report["answer"]
    assert {p["job"] for p in answer["purged"]} == {ready, live.job, running, streamed.job} and answer["failed"] == [] and answer["records"] == 4
    assert all(p["verified"] and p["record"] for p in answer["purged"]) and answer["objects"] == 1
    assert report_path.stat().st_mode & 0o777 == 0o600
    streamed.wait_end()
    for job in (ready, live.job, running, streamed.job):
        assert shown(f, job).status == 404 and not files_of(f, job)
    assert len(read_pcapng(f.gateway.download(bobs, "bob")).packets) == 5 and len(read_pcapng(f.gateway.download(held)).packets) == 5
    with contextlib.closing(sqlite3.connect(f.gateway.state_dir / "jobs.db")) as db:
        assert "alice" not in {user for user, in db.execute("SELECT user_id FROM starts")}, "limits know a start, and not whose"
        kept = sum(record.count("a-personal-note") for record, in db.execute("SELECT record FROM audit"))
    found = sum(path.read_bytes().count(b"a-personal-note") for path in f.gateway.state_dir.glob("jobs.db*"))
    assert found == kept, "the audit trail stays, and nothing else of it"
    assert starts_today(f) == used == 5, "and who is forgotten has no more starts than others"


def test_what_a_failed_purge_erased_is_told(s3_fleet, store_proxy, bucket):
    """The store does not answer any more once the object is gone; the next purge has nothing to count."""
    f = s3_fleet(1, store_proxy.url, gateway={"users": USERS})
    f.gateway.allowed_errors += ["storage", "store", "retention"]
    job = stored(f)
    size = f.gateway.job(job)["object"]["size_bytes"]
    store_proxy.fault(store_faults.refusal(403, "AccessDenied"), op="list_uploads", of="", times=None, skip=1)
    first = admin(f, "purge", {"job": job})
    assert [r["job"] for r in first["failed"]] == [job] and not first["purged"] and not bucket.keys(), first
    assert (first["failed"][0]["size_bytes"], first["failed"][0]["objects"]) == (first["size_bytes"], first["objects"]) == (size, 1)
    store_proxy.heal()
    second = admin(f, "purge", {"job": job})
    assert second["failed"] == [] and second["size_bytes"] == 0 and "a try that failed before" in second["purged"][0]["note"], second


def test_starts_of_yesterday_are_forgotten_where_nobody_starts(platform):
    f = platform(1, config={"storage": {"sweep_interval": "200ms"}})
    job = stored(f)
    with contextlib.closing(sqlite3.connect(f.gateway.state_dir / "jobs.db", timeout=10)) as db:
        with db:
            db.execute("INSERT INTO starts SELECT 'of-yesterday', at - 86400 * 1000000000, user_id, org FROM starts")
        wait_for(lambda: [i for i, in db.execute("SELECT job_id FROM starts")] == [job], "only today's")


def test_a_large_purge_is_done_in_turns(platform, cli, folder):
    """One answer names 500 captures at most, and says where to go on; the command does, and its report is of all."""
    f = platform(1)
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    f.gateway.finish(live.job)
    live.wait_end()
    f.gateway.wait_state(live.job, ENDS)
    f.gateway.stop()
    made = [f"01{n:024d}" for n in range(620)]
    with contextlib.closing(sqlite3.connect(f.gateway.state_dir / "jobs.db")) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(jobs)") if row[1] != "id"]
        db.executemany(f"INSERT INTO jobs (id, {', '.join(columns)}) SELECT ?, {', '.join(columns)} FROM jobs WHERE id = ?", [(job, live.job) for job in made])
        db.commit()
    f.gateway.start()
    first = admin(f, "purge", {"all": True, "records": True, "dry_run": True})
    assert len(first["purged"]) == 500 and first["next_cursor"] == first["purged"][-1]["job"]
    rest = admin(f, "purge", {"all": True, "records": True, "dry_run": True, "cursor": first["next_cursor"]})
    assert rest["next_cursor"] is None and {p["job"] for a in (first, rest) for p in a["purged"]} == {live.job, *made}
    assert admin(f, "purge", {"all": True, "cursor": "x"}, status=400)["error"]["field"] == "cursor"
    done = cli(f.gateway, user="olga").run("admin", "purge", "--all", "--records", "--yes", "-o", str(folder / "report.json"))
    assert done.code == 0 and "500 captures erased so far; it goes on" in done.err and "621 records" in done.err, done
    assert set(done.text.split()) == {live.job, *made}
    turns = [r["data"] for r in map(json.loads, (f.gateway.state_dir / "audit.jsonl").read_text().splitlines()) if r["action"] == "admin.purged"]
    assert sum(t["purged"] for t in turns) == sum(t["records"] for t in turns) == 621 and [t["more"] for t in turns][-2:] == [True, False]
    report = json.loads((folder / "report.json").read_text())["answer"]
    assert len(report["purged"]) == report["records"] == 621 and report["next_cursor"] is None and report["failed"] == []
    assert f.gateway.api("GET", "/v1/admin/captures", user="olga").json["captures"] == []


def test_hold(platform, cli):
    """What is held neither its owner nor an operator nor time erases, nor a kill; the owner sees that, operators why."""
    f = platform(1, config={"storage": {"retention": "1s", "sweep_interval": "500ms"}})
    job = f.gateway.store(packet_filter=FILTER)
    f.send(count=5).wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] >= 5, "its packets")
    for body, field in (({"job": job}, "reason"), ({"reason": "x"}, None), ({"job": job, "reason": "x", "dry_run": True}, "dry_run")):
        assert admin(f, "hold", body, status=400)["error"].get("field") == field
    assert f.gateway.api("POST", "/v1/admin/hold", {"job": job, "reason": "x"}, "alice").status == 403
    done = cli(f.gateway, user="olga").run("admin", "hold", "--job", job, "--reason", "case 4711")
    assert done.code == 0 and done.text == f"{job}\n", done
    assert f.gateway.api("DELETE", f"/v1/captures/{job}").error["code"] == "on_hold"
    assert f.gateway.job(job)["state"] == "running", "a refusal ends nothing"
    assert admin(f, "kill", {"job": job, "reason": "stop it"})["killed"] == [job]
    assert f.gateway.wait_state(job, ENDS)["state"] == "ready", "what it had stored is kept"
    mine, olgas = f.gateway.job(job), shown(f, job).json
    assert mine["hold"] is True and "hold_reason" not in mine and olgas["hold_reason"] == "case 4711 (olga)" and mine["stop_reason"] == "killed"
    assert "on hold" in cli(f.gateway, user="olga").run("admin", "jobs").text
    assert "case 4711" in cli(f.gateway, user="olga").run("show", job).text and "case 4711" not in cli(f.gateway).run("show", job).text
    other = f.gateway.store(packet_filter=FILTER)
    f.gateway.finish(other)
    f.gateway.wait_state(other, "expired")
    assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 409
    purged = admin(f, "purge", {"all": True})
    assert purged["purged"] == [] and purged["held"] == [{"job": job, "reason": "case 4711 (olga)"}]
    trail = [json.loads(line) for line in (f.gateway.state_dir / "audit.jsonl").read_text().splitlines()]
    (told,) = [r for r in trail if r["action"] == "admin.purged"]
    assert told["outcome"] == "ok" and (told["data"]["purged"], told["data"]["held"], told["data"]["held_jobs"]) == (0, 1, [job])
    refused = [r for r in trail if r["action"] == "capture.delete"]
    assert [(r["outcome"], r["code"], r["job"], r["user_id"]) for r in refused] == [("refused", "on_hold", job, "alice")] * 2
    f.gateway.restart()
    assert f.gateway.job(job)["state"] == "ready" and files_of(f, job)
    assert admin(f, "unhold", {"user": "alice"})["released"] == [job]
    wait_for(lambda: not files_of(f, job), "time to erase it", timeout_s=20)
