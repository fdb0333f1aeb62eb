"""Approval: captures of a protected scope wait for an operator's word, which somebody else gives; and what happens meanwhile."""
import concurrent.futures
import json

import pytest

from rig import PORT, Http, wait_for
from rig.gateway import ENDS, free_port
from rig.metrics import scrape

FILTER = f"udp port {PORT}"
USERS = {
    "alice": {"org": "acme", "space": "dev"}, "bob": {"org": "other", "space": "prod"}, "olga": {"operator": True},
    "oscar": {"org": "acme", "space": "dev", "operator": True},
}
PROTECTED = {"approval": "required", "reason": "case 12"}


def groups(made):
    return {"web": {"users": ["alice", "bob", "oscar"], "orgs": [], "instances": [{"id": str(i), "agent": a.address} for i, a in enumerate(made)]}}


@pytest.fixture
def protected(fleet):
    """protected(**kwargs): a fleet whose org acme is protected."""
    def make(**kwargs):
        f = fleet(users=USERS, groups=groups, **kwargs)
        reply = f.gateway.api("PUT", "/v1/admin/switches/org/acme", PROTECTED, "olga")
        assert reply.status == 200, reply
        return f
    return make


def ask(f, user="alice", **kwargs):
    """The job of a start that has to wait."""
    reply = f.gateway.api("POST", "/v1/captures", f.gateway.request(packet_filter=FILTER, **kwargs), user)
    assert reply.status == 202, reply
    job = reply.json
    assert reply.headers["pcap-job"] == job["id"] and reply.headers["location"] == f"/v1/captures/{job['id']}"
    assert job["state"] == "waiting" and job["instances"] == [] and job["object"] is None
    assert job["approval"]["state"] == "waiting" and job["approval"]["decided_by"] is None
    return job


def decide(f, job, word, user="olga", code=None, **body):
    reply = f.gateway.api("POST", f"/v1/admin/captures/{job['id']}/{word}", body, user)
    if code:
        assert reply.json["error"]["code"] == code, reply
    else:
        assert reply.status == 200, reply
    return reply


def begin(f, job, user="alice"):
    """A live stream, or what was answered instead."""
    live = f.gateway.http.stream("POST", f"/v1/captures/{job['id']}/start", {}, f.gateway.tokens[user])
    live.job = live.headers.get("pcap-job")
    return live


def refused(f, job, code, status=409, user="alice"):
    live = begin(f, job, user)
    assert (live.status, live.error["code"]) == (status, code), live.error


def waiting(f):
    reply = f.gateway.api("GET", "/v1/admin/approvals", user="olga")
    assert reply.status == 200, reply
    return reply.json["approvals"]


def trail(f, action, job=None):
    records = [json.loads(line) for line in (f.gateway.state_dir / "audit.jsonl").read_text().splitlines()]
    return [r for r in records if r["action"] == action and (job is None or r.get("job") == job["id"])]


def one_record(f, action, job, **members):
    record, = trail(f, action, job)
    assert all(record.get(k) == v for k, v in members.items()), record
    return record


def captured(f, live):
    f.gateway.wait_running(live.job)
    f.send(count=20).wait()
    live.wait_packets(20)
    ended = f.gateway.finish(live.job)
    live.wait_end()
    assert ended["state"] == "streamed" and ended["packets"]["captured"] == 20, ended
    return ended


