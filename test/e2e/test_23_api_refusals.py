"""Bad input and bad callers: each a clear refusal, after which the next good request is served as ever."""
import concurrent.futures
import hashlib
import json
import socket
import time

import pytest

from rig import PORT, numbers_of, read_pcapng, wait_for
from rig.agent import new_id

FILTER = f"udp port {PORT}"
HOST = {"type": "host", "instances": ["web"]}


def good(gateway):
    """The next good request is served, and no place is taken by the refused ones."""
    reply = gateway.api("GET", "/v1/captures?limit=1")
    assert reply.status == 200, reply
    ready = gateway.api("GET", "/readyz", user=None)
    assert ready.status == 200 and ready.json["captures"] == 0, ready


def refusals(gateway, rows):
    """rows: (name, function giving the Reply, status, code, field); all are tried, all faults shown."""
    faults = []
    for name, call, status, code, field in rows:
        reply = call()
        try:
            error = reply.error
            found = (reply.status, error["code"], error.get("field"))
            whole = bool(error["message"]) and bool(error["request_id"])
        except (ValueError, KeyError, TypeError):
            found, whole = (reply.status, reply.body[:100], None), False
        if found != (status, code, field) or not whole:
            faults.append(f"{name}: {found} {'' if whole else 'without message or request id'}, due was {(status, code, field)}")
        good(gateway)
    assert not faults, "\n".join(faults)


def post(gateway, body, path="/v1/captures", user="alice"):
    raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return lambda: gateway.http.request("POST", path, raw, gateway.tokens[user])


BODIES = [
    ("nothing", b""), ("half", b"{"), ("array", b"[]"), ("null", b"null"), ("string", b'"x"'), ("number", b"17"), ("two", b"{}{}"),
    ("trailing comma", b'{"a":1,}'), ("duplicate key", b'{"mode":"live","mode":"live"}'), ("bad UTF-8", b"\xff\xfe"),
    ("bad UTF-8 inside", b'{"note":"\xc3\x28"}'), ("overlong UTF-8", b'{"note":"\xc0\x80"}'), ("surrogate", b'{"note":"\\ud800"}'),
    ("escaped NUL", b'{"note":"\\u0000"}'), ("raw NUL", b'{"note":"a\0b"}'), ("NUL after", b"{}\0"), ("deep arrays", b"[" * 60000),
    ("deep objects", b'{"a":' * 10000), ("UTF-16", '{"a":1}'.encode("utf-16")), ("form", b"target=web&mode=live"), ("XML", b"<a/>"),
    ("huge number", b'{"target":{"type":"host"},"options":{"snaplen":18446744073709551616}}'),
    ("endless number", b'{"options":{"snaplen":' + b"9" * 60000 + b"}}"), ("infinite", b'{"options":{"snaplen":1e999}}'),
]

KEYS = [  # what is put into a good body, the field at fault
    ({"target": None}, "target"), ({"target": 5}, "target"), ({"target": []}, "target"), ({"target": {}}, "target.type"),
    ({"target": {"type": 5}}, "target.type"), ({"target": {"type": "cf", "app": "x"}}, "target.type"), ({"target": {"type": ""}}, "target.type"),
    ({"target": {"type": "host", "instances": []}}, "target.instances"), ({"target": {"type": "host", "instances": "web"}}, "target.instances"),
    ({"target": {"type": "host", "instances": [5]}}, "target.instances"), ({"target": {"type": "host", "instances": [""]}}, "target.instances"),
    ({"target": {"type": "host", "instances": ["x" * 256]}}, "target.instances"),
    ({"target": {"type": "host", "instances": ["web"] * 5000}}, "target.instances"), ({"target": {"type": "host", "app": "x"}}, "target.app"),
    ({"mode": "both"}, "mode"), ({"mode": 1}, "mode"), ({"format": "erf"}, "format"), ({"note": 5}, "note"), ({"note": "x" * 501}, "note"),
    ({"options": 5}, "options"), ({"options": []}, "options"), ({"bogus": 1}, "bogus"),
    # Pitfall 8: names, paths and places are ours to choose.
    ({"user": "bob"}, "user"), ({"bucket": "x"}, "bucket"), ({"key": "x"}, "key"), ({"path": "/etc/passwd"}, "path"), ({"url": "http://x"}, "url"),
    ({"id": new_id()}, "id"), ({"agent": "10.0.0.1:9494"}, "agent"), ({"exclude": []}, "exclude"),
]

