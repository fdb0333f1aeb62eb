"""Live captures: the right packets, in order, whole after every break, within every limit."""
import json
import re
import time

import pytest

from rig import PORT, Http, Sink, Tcpdump, numbers_of, read_pcap, read_pcapng, tshark, wait_for
from rig.pcapng import DLT_RAW, EN10MB, LINUX_SLL, LINUX_SLL2, RAW
from rig.reference import accepted_by_all, capinfos

FILTER = f"udp port {PORT}"


def bytes_of(packets):
    return [(p.data, p.length) for p in packets]


def dump_of(dump, n):
    """What tcpdump has once it has written n packets; it forgets what is in its ring when it is stopped."""
    wait_for(lambda: dump.count() >= n, f"tcpdump to have {n} packets")
    return dump.stop()


def save(folder, data, name="x.pcapng"):
    (folder / name).write_bytes(data)
    return folder / name


def started(fleet, n=1, **kwargs):
    """A live capture whose n instances all run."""
    kwargs.setdefault("packet_filter", FILTER)
    live = fleet.gateway.live(**kwargs)
    assert live.status == 200, live.error
    wait_for(lambda: [i["state"] for i in fleet.gateway.job(live.job)["instances"]].count("running") == n, f"{n} instances to run")
    return live


# ---- the same packets as others see ----

@pytest.mark.threads
def test_packet_for_packet(fleet, folder):
    f = fleet(1)
    dump = Tcpdump(f.nodes[0], "eth0", FILTER)
    live = started(f)
    sent = f.send(pps=20000, count=10000, size=300, burst=20).wait()
    live.wait_packets(sent)
    f.gateway.finish(live.job)
    live.wait_end()
    theirs = dump_of(dump, sent)
    ours = read_pcapng(live.data)
    assert len(ours.packets) == sent and bytes_of(ours.packets) == bytes_of(theirs.packets)
    assert ours.is_in_time_order() and ours.interfaces[0].units == 10 ** 9
    assert accepted_by_all(save(folder, live.data)) == sent


def test_packet_for_packet_without_filter(fleet, net):
    """ARP, ICMP and what else there is, on a link of its own."""
    f = fleet(1)
    here, there = net.join(f.source, "va", f.nodes[0], "vb")
    dump = Tcpdump(f.nodes[0], "vb")
    live = started(f, device="vb", packet_filter="")
    assert f.source.run(["ping", "-c", "5", "-i", "0.02", there]).returncode == 0
    f.source.run(["ping", "-c", "1", "-s", "4000", there])
    wait_for(lambda: dump.count() >= 12, "tcpdump to have the pings")
    live.wait_packets(dump.count())
    f.gateway.finish(live.job)
    live.wait_end()
    theirs = dump.stop()
    assert bytes_of(read_pcapng(live.data).packets)[:len(theirs.packets)] == bytes_of(theirs.packets)


@pytest.mark.threads
def test_three_instances_in_time_order(fleet, folder):
    f = fleet(3, config={"merge": {"window": "10s"}})  # for machines that stall
    dumps = [Tcpdump(node, "eth0", FILTER) for node in f.nodes]
    live = started(f, 3)
    f.round_robin(6000)
    seen = [dump_of(dump, 2000) for dump in dumps]  # all of it is in the rings; the last ones wait out the window, or the end
    ended = f.gateway.finish(live.job)
    live.wait_end()
    capture = read_pcapng(live.data)
    assert sorted(i.name for i in capture.interfaces) == ["web/0 eth0", "web/1 eth0", "web/2 eth0"]
    for i, theirs in enumerate(seen):
        ours = capture.of(f"web/{i} ")
        assert bytes_of(ours) == bytes_of(theirs.packets) and numbers_of(ours, PORT) == list(range(i, 6000, 3))
    assert capture.is_in_time_order()
    order = [p.interface.name for p in capture.packets]
    assert sum(a != b for a, b in zip(order, order[1:])) > 3000, "the instances' packets stand in blocks one after another"
    assert all(i["late_packets"] == 0 for i in ended["instances"])
    assert accepted_by_all(save(folder, live.data)) == 6000