def test_asked_approved_begun(protected):
    """The whole way of a live and of a stored one, over a restart; nobody else sees it or decides, and each step is on record."""
    port = free_port()
    f = protected(config={"metrics": {"port": port}})
    metrics = Http(("127.0.0.1", port))
    assert scrape(metrics).value("pcapline_gateway_captures", state="waiting") == 0
    live = f.gateway.live("bob", packet_filter=FILTER)  # his org is not protected
    assert live.status == 200
    f.gateway.finish(live.job, "bob")
    job, stored = ask(f, note="slow logins"), ask(f, mode="store")
    assert job["approval"]["because"] == "captures of org acme need an operator's approval"
    assert f.gateway.api("GET", f"/v1/captures/{job['id']}", user="bob").status == 404
    assert begin(f, job, "bob").status == 404
    assert f.gateway.api("GET", "/v1/admin/approvals", user="alice").status == 403
    decide(f, job, "approve", "alice", "perm")
    refused(f, job, "not_approved")
    listed = waiting(f)
    assert [w["job"] for w in listed] == [job["id"], stored["id"]]
    assert listed[0]["owner"]["user_id"] == "alice" and listed[0]["note"] == "slow logins" and listed[0]["because"] == job["approval"]["because"]
    listing = f.gateway.api("GET", "/v1/captures?state=waiting").json["captures"]
    assert [(j["id"], j["approval"]["state"]) for j in listing] == [(stored["id"], "waiting"), (job["id"], "waiting")]
    decide(f, job, "approve", reason="ticket 7")
    assert scrape(metrics).value("pcapline_gateway_captures", state="waiting") == 2, "until they begin"
    f.gateway.restart()
    assert [w["job"] for w in waiting(f)] == [stored["id"]]
    decide(f, job, "approve", code="not_waiting")
    decide(f, job, "deny", code="not_waiting", reason="too late")
    now = f.gateway.job(job["id"])
    assert now["state"] == "waiting" and (now["approval"]["state"], now["approval"]["decided_by"], now["approval"]["reason"]) == ("approved", "olga", "ticket 7")
    live = begin(f, job)
    assert live.status == 200 and live.job == job["id"]
    page = scrape(metrics)
    assert page.value("pcapline_gateway_captures", state="waiting") == 1 and page.total("pcapline_gateway_captures") == 2
    ended = captured(f, live)
    assert ended["approval"]["state"] == "approved" and ended["created_at"] == job["created_at"] and ended["note"] == "slow logins"
    assert [e["type"] for e in f.gateway.events(job["id"])][:3] == ["waiting", "approved", "created"]
    refused(f, job, "not_waiting")
    decide(f, stored, "approve")
    reply = f.gateway.api("POST", f"/v1/captures/{stored['id']}/start", {})
    assert reply.status == 202 and reply.json["id"] == stored["id"], reply
    f.gateway.wait_running(stored["id"])
    f.send(count=5).wait()
    wait_for(lambda: f.gateway.job(stored["id"])["packets"]["captured"] >= 5, "its packets")
    assert f.gateway.finish(stored["id"])["state"] == "ready"
    assert f.gateway.download(stored["id"])
    assert one_record(f, "approval.ask", job, outcome="ok", user_id="alice")["data"]["note"] == "slow logins"
    assert {r["outcome"] for r in trail(f, "approval.approve", job)} == {"ok", "refused"}
    assert [(r["user_id"], r["outcome"], r.get("code")) for r in trail(f, "capture.start", job)] == [
        ("alice", "refused", "not_approved"), ("alice", "ok", None), ("alice", "refused", "not_waiting")]
    bad = f.gateway.api("POST", f"/v1/captures/{stored['id']}/start", {"mode": "live"})
    assert bad.status == 400, bad
    assert f.gateway.api("GET", "/v1/admin/approvals?all=1", user="olga").status == 400


def test_denied_own_and_limits(protected):
    """No word for oneself, also for operators; a denial needs a reason and is told; so many wait and no more."""
    f = protected(config={"limits": {"waiting_per_user": 2}})
    own = ask(f, "oscar")
    decide(f, own, "approve", "oscar", "own_approval")
    decide(f, own, "deny", "oscar", "own_approval", reason="no")
    with_both = f.gateway.http.request("POST", f"/v1/admin/captures/{own['id']}/approve", {}, f.gateway.tokens["olga"],
                                       headers={"Pcap-Second-Token": f"Bearer {f.gateway.tokens['oscar']}"})
    assert with_both.status == 403 and with_both.json["error"]["code"] == "own_approval", with_both
    refused(f, own, "not_approved", user="oscar")
    job, second = ask(f), ask(f)
    third = f.gateway.api("POST", "/v1/captures", f.gateway.request())
    assert third.status == 429 and third.json["error"]["code"] == "too_many_waiting", third
    assert decide(f, job, "deny", code="input").status == 400
    denied = decide(f, job, "deny", reason="not now").json
    assert denied["state"] == "failed" and denied["error"] == {"code": "approval_denied", "message": "denied by olga: not now"}
    assert denied["approval"]["state"] == "denied" and denied["stop_by"] == "olga"
    refused(f, job, "not_waiting")
    decide(f, job, "approve", code="not_waiting")
    assert [(r["outcome"], r["user_id"], r.get("code")) for r in trail(f, "approval.deny", job)] == [("refused", "olga", "input"), ("ok", "olga", None)]
    assert trail(f, "approval.deny", job)[1]["why"] == "not now"
    # Their own users end them too: stop leaves a record that says so, delete one that is erased.
    stopped = f.gateway.stop_job(second["id"])
    assert stopped.status == 202 and stopped.json["error"]["code"] == "approval_cancelled" and stopped.json["stop_reason"] == "user_stop", stopped
    erased = ask(f)
    assert f.gateway.api("DELETE", f"/v1/captures/{erased['id']}").status == 204
    gone = f.gateway.job(erased["id"])
    assert gone["state"] == "purged" and gone["approval"]["state"] == "cancelled"
    refused(f, erased, "not_waiting")
    # As do operators, with what runs.
    job = ask(f)
    decide(f, job, "approve")
    killed = f.gateway.api("POST", "/v1/admin/kill", {"user": "alice", "reason": "enough"}, "olga").json["killed"]
    assert killed == [job["id"]]
    killed = f.gateway.job(job["id"])
    assert killed["state"] == "killed" and killed["error"]["message"] == "killed by olga: enough" and killed["approval"]["state"] == "cancelled"
    refused(f, job, "not_waiting")


