"""Captures of headers only: packets are cut where tshark says that their headers end, and no payload leaves the agent."""
import socket
import xml.etree.ElementTree

import pytest

from rig import PORT, WebServer, read_pcapng, tshark, wait_for
from rig.fake_agent import SECTION, interface, packet, passing_on, streaming
from rig.frames import MARKER, SOURCE, corpus, doubts
from rig.pcapng import LINUX_SLL, LINUX_SLL2
from rig.reference import accepted_by_all

HEADERS_MAX = 1024  # bytes of a packet that an agent keeps at the most
RAW_PACKETS = socket.AF_PACKET, socket.SOCK_RAW

# What stands in headers, by tshark's names: the same whether the payload behind is there or not.
FIELDS = """frame.len eth.type vlan.id ieee8021ad.id mpls.label pppoe.session_id arp.dst.proto_ipv4 ip.src ip.hdr_len ip.len ip.proto ip.frag_offset
    ip.checksum ipv6.dst ipv6.plen ipv6.nxt ipv6.hopopts.len ipv6.dstopts.len ipv6.routing.segleft ipv6.fraghdr.offset ah.spi esp.spi tcp.srcport tcp.dstport
    tcp.seq_raw tcp.hdr_len tcp.flags tcp.options.timestamp.tsval udp.srcport udp.dstport udp.length dccp.dstport dccp.seq_raw sctp.dstport sctp.verification_tag
    icmp.type icmp.code icmpv6.type icmpv6.nd.ns.target_address gre.proto gre.key gre.sequence_number vxlan.vni geneve.vni geneve.option.class""".split()
AS_THEY_ARE = ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"]

# tshark's protocols that are headers alone, and how much is header of those whose item spans their payload.
HEADERS = {"eth", "vlan", "ieee8021ad", "mpls", "pppoes", "ppp", "arp", "ip", "ipv6", "ipv6.hopopts", "ipv6.dstopts", "ipv6.routing", "ipv6.fraghdr", "ah", "tcp",
           "udp", "udplite", "dccp", "gre", "vxlan", "geneve"}
FIRST = {"esp": 8, "icmp": 8, "icmpv6": 8, "sctp": 12}


@pytest.fixture
def pair(net, agents):
    """Two namespaces with a veth pair of their own, va and vb: (a, b, agent in b)."""
    a, b = net.ns("a"), net.ns("b")
    net.join(a, "va", b, "vb")
    return a, b, agents(b)


def send(ns, device, frames):
    s = ns.socket(*RAW_PACKETS)
    s.bind((device, 0))
    for headers, rest in frames:
        s.send(headers + rest)
    s.close()


def finished(agent, live, folder, name):
    """Graceful stop; the whole file, accepted by all tools: (Capture, path)."""
    assert agent.stop_capture(live).status == 202
    live.wait_end()
    assert not live.broken
    path = folder / f"{name}.pcapng"
    path.write_bytes(live.data)
    accepted_by_all(path)
    return live.capture(), path


def instance_states(gateway, job):
    return [i["state"] for i in gateway.job(job)["instances"]]


def ends_of_headers(path):
    """Per packet, where the last header that tshark finds ends."""
    ends = []
    for found in xml.etree.ElementTree.fromstring("\n".join(tshark(path, *AS_THEY_ARE, "-T", "pdml"))).iter("packet"):
        end = 0
        for proto in found.iter("proto"):
            name, at, n = proto.get("name"), int(proto.get("pos") or 0), int(proto.get("size") or 0)
            if proto.get("showname", "").startswith("Internet Control Message Protocol v6") and proto.find("field[@name='icmpv6.nd.ns.target_address']") is not None:
                n = 24
            elif name in FIRST:
                n = FIRST[name]
            elif name not in HEADERS:
                continue
            end = max(end, at + n)
        ends.append(end)
    return ends


def test_cut_where_headers_end(pair, folder):
    """A packet of everything, full and cut by two captures of one agent, and cut on `any`; tshark says where headers end."""
    a, b, agent = pair
    assert agent.info()["payloads"] == ["full", "headers"]
    known, doubted = corpus(), doubts()
    frames = known | doubted
    only = f"ether src {SOURCE}"
    full, cut, cooked = agent.capture("vb", only), agent.capture("vb", only, payload="headers"), agent.capture("any", payload="headers")
    assert full.headers["pcap-payload"] == "full" and cut.headers["pcap-payload"] == "headers" == cooked.headers["pcap-payload"]
    send(a, "va", frames.values())
    for live in (full, cut, cooked):
        live.wait_packets(len(frames))
    (whole, whole_path), (short, short_path), (mixed, _) = (
        finished(agent, live, folder, name) for live, name in ((full, "full"), (cut, "cut"), (cooked, "any")))

    # It is the payload that is missing: one stream has it many times, the others not once.
    assert full.data.count(MARKER) >= len(frames) - 1
    for live in (cut, cooked):
        assert MARKER[:8] not in live.data

    # To the byte, and with the lengths of the wire.
    assert [p.data for p in whole.packets] == [h + r for h, r in frames.values()]
    assert {n: len(p.data) for n, p in zip(frames, short.packets)} == {n: len(h) for n, (h, _) in frames.items()}
    assert [p.data for p in short.packets] == [h for h, _ in frames.values()]
    assert [p.length for p in short.packets] == [len(h + r) for h, r in frames.values()]
    stats = short.interfaces[0].last_stats
    assert stats.delivered == stats.accepted == len(frames) and stats.dropped_os == 0
    assert short.interfaces[0].snaplen == HEADERS_MAX

    # As others see it: the headers end there, and say what they said.
    found = dict(zip(frames, ends_of_headers(whole_path)))
    quoted = {"ICMP error": 8, "ICMP error that quotes TCP": 32}  # tshark counts 4 bytes of these: the ports
    assert {n: found[n] + (quoted[n] - 4 if n in quoted else 0) for n in known} == {n: len(known[n][0]) for n in known}
    fields = [x for field in FIELDS for x in ("-e", field)]
    theirs, ours = (tshark(path, *AS_THEY_ARE, "-T", "fields", *fields)[:len(known)] for path in (whole_path, short_path))
    assert dict(zip(known, ours)) == dict(zip(known, theirs))

    # On `any` the made-up header stands for the Ethernet header.
    assert mixed.interfaces[0].link_type in (LINUX_SLL, LINUX_SLL2)
    made_up = 20 if mixed.interfaces[0].link_type == LINUX_SLL2 else 16
    seen = {p.data[made_up:] for p in mixed.packets}
    for name, (headers, _) in frames.items():
        if headers[12:14] not in (b"\x81\x00", b"\x88\xa8"):  # of tags kernels show there what they like
            assert headers[14:] in seen, name


