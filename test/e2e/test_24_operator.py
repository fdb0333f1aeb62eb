"""What operators may do, what it leaves, and who sees whose captures."""
import json
import time

import pytest

from rig import PORT, read_pcapng, wait_for

FILTER = f"udp port {PORT}"
USERS = {
    "alice": {"org": "acme", "space": "dev"}, "anna": {"org": "acme", "space": "dev"}, "carol": {"org": "acme", "space": "prod"},
    "bob": {"org": "other", "space": "dev"}, "solo": {}, "lone": {}, "olga": {"operator": True},
}
EVERYBODY = ["alice", "anna", "carol", "bob", "solo", "lone"]


@pytest.fixture
def platform(fleet):
    """platform(n, **kwargs): a fleet that all users may capture from."""
    def make(n=1, **kwargs):
        return fleet(n, users=USERS, groups=lambda made: {
            "web": {"users": EVERYBODY, "orgs": [], "instances": [{"id": str(i), "agent": a.address} for i, a in enumerate(made)]}}, **kwargs)
    return make


def admin(f, call, body, user="olga"):
    return f.gateway.api("POST", f"/v1/admin/{call}", body, user)


def stored(f, user, **kwargs):
    kwargs.setdefault("packet_filter", FILTER)
    job = f.gateway.store(user=user, **kwargs)
    f.send(int(kwargs.get("instances", ["web/0"])[0].split("/")[1]), count=5).wait()
    wait_for(lambda: f.gateway.job(job, user)["packets"]["captured"] >= 5, "its packets")
    assert f.gateway.finish(job, user)["state"] == "ready"
    return job


def running(f, user, **kwargs):
    """A running stored capture with some packets: its id."""
    return f.gateway.store(user=user, packet_filter=FILTER, **kwargs)


def state(f, job):
    return f.gateway.api("GET", f"/v1/captures/{job}", user="olga").json


def nothing_left(f, job):
    return not [p for sub in ("objects", "spool") for p in (f.gateway.state_dir / sub).rglob("*") if job in p.name]


# ---- the list ----

def test_all_jobs_of_all_users(platform):
    f = platform(2)
    jobs = {user: stored(f, user, instances=["web/1" if user == "bob" else "web/0"]) for user in ("alice", "bob", "solo")}

    def listed(query=""):
        reply = f.gateway.api("GET", f"/v1/admin/captures?{query}", user="olga")
        assert reply.status == 200, reply
        return [c["id"] for c in reply.json["captures"]]

    assert listed() == [jobs["solo"], jobs["bob"], jobs["alice"]], "newest first"
    assert listed("user=bob") == [jobs["bob"]] and listed("org=acme") == [jobs["alice"]] and listed("space=dev") == [jobs["bob"], jobs["alice"]]
    assert listed(f"agent={f.agents[1].address}") == [jobs["bob"]] and listed("user=nobody") == []
    assert listed("state=running") == [] and len(listed("state=ready&limit=2")) == 2
    page = f.gateway.api("GET", "/v1/admin/captures?limit=2", user="olga").json
    assert listed(f"limit=2&cursor={page['next_cursor']}") == [jobs["alice"]]
    one = f.gateway.api("GET", "/v1/admin/captures?user=bob", user="olga").json["captures"][0]
    assert one["owner"] == {"user_id": "bob", "user_name": "bob"} and one["org"] == "other"
    assert f.gateway.api("GET", "/v1/captures", user="olga").json["captures"] == [], "an operator's own list is his own"


# ---- kill ----