OPTIONS = [
    *[("device", v) for v in ("../../x", "..", ".", "/dev/null", "", "eth0 -w /tmp/x", "eth0;id", "x" * 16, "eth0\n", "é", 5, [], {}, True)],
    *[("filter", v) for v in (5, [], "x\ny", "x\x7fy", "a" * 8193, "tcp\x1b[2J")],
    *[("snaplen", v) for v in (-1, 1, 15, 262145, 2 ** 31, 2 ** 40, 1.5, 1e30, "100", True, [])],
    *[("max_packets", v) for v in (-1, 2 ** 53 + 1, 2 ** 63 - 1, 0.5, "1")],
    *[("max_bytes", v) for v in (-1, 2 ** 50 + 1, "100M")],
    *[("max_duration_s", v) for v in (-1, 604801, "60s", 2 ** 62)],
    *[("payload", v) for v in ("header", "none", "", 5)],
    *[("ring", 1), ("Device", "eth0")],
]


def test_bodies_that_are_no_request(fleet):
    f = fleet(1)
    refusals(f.gateway, [(name, post(f.gateway, body), 400, "input", None) for name, body in BODIES])


def test_keys_and_types(fleet):
    f = fleet(1)
    refusals(f.gateway, [(str(more)[:80], post(f.gateway, {"target": HOST, **more}), 400, "input", field) for more, field in KEYS])


def test_options(fleet):
    f = fleet(1)
    rows = [(f"{key}={str(value)[:40]!r}", post(f.gateway, {"target": HOST, "options": {key: value}}), 400, "input",
             f"options.{key}") for key, value in OPTIONS]
    rows += [("filter with NUL", post(f.gateway, {"target": HOST, "options": {"filter": "tcp\0"}}), 400, "input", None)]
    refusals(f.gateway, rows)
    # Of all these nothing reached an agent.
    assert f.agents[0].captures() == 0


FILTERS = [
    "tcp prot 80", "port 80)", "(port 80", ") or (", "udp) or (tcp", "port 99999", "'", '"', "tcp and", "and", "$(id)", "`id`", "port 80; id",
    "-w /tmp/x", "not", "len > ", "ether host zz", "tcp[0:9]", "1 = ", "%s%s%n", "(" * 2000, "not " * 2000,
]


def test_filters_that_do_not_compile(fleet):
    """Pitfalls 6 and 7: libpcap's own words, with the field."""
    f = fleet(1)
    refusals(f.gateway, [(text[:40], post(f.gateway, {"target": HOST, "options": {"filter": text}}), 400, "bad_filter", "options.filter") for text in FILTERS])
    assert f.agents[0].captures() == 0


def test_too_large(fleet):
    f = fleet(1)
    g = f.gateway
    rows = [
        ("1 MB filter", post(g, {"target": HOST, "options": {"filter": "a" * 10 ** 6}}), 413, "too_large", None),
        ("1 MB of spaces", post(g, b" " * 10 ** 6), 413, "too_large", None),
        ("over its limit", post(g, {"target": HOST, "options": {"max_duration_s": 86401}}), 413, "over_limit", "options.max_duration_s"),
    ]
    refusals(g, rows)


def test_unknown_instances(fleet):
    """404 whether there is no such thing or it is somebody else's; nothing about it is told."""
    f = fleet(1, groups=lambda made: {
        "web": made, "bobs": {"users": ["bob"], "orgs": [], "instances": [{"id": "0", "agent": made[0].address}]}})
    rows = [(name, post(f.gateway, {"target": {"type": "host", "instances": [name]}}), 404, "not_found", "target.instances")
            for name in ("nope", "web/7", "web/", "/0", "web/0/0", "WEB", "web/00", "bobs", "bobs/0", "../web", "*", "we", "webb", "é", " web")]
    refusals(f.gateway, rows)
    hidden, absent = (f.gateway.http.request("POST", "/v1/captures", {"target": {"type": "host", "instances": [n]}}, f.gateway.tokens["alice"]).error
                      for n in ("bobs", "nobs"))
    assert hidden["message"].replace("bobs", "nobs") == absent["message"]
    nothing = post(f.gateway, {"target": {"type": "host"}}, user="carol")()
    assert nothing.status == 404 and nothing.error["field"] == "target"