def test_nothing_of_it_leaves_through_the_gateway(fleet, cli, folder):
    """HTTP over lo and over the wire: stored and live captures of headers only beside a full one; all that the user sees says so."""
    f = fleet(1)
    node, gateway, pcap = f.nodes[0], f.gateway, cli(f.gateway)
    web = WebServer(node, folder / "www", {MARKER.decode(): MARKER * 100})
    options = {"device": "eth0,lo", "packet_filter": f"tcp port {web.port} and tcp[tcpflags] & tcp-push != 0"}  # with payload, so that all have come when it has
    job, full = gateway.store(payload="headers", **options), gateway.live(**options)
    out = folder / "cut.pcapng"
    command = pcap.start("host", "web", "-i", "eth0", "-i", "lo", "--headers-only", "-w", out, "-f", options["packet_filter"])
    listed = wait_for(lambda: [j for j in gateway.api("GET", "/v1/captures").json["captures"] if j["id"] not in (job, full.job)], "the command's capture")
    for one in (job, full.job, listed[0]["id"]):
        wait_for(lambda: instance_states(gateway, one) == ["running"] * 2, "both devices")
    for host, ns in (("127.0.0.1", node), (node.ip, f.source)):
        assert MARKER in web.get(ns, MARKER.decode(), host)
    wait_for(lambda: full.data.count(MARKER) == 202, "the full capture to have it all")
    sent = len(full.packets())
    f.wait_captured(job, sent)
    shown = gateway.job(job)
    assert shown["options"]["payload"] == "headers" and gateway.job(full.job)["options"]["payload"] == "full"
    assert "headers only" in pcap.ok("show", job).text and "headers only" not in pcap.ok("show", full.job).text
    gateway.finish(job)
    gateway.finish(full.job)
    command.interrupt().wait()
    stored = gateway.download(job)
    for data in (stored, out.read_bytes()):
        assert MARKER not in data and b"GET /" not in data and b"HTTP/1." not in data
        capture = read_pcapng(data)
        assert len(capture.packets) == sent
        assert all(len(p.data) <= 14 + 20 + 60 for p in capture.packets)
        assert sum(p.length for p in capture.packets) == sum(p.length for p in full.packets())
        assert all("headers only: payload cut at the agent" in i.description for i in capture.interfaces)
        assert "; headers only;" in capture.comments[0]
    assert all("headers only" not in i.description for i in full.capture().interfaces)


def old(exchange):
    """An agent from before headers only: it refuses the word."""
    exchange.reply(400, {"error": {"code": "input", "field": "options.payload", "request_id": "x",
                                   "message": "options.payload: \"headers\" is not offered by this gateway; it offers full"}})


def boasting(exchange):
    """Says that it cuts, and does not."""
    if exchange.path.endswith("/stop"):
        exchange.reply(202, {})
        return
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-pcapng\r\nPcap-Payload: headers\r\nTransfer-Encoding: chunked\r\n\r\n")
    exchange.chunk(SECTION + interface() + packet(10 ** 18, MARKER * 50))
    exchange.wait_closed()


def test_an_agent_that_does_not_confirm_is_no_instance(fleet, fakes):
    """Agents that know no headers only, whether they ignore the word or refuse it, and one that breaks its own: named, and nothing of theirs is seen."""
    ignoring = fakes(streaming(SECTION + interface() + packet(10 ** 18, MARKER), then="hang"))
    bad = [ignoring, fakes(old), fakes(boasting)]
    f = fleet(1, groups=lambda agents: {"web": [*agents, *bad], "none": [ignoring]})
    bad[0].script = passing_on(f.agents[0], lambda options: options.update(payload="full"))
    live = f.gateway.live(payload="headers", packet_filter=f"udp port {PORT}")
    assert live.status == 200
    wait_for(lambda: instance_states(f.gateway, live.job)[0] == "running", "the good one to run")
    f.send(count=20, size=500).wait()
    live.wait_packets(20)
    wait_for(lambda: not {"starting", "running"} & set(instance_states(f.gateway, live.job)[1:]), "the others to be refused")
    job = f.gateway.finish(live.job)
    live.wait_end()
    assert job["state"] == "streamed" and [i["packets"] for i in job["instances"]] == [20, 0, 0, 0]
    for i, why in zip(job["instances"][1:], ("does not confirm", "cannot cut", "in spite of its word")):
        assert i["error"]["code"] == "agent_payload" and why in i["error"]["message"] and i["agent"] in i["error"]["message"], i
    assert MARKER not in live.data and {len(p.data) for p in live.packets()} == {42}
    reply = f.gateway.api("POST", "/v1/captures", f.gateway.request(group="none", payload="headers"))
    assert reply.status == 502 and reply.error["code"] == "agent_payload" and "update it" in reply.error["message"], reply