def test_kill_is_immediate_and_keeps_nothing(platform):
    f = platform(1, config={"storage": {"chunk": "64KiB"}})
    sender = f.send(pps=2000, size=1000)
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    job = running(f, "bob")
    live.wait_packets(100)
    wait_for(lambda: f.gateway.job(job, "bob")["packets"]["captured"] > 300, "some chunks")
    reply = admin(f, "kill", {"all": True})
    assert reply.status == 200 and sorted(reply.json["killed"]) == sorted([live.job, job])
    live.wait_end(timeout_s=15)
    for j in (live.job, job):
        wait_for(lambda j=j: state(f, j)["state"] == "killed", "the record to say so", timeout_s=15)
        assert state(f, j)["stop_reason"] == "killed" and state(f, j)["object"] is None
        last = f.gateway.events(j, user="olga")[-1]
        assert last["type"] == "killed" and last["data"]["reason"] == "killed"
    assert nothing_left(f, job)
    wait_for(lambda: f.agents[0].captures() == 0, "the agent to be free", timeout_s=15)
    sender.stop()
    assert admin(f, "kill", {"all": True}).json["killed"] == []
    assert f.gateway.api("POST", f"/v1/captures/{job}/link", user="bob").status == 409
    assert f.gateway.logged("admin.kill")[0]["data"]["by"] == "olga"


def test_a_killed_viewer_can_read_what_came(platform):
    """The stream's end says who ended it."""
    f = platform(1)
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    f.send(count=20).wait()
    live.wait_packets(20)
    admin(f, "kill", {"job": live.job})
    live.wait_end()
    capture = read_pcapng(live.data)
    assert len(capture.packets) == 20 and "capture ended (killed)" in capture.interfaces[0].last_stats.comments[0]
    assert "olga" in capture.interfaces[0].last_stats.comments[0]


@pytest.mark.parametrize("selector,victims", [
    ({"user": "alice"}, {"alice"}), ({"org": "acme"}, {"alice", "carol"}), ({"space": "dev"}, {"alice", "bob"}), ({"org": "acme", "space": "prod"}, {"carol"}),
    ({"agent": 1}, {"bob"}), ({"job": "carol"}, {"carol"}), ({"user": "nobody"}, set()), ({"user": "alice", "org": "other"}, set()),
    ({"app": "x"}, set()), ({"deployment": "x"}, set()), ({"older_than_s": 3600}, set()),
])
def test_kill_meets_whom_it_names(platform, selector, victims):
    f = platform(2)
    jobs = {user: running(f, user, instances=["web/1" if user == "bob" else "web/0"]) for user in ("alice", "carol", "bob", "solo")}
    selector = dict(selector)
    if "agent" in selector:
        selector["agent"] = f.agents[1].address
    if "job" in selector:
        selector["job"] = jobs[selector["job"]]
    reply = admin(f, "kill", selector)
    assert reply.status == 200 and set(reply.json["killed"]) == {jobs[v] for v in victims}
    for user, job in jobs.items():
        if user in victims:
            wait_for(lambda job=job: state(f, job)["state"] == "killed", "it to be killed")
        else:
            assert state(f, job)["state"] == "running", user
    assert sorted(admin(f, "kill", {"all": True}).json["killed"]) == sorted(jobs[u] for u in jobs if u not in victims)
    wait_for(lambda: all(a.captures() == 0 for a in f.agents), "the agents to be free", timeout_s=15)


# ---- purge ----

def test_purge_erases_and_tells(platform):
    f = platform(1)
    jobs = {user: stored(f, user) for user in ("alice", "carol", "bob")}
    url = f.gateway.link(jobs["alice"])["url"]
    sizes = {u: state(f, j)["object"]["size_bytes"] for u, j in jobs.items()}
    reply = admin(f, "purge", {"org": "acme"})
    assert reply.status == 200 and reply.json["failed"] == []
    assert {p["job"]: p["size_bytes"] for p in reply.json["purged"]} == {jobs[u]: sizes[u] for u in ("alice", "carol")}
    assert reply.json["size_bytes"] == sizes["alice"] + sizes["carol"]
    assert reply.json["objects"] == 2 and reply.json["uploads"] == 0
    for user in ("alice", "carol"):
        assert nothing_left(f, jobs[user]) and state(f, jobs[user])["state"] == "purged"
        told = f.gateway.events(jobs[user], user=user)[-1]["data"]
        assert told == {"by": "olga", "objects": 1, "uploads": 0, "bytes": sizes[user]}
    assert f.gateway.fetch(url).status == 410
    assert len(read_pcapng(f.gateway.download(jobs["bob"], "bob")).packets) == 5
    again = admin(f, "purge", {"org": "acme"}).json
    assert again == {"dry_run": False, "purged": [], "held": [], "failed": [], "size_bytes": 0, "objects": 0, "uploads": 0, "records": 0, "next_cursor": None}
    assert f.gateway.logged("admin.purge")[0]["data"]["by"] == "olga"


