"""The audit trail: everything that matters is in it once, nobody changes it unseen, and what cannot be recorded does not happen."""
import concurrent.futures
import hashlib
import hmac
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

import pytest

from rig import PORT, wait_for

FILTER = f"udp port {PORT}"
FIRST = "0" * 64


# ---- a second verifier, by the description alone ----

def verify(key, lines):
    """None, or number and kind of what is wrong first."""
    prev, last = FIRST, 0
    for line in lines:
        body, mark, tail = line.rpartition(',"hash":"')
        record = json.loads(line)
        sealed = hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
        if not mark or tail != f'{sealed}"}}':
            return record["seq"], "altered"
        if record["seq"] != last + 1 or record["prev"] != prev:
            return record["seq"], "order"
        prev, last = record["hash"], record["seq"]
    return None


class Trail:
    """A gateway's file, read by itself."""

    def __init__(self, gateway):
        self.path = gateway.state_dir / "audit.jsonl"
        self.key_path = gateway.state_dir / "audit.key"
        self.gateway = gateway

    @property
    def lines(self):
        return self.path.read_text().splitlines()

    @property
    def records(self):
        return [json.loads(line) for line in self.lines]

    @property
    def key(self):
        return bytes.fromhex(self.key_path.read_text().strip())

    def find(self, action, **members):
        return [r for r in self.records if r["action"] == action and all(r.get(k) == v for k, v in members.items())]

    def one(self, action, **members):
        found = self.find(action, **members)
        assert len(found) == 1, (action, members, found)
        return found[0]


class Receiver:
    """A webhook's other end: answers `failures` times with 500, then with 204; and hears everything."""

    def __init__(self, failures=0):
        self.heard, self.tries, self.failures = [], 0, failures
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.tries += 1
                bad = outer.tries <= outer.failures
                if not bad:
                    outer.heard.append((self.path, dict(self.headers), body))
                self.send_response(500 if bad else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    def records(self, secret):
        """What was heard; each signature is checked."""
        out = []
        for path, headers, body in self.heard:
            assert path == "/hook" and headers["Content-Type"] == "application/json", headers
            t, v1 = headers["Pcap-Signature"].split(",")
            assert t.startswith("t=") and v1 == "v1=" + hmac.new(secret, t[2:].encode() + b"." + body, hashlib.sha256).hexdigest()
            out.append(json.loads(body))
        return out

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = []

    def make(**kwargs):
        made.append(Receiver(**kwargs))
        return made[-1]

    yield make
    for r in made:
        r.close()


@pytest.fixture
def short_folder():
    """A socket's path has at most 107 bytes."""
    path = tempfile.mkdtemp()
    yield path
    shutil.rmtree(path)


def check_api(f, user="olga"):
    reply = f.gateway.api("POST", "/v1/admin/audit/verify", user=user)
    assert reply.status == 200, reply
    return reply.json


def stored(f):
    job = f.gateway.store(packet_filter=FILTER, note="who eats my packets")
    f.send(count=5).wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] >= 5, "its packets")
    assert f.gateway.finish(job)["state"] == "ready"
    return job


def listed(g, query=""):
    reply = g.api("GET", f"/v1/admin/audit?limit=1000&{query}", user="olga")
    assert reply.status == 200, reply
    return reply.json["records"]


# ---- what is in it ----

