"""The main job: packets of several instances, live and stored, through gateway and command."""
import pytest

from rig import Sender, Sink, capinfos, numbers_of, read_pcapng, wait_for
from rig.reference import accepted_by_all

PORT = 7000


@pytest.fixture
def web(net, agents, gateways):
    """(a, b, gateway): group web with agents in two namespaces; datagrams go from a to b over eth0."""
    a, b = net.ns("a"), net.ns("b")
    Sink(b, PORT)
    return a, b, gateways({"web": [agents(a), agents(b)]})


def test_live_over_the_api(web, folder):
    a, b, gateway = web
    live = gateway.live(packet_filter=f"udp port {PORT}")
    assert live.status == 200 and live.job
    gateway.wait_running(live.job)
    wait_for(lambda: len(live.capture().interfaces) == 2, "both interfaces")
    sent = Sender(a, b.ip, PORT, pps=2000, count=500).wait()
    live.wait_packets(2 * sent)
    job = gateway.finish(live.job)
    live.wait_end()
    capture = live.capture()
    for name in ("web/0", "web/1"):
        assert numbers_of(capture.of(name), PORT) == list(range(sent))
    assert capture.is_ordered_as_told(job)
    (folder / "x.pcapng").write_bytes(live.data)
    assert accepted_by_all(folder / "x.pcapng") == 2 * sent
    assert gateway.job(live.job)["state"] == "streamed"


def test_store_and_link(web, folder):
    a, b, gateway = web
    job = gateway.store(packet_filter=f"udp port {PORT}")
    sent = Sender(a, b.ip, PORT, pps=2000, count=500).wait()
    wait_for(lambda: gateway.job(job)["packets"]["captured"] == 2 * sent, "all packets to be counted")
    ended = gateway.finish(job)
    assert ended["state"] == "ready" and ended["stop_reason"] == "user_stop", ended
    data = gateway.download(job)
    assert len(data) == ended["object"]["size_bytes"]
    capture = read_pcapng(data)
    for name in ("web/0", "web/1"):
        assert numbers_of(capture.of(name), PORT) == list(range(sent))
    path = folder / "x.pcapng"
    path.write_bytes(data)
    assert capinfos(path)["Number of packets"] == str(2 * sent)


def test_command_live_and_stored(web, cli, folder):
    a, b, gateway = web
    pcap = cli(gateway)
    sender = Sender(a, b.ip, PORT, pps=500)
    pcap.ok("host", "web", "-c", "100", "-w", folder / "live.pcapng", f"udp port {PORT}")
    assert len(read_pcapng(folder / "live.pcapng").packets) == 100
    pcap.ok("host", "web", "-c", "100", "--store", "--wait", f"udp port {PORT}")
    sender.stop()
    pcap.ok("jobs")


def test_gateway_killed(web):
    """A cut stream is seen to be cut, and the restarted gateway knows why (what the agents do then: test_22_partners.py)."""
    a, b, gateway = web
    live = gateway.live(packet_filter=f"udp port {PORT}")
    gateway.wait_running(live.job)
    Sender(a, b.ip, PORT, count=5).wait()
    live.wait_packets(5)
    gateway.kill9()
    live.wait_end()
    assert live.broken
    gateway.start()
    assert gateway.wait_state(live.job, {"failed", "streamed"})["stop_reason"] == "interrupted"


def test_over_tls(net, agents, gateways, cli):
    gateway = gateways({"web": [agents(net.ns("a"))]}, tls=True)
    assert gateway.api("GET", "/v1/info", user=None).status == 200
    assert gateway.api("GET", "/v1/captures", user=None).status == 401
    assert gateway.api("GET", "/v1/captures").status == 200
