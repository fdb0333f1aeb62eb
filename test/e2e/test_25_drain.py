"""The gateway's own life: its end, its reload, its state folder and its listener."""
import hashlib
import os
import signal
import socket
import ssl
import stat
import warnings

import pytest

from rig import PORT, Http, Pki, numbers_of, read_pcapng, wait_for
from rig.reference import accepted_by_all

FILTER = f"udp port {PORT}"


def whole_run(packets):
    numbers = numbers_of(packets, PORT)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "numbers are missing or out of order"
    return numbers


# ---- SIGTERM ----

@pytest.mark.threads
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_drain_under_load(fleet, folder, sig):
    """Pitfall 18: live and stored captures end gracefully, complete, with the reason; exit code 0; the stored ones are there afterwards."""
    f = fleet(2, config={"storage": {"chunk": "256KiB"}})
    senders = [f.send(i, pps=3000, size=500, burst=3) for i in range(2)]
    live = f.gateway.live(packet_filter=FILTER)
    pcap = f.gateway.live(packet_filter=FILTER, format="pcap", instances=["web/0"])
    job = f.gateway.store(packet_filter=FILTER)
    quiet = f.gateway.store(packet_filter="udp port 9")
    for j in (live.job, job):
        wait_for(lambda j=j: all(i["state"] == "running" and i["packets"] > 1000 for i in f.gateway.job(j)["instances"]), "traffic")
    f.gateway.stop(sig)
    for s in senders:
        s.stop()
    for stream in (live, pcap):
        stream.wait_end()
        assert not stream.broken, "the stream was cut instead of ended"
    capture = read_pcapng(live.data)
    for i in range(2):
        numbers = whole_run(capture.of(f"web/{i} "))
        interface = next(x for x in capture.interfaces if x.name.startswith(f"web/{i}"))
        assert "capture ended (gateway_shutdown)" in interface.last_stats.comments[0]
        assert interface.last_stats.delivered == interface.last_stats.accepted == len(numbers) and interface.last_stats.dropped_os == 0
    whole_run(pcap.pcap().packets)
    wait_for(lambda: all(a.captures() == 0 for a in f.agents), "the agents to be free")
    f.gateway.start()
    for j, some in ((job, True), (quiet, False)):
        ended = f.gateway.wait_state(j, "ready")
        assert ended["stop_reason"] == "gateway_shutdown", ended
        data = f.gateway.download(j)
        assert hashlib.sha256(data).hexdigest() == ended["object"]["sha256"]
        (folder / "x.pcapng").write_bytes(data)
        assert accepted_by_all(folder / "x.pcapng") == ended["packets"]["captured"]
        stored = read_pcapng(data)
        for i in range(2 if some else 0):
            whole_run(stored.of(f"web/{i} "))
    assert f.gateway.job(live.job)["state"] == "streamed" and f.gateway.job(live.job)["stop_reason"] == "gateway_shutdown"


def test_end_without_captures(fleet):
    f = fleet(1)
    keep = [f.gateway.http.raw() for _ in range(5)]
    f.gateway.stop(timeout_s=10)
    for s in keep:
        s.close()


@pytest.mark.slow
def test_no_new_captures_while_draining(fleet):
    """A viewer that takes nothing holds the drain up until its timeout; the others' packets are safe, newcomers are told to come again."""
    f = fleet(1, config={"drain_timeout": "10s", "live": {"backlog": "4MiB"}})
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    job = f.gateway.store(packet_filter=FILTER)
    live.pause()
    sent = f.send(pps=20000, count=15000, size=1400, burst=20).wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == sent, "all to be stored")
    f.gateway.send(signal.SIGTERM)
    ready = wait_for(lambda: (r := f.gateway.api("GET", "/readyz", user=None)).status == 503 and r, "it to drain")
    assert ready.json["reasons"][0]["what"] == "draining"
    refused = f.gateway.api("POST", "/v1/captures", f.gateway.request())
    assert refused.status == 503 and refused.error["code"] == "draining" and refused.headers["retry-after"]
    assert f.gateway.api("GET", "/healthz", user=None).status == 200
    assert f.gateway.wait_state(job, "ready")["packets"]["captured"] == sent
    # Not the whole HTTP_STOP_DRAIN_S (30 s) on top for one that takes nothing.
    f.gateway.stop(timeout_s=25)
    live.abort()
    f.gateway.start()
    assert len(read_pcapng(f.gateway.download(job)).packets) == sent


def test_drain_with_a_frozen_agent(fleet):
    """What an agent owes is waited for only so long; the file has the rest."""
    f = fleet(2, config={"agents": {"stop_timeout": "2s"}})
    job = f.gateway.store(packet_filter=FILTER)
    wait_for(lambda: all(i["state"] == "running" for i in f.gateway.job(job)["instances"]), "both to run")
    f.round_robin(100)
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == 100, "all to be captured")
    f.agents[0].freeze()
    f.gateway.stop(timeout_s=30)
    f.agents[0].thaw()
    f.gateway.start()
    f.gateway.wait_state(job, "ready")
    assert numbers_of(read_pcapng(f.gateway.download(job)).of("web/1 "), PORT) == list(range(1, 100, 2))
    wait_for(lambda: f.agents[0].captures() == 0, "the thawed agent to let go", timeout_s=20)


# ---- SIGHUP ----

