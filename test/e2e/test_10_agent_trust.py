"""The agent's door: mutual TLS, and requests that must be refused before anything is opened."""
import http.client
import json
import socket
import ssl

import pytest

from rig import Http, Pki, wait_for
from rig.agent import new_id


@pytest.fixture
def agent(net, agents):
    return agents(net.ns("a"))


@pytest.fixture(scope="module")
def other_pki(session):
    return Pki(session, session.work / "pki-other", "Another CA")


def nothing_is_served(client):
    """Neither an answer nor a single byte of one."""
    with pytest.raises((OSError, http.client.HTTPException)):
        client.request("GET", "/v1/info")
    try:
        s = client.raw()
        s.sendall(b"GET /v1/info HTTP/1.1\r\nHost: pcap-agent\r\n\r\n")
        assert s.recv(100) == b""
        s.close()
    except OSError:
        pass


def test_mtls_right(agent):
    reply = agent.http.request("GET", "/v1/info")
    assert reply.status == 200
    assert reply.json["captures"] == 0 and reply.json["targets"] == ["host"] and reply.json["api_level"] >= 1


def test_mtls_none(agent):
    nothing_is_served(agent.client(None))


def test_mtls_wrong_ca(agent, other_pki, pki):
    nothing_is_served(Http((agent.host, agent.port), pki.ca, other_pki.gateway_client, "pcap-agent"))


@pytest.mark.parametrize("what,names,more", [
    ("expired", ["pcap-gateway"], {"expired": True}),
    ("not valid yet", ["pcap-gateway"], {"early": True}),
    ("wrong name", ["pcap-agent"], {}),
    ("a name that only begins like it", ["pcap-gateway.example.com"], {}),
    ("a wildcard", ["*"], {}),
    ("the name only as common name", ["somebody"], {"common_name": "pcap-gateway"}),
    ("no alternative names", [], {"common_name": "pcap-gateway"}),
])
def test_mtls_wrong(agent, pki, what, names, more):
    identity = pki.issue("bad-" + what.replace(" ", "-"), names, client=True, **more)
    nothing_is_served(agent.client(identity))
    assert agent.answers()


def test_mtls_agent_cannot_be_gateway(agent, pki):
    """The agents' own certificates, which every cell holds, open no other agent."""
    nothing_is_served(agent.client(pki.agent))


def test_mtls_no_plain_http(agent):
    with pytest.raises((OSError, http.client.HTTPException)):
        Http((agent.host, agent.port)).request("GET", "/v1/info")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_mtls_no_old_tls(agent, pki):
    client = agent.client(pki.gateway_client)
    client.context.minimum_version = ssl.TLSVersion.TLSv1
    client.context.maximum_version = ssl.TLSVersion.TLSv1_1
    client.context.set_ciphers("ALL:@SECLEVEL=0")
    nothing_is_served(client)


def test_mtls_expected_name_is_configurable(net, agents, pki):
    agent = agents(net.ns("a"), config={"tls": {"client_name": "other-gateway"}}, start=False)
    agent.http = agent.client(pki.issue("other-gateway", ["other-gateway"], client=True))
    agent.start()
    nothing_is_served(agent.client(pki.gateway_client))


def test_agent_survives_idle_and_half_connections(net, agents):
    """Pitfalls 20 and 24: silent ones hold a slot for a short time only, and never all of them."""
    agent = agents(net.ns("a"))
    idle = []
    for i in range(100):
        s = socket.create_connection((agent.host, agent.port), 10)
        if i % 2:
            s.sendall(b"\x16\x03\x01\x02")
        idle.append(s)
    assert agent.http.request("GET", "/v1/info", timeout=60).status == 200
    for s in idle:
        s.close()


def refusal(agent, body, status=400):
    reply = agent.http.request("POST", "/v1/captures", body)
    assert reply.status == status, reply
    assert set(reply.error) >= {"code", "message", "request_id"}, reply
    assert reply.error["message"]
    return reply.error


def test_unknown_device(agent):
    error = refusal(agent, agent.body(device="eth77"), 404)
    assert "eth77" in error["message"] and error["field"] == "options.device" and error["code"] == "unknown_device"


@pytest.mark.parametrize("device", ["../../x", "..", ".", "/dev/null", "eth0;id", "eth0 ", "", "a" * 16, "eth0\n", "eth0\x00", "-w", "\u00e9th0",
                                    "$(id)"])
def test_bad_device_names(agent, device):
    """Pitfall 6."""
    if device == "-w":
        refusal(agent, agent.body(device=device), 404)
    elif "\x00" in device:
        refusal(agent, agent.body(device=device))  # no JSON of ours holds a NUL, whatever the field
    else:
        assert refusal(agent, agent.body(device=device))["field"] == "options.device"