def test_everything_is_recorded_once(fleet, receiver, short_folder, folder, cli):
    hook, secret = receiver(failures=2), b"a secret of twenty-one"
    (folder / "secret").write_bytes(secret + b"\n")
    (folder / "secret").chmod(0o600)
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind(f"{short_folder}/log")
    heard = []
    listener = threading.Thread(target=lambda: heard.extend(iter(lambda: log.recv(300000).decode(), "")), daemon=True)
    listener.start()
    f = fleet(1, config={"audit": {"syslog": "local", "syslog_socket": f"{short_folder}/log", "syslog_format": "cef",
                                   "syslog_facility": "local3", "refused_per_minute": 4},
                         "webhook": {"url": hook.url, "secret_file": str(folder / "secret"), "allow_http": True}})
    g, trail = f.gateway, Trail(f.gateway)

    job = stored(f)
    start = trail.one("capture.start", job=job)
    assert (start["outcome"], start["user_id"], start["peer"]) == ("ok", "alice", "127.0.0.1") and start["request_id"]
    assert start["data"]["options"]["filter"] == FILTER and start["data"]["note"] == "who eats my packets"
    assert start["data"]["instances"] == ["web/0"] and start["data"]["target"] == {"type": "host", "instances": ["web"]}
    assert start["scopes"] == [{"group": "web", "org": "acme", "space": "dev"}], start
    assert trail.one("capture.stop", job=job)["user_id"] == "alice"
    wait_for(lambda: trail.find("capture.end", job=job), "the end to be recorded")
    end, shown = trail.one("capture.end", job=job), g.job(job)
    assert (end["packets"], end["bytes"], end["user_id"]) == (shown["packets"]["captured"], shown["bytes"], "alice")
    assert (end["data"]["reason"], end["data"]["state"], end["outcome"]) == ("user_stop", "ready", "ok")

    # refusals, each with its reason
    assert g.api("POST", "/v1/captures", {"target": 7}).status == 400
    assert g.api("POST", "/v1/captures", g.request(snaplen=1), headers={"X-Forwarded-For": "203.0.113.9\u00e4"}).status == 400
    assert g.api("POST", "/v1/captures", g.request(group="none")).status == 404
    refused = trail.find("capture.start", outcome="refused")
    assert len(refused) == 3 and refused[0]["code"] == "input" and "snaplen" in refused[1]["why"], refused
    assert refused[1]["forwarded_for_unproved"].startswith("203.0.113.9")
    assert refused[2]["code"] == "not_found" and refused[2]["data"]["target"] == '{"type":"host","instances":["none"]}'
    bad = g.api("POST", "/v1/captures", g.request(mode="store", packet_filter="no such filter"))
    assert bad.status == 400
    failed = wait_for(lambda: trail.find("capture.end", outcome="failed"), "the capture that no agent would take")[0]
    assert failed["code"] == "bad_filter" and failed["job"] == bad.headers["pcap-job"]

    # links
    strangers_since = time.monotonic()
    link = g.link(job, ttl_s=600)
    once = g.link(job, once=True)
    assert g.fetch(link["url"]).status == 200
    assert g.fetch(link["url"], {"Range": "bytes=1-9"}).status == 206
    assert g.fetch(once["url"]).status == 200 and g.fetch(once["url"]).status == 410
    assert g.api("GET", f"/v1/captures/{job}/download").status == 303
    assert [r["data"]["once"] for r in trail.find("link.create", job=job, outcome="ok")] == [False, True]
    uses = trail.find("link.use", job=job, outcome="ok")
    assert [u["data"]["once"] for u in uses] == [False, True] and "user_id" not in uses[0] and uses[0]["peer"] == "127.0.0.1"
    assert uses[0]["data"]["size_bytes"] == g.job(job)["object"]["size_bytes"]
    assert trail.one("link.use", job=job, outcome="refused") and trail.one("download", job=job, outcome="ok")
    assert g.link(job)["url"].rsplit(".", 1)[1] not in trail.path.read_text(), "a link is a key"

    # a live one, attached to, killed
    live = g.live(packet_filter=FILTER)
    g.wait_running(live.job)
    assert g.http.stream("GET", f"/v1/captures/{live.job}/live", None, g.tokens["alice"], read=False).status == 200
    assert trail.one("capture.attach", job=live.job)["user_id"] == "alice"
    assert g.api("POST", "/v1/admin/kill", {"job": live.job}, "olga").json["killed"] == [live.job]
    kill = trail.one("admin.kill")
    assert kill["user_id"] == "olga" and live.job in json.dumps(kill["data"]), "what was meant"
    wait_for(lambda: trail.find("capture.end", job=live.job), "its end")
    assert trail.one("capture.end", job=live.job)["data"]["stop_by"] == "olga"

    # what operators look at, what is erased
    assert g.api("GET", f"/v1/captures/{job}", user="olga").status == 200
    assert trail.one("admin.read")["job"] == job
    size = g.job(job)["object"]["size_bytes"]
    assert g.api("POST", "/v1/admin/purge", {"job": job}, "olga").status == 200
    assert trail.one("admin.purge")["data"] == {"job": job} and trail.one("admin.purge")["outcome"] == "begun"
    begun, erased, purged = trail.one("capture.delete"), trail.one("capture.erased"), trail.one("admin.purged")
    assert (begun["job"], begun["outcome"], begun["data"]) == (job, "begun", {"purge": True, "record": False})
    assert (erased["job"], erased["outcome"], erased["user_id"]) == (job, "ok", "olga")
    assert erased["data"] == {"purge": True, "record": False, "verified": True, "erased_bytes": size, "objects": 1, "uploads": 0}
    assert purged["outcome"] == "ok" and purged["request_id"] == erased["request_id"] == begun["request_id"]
    assert purged["data"] == {"selector": {"job": job}, "purged": 1, "held": 0, "failed": 0, "verified": 1, "erased_bytes": size, "objects": 1, "uploads": 0,
                              "records": 0, "held_jobs": [], "failed_jobs": [], "more": False}
    other = stored(f)
    assert g.api("DELETE", f"/v1/captures/{other}").status == 204 and trail.one("capture.delete", job=other)["outcome"] == "begun"
    erased = trail.one("capture.erased", job=other)
    assert (erased["outcome"], erased["user_id"], erased["data"]["verified"], erased["data"]["purge"]) == ("ok", "alice", True, False)

    # strangers: so many a minute, the rest together
    for _ in range(30):
        assert g.api("GET", "/v1/captures", token="nobody's token").status == 401
    assert g.api("GET", "/v1/admin/audit").status == 403
    assert len(trail.find("token.refused") + trail.find("link.use", outcome="refused")) == 4 or time.monotonic() - strangers_since > 60
    assert trail.one("request.refused")["user_id"] == "alice", "people who are known have their own"
    assert trail.find("token.refused")[0]["data"]["path"] == "/v1/captures"

    # configuration; the rest of the minute is told of at its end
    g.write_tokens(extra=[{"sha256": "0" * 64, "user_id": "nobody"}])
    g.send(signal.SIGHUP)
    reload = wait_for(lambda: trail.find("config.reload"), "the reload")[0]
    assert reload["data"]["files"]["tokens"]["changed"] is True and reload["data"]["files"]["inventory"]["changed"] is False
    assert reload["data"]["files"]["tokens"]["sha256"] == hashlib.sha256(g.tokens_path.read_bytes()).hexdigest()
    assert trail.records[0]["action"] == "gateway.start" and trail.records[0]["prev"] == FIRST

    # looking through, by API and command
    assert [r["action"] for r in listed(g, f"job={live.job}&user=alice")] == ["capture.end", "capture.attach", "capture.start"]
    assert {r["user_id"] for r in listed(g, "user=olga")} == {"olga"} and listed(g, "user=mallory") == []
    assert {r["outcome"] for r in listed(g, "outcome=refused")} == {"refused"} and not listed(g, "org=web") and not listed(g, "since=0s")
    page = g.api("GET", "/v1/admin/audit?limit=2", user="olga").json
    rest = g.api("GET", f"/v1/admin/audit?limit=2&cursor={page['next_cursor']}", user="olga").json
    assert [r["seq"] for r in page["records"]][-1] == rest["records"][0]["seq"] + 1
    for query in ("outcome=good", "since=soon", "limit=0", "cursor=x", "colour=red"):
        reply = g.api("GET", f"/v1/admin/audit?{query}", user="olga")
        assert reply.status == 400 and reply.json["error"]["field"] == query.split("=")[0], reply
    olga = cli(g, "olga")
    table = olga.run("admin", "audit", "--action", "admin.kill")
    assert table.code == 0 and "olga" in table.text and "admin.kill" in table.text and len(table.text.splitlines()) == 2, table
    pages = olga.run("admin", "audit", "--limit", "5", "--all-pages", "--json")
    numbers = [r["seq"] for r in pages.json["records"]]
    assert numbers[-1] == 1 and len(set(numbers)) == len(numbers) and sorted(numbers, reverse=True) == numbers
    cef = olga.run("admin", "audit", "--cef", "--action", "capture.start", "--outcome", "ok").text.splitlines()
    assert all(line.startswith("CEF:0|Pcapline|pcap-gateway|") and "|capture.start|" in line for line in cef) and len(cef) == 4
    assert cli(g, "alice").run("admin", "audit").code == 3

    # to the webhook came what it was to hear, in order, after two failures
    def wanted():
        return [r for r in trail.records if r["action"] in ("capture.start", "capture.end", "admin.kill", "admin.purge", "admin.purged")]
    wait_for(lambda: len(hook.heard) == len(wanted()), "the webhook to have heard all")
    # to syslog came all of it, as CEF
    g.stop()
    told = trail.find("token.refused")
    more = [r["data"]["more"] for r in told if "more" in r["data"]]
    assert trail.records[-1]["action"] == "gateway.stop" and "more" in trail.records[-2]["data"]
    assert len(told) - len(more) + len(trail.find("link.use", outcome="refused")) + sum(more) == 31, "each is there or counted"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.sendto(b"", f"{short_folder}/log")
    listener.join()
    log.close()
    assert len(heard) == len(trail.lines)
    assert all(f"cs1={r['hash']} " in h and f"cn1={r['seq']} " in h for h, r in zip(heard, trail.records))
    assert heard[0].startswith(f"<{(16 + 3) * 8 + 6}>") and "]: CEF:0|Pcapline|" in heard[0]
    assert hook.records(secret) == wanted() and hook.tries == len(wanted()) + 2
    # and the chain holds
    assert verify(trail.key, trail.lines) is None
    files = olga.run("admin", "audit", "verify", trail.path, "--key", trail.key_path, "--head", trail.records[-1]["hash"])
    assert files.code == 0 and f"{len(trail.lines)} records" in files.err, files
    text = trail.path.read_text()
    for token in g.tokens.values():
        assert token not in text