def test_reload(fleet):
    f = fleet(2, groups=lambda made: {"web": made[:1]})
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    old = f.gateway.tokens.pop("bob")
    f.gateway.users = {u: m for u, m in f.gateway.users.items() if u != "bob"} | {"dave": {"org": "acme"}}
    f.gateway.tokens["dave"] = f.gateway.session.new_token("dave")
    f.gateway.write_tokens()
    f.gateway.write_inventory({"web": f.agents[:1], "more": {"users": ["dave"], "orgs": [], "instances": [{"id": "x", "agent": f.agents[1].address}]}})
    assert f.gateway.api("GET", "/v1/captures", user="dave").status == 401, "read before it was told to"
    f.gateway.send(signal.SIGHUP)
    wait_for(lambda: f.gateway.api("GET", "/v1/captures", user="dave").status == 200, "the new token")
    assert f.gateway.api("GET", "/v1/captures", token=old).status == 401
    wait_for(lambda: f.gateway.logged("gateway.reloaded"), "the inventory as well")
    more = f.gateway.live(user="dave", group="more", packet_filter=FILTER)
    assert more.status == 200
    f.gateway.finish(more.job, "dave")
    more.wait_end()
    f.send(count=10).wait()
    live.wait_packets(10)
    f.gateway.finish(live.job)
    live.wait_end()
    assert not live.broken, "a reload must not touch what runs"


@pytest.mark.parametrize("file", ["tokens", "inventory"])
def test_reload_of_a_bad_file_changes_nothing(fleet, file):
    f = fleet(1)
    f.gateway.allowed_errors.append("gateway.reload_failed")
    path = f.gateway.tokens_path if file == "tokens" else f.gateway.inventory_path
    good = path.read_text()
    for bad in ("tokens: [", "groups: 5", good + "x: 1\n", "\0"):
        path.write_text(bad)
        before = len(f.gateway.logged("gateway.reload_failed"))
        f.gateway.send(signal.SIGHUP)
        wait_for(lambda: len(f.gateway.logged("gateway.reload_failed")) > before, f"the refusal of {bad!r}")
        assert f.gateway.api("GET", "/v1/captures").status == 200
        live = f.gateway.live(packet_filter=FILTER)
        assert live.status == 200
        f.gateway.finish(live.job)
        live.wait_end()
    path.write_text(good)
    f.gateway.send(signal.SIGHUP)
    wait_for(lambda: f.gateway.logged("gateway.reloaded"), "the good file to be taken again")


# ---- start ----

def refused_start(gateway, *texts):
    """It ends at once with exit code 1 and says all of texts."""
    gateway.expected_exits = {1}
    gateway.allowed_errors.append("not JSON")
    gateway.start(wait=False)
    gateway.wait_exit(20)
    said = gateway.log().splitlines()[-1]
    assert gateway.process.returncode == 1 and all(t in said for t in texts), said
    gateway.check()


def test_second_gateway_on_the_same_state(fleet, gateways):
    f = fleet(1)
    job = f.gateway.store(packet_filter=FILTER)
    second = gateways({"web": f.agents}, start=False)
    second.config["state_dir"] = str(f.gateway.state_dir)
    refused_start(second, "another pcap-gateway", str(f.gateway.state_dir))
    f.send(count=10).wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == 10, "the first one's capture to go on")
    assert f.gateway.finish(job)["state"] == "ready"
    f.gateway.kill9()
    second.expected_exits, second.allowed_errors = {0, 1}, ["not JSON"]
    second.start()  # a lock does not outlive its holder
    assert second.job(job, "olga")["state"] == "ready"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "net"])
def test_plain_http_only_on_loopback(net, gateways, address):
    gateway = gateways({}, start=False)
    gateway.config["listen"]["address"] = net.ip if address == "net" else address
    refused_start(gateway, "listen")


def test_state_is_private(fleet):
    f = fleet(1)
    job = f.gateway.store(packet_filter=FILTER)
    f.gateway.finish(job)
    for path in [f.gateway.state_dir, *f.gateway.state_dir.rglob("*")]:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        assert mode & 0o077 == 0, f"{path} has mode {mode:o}"
    assert f.gateway.job(job)["state"] == "ready"


# ---- TLS ----

def test_tls_listener(session, fleet):
    f = fleet(1, tls=True)
    g = f.gateway
    live = g.live(packet_filter=FILTER)
    g.wait_running(live.job)
    f.send(count=50).wait()
    live.wait_packets(50)
    job = g.finish(live.job)
    live.wait_end()
    assert not live.broken and len(read_pcapng(live.data).packets) == 50 and job["bytes"] == len(live.data)
    # A client that trusts another CA, or expects another name, does not talk to it.
    other = Pki(session, session.work / "pki-drain-other", "Another CA")
    with pytest.raises(ssl.SSLCertVerificationError):
        Http(("127.0.0.1", g.port), other.ca, None, "localhost").request("GET", "/healthz")
    with pytest.raises(ssl.SSLCertVerificationError):
        Http(("127.0.0.1", g.port), g.pki.ca, None, "other.example").request("GET", "/healthz")
    old = ssl.create_default_context(cafile=g.pki.ca)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(socket.create_connection(("127.0.0.1", g.port), 10), server_hostname="localhost")
    # Plain HTTP on the TLS port: closed, and no token is taken from it.
    s = socket.create_connection(("127.0.0.1", g.port), 10)
    s.sendall(f"GET /v1/captures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {g.tokens['alice']}\r\n\r\n".encode())
    s.settimeout(20)
    try:
        assert b"HTTP/1.1 200" not in s.recv(4096)
    except ConnectionResetError:
        pass
    s.close()
    assert g.api("GET", "/v1/captures").status == 200


def test_links_lead_to_the_public_url(fleet):
    f = fleet(1, config={"public_url": "https://pcap.sys.example.org/"})
    job = f.gateway.store(packet_filter=FILTER)
    f.gateway.finish(job)
    url = f.gateway.link(job)["url"]
    assert url.startswith("https://pcap.sys.example.org/v1/files/")
    assert f.gateway.http.request("GET", url[len("https://pcap.sys.example.org"):]).status == 200