def test_who_what_and_why_stand_in_the_file(fleet, folder):
    f = fleet(1)
    live = started(f, note="looking for the odd one", snaplen=100)
    f.send(count=10, size=500).wait()
    live.wait_packets(10)
    ended = f.gateway.finish(live.job)
    live.wait_end()
    capture = read_pcapng(live.data)
    about = capture.sections[0][1][0].decode()
    for text in (live.job, "alice", "org acme", "looking for the odd one"):
        assert text in about
    interface = capture.interfaces[0]
    assert interface.filter == FILTER and interface.snaplen == 100 and "web/0" in interface.description
    assert all(len(p.data) == 100 and p.length == 542 for p in capture.packets)
    assert "capture ended (user_stop)" in interface.last_stats.comments[0] and "alice" in interface.last_stats.comments[0]
    assert interface.last_stats.delivered == 10
    assert ended["stop_reason"] == "user_stop" and ended["packets"]["captured"] == 10
    events = [e["type"] for e in f.gateway.events(live.job)]
    assert [e for e in events if e != "progress"] == ["created", "instance_running", "running", "stopping", "instance_ended", "streamed"]


# ---- link types (row 17) ----

def mixed(fleet, gateway_kwargs=None):
    """Device mix0 is Ethernet at web/0, the loopback under another name at web/1, a tun device at web/2."""
    f = fleet(3, **(gateway_kwargs or {}))
    f.net.join(f.source, "va", f.nodes[0], "mix0")
    Sink(f.nodes[0], PORT, "10.198.0.2")
    f.nodes[1].ip_cmd("link", "set", "lo", "down")
    f.nodes[1].ip_cmd("link", "set", "lo", "name", "mix0")
    f.nodes[1].ip_cmd("link", "set", "mix0", "up")
    f.nodes[2].tun("mix0", "10.197.0")
    return f


def send_mixed(f, rounds=10):
    to = [(f.source, "10.198.0.2"), (f.nodes[1], "127.0.0.1"), (f.nodes[2], "10.197.0.2")]
    for ns, address in to:
        s = ns.socket()
        for k in range(rounds):
            s.sendto(k.to_bytes(8, "big") + bytes(20), (address, PORT))
        s.close()


def test_link_types_together_in_one_file(fleet, folder):
    f = mixed(fleet)
    live = started(f, 3, device="mix0")
    send_mixed(f)
    wait_for(lambda: all(numbers_of(live.capture().of(f"web/{i}"), PORT, h)[-1:] == [9] for i, h in ((0, 14), (1, 14), (2, 0))),
             "all three to have all")
    f.gateway.finish(live.job)
    live.wait_end()
    capture = read_pcapng(live.data)
    types = {i.name: i.link_type for i in capture.interfaces}
    assert types["web/0 mix0"] == EN10MB and types["web/1 mix0"] == EN10MB and types["web/2 mix0"] in (RAW, DLT_RAW)
    path = save(folder, live.data)
    accepted_by_all(path)
    decoded = tshark(path, "-Y", f"udp.dstport == {PORT} && !icmp", "-T", "fields", "-e", "ip.dst")
    # libpcap knows a loopback by its name; under another one it shows packets going out and coming in.
    assert {a: decoded.count(a) for a in set(decoded)} == {"10.198.0.2": 10, "127.0.0.1": 20, "10.197.0.2": 10}


def test_any_sees_loopback_tun_and_ethernet(fleet, folder):
    f = fleet(1)
    f.nodes[0].tun("tun0", "10.197.0")
    live = started(f, device="any")
    f.send(count=10).wait()
    for address in ("127.0.0.1", "10.197.0.2"):
        s = f.nodes[0].socket()
        for k in range(10):
            s.sendto(k.to_bytes(8, "big"), (address, PORT))
        s.close()
    live.wait_packets(30)
    f.gateway.finish(live.job)
    live.wait_end()
    assert read_pcapng(live.data).interfaces[0].link_type in (LINUX_SLL, LINUX_SLL2)
    path = save(folder, live.data)
    accepted_by_all(path)
    decoded = tshark(path, "-Y", f"udp.dstport == {PORT}", "-T", "fields", "-e", "ip.dst")
    assert {a: decoded.count(a) for a in set(decoded)} == {f.nodes[0].ip: 10, "127.0.0.1": 10, "10.197.0.2": 10}