# ---- that nobody changes it ----

WAYS = {
    "altered": (lambda ls: ls[:3] + [ls[3].replace('"outcome":"', '"outcome":"n')] + ls[4:], 4),
    "missing": (lambda ls: ls[:3] + ls[4:], 4),
    "reordered": (lambda ls: ls[:3] + [ls[4], ls[3]] + ls[5:], 4),
    "foreign": (lambda ls: ls[:3] + [ls[3].replace('"outcome":"', '"outcome":"n')] + ls[3:], 4),
    "cut": (lambda ls: ls[:-2], None),
}


def test_broken_in_five_ways(fleet, cli):
    f = fleet(1)
    g, trail, olga = f.gateway, Trail(f.gateway), cli(f.gateway, "olga")
    for _ in range(6):
        assert g.api("POST", "/v1/captures", g.request(group="none")).status == 404
    good, head = trail.lines, trail.records[-1]["hash"]
    copy = trail.path.with_name("copy")
    found = check_api(f)
    assert found["ok"] and found["database"]["head"] == found["file"]["head"] == head and found["file"]["first"] == 1
    assert olga.run("admin", "audit", "verify").code == 0

    for what, (breaking, seq) in WAYS.items():
        bad = breaking(trail.lines)
        assert bad != trail.lines
        if seq:
            assert verify(trail.key, bad)
        copy.write_text("\n".join(bad) + "\n")
        result = olga.run("admin", "audit", "verify", copy, "--key", trail.key_path, "--head", trail.records[-1]["hash"], "--json")
        assert result.code == 1 and result.json["fault"]["what"] == what and seq in (None, result.json["fault"]["seq"]), (what, result)
        # the gateway's own file, while it goes on
        good = trail.path.read_bytes()
        trail.path.write_bytes(copy.read_bytes())
        found = check_api(f)
        assert not found["ok"] and found["database"]["ok"] and found["file"]["fault"]["what"] == what, (what, found)
        # Of what was appended to the broken file all is good: the record of this look.
        newest = [r for r in listed(g) if r["seq"] > len(good.splitlines())]
        trail.path.write_bytes(good)
        with open(trail.path, "ab") as out:
            for record in sorted(newest, key=lambda r: r["seq"]):
                tail = record.pop("hash")
                out.write((json.dumps(record, sort_keys=True, separators=(",", ":"))[:-1] + f',"hash":"{tail}"}}\n').encode())
        with open(trail.path, "ab") as out:  # and of the reading itself
            with sqlite3.connect(g.state_dir / "jobs.db") as db:
                rows = db.execute("SELECT record FROM audit WHERE seq > ? ORDER BY seq", (len(trail.lines),)).fetchall()
            out.write("".join(row[0] + "\n" for row in rows).encode())
        assert check_api(f)["ok"], what
    wrong = trail.path.with_name("other.key")
    wrong.write_text("0" * 64)
    wrong.chmod(0o600)
    result = olga.run("admin", "audit", "verify", trail.path, "--key", wrong, "--json")
    assert result.code == 1 and result.json["fault"]["what"] == "altered" and result.json["fault"]["line"] == 1
    assert olga.run("admin", "audit", "verify", trail.path).code == 2
    assert "copied" not in olga.run("admin", "audit", "verify", trail.path, "--key", trail.path).text

    # the database's copy
    def in_database(sql, *args):
        with sqlite3.connect(g.state_dir / "jobs.db", timeout=20) as db:
            db.execute(sql, args)
    record = trail.lines[3]
    in_database("UPDATE audit SET record = replace(record, 'not_found', 'not_fount') WHERE seq = 4")
    assert check_api(f)["database"]["fault"]["what"] == "altered"
    in_database("UPDATE audit SET record = ? WHERE seq = 4", record)
    in_database("UPDATE audit SET user_id = 'mallory' WHERE seq = 4")
    assert check_api(f)["database"]["fault"]["what"] == "altered", "a column that says something else than the record"
    in_database("DELETE FROM audit WHERE seq = 4")
    fault = check_api(f)
    assert fault["database"]["fault"]["what"] == "missing" and fault["database"]["fault"]["seq"] == 4 and fault["file"]["ok"]
    said = olga.run("admin", "audit", "verify")
    assert said.code == 1 and "database: missing:" in said.err and "file: " in said.err