def test_all_wait_until_it_is_too_late(fleet):
    """policy.approval all: everybody's but operators'; whoever asks nobody in time, or begins too late, has failed."""
    f = fleet(users=USERS, groups=groups, config={"policy": {"approval": "all", "approval_expiry": "1s"}, "storage": {"sweep_interval": "200ms"}})
    live = f.gateway.live("oscar", packet_filter=FILTER)
    assert live.status == 200
    f.gateway.finish(live.job, "oscar")
    undecided = ask(f)
    assert undecided["approval"]["because"] == "all captures need an operator's approval here"

    def approved_in_time():
        job = ask(f, "bob")
        return f.gateway.api("POST", f"/v1/admin/captures/{job['id']}/approve", {}, "olga").status == 200 and job
    approved = wait_for(approved_in_time, "a word within the second")
    for job, user, message in (undecided, "alice", "no operator has decided in time"), (approved, "bob", "it was approved, and not begun in time"):
        late = f.gateway.wait_state(job["id"], ENDS, user)
        assert late["state"] == "failed" and late["error"] == {"code": "approval_expired", "message": message} and late["approval"]["state"] == "expired"
        refused(f, job, "not_waiting", user=user)
        decide(f, job, "approve", code="not_waiting")
        wait_for(lambda job=job: trail(f, "approval.expire", job), "the record")
        one_record(f, "approval.expire", job, outcome="ok", user_id=user)
    assert waiting(f) == []


def test_begun_under_the_rules_of_then(protected):
    """Of two who begin it one does; and what holds by then holds: halted, switched off, a right that has gone, a stricter switch."""
    f = protected()
    job, other = ask(f), ask(f)
    decide(f, job, "approve")
    decide(f, other, "approve")
    assert f.gateway.api("POST", "/v1/admin/halt", {"reason": "stop"}, "olga").status == 200
    refused(f, job, "halted", 503)
    assert f.gateway.api("POST", "/v1/admin/resume", {}, "olga").status == 200
    put = f.gateway.api("PUT", "/v1/admin/switches/group/web", {"capture": "forbid", "reason": "closed"}, "olga")
    assert put.status == 200, put
    refused(f, job, "switched_off", 403)
    put = f.gateway.api("PUT", "/v1/admin/switches/group/web", {"snaplen": 64, "reason": "closed"}, "olga")
    assert put.status == 200, put
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        tries = list(pool.map(lambda _: begin(f, job), range(4)))
    live, = [t for t in tries if t.status == 200]
    assert [t.error["code"] for t in tries if t is not live] == ["not_waiting"] * 3
    ended = captured(f, live)
    assert ended["options"]["snaplen"] == 64 and ended["approval"]["state"] == "approved"
    assert sorted(ended["policy"]) == ["group web: at most 64 bytes of a packet (closed)", "org acme: approved by an operator (case 12)"]
    starts = [r.get("code", r["outcome"]) for r in trail(f, "capture.start", job)]
    assert sorted(starts) == sorted(["halted", "switched_off", "ok", *["not_waiting"] * 3]), starts
    # The word was for what lies in acme, not for what the same name means elsewhere.
    f.gateway.users = {**USERS, "alice": {"org": "other", "space": "dev"}}
    f.gateway.write_tokens()
    f.gateway.restart()
    refused(f, other, "approval_outdated")
    f.gateway.users = USERS
    f.gateway.write_tokens()
    # The user's right goes right after the word.
    f.gateway.write_inventory({"web": {"users": ["bob"], "orgs": [], "instances": [{"id": "0", "agent": f.agents[0].address}]}})
    f.gateway.restart()
    live = begin(f, other)
    assert live.status in (403, 404), live.error
    assert f.gateway.job(other["id"])["state"] == "waiting"


def last_waiting(f):
    return wait_for(lambda: waiting(f), "a capture that waits")[-1]["job"]