def test_too_many_instances(fleet):
    f = fleet(1, groups=lambda made: {"web": made * 5}, config={"limits": {"instances": 4}})
    refusals(f.gateway, [("five", post(f.gateway, {"target": HOST}), 413, "too_many_instances", "target.instances")])


# ---- who asks ----

def test_tokens(fleet):
    f = fleet(1)
    g = f.gateway
    gone, later = f.gateway.session.new_token("gone"), f.gateway.session.new_token("later")
    rows = [{"sha256": hashlib.sha256(token.encode()).hexdigest(), "user_id": "alice", "expires_at": at}
            for token, at in ((gone, "2020-01-01T00:00:00Z"), (later, "2099-01-01T00:00:00Z"))]
    g.write_tokens(rows)
    g.restart()
    right = g.tokens["alice"]

    def ask(header, path="/v1/captures", method="GET"):
        headers = {} if header is None else {"Authorization": header}
        return lambda: g.http.request(method, path, headers=headers)

    wrong = [None, "", "Bearer", "Bearer ", "Bearer x", f"Bearer {right}x", f"Bearer {right[:-1]}", f"Basic {right}", right, f"Bearer {right.upper()}",
             f"Bearer {hashlib.sha256(right.encode()).hexdigest()}", f"Bearer {gone}", "Bearer " + "a" * 16000, "Bearer \xe9\xff", "Bearer a b",
             "Bearer ../../etc/passwd", "Bearer eyJhbGciOiJub25lIiwiamt1Ijo1fQ.e30."]
    refusals(g, [(repr(h)[:60], ask(h), 401, "auth", None) for h in wrong])
    for path, method in (("/v1/captures/" + new_id(), "GET"), ("/v1/captures/" + new_id(), "DELETE"), ("/v1/captures", "POST"),
                         ("/v1/captures/x/live", "GET"), ("/v1/captures/x/link", "POST"), ("/v1/admin/captures", "GET"), ("/v1/admin/kill", "POST"),
                         ("/v1/admin/purge", "POST"), ("/v1/admin/agents", "GET"), ("/v1/admin/audit", "GET"), ("/v1/admin/audit/verify", "POST"),
                         ("/v1/admin/halt", "POST"), ("/v1/admin/resume", "POST"), ("/v1/admin/hold", "POST"), ("/v1/admin/unhold", "POST"),
                         ("/v1/admin/switches", "GET"), ("/v1/admin/switches/org/x", "PUT"), ("/v1/switches/app/x", "GET"),
                         ("/v1/captures/" + new_id() + "/start", "POST"), ("/v1/admin/approvals", "GET"), ("/v1/admin/captures/" + new_id() + "/approve", "POST"),
                         ("/v1/admin/captures/" + new_id() + "/deny", "POST")):
        reply = ask(None, path, method)()
        assert reply.status == 401 and reply.headers["www-authenticate"].startswith("Bearer"), (method, path, reply)
    assert g.api("GET", "/v1/captures", token=later).status == 200
    for h in (f"bearer {right}", f"BEARER   {right}"):
        assert ask(h)().status == 200, "the scheme is case-insensitive (RFC 9110, 11.1)"


def test_a_refused_caller_costs_nothing(fleet):
    """Nothing is done before the token is checked: the body of a stranger is not even read."""
    f = fleet(1)
    s = f.gateway.http.raw()
    s.sendall(b"POST /v1/captures HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n")
    s.settimeout(20)
    assert b"401" in s.recv(4096).split(b"\r\n")[0]
    s.close()
    good(f.gateway)