def test_what_is_not_ones_own(fleet):
    f = fleet(1, users={"alice": {"org": "acme"}, "anna": {"org": "acme"}, "bob": {"org": "other"}, "olga": {"operator": True}},
              config={"policy": {"share": "org"}})
    g, trail = f.gateway, Trail(f.gateway)
    job = stored(f)
    assert g.api("GET", f"/v1/captures/{job}", user="bob").status == 404
    assert g.api("DELETE", f"/v1/captures/{job}", user="anna").status == 403
    assert g.api("POST", f"/v1/captures/{job}/link", {}, "olga").status == 403
    refused = trail.find("request.refused", job=job)
    assert [(r["user_id"], r["code"], r["data"]["method"]) for r in refused] == [
        ("bob", "not_found", "GET"), ("anna", "not_yours", "DELETE"), ("olga", "not_yours", "POST")]


def test_a_deed_that_fails_is_not_called_done(fleet):
    """What was begun and did not come off says so: a file that cannot be erased, a switch that cannot be kept."""
    f = fleet(1)
    g, trail = f.gateway, Trail(f.gateway)
    g.allowed_errors += ["http.internal_error", "admin", "retention"]
    stuck, good, held = stored(f), stored(f), stored(f)
    assert g.api("POST", "/v1/admin/hold", {"job": held, "reason": "case 4711"}, "olga").status == 200
    path = next(p for p in (g.state_dir / "objects").rglob("*") if p.is_file() and stuck in p.name)
    subprocess.run(["mount", "--bind", "/dev/null", str(path)], check=True)
    try:
        reply = g.api("DELETE", f"/v1/captures/{stuck}")
        assert reply.status >= 500, reply
        erased = trail.one("capture.erased", job=stuck)
        assert (erased["outcome"], erased["user_id"], erased["data"]["verified"]) == ("failed", "alice", False) and erased["code"] and erased["why"]
        assert trail.one("capture.delete", job=stuck)["outcome"] == "begun"
        answer = g.api("POST", "/v1/admin/purge", {"user": "alice", "reason": "article 17"}, "olga").json
        assert [p["job"] for p in answer["purged"]] == [good] and [p["job"] for p in answer["failed"]] == [stuck]
        purged = trail.one("admin.purged")
        assert (purged["outcome"], purged["code"], purged["user_id"]) == ("failed", "not_all_erased", "olga")
        told = purged["data"]
        assert (told["purged"], told["held"], told["failed"], told["held_jobs"], told["failed_jobs"]) == (1, 1, 1, [held], [stuck])
        assert [r["outcome"] for r in trail.find("capture.erased", user_id="olga")] == [{good: "ok", stuck: "failed"}[r["job"]] for r in trail.find("capture.erased", user_id="olga")]
        assert trail.one("capture.erased", job=good)["outcome"] == "ok" and not trail.find("capture.delete", job=held)
    finally:
        subprocess.run(["umount", str(path)], check=True)

    with sqlite3.connect(g.state_dir / "jobs.db", timeout=20) as db:
        db.execute("CREATE TRIGGER kept BEFORE UPDATE OF hold ON jobs BEGIN SELECT RAISE(FAIL, 'it stays'); END")
    assert g.api("POST", "/v1/admin/unhold", {"job": held}, "olga").json["failed"][0]["job"] == held
    assert [r["outcome"] for r in trail.find("admin.unhold")] == ["ok", "failed"] and trail.find("admin.unhold")[1]["data"]["failed"][0]["job"] == held
    with sqlite3.connect(g.state_dir / "jobs.db", timeout=20) as db:
        db.execute("CREATE TRIGGER broken BEFORE INSERT ON switches BEGIN SELECT RAISE(FAIL, 'no more'); END")
    assert g.api("PUT", "/v1/admin/switches/org/acme", {"capture": "forbid", "reason": "x"}, "olga").status == 500
    assert [(r["outcome"], r["user_id"]) for r in trail.find("switch.set")] == [("ok", "olga"), ("failed", "olga")]
    assert "no more" in trail.find("switch.set")[1]["why"] and trail.find("switch.set")[1]["data"]["asked"] == "/v1/admin/switches/org/acme"
    assert listed(g, "outcome=begun&action=admin.purge") and check_api(f)["ok"]