def test_classic_pcap(fleet, folder):
    f = fleet(2)
    live = started(f, 2, format="pcap")
    assert live.headers["content-type"] == "application/vnd.tcpdump.pcap"
    f.round_robin(1000)
    wait_for(lambda: len(live.pcap().packets) == 1000, "1000 packets")
    ended = f.gateway.finish(live.job)
    live.wait_end()
    capture = read_pcap(live.data)
    assert capture.interfaces[0].link_type == EN10MB and capture.is_ordered_as_told(ended)
    assert sorted(numbers_of(capture.packets, PORT)) == list(range(1000))
    path = save(folder, live.data, "x.pcap")
    assert accepted_by_all(path) == 1000 and "pcap" in capinfos(path)["File type"]


def test_classic_pcap_refuses_a_second_link_type(fleet):
    """The instance that does not fit is named; the others go on."""
    f = mixed(fleet)
    live = f.gateway.live(device="mix0", packet_filter=FILTER, format="pcap")
    assert live.status == 200

    def settled():
        found = [i["state"] for i in f.gateway.job(live.job)["instances"]]
        return "starting" not in found and found
    wait_for(settled, "all to have started or failed")
    # Who comes first sets the type.
    wait_for(lambda: any(i["error"] for i in f.gateway.job(live.job)["instances"]), "one to be refused")
    send_mixed(f)
    ended = f.gateway.finish(live.job)
    live.wait_end()
    refused = [i for i in ended["instances"] if i["error"]]
    assert refused and all(i["error"]["code"] == "link_type_mismatch" for i in refused)
    read_pcap(live.data)


# ---- broken connections ----

@pytest.mark.threads
def test_resume_without_a_lost_or_doubled_byte(fleet, proxies, folder):
    f = fleet(2)
    proxy = proxies(f.gateway)
    http = Http(("127.0.0.1", proxy.port))
    token = f.gateway.tokens["alice"]
    live = http.stream("POST", "/v1/captures", f.gateway.request(packet_filter=FILTER), token)
    job, got = live.headers["pcap-job"], b""
    assert live.headers["pcap-offset"] == "0" and live.headers["pcap-prelude"] == "0"
    wait_for(lambda: len(live.capture().interfaces) == 2, "both interfaces")
    senders = [f.send(i, pps=2000, size=400) for i in range(2)]
    for _ in range(4):
        wait_for(lambda: live.size > 200000, "some data")
        proxy.cut()
        live.wait_end()
        assert live.broken
        got += live.data
        live = http.stream("GET", f"/v1/captures/{job}/live?offset={len(got)}", token=token)
        assert live.status == 200 and live.headers["pcap-offset"] == str(len(got)) and live.headers["pcap-prelude"] == "0"
    sent = [s.stop() for s in senders]
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == sum(sent), "all to be captured")
    f.gateway.finish(job)
    live.wait_end()
    assert not live.broken
    got += live.data
    capture = read_pcapng(got)
    for i in range(2):
        assert numbers_of(capture.of(f"web/{i} "), PORT) == list(range(sent[i]))
    assert accepted_by_all(save(folder, got)) == sum(sent)
    assert f.gateway.job(job)["bytes"] == len(got)


def test_the_end_can_be_fetched_after_a_break(fleet, proxies):
    """The last bytes and the end of the stream were lost on the way: they are still there for a moment."""
    f = fleet(1)
    proxy = proxies(f.gateway)
    http, token = Http(("127.0.0.1", proxy.port)), f.gateway.tokens["alice"]
    live = http.stream("POST", "/v1/captures", f.gateway.request(packet_filter=FILTER), token)
    job = live.headers["pcap-job"]
    f.gateway.wait_running(job)
    f.send(count=20).wait()
    live.wait_packets(20)
    proxy.hold()
    f.send(count=20).wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == 40, "all to be captured")
    assert f.gateway.stop_job(job).status == 202
    f.gateway.wait_state(job, {"streamed", "finishing"})
    proxy.cut()
    live.wait_end()
    got = live.data
    rest = http.stream("GET", f"/v1/captures/{job}/live?offset={len(got)}", token=token)
    assert rest.status == 200, rest.error
    rest.wait_end()
    assert not rest.broken
    capture = read_pcapng(got + rest.data)
    assert len(capture.packets) == 40 and "user_stop" in capture.interfaces[0].last_stats.comments[0]
    assert f.gateway.wait_state(job, "streamed")["error"] is None