def test_other_users_jobs(fleet):
    f = fleet(1)
    job = f.gateway.store(packet_filter=FILTER)
    f.gateway.finish(job)
    for path, method in (("", "GET"), ("", "DELETE"), ("/events", "GET"), ("/live", "GET"), ("/stop", "POST"), ("/link", "POST"), ("/download", "GET")):
        for user in ("bob", "carol"):
            theirs = f.gateway.api(method, f"/v1/captures/{job}{path}", user=user)
            none = f.gateway.api(method, f"/v1/captures/{new_id()}{path}", user=user)
            assert theirs.status == none.status == 404 and theirs.error["message"] == none.error["message"], (path, theirs, none)
    assert f.gateway.api("GET", "/v1/captures", user="bob").json == {"captures": [], "next_cursor": None}
    assert f.gateway.job(job)["state"] == "ready"
    refusals(f.gateway, [(repr(i), lambda i=i: f.gateway.api("GET", f"/v1/captures/{i}"), 404, "not_found", None)
                         for i in ("x", "%2e%2e", job.upper(), job + "0", job[:-1], "0" * 26, "z" * 26, "a" * 3000, "'%20or%201=1--")])


def test_operators_only(fleet):
    f = fleet(1)
    g = f.gateway
    refusals(g, [(f"{m} {p}", lambda m=m, p=p: g.api(m, p, {"all": True} if m == "POST" else None), 403, "perm", None)
                 for m, p in (("GET", "/v1/admin/captures"), ("GET", "/v1/admin/agents"), ("POST", "/v1/admin/kill"),
                              ("POST", "/v1/admin/purge"), ("GET", "/v1/admin/audit"), ("POST", "/v1/admin/audit/verify"), ("POST", "/v1/admin/halt"),
                              ("POST", "/v1/admin/resume"), ("POST", "/v1/admin/hold"), ("POST", "/v1/admin/unhold"), ("GET", "/v1/admin/switches"),
                              ("PUT", "/v1/admin/switches/platform"), ("DELETE", "/v1/admin/switches/org/x"))])


# ---- how it is asked ----

def test_queries(fleet):
    f = fleet(1)
    g = f.gateway
    rows = []
    for query, field in (("bogus=1", "bogus"), ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=-1", "limit"), ("limit=x", "limit"), ("limit=", "limit"),
                         ("limit=1&limit=2", "limit"), ("limit=99999999999999999999", "limit"), ("cursor=x", "cursor"),
                         ("cursor=", "cursor"), ("cursor=" + "z" * 5000, "cursor"), ("state=nope", "state"), ("state=ready,nope", "state"),
                         ("state=" + ",".join(["ready"] * 11), "state"), ("since=yesterday", "since"), ("since=2026-13-01T00:00:00Z", "since"),
                         ("since=-5m", "since"), ("since=", "since"), ("user=bob", "user"), ("org=acme", "org")):
        rows.append((query[:40], lambda q=query: g.api("GET", f"/v1/captures?{q}"), 400, "input", field))
    refusals(g, rows)
    for query in ("limit=1", "limit=1000", "state=ready", "state=ready,failed", "since=2h", "since=2026-01-05T10:00:00Z", f"cursor={new_id()}", "app=x", ""):
        assert g.api("GET", f"/v1/captures?{query}").status == 200, query