def test_every_refusal_is_recorded_once(fleet):
    f = fleet(1, config={"audit": {"refused_per_minute": 4}, "policy": {"developers": "off"}})
    g, trail = f.gateway, Trail(f.gateway)
    job = stored(f)
    assert g.api("POST", "/v1/admin/hold", {"job": job, "reason": "case 4711"}, "olga").status == 200
    one, switches, nobody = f"/v1/captures/{job}", "/v1/admin/switches", "01" + "0" * 24
    refused = [
        ("alice", "DELETE", one, None, 409, "capture.delete", "on_hold"),
        ("alice", "POST", f"{one}/start", None, 409, "capture.start", "not_waiting"),
        ("alice", "POST", f"{one}/start", {"x": 1}, 400, "capture.start", "input"),
        ("alice", "POST", f"{one}/stop", None, 409, "capture.stop", "job_ended"),
        ("alice", "POST", f"{one}/link", {"ttl_s": -1}, 400, "link.create", "input"),
        ("alice", "PUT", "/v1/switches/app/shop", {}, 400, "switch.set", "input"),
        ("alice", "PUT", "/v1/switches/app/shop", {"capture": "allow"}, 400, "switch.set", "input"),
        ("alice", "PUT", "/v1/switches/org/acme", {"capture": "allow"}, 404, "switch.set", "not_found"),
        ("olga", "PUT", f"{switches}/org/acme", {"capture": "forbid"}, 400, "switch.set", "input"),
        ("olga", "PUT", f"{switches}/nothing/acme", {"capture": "forbid", "reason": "x"}, 400, "switch.set", "input"),
        ("olga", "DELETE", f"{switches}/org/acme", None, 404, "switch.delete", "not_found"),
        ("olga", "POST", "/v1/admin/kill", {}, 400, "admin.kill", "input"),
        ("olga", "POST", "/v1/admin/purge", {"all": 1}, 400, "admin.purge", "input"),
        ("olga", "POST", "/v1/admin/hold", {"job": job}, 400, "admin.hold", "input"),
        ("olga", "POST", "/v1/admin/unhold", {}, 400, "admin.unhold", "input"),
        ("olga", "POST", "/v1/admin/halt", {}, 400, "admin.halt", "input"),
        ("olga", "POST", "/v1/admin/resume", {"x": 1}, 400, "admin.resume", "input"),
        ("olga", "POST", f"/v1/admin/captures/{job}/approve", {}, 409, "approval.approve", "not_waiting"),
        ("olga", "POST", f"/v1/admin/captures/{job}/deny", {}, 400, "approval.deny", "input"),
        ("olga", "POST", f"/v1/admin/captures/{nobody}/approve", {}, 404, "request.refused", "not_found"),
        ("alice", "POST", "/v1/admin/kill", {"all": True}, 403, "request.refused", "perm"),
    ]
    for user, method, path, body, status, action, code in refused:
        before = len(trail.lines)
        reply = g.api(method, path, body, user)
        assert reply.status == status, (path, reply)
        wait_for(lambda: len(trail.lines) > before, f"the record of {path}")
        (r,) = trail.records[before:]
        assert (r["action"], r["outcome"], r["code"], r["user_id"]) == (action, "refused", code, user), r
        assert r["why"] and r.get("job") == (job if job in path else nobody if nobody in path else None), r
        if action == "switch.set":
            assert r["data"]["asked"] == path and r["data"]["method"] == "PUT", r
    assert trail.find("switch.set")[-2]["data"]["field"] == "reason"
    # a body that nobody said would be so large
    connection = g.http.connection()
    connection.request("POST", "/v1/captures", (b" " * 4096 for _ in range(20)), {"Authorization": f"Bearer {g.tokens['alice']}"})
    assert connection.getresponse().status == 413
    connection.close()
    wait_for(lambda: trail.find("capture.start", code="too_large", user_id="alice"), "its record")
    # looking for a target changes nothing, whatever is found
    before = len(trail.lines)
    assert g.api("POST", "/v1/resolve", {"target": 7}).status == 400 and len(trail.lines) == before
    # so many a minute, the rest together
    for _ in range(40):
        assert g.api("DELETE", one).status == 409
    assert len([r for r in trail.records if r["outcome"] == "refused" and "user_id" in r]) == 40
    g.stop()
    assert trail.records[-2]["data"]["more"] == len(refused) + 1, "the rest"