def test_resume_is_refused_where_it_cannot_be_whole(fleet):
    f = fleet(1, config={"live": {"backlog": "1MiB"}})
    live = started(f)
    for first in range(0, 3000, 500):  # less than the backlog at a time
        f.send(pps=1500, count=500, size=1000, burst=10, first=first).wait()
        live.wait_packets(first + 500)
    api = f.gateway.api
    gone = api("GET", f"/v1/captures/{live.job}/live?offset=0")
    assert gone.status == 409 and gone.error["code"] == "offset_gone"
    ahead = api("GET", f"/v1/captures/{live.job}/live?offset={live.size + 10 ** 6}")
    assert ahead.status == 400 and "offset" in ahead.error["message"]
    for text in ("-1", "x", "", "99999999999999999999", "1%00"):
        bad = api("GET", f"/v1/captures/{live.job}/live?offset={text}")
        assert bad.status == 400, (text, bad)
    f.gateway.finish(live.job)
    live.wait_end()
    assert not live.broken


def test_nobody_came_back(fleet):
    """Pitfall 13: after the grace period the capture ends, at the agent too."""
    f = fleet(1, config={"live": {"grace": "1s"}})
    live = started(f)
    live.abort()
    job = f.gateway.wait_state(live.job, "streamed", timeout_s=20)
    assert job["stop_reason"] == "client_gone"
    wait_for(lambda: f.agents[0].captures() == 0, "the agent to let go", timeout_s=10)
    late = f.gateway.api("GET", f"/v1/captures/{live.job}/live?offset=0")
    if late.status == 200:  # a moment after the end it is still there, and whole
        assert "capture ended (client_gone)" in read_pcapng(late.body).interfaces[0].last_stats.comments[0]
    else:
        assert late.status == 409 and late.error["code"] == "job_ended", late


@pytest.mark.slow
def test_somebody_came_back_in_time(fleet):
    f = fleet(1, config={"live": {"grace": "8s"}})
    live = started(f)
    f.send(count=10).wait()
    live.wait_packets(10)
    for _ in range(3):
        got = live.data
        live.abort()
        live = f.gateway.http.stream("GET", f"/v1/captures/{live_job(f)}/live?offset={len(got)}", token=f.gateway.tokens["alice"])
        assert live.status == 200
        live._chunks.insert(0, got)
    begin = time.monotonic()
    wait_for(lambda: time.monotonic() - begin > 9, "more than the grace period to pass", timeout_s=30)
    assert f.gateway.job(live_job(f))["state"] == "running"
    f.gateway.finish(live_job(f))
    live.wait_end()
    assert len(read_pcapng(live.data).packets) == 10


def live_job(f):
    return f.gateway.api("GET", "/v1/captures").json["captures"][0]["id"]


# ---- attaching ----

@pytest.mark.parametrize("mode", ["live", "store"])
def test_attach_to_a_running_job(fleet, folder, mode):
    f = fleet(2)
    first = None
    if mode == "live":
        first = started(f, 2)
        job = first.job
    else:
        job = f.gateway.store(packet_filter=FILTER)
        wait_for(lambda: all(i["state"] == "running" for i in f.gateway.job(job)["instances"]), "both to run")
    f.round_robin(100)
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == 100, "the first hundred")
    second = f.gateway.http.stream("GET", f"/v1/captures/{job}/live", token=f.gateway.tokens["alice"])
    assert second.status == 200 and int(second.headers["pcap-prelude"]) > 0
    assert second.headers["pcap-job"] == job
    f.round_robin(200)
    second.wait_packets(200)
    f.gateway.finish(job)
    second.wait_end()
    assert not second.broken
    capture = read_pcapng(second.data)
    assert len(capture.interfaces) == 2 and len(capture.sections) == 1
    for i in range(2):
        assert numbers_of(capture.of(f"web/{i} "), PORT) == list(range(i, 200, 2))
    accepted_by_all(save(folder, second.data))
    if first:
        first.wait_end()
        assert len(read_pcapng(first.data).packets) == 300
        # Its bytes are the stream's from the offset that it was told.
        at, skip = int(second.headers["pcap-offset"]), int(second.headers["pcap-prelude"])
        assert first.data[at:] == second.data[skip:]
    else:
        assert len(read_pcapng(f.gateway.download(job)).packets) == 300