@pytest.mark.parametrize("text,words", [
    ("tcp prot 80", "syntax error"),
    ("tcp port 99999", "99999"),
    (") or (tcp", "syntax error"),
    ("tcp) or (tcp", "syntax error"),
    ("port 80) or (port 9494", "syntax error"),
    ("(", "syntax error"),
])
def test_bad_filters_in_libpcaps_words(agent, text, words):
    """Pitfalls 6 and 7: compiled alone first, so unbalanced text never meets ours."""
    error = refusal(agent, agent.body(packet_filter=text))
    assert error["code"] == "bad_filter" and error["field"] == "options.filter" and words in error["message"], error


@pytest.mark.parametrize("text", ["x" * 8193, "tcp\x01", "tcp\n", "tcp\x00udp"])
def test_filters_that_are_no_text(agent, text):
    assert refusal(agent, agent.body(packet_filter=text)).get("field") == (None if "\x00" in text else "options.filter")


def test_filter_of_a_megabyte(agent):
    """Refused by its announced length, before it is sent; and without an announcement, while it is."""
    s = agent.http.raw()
    s.sendall(b"POST /v1/captures HTTP/1.1\r\nHost: pcap-agent\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n\r\n")
    assert s.recv(1000).startswith(b"HTTP/1.1 413 ")
    s.close()
    s = agent.http.raw()
    s.sendall(b"POST /v1/captures HTTP/1.1\r\nHost: pcap-agent\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    try:
        for _ in range(64):
            s.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        answer = s.recv(1000)
    except OSError:
        answer = b""
    assert answer[:13] in (b"HTTP/1.1 413 ", b"")  # cut while we were still sending is a refusal, too
    s.close()
    assert agent.answers() and agent.captures() == 0


@pytest.mark.parametrize("what,change", [
    ("unknown key", lambda b: b.update(shell="id")),
    ("unknown option", lambda b: b["options"].update(interface="eth0")),
    ("unknown target", lambda b: b.update(target={"type": "container"})),
    ("no id", lambda b: b.pop("id")),
    ("bad id", lambda b: b.update(id="../../etc")),
    ("snaplen text", lambda b: b["options"].update(snaplen="96")),
    ("snaplen too small", lambda b: b["options"].update(snaplen=15)),
    ("snaplen too large", lambda b: b["options"].update(snaplen=262145)),
    ("snaplen negative", lambda b: b["options"].update(snaplen=-1)),
    ("duration absurd", lambda b: b["options"].update(max_duration_s=10 ** 12)),
    ("bytes real", lambda b: b["options"].update(max_bytes=1.5)),
    ("packets huge", lambda b: b["options"].update(max_packets=2 ** 60)),
    ("exclude no address", lambda b: b.update(exclude=[{"address": "www.example.com", "port": 1}])),
    ("exclude bad port", lambda b: b.update(exclude=[{"address": "10.0.0.1", "port": 65536}])),
    ("too many excludes", lambda b: b.update(exclude=[{"address": "10.0.0.1", "port": 1}] * 65)),
])
def test_bad_requests(agent, what, change):
    body = agent.body()
    change(body)
    refusal(agent, body)
    assert agent.captures() == 0


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"id": "\xc3\x28"}', b'{"id":1,"id":2}', b"{}x",
                                  b'{"a":' * 1000, b'{"id":"a\\u0000b"}'])
def test_malformed_json(agent, text):
    assert agent.http.request("POST", "/v1/captures", text).status == 400
    assert agent.answers()


def test_wrong_paths_and_methods(agent):
    assert agent.http.request("GET", "/v1/nothing").status == 404
    assert agent.http.request("GET", "/v1/captures/../info").status in (400, 404)
    assert agent.http.request("DELETE", "/v1/info").status in (404, 405)
    assert agent.http.request("POST", f"/v1/captures/{new_id()}/stop").status == 404
    assert agent.http.request("POST", "/v1/captures/..%2f..%2fx/stop").status in (400, 404)


def test_same_id_twice(agent):
    first = agent.capture("lo")
    assert first.status == 200
    second = agent.capture("lo", capture_id=first.capture_id)
    assert second.status == 409, second.data
    agent.stop_capture(first)
    first.wait_end()


def test_too_many_captures(net, agents):
    agent = agents(net.ns("a"), config={"limits": {"captures": 2}})
    running = [agent.capture("lo") for _ in range(2)]
    assert [r.status for r in running] == [200, 200]
    third = agent.capture("lo")
    assert third.status == 429 and third.error["message"]
    agent.stop_capture(running[0])
    running[0].wait_end()
    wait_for(lambda: agent.captures() == 1, "the slot to be free")
    fourth = agent.capture("lo")
    assert fourth.status == 200
    for live in (running[1], fourth):
        agent.stop_capture(live)
        live.wait_end()
        assert not live.broken


def test_log_names_captures_without_packets(agent):
    """What the agent logs says who asked for what; it is JSON, every line."""
    live = agent.capture("lo", "udp port 5", name="web/3")
    agent.stop_capture(live)
    live.wait_end()
    wait_for(lambda: agent.captures() == 0, "the capture to be gone")
    text = json.dumps(agent.log_lines())
    assert live.capture_id in text and "web/3" in text