def test_purge_of_everything_ends_what_runs(platform):
    f = platform(1)
    ready = stored(f, "alice")
    job = running(f, "bob")
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    f.send(count=20).wait()
    live.wait_packets(20)
    reply = admin(f, "purge", {"all": True})
    assert reply.status == 200 and reply.json["failed"] == []
    assert {p["job"] for p in reply.json["purged"]} == {ready, job, live.job}
    live.wait_end()
    assert not [p for p in (f.gateway.state_dir / "objects").rglob("*.pcap*")] and not list((f.gateway.state_dir / "spool").iterdir())
    assert {state(f, j)["state"] for j in (ready, job, live.job)} == {"purged"}
    wait_for(lambda: f.agents[0].captures() == 0, "the agent to be free", timeout_s=15)


@pytest.mark.slow
def test_purge_by_age(platform):
    """Both sides of the age."""
    f = platform(1)
    old = stored(f, "alice")
    made = time.monotonic()
    wait_for(lambda: time.monotonic() - made > 2.5, "the first to grow old")
    began = time.monotonic()
    young = stored(f, "alice")
    age = int(time.monotonic() - made) - 1
    assert admin(f, "purge", {"older_than_s": 3600}).json["purged"] == []
    purged = {p["job"] for p in admin(f, "purge", {"older_than_s": max(age, 2)}).json["purged"]}
    assert purged == {old} or purged == {old, young} and time.monotonic() - began >= max(age, 2), "the young one as well"
    assert {j: state(f, j)["state"] for j in (old, young)} == {j: "purged" if j in purged else "ready" for j in (old, young)}


@pytest.mark.parametrize("call", ["kill", "purge"])
def test_selectors_that_mean_nothing(platform, call):
    """Nothing named is not everything."""
    f = platform(1)
    job = running(f, "alice")
    for body, field in (({}, None), ({"all": False}, None), ({"all": True, "user": "alice"}, None), ({"all": 1}, "all"), ({"all": "true"}, "all"),
                        ({"user": ""}, "user"), ({"user": 5}, "user"), ({"user": "x" * 257}, "user"), ({"jobs": [job]}, "jobs"), ({"job": [job]}, "job"),
                        ({"older_than_s": 0}, "older_than_s"), ({"older_than_s": -1}, "older_than_s"), ({"older_than_s": 10 ** 18}, "older_than_s"),
                        ({"older_than_s": "1d"}, "older_than_s"), ([], None)):
        reply = admin(f, call, body)
        assert reply.status == 400 and reply.error.get("field") == field, (body, reply)
    raw = f.gateway.http.request("POST", f"/v1/admin/{call}", b"", f.gateway.tokens["olga"])
    assert raw.status == 400, "an empty body is not everything"
    for user in ("alice", "bob"):
        assert admin(f, call, {"all": True}, user).status == 403
    assert state(f, job)["state"] == "running"
    f.gateway.finish(job)


# ---- who sees whose ----