def test_pages(fleet):
    """A cursor leads through the list once, newest first."""
    f = fleet(1)
    made = []
    for _ in range(7):
        live = f.gateway.live(packet_filter="udp port 9")
        f.gateway.finish(live.job)
        live.wait_end()
        made.append(live.job)
    seen, cursor = [], ""
    while cursor is not None:
        page = f.gateway.api("GET", "/v1/captures?limit=3" + (f"&cursor={cursor}" if cursor else "")).json
        assert len(page["captures"]) <= 3
        seen += [c["id"] for c in page["captures"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]


def test_paths_and_methods(fleet):
    f = fleet(1)
    g = f.gateway
    rows = [(p, lambda p=p: g.api("GET", p), 404, "not_found", None)
            for p in ("/", "/v1", "/v1/", "/v2/captures", "/v1/captures/", "/v1/captures//events", "/v1/captures/x/y", "/v1/captures/x/live/z", "/v1/admin",
                      "/v1/files/", "/metrics", "/V1/captures", "/v1/%63aptures/", "//v1/captures", "/v1/captures/../info", "/v1/admin/switches/org")]
    rows += [(f"{m} {p}", lambda m=m, p=p: g.api(m, p), 405, "method_not_allowed", None)
             for m, p in (("DELETE", "/v1/captures"), ("PUT", "/v1/captures"), ("POST", "/v1/info"), ("GET", "/v1/admin/kill"), ("POST", "/v1/files/x"),
                          ("GET", "/v1/captures/x/stop"), ("PUT", "/v1/captures/x"), ("POST", "/v1/captures/x/events"), ("POST", "/healthz"))]
    refusals(g, rows)
    assert g.api("DELETE", "/v1/captures").headers["allow"] in ("GET, POST", "POST, GET")
    for method in ("TRACE", "CONNECT", "PATCH", "BREW", "get"):
        s = g.http.raw()
        s.sendall(f"{method} /v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert read_all(s).split(b" ")[1] in (b"400", b"405", b"501"), method
        good(g)


# ---- below HTTP ----

def read_all(s, limit_s=30):
    """Everything until the peer closes or resets."""
    s.settimeout(limit_s)
    data = b""
    try:
        while piece := s.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    s.close()
    return data


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


RAW = [  # name, bytes, statuses that are a refusal; 0: closed without an answer
    ("huge header", b"GET /v1/info HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 100000 + b"\r\n\r\n", {431, 413, 400, 0}),
    ("thousands of headers", b"GET /v1/info HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20000 + b"\r\n", {431, 413, 400, 0}),
    ("huge path", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414, 431, 400, 404, 0}),
    ("length and chunks", b"POST /v1/captures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %T\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
     b"Connection: close\r\n\r\n0\r\n\r\n", {400}),
    ("two lengths", b"POST /v1/captures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %T\r\nContent-Length: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{}",
     {400}),
    ("negative length", b"POST /v1/captures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %T\r\nContent-Length: -1\r\nConnection: close\r\n\r\n", {400}),
    ("absurd length", b"POST /v1/captures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %T\r\nContent-Length: 99999999999999999999\r\nConnection: close\r\n\r\n",
     {400, 413}),
    ("bad chunk", b"POST /v1/captures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %T\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n", {400, 0}),
    ("too many chunks", b"POST /v1/captures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %T\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
     + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 20 + b"0\r\n\r\n", {413}),
    ("endless chunks", b"POST /v1/captures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %T\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
     + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 1000, {413, 0}),
    ("NUL in the path", b"GET /v1/info%00x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {400}),
    ("bad percent", b"GET /v1/info%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {400, 404}),
    ("raw NUL", b"GET /v1/in\0fo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {400, 404, 0}),
    ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100 + b"\r\n\r\n", {400, 0}),
    ("garbage", b"\xff" * 5000 + b"\r\n\r\n", {400, 414, 431, 0}),
    ("no host", b"GET /v1/info HTTP/1.1\r\nConnection: close\r\n\r\n", {400}),
    ("HTTP/3.7", b"GET /v1/info HTTP/3.7\r\nHost: x\r\n\r\n", {400, 505, 0}),
]


@pytest.mark.threads
def test_broken_http(fleet):
    f = fleet(1, config={"limits": {"header_timeout": "2s"}})
    faults = []
    for name, data, statuses in RAW:
        s = f.gateway.http.raw()
        try:
            s.sendall(data.replace(b"%T", f.gateway.tokens["alice"].encode()))
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all was sent
        found = status_of(read_all(s))
        if found not in statuses:
            faults.append(f"{name}: {found}, due was one of {statuses}")
        good(f.gateway)
    assert not faults, "\n".join(faults)


def test_half_requests(fleet):
    """A request cut off at any place leaves nothing behind: no capture, no connection, no thread."""
    f = fleet(1)
    body = json.dumps(f.gateway.request(packet_filter=FILTER)).encode()
    whole = (f"POST /v1/captures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {f.gateway.tokens['alice']}\r\nContent-Type: application/json\r\n"
             f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    good(f.gateway)
    threads, fds = f.gateway.threads(), f.gateway.fds()
    for n in range(1, len(whole), 11):
        s = f.gateway.http.raw()
        s.sendall(whole[:n])
        s.close()
    good(f.gateway)
    wait_for(lambda: f.gateway.threads() <= threads and f.gateway.fds() <= fds, "threads and descriptors to come back")
    assert f.gateway.api("GET", "/v1/captures").json["captures"] == [] and f.agents[0].captures() == 0


def test_slow_clients_are_closed(fleet):
    """A byte now and then does not hold a connection: the whole header block has one time limit."""
    f = fleet(1, config={"limits": {"header_timeout": "1s"}})
    silent, dripping = f.gateway.http.raw(), f.gateway.http.raw()
    text, sent, begin = b"GET /v1/info HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 1000, 0, time.monotonic()
    dripping.setblocking(False)

    def is_closed():
        nonlocal sent
        try:
            sent += dripping.send(text[sent:sent + 1])
            return dripping.recv(100) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
    wait_for(is_closed, "the dripping connection to be closed", timeout_s=20, every_s=0.1)
    silent.settimeout(20)
    try:
        assert silent.recv(100) == b""
    except ConnectionResetError:
        pass
    assert sent < 200 and time.monotonic() - begin < 20
    silent.close()
    dripping.close()
    good(f.gateway)


@pytest.mark.threads
def test_idle_connections_take_nobodys_place(fleet):
    """Pitfall 24: more silent connections than there are places, and others are served all the same."""
    f = fleet(1, config={"limits": {"connections": 200}})
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    idle = []
    try:
        for _ in range(300):
            idle.append(f.gateway.http.raw())
            idle[-1].send(b"GET /v1/in")
        for _ in range(20):
            assert f.gateway.api("GET", "/v1/captures").status == 200
        sent = f.send(count=100).wait()
        live.wait_packets(sent)
        another = f.gateway.live(packet_filter=FILTER)
        assert another.status == 200
        f.gateway.finish(another.job)
        another.wait_end()
        f.gateway.finish(live.job)
        live.wait_end()
        assert not live.broken and numbers_of(read_pcapng(live.data).packets, PORT) == list(range(sent))
    finally:
        for s in idle:
            s.close()
    good(f.gateway)


# ---- limits ----

def starts(f, user, n):
    """n starts at the same moment: [Reply or Live]."""
    body = json.dumps(f.gateway.request(packet_filter="udp port 9", mode="store"))
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(lambda _: f.gateway.http.request("POST", "/v1/captures", body, f.gateway.tokens[user]), range(n)))


@pytest.mark.threads
def test_never_one_capture_too_many(fleet):
    """Thirty at once, by two users, against both limits."""
    f = fleet(1, groups=lambda made: {"web": {"users": ["alice", "bob"], "orgs": [], "instances": [{"id": "0", "agent": made[0].address}]}},
              config={"limits": {"captures": 7, "captures_per_user": 5}}, agent_config={"limits": {"captures": 20}})
    for _ in range(2):
        replies = starts(f, "alice", 30)
        taken = [r for r in replies if r.status == 202]
        assert len(taken) == 5 and {r.status for r in replies} == {202, 429}
        assert all(r.error["code"] == "too_many_captures" and r.headers["retry-after"] for r in replies if r.status == 429)
        others = starts(f, "bob", 30)
        assert len([r for r in others if r.status == 202]) == 2, "the gateway's limit holds over all users"
        assert f.agents[0].captures() == 7
        for user, rs in (("alice", taken), ("bob", [r for r in others if r.status == 202])):
            for r in rs:
                f.gateway.finish(r.json["id"], user)
        wait_for(lambda: f.agents[0].captures() == 0, "the agent to be free")
        good(f.gateway)


def test_refused_starts_give_their_place_back(fleet):
    f = fleet(1, config={"limits": {"captures": 2, "captures_per_user": 2}})
    for _ in range(3):
        refusals(f.gateway, [
            ("bad filter", post(f.gateway, {"target": HOST, "options": {"filter": "tcp prot"}}), 400, "bad_filter", "options.filter"),
            ("no device", post(f.gateway, {"target": HOST, "options": {"device": "nosuch"}}), 404, "unknown_device", "options.device"),
            ("no device, stored", post(f.gateway, {"target": HOST, "mode": "store", "options": {"device": "nosuch"}}), 404, "unknown_device", "options.device"),
        ])
    live = f.gateway.live(packet_filter=FILTER)
    assert live.status == 200
    f.gateway.finish(live.job)
    live.wait_end()


def test_stop_twice(fleet):
    f = fleet(1)
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.finish(live.job)
    live.wait_end()
    again = f.gateway.stop_job(live.job)
    assert again.status == 409 and again.error["code"] == "job_ended"
    assert f.gateway.api("POST", f"/v1/captures/{live.job}/stop", user="bob").status == 404