def test_what_operators_look_at(fleet):
    """Lists over all users too; the status page, which asks every few seconds, does not fill the trail."""
    f = fleet(1, users={"alice": {"org": "acme"}, "olga": {"operator": True}, "otto": {"operator": True}})
    g, trail = f.gateway, Trail(f.gateway)
    job = g.store(packet_filter=FILTER)
    for _ in range(3):
        for path in ("/v1/admin/captures", "/v1/admin/captures?user=alice&limit=1", "/v1/admin/approvals", f"/v1/captures/{job}"):
            assert g.api("GET", path, user="olga").status == 200, path
    assert g.api("GET", "/v1/admin/captures", user="otto").status == 200
    assert g.api("POST", "/v1/admin/purge", {"all": True, "dry_run": True}, "olga").json["dry_run"]
    assert g.api("GET", "/v1/captures").status == 200 and g.api("GET", f"/v1/captures/{job}").status == 200
    g.finish(job)
    assert g.http.request("GET", f"/v1/captures/{job}/events", token=g.tokens["olga"]).status == 200
    assert [(r["user_id"], r.get("job"), r["data"]) for r in trail.find("admin.read")] == [
        ("olga", None, {"what": "captures", "filter": {}}), ("olga", None, {"what": "captures", "filter": {"user": "alice"}}),
        ("olga", None, {"what": "approvals", "filter": {}}), ("olga", job, {"what": "capture"}), ("otto", None, {"what": "captures", "filter": {}}),
        ("olga", None, {"what": "purge", "selector": {"all": True, "dry_run": True}}), ("olga", job, {"what": "events"})]
    assert not trail.find("admin.purge") and not trail.find("admin.purged"), "a dry run erases nothing"