def test_no_more_viewers_than_allowed(fleet):
    f = fleet(1)
    live = started(f)
    more = [f.gateway.http.stream("GET", f"/v1/captures/{live.job}/live", token=f.gateway.tokens["alice"]) for _ in range(15)]
    assert {m.status for m in more} == {200}
    over = f.gateway.api("GET", f"/v1/captures/{live.job}/live")
    assert over.status == 429 and over.headers["retry-after"]
    f.send(count=5).wait()
    for m in [live, *more]:
        m.wait_packets(5)
    f.gateway.finish(live.job)
    for m in [live, *more]:
        m.wait_end()
        assert not m.broken and len(read_pcapng(m.data).packets) == 5


# ---- limits ----

@pytest.mark.parametrize("mode", ["live", "store"])
def test_max_packets_is_exact_over_all_instances(fleet, mode):
    f = fleet(3)
    senders = [f.send(i, pps=3000, burst=3) for i in range(3)]
    if mode == "live":
        live = f.gateway.live(packet_filter=FILTER, max_packets=1000)
        live.wait_end()
        data, job = live.data, f.gateway.wait_state(live.job, "streamed")
    else:
        job = f.gateway.wait_state(f.gateway.store(packet_filter=FILTER, max_packets=1000), "ready")
        data = f.gateway.download(job["id"])
    for s in senders:
        s.stop()
    capture = read_pcapng(data)
    assert len(capture.packets) == 1000 == job["packets"]["captured"]
    assert job["stop_reason"] == "max_packets"
    assert any("capture ended (max_packets)" in c for c in capture.comments)
    wait_for(lambda: all(a.captures() == 0 for a in f.agents), "the agents to be free")


@pytest.mark.parametrize("format", ["pcapng", "pcap"])
def test_max_bytes(fleet, folder, format):
    f = fleet(2)
    limit = 300000
    senders = [f.send(i, pps=2000, size=700) for i in range(2)]
    live = f.gateway.live(packet_filter=FILTER, max_bytes=limit, format=format)
    live.wait_end()
    for s in senders:
        s.stop()
    assert not live.broken
    job = f.gateway.wait_state(live.job, "streamed")
    assert job["stop_reason"] == "max_bytes" and job["bytes"] == live.size
    assert limit - 8192 <= live.size <= limit
    path = save(folder, live.data, f"x.{format}")
    assert accepted_by_all(path) == job["packets"]["captured"]


def test_max_duration(fleet):
    f = fleet(1)
    sender = f.send(pps=200)
    live = f.gateway.live(packet_filter=FILTER, max_duration_s=1)
    live.wait_end()
    sender.stop()
    assert not live.broken
    job = f.gateway.wait_state(live.job, "streamed")
    assert job["stop_reason"] == "max_duration"
    assert "capture ended (max_duration)" in read_pcapng(live.data).interfaces[0].last_stats.comments[0]
    wait_for(lambda: f.agents[0].captures() == 0, "the agent to be free")


def test_no_packets_make_a_valid_file(fleet, folder):
    """Pitfall 19."""
    f = fleet(2)
    live = started(f, 2, packet_filter="udp port 9")
    f.gateway.finish(live.job)
    live.wait_end()
    capture = read_pcapng(live.data)
    assert len(capture.interfaces) == 2 and not capture.packets
    assert all(i.last_stats.delivered == 0 and "user_stop" in i.last_stats.comments[0] for i in capture.interfaces)
    assert accepted_by_all(save(folder, live.data)) == 0
    live = started(f, 2, packet_filter="udp port 9", format="pcap")
    f.gateway.finish(live.job)
    live.wait_end()
    assert not read_pcap(live.data).packets


def test_stop_under_load_delivers_everything(fleet):
    """Pitfall 18, through the gateway: no gap from the first number to the last."""
    f = fleet(2)
    live = started(f, 2)
    senders = [f.send(i, pps=8000, burst=8, size=200) for i in range(2)]
    live.wait_packets(8000)
    before = [i["packets"] for i in f.gateway.job(live.job)["instances"]]
    f.gateway.finish(live.job)
    for s in senders:
        s.stop()
    live.wait_end()
    capture = read_pcapng(live.data)
    for i in range(2):
        numbers = numbers_of(capture.of(f"web/{i} "), PORT)
        assert numbers == list(range(len(numbers))) and len(numbers) >= before[i]
        interface = next(x for x in capture.interfaces if x.name == f"web/{i} eth0")
        assert interface.last_stats.delivered == len(numbers) == interface.last_stats.accepted
        assert interface.last_stats.dropped_os == 0


