"""Pitfall 10: the platform's own streams are in no capture, whatever is captured and whoever looks."""
import socket
import struct

import pytest

from rig import PORT, Http, Proxy, Sender, Sink, read_pcapng, wait_for
from rig.net import in_namespace
from rig.pcapng import LINUX_SLL
from rig.s3 import examined

FILTERLESS = {"device": "any", "packet_filter": ""}


@pytest.fixture
def together(net, agents, gateways):
    """Gateway and agent in one namespace; viewers come from outside.  together(listen address) -> (ns, source, agent, gateway)."""
    def make(address=None, **config):
        ns, source = net.ns("both"), net.ns("src")
        Sink(ns, PORT)
        agent = agents(ns)
        if address:
            config["listen"] = {"address": address}
        return ns, source, agent, gateways({"web": [agent]}, tls=True, ns=ns, config=config)
    return make


def tcp_ports(packet):
    """Ports of a TCP packet in cooked capture, else None."""
    header = 16 if packet.interface.link_type == LINUX_SLL else 20
    ip = packet.data[header:]
    if len(ip) < 40:
        return None
    if ip[0] >> 4 == 4 and ip[9] == 6:
        return struct.unpack_from("!HH", ip, (ip[0] & 15) * 4)
    if ip[0] >> 4 == 6 and ip[6] == 6:
        return struct.unpack_from("!HH", ip, 40)
    return None


def own(packets, agent, gateway):
    return [p for p in packets if (ports := tcp_ports(p)) and {agent.port, gateway.port} & set(ports)]


def test_own_streams_are_left_out(together):
    """`any` without a filter, with viewers, questions and downloads beside it: not one own byte, and no growth of its own."""
    ns, source, agent, gateway = together()
    live = gateway.live(**FILTERLESS)
    assert live.status == 200, live.error
    gateway.wait_running(live.job)
    stored = gateway.store(**FILTERLESS)
    second = gateway.http.stream("GET", f"/v1/captures/{live.job}/live", token=gateway.tokens["alice"])
    events = gateway.http.stream("GET", f"/v1/captures/{live.job}/events", token=gateway.tokens["alice"])
    sent = Sender(source, ns.ip, PORT, pps=500, count=1000).wait()
    for _ in range(20):
        gateway.api("GET", "/v1/captures")
    live.wait_packets(sent)
    quiet = live.size
    # Nothing but these questions happens now: what comes is not made by what came.
    for _ in range(20):
        gateway.api("GET", "/v1/captures")
    assert live.size - quiet < 20000, "the stream feeds itself"
    for job in (live.job, stored):
        gateway.finish(job)
    for stream in (live, second, events):
        stream.wait_end()
    link = gateway.api("POST", f"/v1/captures/{stored}/link", {}).json["url"]
    data = gateway.http.request("GET", "/v1/files/" + link.rsplit("/", 1)[1]).body
    for what, capture in (("live", read_pcapng(live.data)), ("attached", read_pcapng(second.data)), ("stored", read_pcapng(data))):
        assert len(capture.packets) >= sent, what
        found = own(capture.packets, agent, gateway)
        assert not found, f"{what}: {len(found)} of {len(capture.packets)} packets are our own"
    foreign = [p for p in read_pcapng(live.data).packets if tcp_ports(p) is None]
    assert len(foreign) < sent + 200


@pytest.mark.parametrize("text", ["tcp", "tcp or not tcp", "not (not tcp)", "ip or ip6", "tcp port 9494 or tcp", "tcp[13] & 16 != 0"])
def test_filters_do_not_bring_them_back(together, text):
    """Pitfall 7."""
    ns, source, agent, gateway = together()
    live = gateway.live(device="any", packet_filter=text)
    assert live.status == 200, live.error
    gateway.wait_running(live.job)
    for _ in range(10):
        gateway.api("GET", "/v1/captures")
    gateway.finish(live.job)
    live.wait_end()
    assert not own(read_pcapng(live.data).packets, agent, gateway)


def test_viewer_on_another_address_of_the_gateway(together):
    """Started over one address, watched over another: a listener on all addresses is one listener."""
    ns, source, agent, gateway = together(address="0.0.0.0")
    live = gateway.live(**FILTERLESS)
    assert live.status == 200, live.error
    gateway.wait_running(live.job)
    inside = Http(("127.0.0.1", gateway.port), gateway.pki.ca, None, "localhost")
    second = in_namespace(ns.name, lambda: inside.stream("GET", f"/v1/captures/{live.job}/live", token=gateway.tokens["alice"]))
    assert second.status == 200
    sent = Sender(source, ns.ip, PORT, pps=500, count=500).wait()
    second.wait_packets(sent)
    wait_for(lambda: len(live.packets()) >= sent, "the first viewer's")
    gateway.finish(live.job)
    live.wait_end()
    second.wait_end()
    found = own(read_pcapng(live.data).packets, agent, gateway)
    assert not found, f"{len(found)} packets are our own"


def test_other_connections_to_the_same_machine_are_seen(together):
    """What is left out is our listeners, not TCP as a whole."""
    ns, source, agent, gateway = together()
    live = gateway.live(**FILTERLESS)
    gateway.wait_running(live.job)
    s = source.socket(kind=socket.SOCK_STREAM)
    assert s.connect_ex((ns.ip, 8081)) != 0  # nobody listens: SYN and RST
    s.close()
    wait_for(lambda: any((p := tcp_ports(x)) and 8081 in p for x in live.packets()), "the other connection")
    gateway.finish(live.job)
    live.wait_end()


def test_what_is_stored_in_a_bucket_is_left_out(net, agents, gateways, rgw, bucket):
    """An upload that is captured would be uploaded, and that upload captured."""
    ns, source = net.ns("both"), net.ns("src")
    Sink(ns, PORT)
    agent = agents(ns)
    store = Proxy(("127.0.0.1", rgw.port), net.ip)
    gateway = gateways({"web": [agent]}, tls=True, ns=ns, config=bucket.config(f"http://{net.ip}:{store.port}"))
    examined(gateway)
    job = gateway.store(**FILTERLESS)
    sent = Sender(source, ns.ip, PORT, pps=1000, count=300, size=1000).wait()
    wait_for(lambda: gateway.job(job)["packets"]["captured"] >= sent, "all to be captured")
    wait_for(bucket.uploads, "the upload to be open")
    before = gateway.job(job)["bytes"]
    for _ in range(10):
        gateway.api("GET", "/v1/captures")
    ended = gateway.finish(job)
    assert ended["bytes"] - before < 65536, "the capture feeds itself"
    packets = read_pcapng(bucket.object_of(ended).data).packets
    found = [p for p in packets if (ports := tcp_ports(p)) and store.port in ports]
    assert len(packets) >= sent and not found, f"{len(found)} of {len(packets)} packets are of the store"
    store.close()