def test_a_switch_that_ends_by_time(fleet):
    f = fleet(1)
    g, trail = f.gateway, Trail(f.gateway)
    reply = g.api("PUT", "/v1/admin/switches/org/acme", {"capture": "forbid", "reason": "case 12", "ttl_s": 1}, "olga")
    assert reply.status == 200
    record = wait_for(lambda: trail.find("switch.expire"), "the end of it")[0]
    assert record["outcome"] == "ok" and "user_id" not in record, "the gateway by itself"
    data = record["data"]
    assert (data["scope"], data["id"], data["level"], data["new"]) == ("org", "acme", "temporary", None)
    assert data["old"] == reply.json["switch"] and (data["old"]["capture"], data["old"]["reason"], data["old"]["set_by"]) == ("forbid", "case 12", "olga")


def test_put_aside_by_size(fleet, cli):
    """The chain goes on over files."""
    f = fleet(1, config={"audit": {"file_max": "64KiB", "sync": False}})
    g, trail = f.gateway, Trail(f.gateway)
    note = "x" * 490
    for _ in range(60):
        assert g.api("POST", "/v1/captures", g.request(group="none", note=note, packet_filter="y" * 2000)).status == 404
    aside = sorted(g.state_dir.glob("audit.jsonl.*"), key=lambda p: int(p.suffix[1:]))
    assert len(aside) >= 2 and all(p.stat().st_size < 80000 for p in aside)
    whole = check_api(f)
    assert whole["ok"] and whole["file"]["first"] == 1 and whole["file"]["records"] == whole["database"]["records"]
    paths = [*aside, trail.path]
    assert cli(g).run("admin", "audit", "verify", *paths, "--key", trail.key_path).code == 0
    assert cli(g).run("admin", "audit", "verify", *paths[::-1], "--key", trail.key_path).code == 1
    aside[1].rename(g.state_dir / "gone")
    fault = check_api(f)["file"]["fault"]
    assert fault["what"] == "missing", fault
    (g.state_dir / "gone").rename(aside[1])
    # put aside by somebody else, who says so with SIGHUP
    trail.path.rename(g.state_dir / "audit.jsonl.999999")
    g.send(signal.SIGHUP)
    wait_for(lambda: trail.path.exists() and trail.find("config.reload"), "the new file")
    assert check_api(f)["ok"]
    begun = trail.records[0]
    last = json.loads((g.state_dir / "audit.jsonl.999999").read_text().splitlines()[-1])
    assert begun["action"] == "audit.file" and begun["outcome"] == "ok"
    assert begun["data"] == {"how": "rotated", "after": last["seq"], "hash": last["hash"]} and begun["prev"] == last["hash"]


def test_a_trail_that_somebody_empties(fleet, cli):
    """logrotate may take the file away whole; who only empties it does not stay unseen, also not over a restart."""
    f = fleet(1)
    g, trail, olga = f.gateway, Trail(f.gateway), cli(f.gateway, "olga")
    for _ in range(3):
        assert g.api("POST", "/v1/captures", g.request(group="none")).status == 404
    g.stop()
    trail.path.rename(trail.path.with_name("audit.jsonl-20260105"))
    g.start()
    assert trail.records[0]["data"]["how"] == "rotated" and check_api(f)["ok"]
    assert olga.run("admin", "audit", "verify").code == 0
    last = trail.records[-1]["seq"]
    os.truncate(trail.path, 0)
    assert g.api("POST", "/v1/captures", g.request(group="none")).status == 404
    begun = trail.records[0]
    assert begun["action"] == "audit.file" and begun["outcome"] == "failed" and begun["data"]["how"] == "unexplained" and begun["data"]["after"] == last
    g.restart()
    found = check_api(f)
    assert not found["ok"] and found["database"]["ok"] and found["file"]["fault"]["what"] == "missing" and found["file"]["fault"]["seq"] == 1
    said = olga.run("admin", "audit", "verify")
    assert said.code == 1 and "stand in no file" in said.err, said