# ---- slow viewers ----

def test_slow_viewer_loses_by_count_and_the_file_says_so(fleet, folder):
    """Pitfalls 14 and 20: sent = in the file + every class of loss; the stream tells where."""
    f = fleet(1, config={"live": {"backlog": "1MiB"}}, agent_config={"limits": {"peer_timeout": "60s"}})
    live = started(f)
    live.pause()
    sent = f.send(pps=20000, count=30000, size=1400, burst=20).wait()

    def accounted():
        p = f.gateway.job(live.job)["packets"]
        return p["captured"] + p["dropped"]["kernel"] >= sent
    wait_for(accounted, "all to be accounted for")
    live.resume()
    tail = f.send(pps=1000, count=200).wait()
    wait_for(lambda: f.gateway.job(live.job)["packets"]["captured"] >= sent + tail - f.gateway.job(live.job)["packets"]["dropped"]["kernel"],
             "the last to be captured")
    job = f.gateway.finish(live.job)
    live.wait_end()
    assert not live.broken
    capture = read_pcapng(live.data)
    dropped = job["packets"]["dropped"]
    assert dropped["gateway"] > 0, "nothing was lost: the test has no load"
    assert len(capture.packets) + dropped["gateway"] + dropped["kernel"] == sent + tail
    said = [int(m.group(1)) for c in capture.comments if (m := re.match(r"(\d+) packets between .* are missing here", c))]
    assert sum(said) == dropped["gateway"]
    assert f"{dropped['gateway']} gateway" in capture.interfaces[0].last_stats.comments[-1]
    accepted_by_all(save(folder, live.data))


def test_slow_viewer_beside_a_fast_one(fleet):
    """The fast one gets everything; the slow one falls off and is cut, and can tell."""
    f = fleet(1, config={"live": {"backlog": "4MiB"}})
    fast = started(f)
    slow = f.gateway.http.stream("GET", f"/v1/captures/{fast.job}/live", token=f.gateway.tokens["alice"], read=False)
    sent = 16000
    for first in range(0, sent, 1000):  # less than the backlog at a time: a fast one takes it in time, whatever pauses
        f.send(pps=8000, count=1000, size=1400, burst=8, first=first).wait()
        fast.wait_packets(first + 1000)
    f.gateway.finish(fast.job)
    fast.wait_end()
    assert numbers_of(read_pcapng(fast.data).packets, PORT) == list(range(sent))
    slow.resume()
    slow.wait_end()
    assert slow.broken


@pytest.mark.memory
def test_memory_stays_flat_with_a_stopped_viewer(fleet):
    """Pitfall 16: the backlog is all that is kept."""
    f = fleet(1, config={"live": {"backlog": "4MiB"}, "drain_timeout": "1s"})
    live = started(f)
    live.pause()
    f.send(pps=20000, count=8000, size=1400, burst=20).wait()
    rss = f.gateway.rss_kb()
    f.send(pps=20000, count=30000, size=1400, burst=20).wait()
    assert f.gateway.rss_kb() - rss < 12 * 1024
    live.abort()


def test_events_follow_the_job(fleet):
    f = fleet(1)
    live = started(f)
    events = f.gateway.http.stream("GET", f"/v1/captures/{live.job}/events", token=f.gateway.tokens["alice"])
    f.send(count=7).wait()
    wait_for(lambda: b'"progress"' in events.data and b'"captured":7' in events.data, "progress with the figures")
    f.gateway.finish(live.job)
    events.wait_end()
    live.wait_end()
    lines = [json.loads(line) for line in events.data.splitlines()]
    kept = [line["seq"] for line in lines if "seq" in line]
    assert kept == sorted(kept) and len(set(kept)) == len(kept)
    assert lines[-1]["type"] == "streamed" and lines[-1]["data"]["reason"] == "user_stop"
    assert all(line["job"] == live.job and line["at"].endswith("Z") for line in lines)


def test_start_without_waiting_for_packets(fleet):
    """A quiet capture answers at once, with its header blocks."""
    f = fleet(1)
    live = started(f, packet_filter="udp port 9")
    wait_for(lambda: live.capture().interfaces, "the header blocks")
    f.gateway.finish(live.job)
    live.wait_end()