@pytest.mark.parametrize("share,seen_by", [("none", set()), ("space", {"anna"}), ("org", {"anna", "carol"})])
def test_sharing(platform, share, seen_by):
    """Of alice's captures the others see what the policy says: the record and the packets, but they end nothing."""
    f = platform(1, config={"policy": {"share": share}})
    job, orgless = stored(f, "alice"), stored(f, "solo")
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    assert f.gateway.api("GET", "/v1/info", user=None).json["share"] == share
    for user in EVERYBODY[1:]:
        listed = {c["id"] for c in f.gateway.api("GET", "/v1/captures", user=user).json["captures"]}
        sees = user in seen_by
        assert (job in listed) == (live.job in listed) == sees, (share, user)
        calls = {f"{m} {p}": f.gateway.api(m, f"/v1/captures/{job}{p}", user=user).status
                 for m, p in (("GET", ""), ("GET", "/events"), ("POST", "/link"), ("GET", "/download"), ("POST", "/stop"), ("DELETE", ""))}
        if sees:
            assert calls == {"GET ": 200, "GET /events": 200, "POST /link": 200, "GET /download": 303, "POST /stop": 403, "DELETE ": 403}, user
            with_them = f.gateway.http.stream("GET", f"/v1/captures/{live.job}/live", token=f.gateway.tokens[user])
            assert with_them.status == 200
            with_them.abort()
        else:
            assert set(calls.values()) == {404}, (user, calls)
            assert f.gateway.api("GET", f"/v1/captures/{live.job}/live", user=user).status == 404
        assert f.gateway.stop_job(live.job, user).status == (403 if sees else 404)
        # No org is not an org that those without one have in common.
        assert f.gateway.api("GET", f"/v1/captures/{orgless}", user=user).status == (200 if user == "solo" else 404), user
        assert (orgless in listed) == (user == "solo")
    assert f.gateway.job(job)["state"] == "ready" and f.gateway.job(live.job)["state"] == "running"
    f.gateway.finish(live.job)
    live.wait_end()


def test_the_trail_in_the_log(platform):
    """Who, what, how much and how it ended - and neither token nor packet (the rig looks for tokens in all logs)."""
    f = platform(1)
    s = f.source.socket()
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    s.sendto(b"a-secret-in-a-packet", (f.nodes[0].ip, PORT))
    s.close()
    live.wait_packets(1)
    f.gateway.finish(live.job)
    live.wait_end()
    wait_for(lambda: f.gateway.logged("capture.ended"), "the line of the end")
    begin, end = f.gateway.logged("capture.start")[0]["data"], f.gateway.logged("capture.ended")[0]["data"]
    assert begin["user"] == "alice" and begin["org"] == "acme" and begin["job"] == live.job
    assert end["job"] == live.job and end["packets"] == 1 and end["bytes"] > 0 and end["reason"] == "user_stop"
    assert f.gateway.logged("capture.start")[0]["request_id"]
    for daemon in (f.gateway, f.agents[0]):
        assert "a-secret-in-a-packet" not in daemon.log() and "a-secret" not in json.dumps(daemon.log_lines())


def test_agents_devices_and_records(fleet):
    """By the API itself, as the command asks it elsewhere."""
    f = fleet(1)
    job = f.gateway.store(packet_filter=FILTER)
    agent, = f.gateway.api("GET", "/v1/admin/agents", user="olga").json["agents"]
    assert agent["agent"] == f.agents[0].address and agent["captures"] == 1 and agent["error"] is None, agent
    devices = f.gateway.api("POST", "/v1/devices", {"target": {"type": "host", "instances": ["web/0"]}}).json["instances"][0]["devices"]
    assert {"eth0", "lo"} <= {d["name"] for d in devices} and any(f.nodes[0].ip in d["addresses"] for d in devices), devices
    f.gateway.finish(job)
    done = f.gateway.api("POST", "/v1/admin/purge", {"job": job, "records": True}, "olga").json
    assert [(p["job"], p["record"]) for p in done["purged"]] == [(job, True)] and f.gateway.api("GET", f"/v1/captures/{job}").status == 404