# ---- that it cannot be written ----

def test_full_disk(fleet, folder):
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
    try:
        f = fleet(1, config={"audit": {"file": str(disk / "audit.jsonl")}})
        g = f.gateway
        g.allowed_errors += [r"audit\.failed", r"readiness\.audit"]
        trail = Trail(g)
        trail.path = disk / "audit.jsonl"
        job, kept = stored(f), g.store(packet_filter=FILTER)
        killed = g.store(packet_filter=FILTER)
        with open(disk / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                pass
        before = trail.path.read_bytes()
        # so full that not even the page of the last record has room: records of over 4 KiB find none
        big = {"packet_filter": "udp port 7 or " * 500 + "udp"}
        reply = g.api("POST", "/v1/captures", g.request(**big))
        assert reply.status == 503 and reply.json["error"]["code"] == "audit_failed", reply
        while g.api("POST", "/v1/captures", g.request(mode="store", packet_filter=FILTER)).status == 202:
            pass
        for method, path, body in (("POST", f"/v1/captures/{job}/link", {}), ("DELETE", f"/v1/captures/{job}", None),
                                   ("GET", f"/v1/captures/{job}/download", None), ("POST", "/v1/captures", g.request(packet_filter=FILTER))):
            reply = g.api(method, path, body)
            assert reply.status == 503 and reply.json["error"]["code"] == "audit_failed", (path, reply)
        assert g.api("POST", "/v1/admin/purge", {"job": job}, "olga").status == 503
        assert g.job(job)["state"] == "ready", "nothing was erased"
        ready = g.api("GET", "/readyz", user=None)
        assert ready.status == 503 and [r["what"] for r in ready.json["reasons"]] == ["audit"], ready
        # what ends captures does so
        assert g.finish(kept)["state"] == "ready"
        assert g.api("POST", "/v1/admin/kill", {"job": killed}, "olga").json["killed"] == [killed]
        g.wait_over(killed, states="killed")
        assert trail.path.read_bytes().startswith(before) and verify(trail.key, trail.lines) is None, "whole lines, whatever else"
        assert not trail.find("capture.stop", job=kept)
        # and is told of when there is room again
        (disk / "filler").unlink()
        wait_for(lambda: g.api("GET", "/readyz", user=None).status == 200, "it to go on")
        assert trail.one("capture.stop", job=kept) and trail.one("capture.end", job=kept) and trail.one("admin.kill")
        resumed = trail.one("audit.resumed")
        assert resumed["data"]["lost"] == 0 and resumed["data"]["waited"] >= 4 and resumed["data"]["error"]
        assert verify(trail.key, trail.lines) is None and check_api(f)["ok"]
        assert g.link(job)["url"]
        g.stop()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_killed_while_it_writes(fleet):
    """After kill -9 the trail is whole and goes on; what was torn or not yet in both places is mended, and that is told."""
    f = fleet(1)
    g, trail = f.gateway, Trail(f.gateway)

    def refuse():
        try:
            while g.api("POST", "/v1/captures", g.request(group="none")).status == 404:
                pass
        except (OSError, http.client.HTTPException):
            pass

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(refuse)
        wait_for(lambda: trail.path.exists() and len(trail.lines) > 100, "some records")
        g.kill9()
    g.start()
    assert check_api(f)["ok"] and verify(trail.key, trail.lines) is None

    # power lost: half a line; and a database that was put back to an older one
    g.stop()
    written = trail.lines
    with sqlite3.connect(g.state_dir / "jobs.db") as db:
        db.execute("DELETE FROM audit WHERE seq > ?", (len(written) - 3,))
    with open(trail.path, "ab") as out:
        out.write(b'{"action":"capture.start","at":"2026')
    g.start()
    mended = trail.find("audit.mended")[-1]
    assert (mended["data"]["torn_bytes"], mended["data"]["database_lacked"], mended["data"]["file_lacked"]) == (36, 3, 0), mended
    assert check_api(f)["ok"] and verify(trail.key, trail.lines) is None
    # the file's end lost
    g.stop()
    written = trail.lines
    trail.path.write_text("\n".join(written[:-4]) + "\n")
    g.start()
    assert trail.find("audit.mended")[-1]["data"]["file_lacked"] == 4 and trail.lines[:len(written)] == written
    assert check_api(f)["ok"] and verify(trail.key, trail.lines) is None
    assert os.stat(trail.path).st_mode & 0o777 == 0o600 and os.stat(trail.key_path).st_mode & 0o777 == 0o600