def test_command(protected, cli, folder):
    """pcap says what it waits for and begins by itself; operators see, approve and deny with it too."""
    f = protected()
    alice, olga, path = cli(f.gateway), cli(f.gateway, "olga"), folder / "cli.pcapng"
    assert "nothing waits" in olga.ok("admin", "approvals").err
    run = alice.start("host", "web", "-w", path, "-c", "20", "--note", "slow logins", "-f", FILTER)
    job = last_waiting(f)
    wait_for(lambda: "Ctrl-C cancels it" in run.err, "it to say so")
    assert f"job {job} waits for an operator's approval (captures of org acme need an operator's approval), until 20" in run.err
    listed = olga.ok("admin", "approvals").text
    assert job in listed and "alice" in listed and "web" in listed and "slow logins" in listed
    assert olga.ok("admin", "approvals", "--json").json["approvals"][0]["job"] == job
    assert "waiting for approval" in alice.ok("jobs").text and "approval    waiting, captures of org acme" in alice.ok("show", job).text
    assert alice.run("start", "01jh8zxk5f8m3q0v7w2n4r6t9a", "-w", "x").code == 4
    alice.run("admin", "approve", job, code=3)
    assert "approved; its user begins it" in olga.ok("admin", "approve", job, "--reason", "ticket 7").err
    olga.run("admin", "approve", job, code=8)
    f.gateway.wait_running(job)
    f.send(count=20).wait()
    result = run.wait()
    assert result.code == 0 and "approved by olga: ticket 7" in result.err and "20 packets captured" in result.err, result
    assert path.stat().st_size > 1000
    assert "approval    approved by olga: ticket 7" in alice.ok("show", job).text
    # Denied; cancelled; and one whose command has ended, taken up again.
    run = alice.start("host", "web", "-w", folder / "none.pcapng")
    olga.run("admin", "deny", last_waiting(f), code=2)
    olga.ok("admin", "deny", last_waiting(f), "--reason", "not now")
    result = run.wait()
    assert result.code == 3 and "not captured (failed): denied by olga: not now" in result.err and not (folder / "none.pcapng").exists(), result
    run = alice.start("host", "web", "--store", "--wait")
    job = last_waiting(f)
    wait_for(lambda: "Ctrl-C cancels it" in run.err, "it to wait")
    result = run.interrupt().wait()
    assert result.code == 1 and "nothing was captured" in result.err, result
    assert f.gateway.job(job)["error"]["code"] == "approval_cancelled"
    run = alice.start("host", "web", "--store", "-c", "5", "-f", FILTER)
    job = last_waiting(f)
    run.kill9()
    olga.ok("admin", "approve", job)
    assert "waiting, approved" in alice.ok("jobs").text
    again = alice.start("start", job, "--wait", "-w", folder / "stored.pcapng")
    f.gateway.wait_running(job)
    f.send(count=5).wait()
    result = again.wait()
    assert result.code == 0 and (folder / "stored.pcapng").stat().st_size > 300, result
    assert alice.run("start", job).code == 8
    assert " approvals approve deny" in alice.ok("completion", "bash").text


def test_begun_where_there_is_no_room(fleet):
    """What a start is refused for while it runs elsewhere, and a limit that has come since: it waits on, and begins when there is room.  An agent that is gone ends it."""
    f = fleet(users=USERS, groups=groups, config={"policy": {"approval": "all"}, "limits": {"captures_per_user": 1}})
    jobs = [ask(f, max_duration_s=3600) for _ in range(2)]
    for job in jobs:
        decide(f, job, "approve")
    live = begin(f, jobs[0])
    assert live.status == 200
    refused(f, jobs[1], "too_many_captures", 429)
    f.gateway.finish(live.job)
    live.wait_end()
    f.gateway.config["limits"]["duration"] = "30m"
    f.gateway.restart()
    refused(f, jobs[1], "over_limit", 413)
    del f.gateway.config["limits"]["duration"]
    f.gateway.restart()
    f.agents[0].stop()
    live = begin(f, jobs[1])
    assert live.status == 502, live.error
    assert f.gateway.job(jobs[1]["id"])["state"] == "failed"
    unknown = "01jh8zxk5f8m3q0v7w2n4r6t9a"
    for word in "approve", "deny":
        assert f.gateway.api("POST", f"/v1/admin/captures/{unknown}/{word}", {"reason": "no"}, "olga").status == 404
        assert f.gateway.api("POST", f"/v1/admin/captures/{unknown}/{word}", {"reason": "no"}).status == 403
    job = ask(f)
    assert decide(f, job, "approve", code="input", why="no").status == 400
    assert begin(f, job, "bob").status == 404
    assert f.gateway.api("POST", f"/v1/captures/{job['id']}/start", {}, "oscar").status == 403
