"""pcap cf, pcap bosh, pcap devices: with the logins of the cf and bosh CLIs, which stay as they are.  The gateway, UAA, API and director are stand-ins:
what is sent to them is the matter here."""
import base64
import http.server
import json
import os
import pathlib
import pty
import secrets
import select
import socketserver
import ssl
import stat
import subprocess
import threading
import time
import urllib.parse

import pytest

from rig import Cli, read_pcapng, wait_for
from rig.fake_agent import SECTION, interface, packet
from rig.issuer import b64
from rig.wait import SLOW

JOB = "01hzzzzzzzzzzzzzzzzzzzzzzz"
SPACE = "5b1c0e7e-0d5f-4f5c-9d53-9a1c2b3d2222"


class Stub(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A server on loopback.

    answer(request)   -> (status, JSON) or None when it has answered itself; request.body is the text that came
    requests          all that came: objects with method, path, headers, body
    """
    daemon_threads = True

    def __init__(self, answer, identity=None):
        stub, self.answer, self.requests = self, answer, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                self.method = self.command
                self.body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                stub.requests.append(self)
                reply = stub.answer(self)
                if reply:
                    text = json.dumps(reply[1]).encode()
                    self.send_response(reply[0])
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)

            do_GET = do_POST = do_DELETE = do

            def chunk(self, data):
                self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
                self.wfile.flush()

            @property
            def json(self):
                return json.loads(self.body)

            @property
            def form(self):
                return dict(urllib.parse.parse_qsl(self.body, strict_parsing=True))

            @property
            def token(self):
                return self.headers.get("Authorization", "").removeprefix("Bearer ")

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if identity:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(identity.cert, identity.key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        pass  # the command that hangs up early is what some tests are about

    def of(self, method, path):
        return [r for r in self.requests if (r.method, r.path.split("?")[0]) == (method, path)]


def refusal(status, code, message):
    return status, {"error": {"code": code, "message": message, "request_id": "x"}}


class Gateway(Stub):
    """instances: what a resolve answers, None: it cannot; hold: a live stream goes on after its first packet when this is set, cut: it breaks
    then, and goes on for who comes back; refuse: a start is answered so, refuse_once: a stop or a resume, each taken out."""

    def __init__(self):
        self.instances, self.limit, self.refuse = [{"name": "shop/0", "device": "eth0", "agent": "cell-1", "error": None}], 50, None
        self.hold, self.cut, self.refuse_once = threading.Event(), False, []
        self.hold.set()
        super().__init__(self.reply)

    def reply(self, r):
        path = r.path.split("?")[0]
        if (r.method, path) == ("GET", "/v1/info"):
            return 200, {"version": "1", "api_level": 1, "limits": {"live_grace_s": 30}}
        if (r.method, path) == ("POST", "/v1/resolve"):
            if self.instances is None:
                return refusal(404, "not_found", "there is no such path")
            return 200, {"instances": self.instances, "limit": self.limit}
        if (r.method, path) == ("POST", "/v1/devices"):
            return self.devices
        if (r.method, path) == ("POST", "/v1/captures"):
            if self.refuse:
                return self.refuse
            return (202, self.job("starting")) if r.json["mode"] == "store" else self.stream(r)
        if (r.method, path) == ("GET", f"/v1/captures/{JOB}"):
            return 200, self.job("streamed" if self.hold.is_set() else "running")
        if self.refuse_once and path in (f"/v1/captures/{JOB}/stop", f"/v1/captures/{JOB}/live"):
            return self.refuse_once.pop()
        if (r.method, path) == ("POST", f"/v1/captures/{JOB}/stop"):
            self.hold.set()
            return 202, self.job("finishing")
        if (r.method, path) == ("GET", f"/v1/captures/{JOB}/live"):
            return self.rest(r, int(r.path.partition("offset=")[2]))
        if (r.method, path) == ("GET", "/v1/captures"):
            return 200, {"captures": [self.job("streamed", target={"type": "cf", "app": "GUID", "instances": [0, 2]})], "next_cursor": None}
        return refusal(404, "not_found", "nothing there")

    def job(self, state, **more):
        return {"id": JOB, "state": state, "stop_reason": "max_packets", "created_at": "2026-01-05T10:00:00Z", "packets": {"captured": 2}, "bytes": 1,
                "instances": []} | more

    def begin(self, r, offset):
        r.send_response(200)
        for name, value in {"Content-Type": "application/x-pcapng", "Pcap-Job": JOB, "Pcap-Offset": offset, "Transfer-Encoding": "chunked"}.items():
            r.send_header(name, str(value))
        r.end_headers()

    def stream(self, r):
        first = SECTION + interface() + packet(1, b"first packet, long enough")
        self.begin(r, 0)
        r.chunk(first)
        self.hold.wait(60 * SLOW)
        if self.cut:
            r.close_connection = True
            return None
        return self.end(r)

    def rest(self, r, offset):
        self.begin(r, offset)
        return self.end(r)

    def end(self, r):
        r.chunk(packet(2, b"second packet, long enough"))
        r.wfile.write(b"0\r\n\r\n")

    @property
    def started(self):
        return self.of("POST", "/v1/captures")


def new_token(session, user="dev", life_s=1200, age_s=0, **claims):
    now = int(time.time()) - age_s
    claims = {"user_name": user, "iat": now, "exp": now + life_s, "jti": secrets.token_hex(8)} | claims
    return session.secret(f"access token of {user}", ".".join([b64(b'{"alg":"RS256"}'), b64(json.dumps(claims).encode()), secrets.token_urlsafe(24)]))


class Uaa(Stub):
    """Gives tokens that live life_s; rotating: a refresh token is good once.  refuse: answered instead."""

    def __init__(self, session, rotating=False, life_s=1200, **claims):
        self.session, self.rotating, self.life_s, self.claims, self.refuse, self.given = session, rotating, life_s, claims, None, []
        self.refresh = session.secret("refresh token", secrets.token_urlsafe(24))
        super().__init__(self.reply)

    def reply(self, r):
        if (r.method, r.path) != ("POST", "/oauth/token"):
            return 404, {}
        if self.refuse:
            return self.refuse
        if r.form["grant_type"] == "refresh_token":
            if r.form["refresh_token"] != self.refresh:
                return 401, {"error": "invalid_token", "error_description": "Invalid refresh token: " + r.form["refresh_token"]}
            if self.rotating:
                self.refresh = self.session.secret("refresh token", secrets.token_urlsafe(24))
        self.given.append(new_token(self.session, life_s=self.life_s, **self.claims))
        answer = {"access_token": self.given[-1], "token_type": "bearer", "expires_in": self.life_s}
        return 200, answer | ({"refresh_token": self.refresh} if r.form["grant_type"] == "refresh_token" else {})


class Rig:
    """A home with logins; `pcap` runs there.  Other tools' files are compared at the end."""

    def __init__(self, session, folder, pki):
        self.session, self.pki = session, pki
        self.gateway = Gateway()
        self.uaa = Uaa(session)
        self.api = Stub(lambda r: (200, {"links": {"pcap": {"href": self.gateway.url}, "uaa": {"href": self.uaa.url}, "credhub": None}}))
        self.servers = [self.gateway, self.uaa, self.api]
        self.pcap = Cli(session, folder, env={"PATH": str(folder / "bin")})  # no cf there
        self.home, self.bin, self.kept = self.pcap.folder, folder / "bin", {}
        self.bin.mkdir()

    def keep(self, path, text, mode=0o600):
        path = self.home / path
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self.kept[path] = (text, path.stat().st_ino, path.stat().st_mtime_ns)

    def cf(self, token=None, mode=0o600, **more):
        """The cf CLI's configuration; None takes a member out."""
        config = {
            "ConfigVersion": 4, "Target": self.api.url, "APIVersion": "3.228.0", "AuthorizationEndpoint": self.uaa.url, "UaaEndpoint": self.uaa.url,
            "AccessToken": "bearer " + (token or new_token(self.session)), "RefreshToken": self.uaa.refresh, "SSLDisabled": False,
            "OrganizationFields": {"GUID": "o", "Name": "acme"}, "SpaceFields": {"GUID": SPACE, "Name": "dev", "AllowSSH": True},
            "UAAOAuthClient": "cf", "UAAOAuthClientSecret": "", "UAAGrantType": "", "PluginRepos": [{"Name": "CF-Community", "URL": "https://x"}],
        } | more
        self.keep(".cf/config.json", json.dumps({k: v for k, v in config.items() if v is not None}, indent=1), mode)
        return str(config["AccessToken"]).removeprefix("bearer ")

    def cf_program(self, script):
        """A `cf` in PATH."""
        program = self.bin / "cf"
        program.write_text("#!/bin/sh\nPATH=/usr/bin:/bin\necho \"$*\" >> \"$HOME/cf-args\"\nenv > \"$HOME/cf-env\"\n" + script)
        program.chmod(0o755)

    def director(self, type="uaa", uaa=None):
        auth = {"type": type, "options": {"url": (uaa or self.uaa).url} if type == "uaa" else {}}
        stub = Stub(lambda r: (200, {"name": "lab", "uuid": "x", "user": None, "user_authentication": auth}) if r.path == "/info" else (404, {}),
                    self.pki.gateway)
        self.servers.append(stub)
        return stub

    def bosh(self, url, ca=None, **more):
        lines = [f"- url: {url}", "  alias: lab"]
        if ca:
            lines += ["  ca_cert: |", *("    " + line for line in pathlib.Path(ca).read_text().splitlines())]
        self.keep(".bosh/config", "environments:\n- url: https://elsewhere:25555\n  alias: other\n"
                  + "\n".join(lines + [f"  {k}: {v}" for k, v in more.items()]) + "\n")

    def env(self, **more):
        self.pcap.env |= more

    def in_terminal(self, argv, answer=None, asked="[yN]"):
        """stdin and stderr are a terminal; answer is typed when it asks.  (exit code, what it showed)"""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([self.session.program("pcap"), *argv], stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL, cwd=self.home,
                                   env=self.session.env(**self.pcap.env))
        os.close(theirs)
        shown, deadline, typed = "", time.monotonic() + 30 * SLOW, False
        try:
            while time.monotonic() < deadline:
                if select.select([ours], [], [], 0.1)[0]:
                    try:
                        shown += os.read(ours, 4096).decode(errors="replace")
                    except OSError:
                        break
                if answer is not None and not typed and asked in shown:
                    os.write(ours, answer.encode())
                    typed = True
            return process.wait(10 * SLOW), shown
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        for path, (text, inode, mtime) in self.kept.items():
            assert (path.read_text(), path.stat().st_ino, path.stat().st_mtime_ns) == (text, inode, mtime), f"{path} was written to"


@pytest.fixture
def rig(session, folder, pki):
    r = Rig(session, folder, pki)
    yield r
    r.gateway.hold.set()
    r.close()


def live(rig, *argv):
    """A capture that ends by itself; its result, request and file."""
    result = rig.pcap.ok(*argv, "-w", "x.pcapng")
    assert len(read_pcapng((rig.home / "x.pcapng").read_bytes()).packets) == 2
    return result, rig.gateway.started[-1]


# ---- cf ----

def test_cf_with_the_login_that_is_there(rig):
    token = rig.cf()
    result, start = live(rig, "cf", "shop/0", "shop/2", "cart", "shop/0", "-i", "eth0", "-i", "lo", "--process", "worker", "tcp", "port", "80")
    assert start.json == {
        "targets": [{"type": "cf", "app_name": "shop", "space": SPACE, "process": "worker", "instances": [0, 2]},
                    {"type": "cf", "app_name": "cart", "space": SPACE, "process": "worker"}],
        "options": {"device": "eth0,lo", "filter": "tcp port 80"}, "mode": "live", "format": "pcapng"}
    assert start.token == token and start.headers["Pcap-Second-Token"] is None
    assert result.err.startswith("Capturing from apps shop, cart in org acme / space dev as dev...\n"), result.err
    assert rig.gateway.of("POST", "/v1/resolve")[0].json == {"targets": start.json["targets"], "options": {"device": "eth0,lo"}}
    assert not rig.uaa.requests, "the token is good"
    _, start = live(rig, "cf", "--guid", "11-22/1")
    assert start.json["target"] == {"type": "cf", "app": "11-22", "instances": [1]}
    _, start = live(rig, "cf", "--app-guid", "11-22", "udp")
    assert (start.json["target"], start.json["options"]) == ({"type": "cf", "app": "11-22"}, {"filter": "udp"})

    rig.pcap.ok("cf", "shop/2")
    assert (rig.home / f"shop-2-{JOB}.pcapng").exists(), "named after what is captured"


def test_names_from_outside_are_made_printable(rig):
    rig.cf(new_token(rig.session, user="d\x1b[2Jv\u202e"), OrganizationFields={"Name": "a\u009bc"})
    result = rig.pcap.run("cf", "shop", code=2)
    assert "OrganizationFields" not in result.err and "Name: must be text without control characters" in result.err
    rig.cf(new_token(rig.session, user="d\x1b[2Jv"))
    rig.gateway.instances = [{"name": "sh\x1bop/0", "device": "e\x07", "agent": "c", "error": {"code": "x", "message": "no\x1b[31m"}}]
    result, _ = live(rig, "cf", "shop")
    assert "\x1b" not in result.err and "\x07" not in result.err and "instance" in result.err


def test_expired_token_is_renewed_by_the_cf_program(rig):
    rig.cf(new_token(rig.session, age_s=2000))
    fresh = new_token(rig.session)
    rig.env(CF_TRACE="true", BOSH_CLIENT_SECRET=rig.session.secret("client secret", "s3cret-of-a-client"))
    rig.cf_program(f"echo some trace\necho 'bearer {fresh}'\n")
    _, start = live(rig, "cf", "shop")
    assert start.token == fresh and not rig.uaa.requests
    assert (rig.home / "cf-args").read_text() == "oauth-token\n", "asked once, with nothing else"
    seen = (rig.home / "cf-env").read_text()
    assert "CF_TRACE" not in seen and "s3cret" not in seen and "HOME=" in seen
    # another token of ours is none of its business; and what it prints may be anything
    rig.env(PCAP_TOKEN=rig.session.new_token("env"))
    _, start = live(rig, "cf", "shop", "--login", "cf")
    assert start.token == fresh and "PCAP_TOKEN" not in (rig.home / "cf-env").read_text()
    for n, script in enumerate(["echo bearer", "echo 'bearer a b'", "yes bearer x | head -c 1000000", "exec >&-; exit 0", "kill -9 $$"]):
        rig.cf_program(script + "\n")
        _, start = live(rig, "cf", "shop", "--login", "cf")
        assert start.token == rig.uaa.given[n], script


@pytest.mark.parametrize("rotating", [False, True], ids=["keeping", "rotating"])
def test_expired_token_is_renewed_at_the_uaa(rig, rotating):
    rig.uaa.rotating = rotating
    rig.cf(new_token(rig.session, age_s=2000), UAAOAuthClient="cf")
    rig.cf_program("echo 'Not logged in' >&2\necho FAILED\necho bearer not-this-one\nexit 1\n")
    result, start = live(rig, "cf", "shop")
    asked = rig.uaa.requests[0]
    assert len(rig.uaa.requests) == 1 and start.token == rig.uaa.given[0]
    assert asked.headers["Authorization"] == "Basic Y2Y6" and asked.form["grant_type"] == "refresh_token"
    assert "FAILED" not in result.err and "bearer" not in result.err
    # what the server says may hold the very token
    rig.cf(new_token(rig.session, age_s=2000))
    for status, error in [(500, "Bad " + rig.uaa.refresh), (503, 5), (200, "")]:
        rig.uaa.refuse = status, {"error": error, "access_token": "a\nb"}
        result = rig.pcap.run("cf", "shop", code=6)
        assert "the cf login cannot be renewed" in result.err and rig.uaa.refresh not in result.err and result.err.endswith("FAILED\n")
    rig.uaa.refuse = None
    # a client's login asks for itself
    rig.cf(new_token(rig.session, age_s=2000), UAAGrantType="client_credentials", UAAOAuthClient="ci", UAAOAuthClientSecret="p&w", RefreshToken="")
    live(rig, "cf", "shop")
    assert rig.uaa.requests[-1].form == {"grant_type": "client_credentials", "client_id": "ci", "client_secret": "p&w"}


@pytest.mark.slow
def test_a_live_capture_outlives_its_token(rig):
    rig.uaa.rotating, rig.uaa.life_s = True, 4
    first = rig.cf(new_token(rig.session, life_s=8))
    rig.gateway.hold.clear()
    command = rig.pcap.start("cf", "shop", "-w", "x.pcapng")
    wait_for(lambda: len(rig.uaa.given) >= 2, "the token to be renewed twice")
    handed = lambda: [r.token for r in rig.gateway.of("GET", f"/v1/captures/{JOB}")]
    wait_for(lambda: rig.uaa.given[1] in handed(), "the gateway to get the renewed token")
    assert rig.gateway.started[0].token == first and rig.uaa.given[0] in handed() and first not in handed()
    rig.gateway.cut = True
    rig.gateway.hold.set()
    result = command.wait()
    assert result.code == 0 and "warning" not in result.err, result
    assert len(read_pcapng((rig.home / "x.pcapng").read_bytes()).packets) == 2
    back = rig.gateway.of("GET", f"/v1/captures/{JOB}/live")
    assert len(back) == 1 and back[0].token in rig.uaa.given[1:], "who comes back comes with a fresh one"
    assert handed()[-1] in rig.uaa.given[1:], "what is asked at the end comes with a fresh one"


@pytest.mark.slow
def test_the_end_of_a_capture_does_not_wait_for_a_renewal(rig):
    rig.cf(new_token(rig.session, life_s=40, age_s=24))  # due in 6 s
    rig.cf_program("cd \"$HOME\"\ntouch asked\nwhile [ ! -e go-on ]; do sleep 0.05; done\necho 'bearer x'\ntouch written\n")
    rig.gateway.hold.clear()
    command = rig.pcap.start("cf", "shop", "-w", "x.pcapng")
    wait_for((rig.home / "asked").exists, "the cf program to be asked")
    rig.gateway.refuse_once = [refusal(401, "unauthorized", "Come again")]
    result = command.interrupt().wait()
    assert result.code == 0 and "no end of the stream" not in result.err and "warning" not in result.err, result
    assert not rig.uaa.requests, "it did not wait until it could ask somebody else"
    assert len(rig.gateway.of("POST", f"/v1/captures/{JOB}/stop")) == 2, "a stop that gets a 401 is posted again"
    (rig.home / "go-on").touch()
    wait_for((rig.home / "written").exists, "the cf program, left alone, to end by itself")


@pytest.mark.slow
def test_the_end_of_a_capture_does_not_wait_for_the_uaa(rig):
    answer, asked, answered = rig.uaa.answer, threading.Event(), threading.Event()

    def slow(r):
        asked.set()
        answered.wait(60 * SLOW)
        return answer(r)

    rig.uaa.answer = slow
    token = rig.cf(new_token(rig.session, life_s=40, age_s=24))
    rig.gateway.hold.clear()
    command = rig.pcap.start("cf", "shop", "-w", "x.pcapng")
    wait_for(asked.is_set, "the UAA to be asked")
    rig.gateway.cut, rig.gateway.refuse_once = True, [refusal(401, "unauthorized", "Come again")]
    rig.gateway.hold.set()
    result = command.wait()
    answered.set()
    assert result.code == 0 and "warning" not in result.err, f"given up, or waited for until it was: {result}"
    assert len(rig.gateway.of("GET", f"/v1/captures/{JOB}/live")) == 2, "a resume that gets a 401 is tried once more"
    assert {r.token for r in rig.gateway.requests} == {token}, "what is there is good enough"


def test_waiting_for_a_stored_one_renews_as_well(rig):
    rig.cf(new_token(rig.session, life_s=4))
    rig.gateway.hold.clear()
    command = rig.pcap.start("cf", "shop", "--store", "--wait")
    wait_for(lambda: rig.uaa.given and rig.gateway.requests[-1].token == rig.uaa.given[0], "the renewed token")
    rig.gateway.hold.set()
    assert command.wait().code == 0 and len(rig.uaa.given) == 1


def test_a_login_that_ends_meanwhile_does_not_end_the_capture(rig):
    rig.uaa.refuse = 401, {"error": "invalid_token", "error_description": "Invalid refresh token: " + rig.uaa.refresh}
    rig.cf(new_token(rig.session, life_s=4))
    rig.gateway.hold.clear()
    command = rig.pcap.start("cf", "shop", "-w", "x.pcapng")
    wait_for(lambda: "warning: Your cf login has expired" in command.err, "the warning")
    rig.gateway.hold.set()
    result = command.wait()
    assert result.code == 0 and result.err.count("warning") == 1, result
    assert rig.gateway.of("GET", f"/v1/captures/{JOB}"), "the old token is still tried"


def test_what_is_said_when_there_is_no_login(rig):
    old = new_token(rig.session, age_s=2000)
    rows = [  # configuration, exit code, words
        (None, 1, ["No API endpoint set.", "TIP: ", "cf api", "FAILED"]),
        ({"Target": ""}, 1, ["No API endpoint set.", "cf api"]),
        ({"ConfigVersion": 3}, 1, ["No API endpoint set."]),
        ({"AccessToken": "", "RefreshToken": ""}, 1, ["Not logged in.", "TIP: ", "cf login", "FAILED"]),
        ({"SpaceFields": {"GUID": "", "Name": ""}}, 1, ["No space targeted.", "cf target -o ORG -s SPACE", "FAILED"]),
        ({"AccessToken": "bearer " + old, "RefreshToken": "stale-refresh-token"}, 1, ["Your cf login has expired.", "TIP: ", "cf login", "FAILED"]),
        ({"AccessToken": "bearer " + old, "UaaEndpoint": "http://uaa.example.test"}, 3, ["not sent to http://uaa.example.test", "FAILED"]),
        ({"AccessToken": 5}, 2, ["config.json: AccessToken: must be a string"]),
        ({"SpaceFields": "dev"}, 2, ["SpaceFields: must be an object"]),
        ({"AccessToken": "x\ny"}, 2, ["AccessToken: must be text without control characters"]),
    ]
    for config, code, words in rows:
        if config is not None:
            rig.cf(**config)
        result = rig.pcap.run("cf", "shop", code=code)
        for word in words:
            assert word in result.err, (config, result)
        assert "stale-refresh" not in result.err and "pcap: " not in result.err and not result.out
    for text in ("", "{", "[]", "\0", "{\"ConfigVersion\":4," * 3000, "{\"x\":\"" + "a" * (1 << 20) + "\"}"):
        rig.keep(".cf/config.json", text)
        result = rig.pcap.run("cf", "shop", code=5 if len(text) > 1 << 20 else 2)
        assert "the cf CLI's configuration" in result.err and result.err.endswith("FAILED\n"), (text[:50], result)
    assert not rig.gateway.requests


def test_what_the_gateway_refuses_reads_like_cf(rig):
    rig.cf(mode=0o644)
    for refuse, code, words in [(refusal(403, "forbidden", "You may not capture from app shop"), 3, "You may not capture from app shop\nFAILED\n"),
                                (refusal(404, "not_found", "App 'shop' not found"), 4, "App 'shop' not found\nFAILED\n")]:
        rig.gateway.refuse = refuse
        result = rig.pcap.run("cf", "shop", code=code)
        assert result.err.endswith(words), result
    assert "warning: everybody on this machine can read" in result.err
    result = rig.pcap.run("cf", code=2)
    assert "no app" in result.err and "FAILED" in result.err
    for words in (["shop/x"], ["shop/"], ["/1"], ["shop/1000000"], ["shop", "-e", "lab"]):
        rig.pcap.run("cf", *words, code=2)


def test_token_of_the_environment_overrides(rig):
    rig.cf(AccessToken="", RefreshToken="")
    token = rig.session.new_token("env")
    rig.env(PCAP_TOKEN=token)
    result, start = live(rig, "cf", "shop")
    assert start.token == token and start.json["target"]["space"] == SPACE and "PCAP_TOKEN" not in result.err
    assert "Capturing from app shop in org acme / space dev...\n" in result.err
    result, _ = live(rig, "-v", "cf", "shop")
    assert "PCAP_TOKEN is set" in result.err and rig.gateway.url in result.err


def test_where_the_gateway_is(rig):
    rig.cf()
    elsewhere = Gateway()
    rig.servers.append(elsewhere)
    rig.pcap.ok("cf", "shop", "-w", "x", "--gateway", elsewhere.url)
    rig.env(PCAP_GATEWAY=elsewhere.url)
    rig.pcap.ok("cf", "shop", "-w", "x")
    assert len(elsewhere.started) == 2 and not rig.gateway.requests and not rig.api.requests
    rig.env(PCAP_GATEWAY="")
    rig.api.answer = lambda r: (200, {"links": {"self": {"href": rig.api.url}, "pcap": None}})
    result = rig.pcap.run("cf", "shop", code=2)
    assert "no gateway" in result.err and rig.api.url in result.err
    rig.api.answer = lambda r: (200, {"links": {"pcap": {"href": "http://pcap.example.test"}}})
    assert "plain http to another machine" in rig.pcap.run("cf", "shop", code=3).err


def test_what_cf_has_as_its_target_gets_no_other_token(rig):
    rig.cf()
    rig.gateway.devices = 200, {"instances": []}
    rig.pcap.ok("devices", "host", "web")
    asked, seen = len(rig.api.requests), len(rig.gateway.requests)
    token = rig.session.new_token("env")
    rig.env(PCAP_TOKEN=token, BOSH_DEPLOYMENT="cf")
    for argv in (["devices", "host", "web"], ["host", "web"], ["show", JOB], ["bosh"], ["devices", "bosh", "router"]):
        assert "no gateway: give --gateway URL or set PCAP_GATEWAY" in rig.pcap.run(*argv, code=2).err, argv
    assert (len(rig.api.requests), len(rig.gateway.requests)) == (asked, seen)
    rig.pcap.ok("devices", "cf", "shop")
    assert rig.gateway.requests[-1].token == token, "there cf was named"
    rig.pcap.ok("devices", "host", "web", "--login", "cf")
    assert rig.gateway.requests[-1].token != token
    rig.pcap.ok("version")
    rig.pcap.ok("info", "--gateway", rig.gateway.url)


def test_who_names_the_gateway_is_verified(rig):
    false = Stub(rig.api.answer, rig.pki.gateway)
    rig.servers.append(false)
    rig.cf(Target=false.url, SSLDisabled=True)
    assert "no gateway: the platform names none" in rig.pcap.run("cf", "shop", code=2).err
    assert not false.requests and not rig.gateway.requests
    live(rig, "cf", "shop", "--cacert", rig.pki.ca)
    rig.cf(Target="http://api.example.test")
    assert "plain http to another machine" in rig.pcap.run("cf", "shop", code=3).err


def test_login_and_the_command_s_platform(rig):
    rig.cf()
    rig.env(BOSH_DEPLOYMENT="cf")
    for command, login, code, words in [
            (["cf", "shop"], "bosh:lab", 2, 'option --login: "bosh:lab" does not go with pcap cf'), (["cf", "shop"], "ldap", 2, "does not go with pcap cf"),
            (["cf", "shop"], "token", 3, "not logged in: set PCAP_TOKEN"), (["devices", "cf", "shop"], "bosh", 2, "does not go with pcap cf"),
            (["bosh"], "cf", 2, 'option --login: "cf" does not go with pcap bosh'), (["bosh"], "token", 3, "not logged in: set PCAP_TOKEN"),
            (["devices", "bosh", "x"], "cf", 2, "does not go with pcap bosh")]:
        assert words in rig.pcap.run(*command, "--login", login, code=code).err, (command, login)
    assert not rig.gateway.requests
    token = rig.session.new_token("env")
    rig.env(PCAP_TOKEN=token)
    _, start = live(rig, "cf", "shop", "--login", "token")
    assert start.token == token


# ---- which instances ----

def instances(n, bad=0):
    return [{"name": f"shop/{i}", "device": "eth0", "agent": f"cell-{i}", "error": {"code": "not_running", "message": "it is DOWN"} if i < bad else None}
            for i in range(n)]


def test_the_question(rig):
    rig.cf()
    rig.gateway.instances = instances(4, bad=1)
    ask = ["cf", "shop", "-w", "x", "--confirm-above", "2"]
    code, shown = rig.in_terminal(ask, "y\n")
    assert code == 0 and "Capture from 3 instances? [yN]" in shown and len(rig.gateway.started) == 1, shown
    assert "instance  device  agent   state" in shown and "shop/0    eth0    cell-0  it is DOWN" in shown and "shop/3    eth0    cell-3  ok" in shown
    for answer in ("n\n", "\n", "x\n", "\x04"):
        code, shown = rig.in_terminal(ask, answer)
        assert code == 1 and "not started" in shown and "FAILED" in shown and len(rig.gateway.started) == 1, (answer, shown)
    for argv in (ask + ["-y"], ["cf", "shop", "-w", "x"], ask[:-1] + ["3"]):
        code, shown = rig.in_terminal(argv)
        assert code == 0 and "[yN]" not in shown and "shop/3" in shown, shown
    rig.env(PCAP_CONFIRM_ABOVE="0")
    assert rig.in_terminal(["cf", "shop", "-w", "x"], "n\n")[0] == 1
    result = rig.pcap.ok(*ask)
    assert "[yN]" not in result.err and "it is DOWN" in result.err, "without a terminal it goes on"
    rig.env(PCAP_CONFIRM_ABOVE="many")
    assert "PCAP_CONFIRM_ABOVE" in rig.pcap.run("cf", "shop", code=2).err
    rig.env(PCAP_CONFIRM_ABOVE="")
    rig.gateway.instances = instances(1)
    assert "cell-0" not in rig.pcap.ok("cf", "shop", "-w", "x").err, "one is no table"
    rig.gateway.instances = None
    assert "not_found" not in rig.pcap.ok("cf", "shop", "-w", "x").err, "an older gateway"


# ---- bosh ----

def test_bosh_with_the_login_that_is_there(rig):
    director = rig.director()
    rig.uaa.rotating, rig.uaa.life_s = True, 120
    rig.bosh(director.url, rig.pki.ca, access_token=new_token(rig.session, "admin", 120, 600), refresh_token=rig.uaa.refresh, access_token_type="bearer")
    rig.env(PCAP_GATEWAY=rig.gateway.url)
    result, start = live(rig, "bosh", "-e", "lab", "-d", "cf", "router/0", "diego-cell", "router/0", "tcp")
    assert start.json["target"] == {"type": "bosh", "deployment": "cf", "instances": ["router/0", "diego-cell"]}
    assert start.json["options"] == {"filter": "tcp"} and start.token == rig.uaa.given[0]
    assert f"Using environment '{director.url}' as user 'dev'\nUsing deployment 'cf'\n" in result.err
    assert rig.uaa.requests[0].headers["Authorization"] == "Basic " + base64.b64encode(b"bosh_cli:").decode()
    # variables, the whole deployment; the stored refresh token is used up: the file is not ours to change
    rig.uaa.refuse = 401, {"error": "invalid_token", "error_description": "Invalid refresh token: " + rig.uaa.refresh}
    rig.env(BOSH_ENVIRONMENT=director.url, BOSH_DEPLOYMENT="cf")
    result = rig.pcap.run("bosh", "tcp", code=1)
    assert f"The login has expired for environment '{director.url}'" in result.err and "log-in" in result.err and result.err.endswith("Exit code 1\n")
    rig.uaa.refuse = None
    rig.bosh(director.url, rig.pki.ca, refresh_token=rig.uaa.refresh)
    _, start = live(rig, "bosh", "tcp", "port", "443")
    assert start.json["target"] == {"type": "bosh", "deployment": "cf"} and start.json["options"] == {"filter": "tcp port 443"}


def test_bosh_as_a_client(rig):
    director = rig.director()
    rig.uaa.claims = {"user_name": None, "client_id": "ci"}
    secret = rig.session.secret("client secret", secrets.token_urlsafe(12))
    rig.env(BOSH_ENVIRONMENT=director.url, BOSH_CLIENT="ci", BOSH_CLIENT_SECRET=secret, BOSH_CA_CERT=pathlib.Path(rig.pki.ca).read_text(),
            PCAP_GATEWAY=rig.gateway.url)
    result, start = live(rig, "bosh", "-d", "cf", "router")
    assert start.token == rig.uaa.given[0] and "as client 'ci'" in result.err
    asked = rig.uaa.requests[0]
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(f"ci:{secret}".encode()).decode()
    assert asked.form == {"grant_type": "client_credentials"}
    rig.env(BOSH_CA_CERT=rig.pki.ca)  # a path
    live(rig, "bosh", "-d", "cf", "router")
    rig.env(BOSH_CA_CERT="")
    result = rig.pcap.run("bosh", "-d", "cf", code=6)
    assert "the director at" in result.err and "certificate" in result.err and "--ca-cert FILE" in result.err and len(rig.uaa.requests) == 2
    live(rig, "bosh", "-d", "cf", "--ca-cert", rig.pki.ca)
    rig.uaa.refuse = 401, {"error": "unauthorized", "error_description": f"Bad {secret}"}
    result = rig.pcap.run("bosh", "-d", "cf", "--ca-cert", rig.pki.ca, code=1)
    assert "The client is not accepted" in result.err and secret not in result.err
    # of the configuration
    rig.uaa.refuse = None
    rig.env(BOSH_CLIENT="", BOSH_CLIENT_SECRET="")
    rig.bosh(director.url, rig.pki.ca, username="team", password=secret)
    live(rig, "bosh", "-d", "cf")
    assert rig.uaa.requests[-1].headers["Authorization"] == "Basic " + base64.b64encode(f"team:{secret}".encode()).decode()


def test_what_is_said_when_bosh_does_not_work(rig):
    basic = rig.director(type="basic")
    rig.env(PCAP_GATEWAY=rig.gateway.url, BOSH_DEPLOYMENT="cf")
    rows = [  # environment, its members, arguments, exit code, words
        (None, {}, [], 2, ["which director?", "BOSH_ENVIRONMENT"]),
        ("nowhere", {}, [], 1, ["\"nowhere\" is no URL, and no alias", "TIP: "]),
        ("http://x:25555", {}, [], 2, ["not the URL of a director"]),
        ("lab", {}, [], 1, ["Not logged in to environment", "log-in"]),
        ("lab", {"refresh_token": "r"}, [], 3, ["user management \"basic\""]),
        ("lab", {"refresh_token": "[r]"}, [], 2, ["refresh_token: must be plain text"]),
        ("lab", {"refresh_token": "r"}, ["a/b/c"], 2, ["expects GROUP or GROUP/ID"]),
        ("lab", {"refresh_token": "r"}, ["-d", ""], 2, ["which deployment?"]),
    ]
    for environment, members, argv, code, words in rows:
        rig.bosh(basic.url, rig.pki.ca, **members)
        rig.env(BOSH_ENVIRONMENT=environment or "")
        result = rig.pcap.run("bosh", *argv, code=code)
        for word in words:
            assert word in result.err, (environment, result)
        assert result.err.endswith(f"Exit code {code}\n"), result
    for text in ("environments: x", "- a", "{", "environments:\n- &a {url: x}\n- *a\n", "a: 1\n---\nb: 2\n", "[" * 100, "environments: [" + "x," * (1 << 20)):
        rig.keep(".bosh/config", text)
        rig.env(BOSH_ENVIRONMENT="lab")
        assert "the bosh CLI's configuration" in rig.pcap.run("bosh", code=5 if len(text) > 1 << 20 else 2).err, text[:20]
    rig.env(PCAP_GATEWAY="")
    rig.bosh(rig.director().url, rig.pki.ca, refresh_token=rig.uaa.refresh)
    assert "no gateway: give --gateway URL or set PCAP_GATEWAY" in rig.pcap.run("bosh", code=2).err
    rig.cf()
    assert "no gateway: give --gateway URL or set PCAP_GATEWAY" in rig.pcap.run("bosh", code=2).err
    assert not rig.gateway.requests and not rig.api.requests, "a director's token is not for the platform that cf knows"


def test_apps_and_vms_with_two_tokens(rig):
    theirs = Uaa(rig.session, life_s=4)
    rig.servers.append(theirs)
    director = rig.director(uaa=theirs)
    token = rig.cf()
    rig.bosh(director.url, rig.pki.ca, refresh_token=theirs.refresh)
    rig.gateway.hold.clear()
    command = rig.pcap.start("cf", "shop/0", "--bosh", "cf/router", "--bosh", "cf/diego-cell/0", "--bosh", "other", "-e", "lab", "-w", "x.pcapng")
    handed = lambda: [r.headers["Pcap-Second-Token"] for r in rig.gateway.of("GET", f"/v1/captures/{JOB}")]
    wait_for(lambda: len(theirs.given) > 1 and f"Bearer {theirs.given[1]}" in handed(), "the second token to be renewed and handed over")
    assert command.interrupt().wait().code == 0
    stop, = rig.gateway.of("POST", f"/v1/captures/{JOB}/stop")
    assert stop.headers["Pcap-Second-Token"] in [f"Bearer {t}" for t in theirs.given[1:]]
    start = rig.gateway.started[0]
    assert start.json["targets"] == [{"type": "cf", "app_name": "shop", "space": SPACE, "instances": [0]},
                                     {"type": "bosh", "deployment": "cf", "instances": ["router", "diego-cell/0"]},
                                     {"type": "bosh", "deployment": "other"}]
    assert (start.token, start.headers["Pcap-Second-Token"]) == (token, f"Bearer {theirs.given[0]}")
    assert {r.token for r in rig.gateway.requests} == {token}, "the first one is as good as it was"
    assert f"Capturing from app shop in org acme / space dev as dev...\nand from cf: router, diego-cell/0; other at '{director.url}' as dev...\n" in command.err


# ---- what comes after ----

def test_other_commands_come_as_the_same(rig):
    token = rig.cf()
    result = rig.pcap.ok("cf", "shop", "--store")
    assert f"pcap show {JOB}  " in result.err
    assert "GUID/0, GUID/2" in rig.pcap.ok("jobs", "--app", "GUID", "--deployment", "c f").text
    listed = rig.gateway.of("GET", "/v1/captures")[0]
    assert listed.path == "/v1/captures?app=GUID&deployment=c%20f" and listed.token == token
    rig.pcap.ok("show", JOB)
    director = rig.director()
    rig.bosh(director.url, rig.pki.ca, refresh_token=rig.uaa.refresh)
    rig.env(PCAP_GATEWAY=rig.gateway.url)
    for named in (["-e", "lab"], ["--login", "bosh:lab"]):
        assert f"pcap show {JOB} --login bosh:lab" in rig.pcap.ok("bosh", *named, "-d", "cf", "--store").err
    rig.pcap.ok("show", JOB, "--login", "bosh:lab")
    assert rig.gateway.requests[-1].token == rig.uaa.given[-1]
    assert "none of cf, bosh" in rig.pcap.run("show", JOB, "--login", "ldap", code=2).err
    rig.cf(AccessToken="", RefreshToken="")
    assert "not logged in: set PCAP_TOKEN" in rig.pcap.run("show", JOB, code=3).err


def test_devices(rig):
    rig.cf()
    devices = [{"name": "eth0", "up": True, "loopback": False, "addresses": ["10.255.0.4"], "description": ""},
               {"name": "lo", "up": True, "loopback": True, "addresses": ["127.0.0.1", "::1"], "description": "b\x1bad"},
               {"name": "tap", "up": False, "loopback": False, "addresses": [], "description": "x"}]
    rig.gateway.devices = 200, {"instances": [{"name": "shop/0", "error": None, "devices": devices},
                                              {"name": "shop/1", "error": {"code": "not_running", "message": "it is DOWN"}, "devices": []}]}
    result = rig.pcap.ok("devices", "cf", "shop")
    assert [line.split() for line in result.text.splitlines()] == [
        ["instance", "device", "state", "addresses", "description"], ["shop/0", "eth0", "up", "10.255.0.4"],
        ["shop/0", "lo", "up,", "loopback", "127.0.0.1,", "::1", "b?ad"], ["shop/0", "tap", "down", "x"]]
    assert "shop/1: it is DOWN" in result.err and "FAILED" not in result.err
    assert rig.gateway.requests[-1].json == {"target": {"type": "cf", "app_name": "shop", "space": SPACE}}
    assert rig.pcap.ok("devices", "cf", "--guid", "G/1", "--json").json == rig.gateway.devices[1]
    assert rig.gateway.requests[-1].json == {"target": {"type": "cf", "app": "G", "instances": [1]}}
    rig.pcap.ok("devices", "host", "web/0")
    assert rig.gateway.requests[-1].json == {"target": {"type": "host", "instances": ["web/0"]}}
    rig.bosh(rig.director().url, rig.pki.ca, refresh_token=rig.uaa.refresh)
    rig.env(PCAP_GATEWAY=rig.gateway.url)
    rig.pcap.ok("devices", "bosh", "-e", "lab", "-d", "cf", "router/0")
    assert rig.gateway.requests[-1].json == {"target": {"type": "bosh", "deployment": "cf", "instances": ["router/0"]}}
    assert rig.gateway.requests[-1].token == rig.uaa.given[-1]
    rig.gateway.devices = 200, {"instances": [{"name": "shop/1", "error": {"code": "not_running", "message": "it is DOWN"}, "devices": []}]}
    rig.pcap.run("devices", "cf", "shop", code=1)
    assert rig.pcap.run("devices", "cf", "shop", "--json", code=1).json == rig.gateway.devices[1]
    rig.gateway.devices = refusal(403, "forbidden", "You may not")
    assert rig.pcap.run("devices", "cf", "shop", code=3).err == "You may not\nFAILED\n"


def test_help_and_completion(rig):
    text = rig.pcap.ok("help", "cf").text
    for word in ("Envoy", "-i eth0,lo", "--app-guid", "--confirm-above", "--duration", "twice"):
        assert word in text, word
    assert "BOSH_CA_CERT" in rig.pcap.ok("help", "bosh").text and "APP" in rig.pcap.ok("help", "devices", "cf").text
    environment = rig.pcap.ok("help", "environment").text
    for word in ("CF_HOME", "BOSH_CONFIG", "BOSH_CLIENT", "PCAP_CONFIRM_ABOVE"):
        assert word in environment, word
    script = rig.pcap.ok("completion", "bash").text
    ask = "COMP_WORDS=(pcap {}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _pcap; echo \"${{COMPREPLY[@]}}\"\n"
    for words, found in [("b", "bosh"), ("cf --app-", "--app-guid"), ("bosh --conf", "--confirm-above"), ("devices bo", "bosh"),
                         ("devices bosh --dep", "--deployment"), ("jobs --dep", "--deployment"), ("cf shop --dur", "--duration")]:
        out = subprocess.run(["/bin/bash", "-c", script + ask.format(words)], capture_output=True, text=True, check=True).stdout.strip()
        assert out == found, (words, out)
    for shell in ("zsh", "fish"):
        text = rig.pcap.ok("completion", shell).text
        assert "app-guid" in text and "confirm-above" in text and "devices" in text
