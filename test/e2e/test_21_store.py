"""Stored captures: what is stored, how it is fetched, when it goes, and what survives a kill -9."""
import concurrent.futures
import hashlib
import random
import subprocess
import time

import pytest

from rig import PORT, Tcpdump, numbers_of, read_pcap, read_pcapng, wait_for
from rig.gateway import ENDS
from rig.reference import accepted_by_all

FILTER = f"udp port {PORT}"
SMALL_CHUNKS = {"storage": {"chunk": "64KiB"}}


def bytes_of(packets):
    return [(p.data, p.length) for p in packets]


def files_of(gateway):
    """Everything below objects and spool, relative to the state folder."""
    return sorted(str(p.relative_to(gateway.state_dir)) for sub in ("objects", "spool")
                  for p in (gateway.state_dir / sub).rglob("*") if not p.is_dir())


def nothing_left(gateway, job):
    """No trace of a job in the store: no object, no part, no spool."""
    return not [p for sub in ("objects", "spool") for p in (gateway.state_dir / sub).rglob("*") if job in p.name]


def capture(f, count=100, **kwargs):
    """A finished capture of count packets: its job."""
    kwargs.setdefault("packet_filter", FILTER)
    job = f.gateway.store(**kwargs)
    if count:
        f.send(count=count, pps=5000, burst=5).wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == count, "all to be captured")
    return f.gateway.finish(job)


def stored(f, count=100, **kwargs):
    """One that is ready, and stays so."""
    ended = capture(f, count, **kwargs)
    assert ended["state"] == "ready", ended
    return ended


def curl(*args):
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", *map(str, args)], capture_output=True, timeout=60)
    return done.returncode, done.stdout


# ---- what is stored ----

@pytest.mark.threads
def test_stored_file_is_what_tcpdump_has(fleet, folder):
    f = fleet(2, config=SMALL_CHUNKS)
    dumps = [Tcpdump(node, "eth0", FILTER) for node in f.nodes]
    job = f.gateway.store(packet_filter=FILTER)
    wait_for(lambda: all(i["state"] == "running" for i in f.gateway.job(job)["instances"]), "both to run")
    senders = [f.send(i, pps=5000, count=3000, size=400, burst=5) for i in range(2)]
    for s in senders:
        s.wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == 6000, "all to be captured")
    ended = f.gateway.finish(job)
    assert ended["state"] == "ready" and ended["stop_reason"] == "user_stop" and ended["mode"] == "store"
    data = f.gateway.download(job)
    assert len(data) == ended["object"]["size_bytes"] == ended["bytes"]
    assert hashlib.sha256(data).hexdigest() == ended["object"]["sha256"]
    capture = read_pcapng(data)
    assert capture.is_ordered_as_told(ended)
    for i, dump in enumerate(dumps):
        wait_for(lambda: dump.count() >= 3000, "tcpdump to have all")
        assert bytes_of(capture.of(f"web/{i} ")) == bytes_of(dump.stop().packets)
    (folder / "x.pcapng").write_bytes(data)
    assert accepted_by_all(folder / "x.pcapng") == 6000
    key = ended["object"]["key"]
    assert key.startswith("captures/acme/") and key.endswith(f"/{job}.pcapng")
    assert (f.gateway.state_dir / "objects" / key).read_bytes() == data
    assert not list((f.gateway.state_dir / "spool").glob("*")), "the spool is empty once the object is complete"


def test_stored_classic_pcap(fleet, folder):
    f = fleet(1)
    job = stored(f, 50, format="pcap")
    data = f.gateway.download(job["id"])
    assert numbers_of(read_pcap(data).packets, PORT) == list(range(50)) and job["object"]["key"].endswith(".pcap")


def test_no_packets_are_a_valid_object(fleet, folder):
    """Pitfall 19."""
    f = fleet(1)
    job = stored(f, 0)
    data = f.gateway.download(job["id"])
    capture = read_pcapng(data)
    assert len(capture.interfaces) == 1 and not capture.packets and capture.interfaces[0].stats
    (folder / "x.pcapng").write_bytes(data)
    assert accepted_by_all(folder / "x.pcapng") == 0


def test_stop_under_load_stores_everything(fleet):
    """Pitfall 18."""
    f = fleet(1, config=SMALL_CHUNKS)
    sender = f.send(pps=10000, burst=10, size=300)
    job = f.gateway.store(packet_filter=FILTER)
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] > 5000, "some packets")
    ended = f.gateway.finish(job)
    sender.stop()
    capture = read_pcapng(f.gateway.download(job))
    numbers = numbers_of(capture.packets, PORT)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    stats = capture.interfaces[0].last_stats
    assert stats.delivered == len(numbers) == stats.accepted == ended["packets"]["captured"] and stats.dropped_os == 0


def test_stored_without_the_client(fleet):
    """Nobody is connected, and the capture runs on to its own limit."""
    f = fleet(1, config={"live": {"grace": "0s"}})
    sender = f.send(pps=200)
    ended = f.gateway.wait_state(f.gateway.store(packet_filter=FILTER, max_duration_s=2), "ready")
    sender.stop()
    assert ended["stop_reason"] == "max_duration" and ended["packets"]["captured"] > 0


def test_auto_is_stored(fleet):
    f = fleet(1)
    reply = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode="auto", packet_filter=FILTER))
    assert reply.status == 202 and reply.json["mode"] == "store"
    assert reply.headers["location"] == f"/v1/captures/{reply.json['id']}" and reply.headers["pcap-job"] == reply.json["id"]
    f.gateway.finish(reply.json["id"])


def test_storage_off(fleet):
    f = fleet(1, config={"storage": {"enabled": False}})
    refused = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode="store"))
    assert refused.status == 403 and refused.error["code"] == "storage_off" and refused.error["field"] == "mode"
    assert f.gateway.api("GET", "/v1/info").json["storage"] == {"offered": False}
    live = f.gateway.live(mode="auto", packet_filter=FILTER)
    assert live.status == 200 and live.job
    f.gateway.wait_running(live.job)
    f.send(count=5).wait()
    live.wait_packets(5)
    assert f.gateway.finish(live.job)["mode"] == "live"
    live.wait_end()
    assert not (f.gateway.state_dir / "spool").exists()


@pytest.mark.memory
def test_memory_stays_flat_while_storing(fleet):
    """Pitfall 16."""
    f = fleet(1, config={"storage": {"chunk": "1MiB"}})
    job = f.gateway.store(packet_filter=FILTER)
    f.send(pps=20000, count=5000, size=1400, burst=20).wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == 5000, "the first")
    rss = f.gateway.rss_kb()
    f.send(pps=20000, count=40000, size=1400, burst=20).wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == 45000, "all to be captured")
    assert f.gateway.rss_kb() - rss < 12 * 1024
    assert f.gateway.finish(job)["object"]["size_bytes"] > 45000 * 1400


def test_objects_never_collide(fleet):
    """Pitfall 15: many at once, each its own object; ids are not to be guessed from each other."""
    f = fleet(1)
    jobs = [f.gateway.store(packet_filter=FILTER) for _ in range(8)]
    f.send(count=3).wait()
    ended = [f.gateway.finish(j) for j in jobs]
    keys = {e["object"]["key"] for e in ended}
    assert len(keys) == 8 and len({j[10:] for j in jobs}) == 8
    assert all(k in "\n".join(files_of(f.gateway)) for k in keys)


# ---- links and downloads ----

@pytest.mark.slow
def test_link_and_its_limits(fleet, folder):
    f = fleet(1)
    job = stored(f)
    link = f.gateway.link(job["id"])
    assert link["size_bytes"] == job["object"]["size_bytes"] and link["sha256"] == job["object"]["sha256"]
    assert link["expires_at"] <= job["expires_at"]
    reply = f.gateway.fetch(link["url"])
    assert reply.status == 200 and hashlib.sha256(reply.body).hexdigest() == link["sha256"]
    assert reply.headers["content-type"] == "application/x-pcapng" and reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["content-disposition"] == f'attachment; filename="web-{job["id"]}.pcapng"'
    head = f.gateway.http.request("HEAD", link["url"][len(f.gateway.url):])
    assert head.status == 200 and head.body == b"" and head.headers["content-length"] == str(link["size_bytes"])
    for bad in (0, -1, 24 * 3600 + 1, "60", 1.5, [60]):
        refused = f.gateway.api("POST", f"/v1/captures/{job['id']}/link", {"ttl_s": bad})
        assert refused.status == 400 and refused.error["field"] == "ttl_s", (bad, refused)
    refused = f.gateway.api("POST", f"/v1/captures/{job['id']}/link", {"once": 1})
    assert refused.status == 400 and refused.error["field"] == "once"
    short = f.gateway.link(job["id"], ttl_s=1)["url"]
    gone = wait_for(lambda: (r := f.gateway.fetch(short)).status == 410 and r, "the link to expire", timeout_s=10)
    assert gone.error["code"] == "link_expired"
    assert f.gateway.fetch(link["url"]).status == 200


def test_download_redirects(fleet):
    f = fleet(1)
    job = stored(f)["id"]
    reply = f.gateway.api("GET", f"/v1/captures/{job}/download")
    assert reply.status == 303
    assert f.gateway.fetch(reply.headers["location"]).status == 200
    assert f.gateway.api("GET", f"/v1/captures/{job}/download", user="bob").status == 404
    assert f.gateway.api("POST", f"/v1/captures/{job}/link", user="bob").status == 404
    # An operator sees the record, not the packets.
    assert f.gateway.api("GET", f"/v1/captures/{job}", user="olga").status == 200
    for method, path in (("GET", "download"), ("POST", "link"), ("GET", "live"), ("POST", "stop")):
        refused = f.gateway.api(method, f"/v1/captures/{job}/{path}", user="olga")
        assert refused.status == 403 and refused.error["code"] == "not_yours", (path, refused)


def test_links_cannot_be_forged(fleet):
    f = fleet(1)
    one, other = stored(f)["id"], stored(f)["id"]
    url = f.gateway.link(one)["url"]
    base, text = url.rsplit("/", 1)
    job, expiry, nonce, mac = text.split(".")
    flipped = mac[:-1] + ("0" if mac[-1] != "0" else "1")
    forged = [
        f"{other}.{expiry}.{nonce}.{mac}", f"{job}.{int(expiry) + 1}.{nonce}.{mac}", f"{job}.{expiry}.1.{mac}", f"{job}.{expiry}.{job}.{mac}",
        f"{job}.{expiry}.{nonce}.{flipped}", f"{job}.{expiry}.{nonce}.{mac.upper()}", f"{job}.{expiry}.{nonce}.{mac}0",
        f"{job}.{expiry}.{nonce}.{mac[:-1]}", f"{job}.{expiry}.{nonce}.", f"{job}.0{expiry}.{nonce}.{mac}", f"{job}.{expiry}.{nonce}",
        f"{job}.{expiry}.{nonce}.{'0' * 64}", job, "x", "....", "%2e%2e", f"{text}%00", f"{text}%20", "a" * 5000,
    ]
    said = set()
    for text in forged:
        reply = f.gateway.fetch(f"{base}/{text}")
        assert reply.status in (403, 400, 404), (text, reply)
        if reply.status == 403:
            said.add((reply.error["code"], reply.error["message"]))
    assert len(said) == 1, f"the refusals tell forgers apart what was wrong: {said}"
    assert f.gateway.fetch(url).status == 200


def test_one_time_link(fleet):
    f = fleet(1)
    job = stored(f)["id"]
    url = f.gateway.link(job, once=True)["url"]
    for _ in range(2):
        assert f.gateway.http.request("HEAD", url[len(f.gateway.url):]).status == 200, "a HEAD must not use it up"
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda _: f.gateway.fetch(url), range(12)))
    assert sorted(r.status for r in replies) == [200] + [410] * 11
    assert {r.error["code"] for r in replies if r.status == 410} == {"link_used"}
    f.gateway.restart()
    assert f.gateway.fetch(url).status == 410, "a restart must not make it good again"


def test_ranges_and_resume_by_curl(fleet, folder):
    f = fleet(1)
    job = stored(f, 2000)
    url, size = f.gateway.link(job["id"])["url"], job["object"]["size_bytes"]
    whole = f.gateway.fetch(url).body
    for text, expected in (("0-0", whole[:1]), ("100-199", whole[100:200]), (f"{size - 1}-", whole[-1:]), ("-7", whole[-7:]),
                           (f"5-{size * 2}", whole[5:]), (f"-{size * 2}", whole)):
        reply = f.gateway.fetch(url, {"Range": f"bytes={text}"})
        assert reply.status == 206 and reply.body == expected, text
        first = size - len(expected) if text.startswith("-") else int(text.split("-")[0])
        assert reply.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{size}"
    for text in (f"{size}-", f"{size + 5}-{size + 9}"):
        reply = f.gateway.fetch(url, {"Range": f"bytes={text}"})
        assert reply.status == 416 and reply.headers["content-range"] == f"bytes */{size}", text
    for text in ("bytes=9-5", "bytes=x", "lines=1-2", "bytes=", "bytes=-", "bytes=1-2,5-6"):
        reply = f.gateway.fetch(url, {"Range": text})
        assert reply.status in (200, 416) and (reply.status == 416 or reply.body == whole), text
    etag = f.gateway.fetch(url).headers["etag"]
    assert f.gateway.fetch(url, {"Range": "bytes=1-2", "If-Range": etag}).status == 206
    assert f.gateway.fetch(url, {"Range": "bytes=1-2", "If-Range": '"other"'}).status == 200
    path = folder / "part"
    path.write_bytes(whole[:size // 3])
    code, _ = curl("-C", "-", "-o", path, url)
    assert code == 0 and path.read_bytes() == whole
    assert hashlib.sha256(whole).hexdigest() == job["object"]["sha256"]


def test_no_link_before_the_end(fleet):
    f = fleet(1)
    job = f.gateway.store(packet_filter=FILTER)
    for method, path in (("POST", "link"), ("GET", "download")):
        refused = f.gateway.api(method, f"/v1/captures/{job}/{path}")
        assert refused.status == 409 and refused.error["code"] == "not_ready"
    f.gateway.finish(job)
    assert f.gateway.api("POST", f"/v1/captures/{job}/link").status == 200


# ---- going ----

def test_expiry_in_both_directions(fleet):
    """Pitfall 5: what must go is gone; what must stay is there."""
    f = fleet(1, config={"storage": {"retention": "2s", "sweep_interval": "100ms"}})


    def linked():
        """A capture, and a link to it that was made before it was gone."""
        job = capture(f)
        reply = f.gateway.api("POST", f"/v1/captures/{job['id']}/link", {"ttl_s": 3600})
        return reply.status == 200 and (job, reply.json)
    short, url = wait_for(linked, "a link in time")
    assert url["expires_at"] <= short["expires_at"], "a link must not outlive the object"
    f.gateway.config["storage"]["retention"] = "1h"
    f.gateway.restart()
    long = stored(f)
    f.gateway.wait_state(short["id"], "expired", timeout_s=20)
    assert nothing_left(f.gateway, short["id"])
    gone = f.gateway.fetch(url["url"])
    assert gone.status == 410
    refused = f.gateway.api("POST", f"/v1/captures/{short['id']}/link")
    assert refused.status == 409 and refused.error["code"] == "not_ready"
    assert f.gateway.job(short["id"])["object"] is None
    wait_for(lambda: f.gateway.events(short["id"])[-1]["type"] == "expired", "the event")
    begin = time.monotonic()
    wait_for(lambda: time.monotonic() - begin > 1, "several sweeps")
    assert f.gateway.job(long["id"])["state"] == "ready"
    assert len(read_pcapng(f.gateway.download(long["id"])).packets) == 100


def test_history_is_forgotten(fleet):
    f = fleet(1, config={"storage": {"history": "1s", "sweep_interval": "100ms"}})
    kept = stored(f)["id"]
    dead = stored(f)["id"]
    assert f.gateway.api("DELETE", f"/v1/captures/{dead}").status == 204
    wait_for(lambda: f.gateway.api("GET", f"/v1/captures/{dead}").status == 404, "the record to go", timeout_s=15)
    assert f.gateway.job(kept)["state"] == "ready", "a job with an object is remembered"


def test_delete_leaves_nothing(fleet):
    f = fleet(1)
    job, other = stored(f)["id"], stored(f)["id"]
    url, once = f.gateway.link(job)["url"], f.gateway.link(job, once=True)["url"]
    assert f.gateway.api("DELETE", f"/v1/captures/{job}", user="bob").status == 404
    assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204
    assert nothing_left(f.gateway, job)
    assert f.gateway.fetch(url).status == 410 and f.gateway.fetch(once).status == 410
    record = f.gateway.job(job)
    assert record["state"] == "purged" and record["object"] is None
    assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204, "again is no failure"
    assert f.gateway.api("GET", f"/v1/captures/{other}/download").status == 303


@pytest.mark.parametrize("mode", ["live", "store"])
def test_delete_of_a_running_capture(fleet, mode):
    f = fleet(1, config=SMALL_CHUNKS)
    sender = f.send(pps=2000, size=1000)
    if mode == "live":
        live = f.gateway.live(packet_filter=FILTER)
        job = live.job
        f.gateway.wait_running(job)
        live.wait_packets(100)
    else:
        job = f.gateway.store(packet_filter=FILTER)
        wait_for(lambda: f.gateway.job(job)["packets"]["captured"] > 500, "some chunks")
    assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204
    sender.stop()
    assert nothing_left(f.gateway, job)
    record = f.gateway.job(job)
    assert record["state"] == "purged" and record["stop_reason"] == "deleted"
    wait_for(lambda: f.agents[0].captures() == 0, "the agent to be free", timeout_s=10)
    if mode == "live":
        live.wait_end()


# ---- kill -9 ----

def recovered(f, job, folder, name="x.pcapng"):
    """The job after a restart, its capture, checked by others."""
    ended = f.gateway.wait_state(job, ENDS)
    assert ended["state"] == "ready", ended
    data = f.gateway.download(job)
    assert len(data) == ended["object"]["size_bytes"] and hashlib.sha256(data).hexdigest() == ended["object"]["sha256"]
    (folder / name).write_bytes(data)
    capture = read_pcapng(data)
    assert accepted_by_all(folder / name) == len(capture.packets)
    return ended, capture


@pytest.mark.threads
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(i, marks=pytest.mark.slow) for i in range(2, 6))])
def test_killed_while_storing(fleet, folder, seed):
    """Pitfall 2, and issue 2: the file is valid and holds every packet up to a point."""
    f = fleet(2, config=SMALL_CHUNKS)
    chance = random.Random(seed)
    dumps = [Tcpdump(node, "eth0", FILTER) for node in f.nodes]
    job = f.gateway.store(packet_filter=FILTER)
    wait_for(lambda: all(i["state"] == "running" for i in f.gateway.job(job)["instances"]), "both to run")
    senders = [f.send(i, pps=4000, size=600, burst=4) for i in range(2)]
    enough = chance.randrange(1, 6000)
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] >= enough, f"{enough} packets", every_s=0.005)
    time.sleep(chance.random() / 20)
    before = f.gateway.job(job)["packets"]["captured"]
    f.gateway.kill9()
    for s in senders:
        s.stop()
    f.gateway.start()
    ended, capture = recovered(f, job, folder)
    assert ended["stop_reason"] == "interrupted"
    # Blocks are gathered for a moment before they go to the spool: at most 64 KiB of them.
    assert len(capture.packets) >= before - 65536 // 640 - 1
    for i, dump in enumerate(dumps):
        ours = bytes_of(capture.of(f"web/{i} "))
        wait_for(lambda: dump.count() >= len(ours), "tcpdump to have as many")
        assert ours == bytes_of(dump.stop().packets)[:len(ours)]
    assert all("capture ended (interrupted)" in i.last_stats.comments[-1] for i in capture.interfaces)
    assert not list((f.gateway.state_dir / "spool").glob("*"))
    assert not list((f.gateway.state_dir / "objects" / ".uploads").glob("*"))
    wait_for(lambda: all(a.captures() == 0 for a in f.agents), "the agents to let go", timeout_s=15)


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(i, marks=pytest.mark.slow) for i in range(2, 4))])
def test_killed_while_finishing(fleet, folder, seed):
    f = fleet(1, config={"storage": {"chunk": "1MiB"}})
    job = f.gateway.store(packet_filter=FILTER)
    f.send(pps=25000, count=12000, size=1400, burst=25).wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == 12000, "all to be captured")
    assert f.gateway.stop_job(job).status == 202
    time.sleep(random.Random(seed).random() / 12)
    f.gateway.kill9()
    f.gateway.start()
    ended, capture = recovered(f, job, folder)
    assert ended["stop_reason"] in ("user_stop", "interrupted")
    assert numbers_of(capture.packets, PORT) == list(range(12000))
    assert not list((f.gateway.state_dir / "spool").glob("*"))
    assert not list((f.gateway.state_dir / "objects" / ".uploads").glob("*"))


def test_killed_again_and_again(fleet, folder):
    """Recovery itself is killed too."""
    f = fleet(1, config=SMALL_CHUNKS)
    job = f.gateway.store(packet_filter=FILTER)
    f.send(pps=10000, count=5000, size=1000, burst=10).wait()
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == 5000, "all to be captured")
    f.gateway.kill9()
    chance = random.Random(7)
    for _ in range(8):
        f.gateway.start(wait=False)
        time.sleep(chance.random() / 25)
        f.gateway.kill9()
    f.gateway.start()
    ended, capture = recovered(f, job, folder)
    numbers = numbers_of(capture.packets, PORT)
    assert numbers == list(range(len(numbers))) and len(numbers) > 4800
    assert not list((f.gateway.state_dir / "spool").glob("*"))


def test_killed_before_anything_was_stored(fleet):
    """A job with nothing in the spool ends too, and says so; deleted while dead it stays away."""
    f = fleet(1)
    jobs = [f.gateway.store(packet_filter="udp port 9") for _ in range(3)]
    f.gateway.kill9()
    f.gateway.start()
    for job in jobs:
        ended = f.gateway.wait_state(job, ENDS)
        assert ended["stop_reason"] == "interrupted" and ended["state"] in ("ready", "failed")
        if ended["state"] == "ready":
            read_pcapng(f.gateway.download(job))
    assert not list((f.gateway.state_dir / "spool").glob("*"))


def test_foreign_files_in_the_spool_stay(fleet, folder):
    f = fleet(1)
    job = stored(f)["id"]
    running = f.gateway.store(packet_filter=FILTER)
    spool = f.gateway.state_dir / "spool"
    outside = folder / "outside"
    outside.mkdir()
    (outside / "000001.open").write_text("precious")
    (spool / "README").write_text("mine")
    (spool / "folder").mkdir()
    (spool / "folder" / "000001.chunk").write_text("mine too")
    (spool / ("0" * 26)).symlink_to(outside)
    f.gateway.kill9()
    f.gateway.start()
    f.gateway.wait_state(running, ENDS)
    assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204
    assert f.gateway.api("DELETE", f"/v1/captures/{running}").status == 204
    assert (spool / "README").read_text() == "mine" and (spool / "folder" / "000001.chunk").read_text() == "mine too"
    assert (outside / "000001.open").read_text() == "precious"
    assert f.gateway.logged("retention.spool_leftovers")


# ---- faults of the store ----

def spoil_flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with open(path, "r+b") as f:
        f.write(data)


def spoil_cut(path):
    with open(path, "r+b") as f:
        f.truncate(path.stat().st_size - 100)


def spoil_remove(path):
    path.unlink()


@pytest.mark.parametrize("spoil", [spoil_flip, spoil_cut, spoil_remove])
def test_a_damaged_upload_is_never_ready(fleet, spoil):
    """Pitfalls 1 and 3: what the store holds is compared with what was written before the job is ready."""
    f = fleet(1, config={"storage": {"chunk": "64KiB", "sweep_interval": "200ms"}})
    f.gateway.allowed_errors += ["storage", "capture.store_failed", "retention.recover_failed"]
    job = f.gateway.store(packet_filter=FILTER)
    f.send(pps=5000, count=1000, size=1000, burst=5).wait()
    part = f.gateway.state_dir / "objects" / ".uploads" / f"{job}.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 200000, "some parts to be stored")
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] == 1000, "all to be captured")
    spoil(part)
    f.gateway.stop_job(job)
    lost = spoil is spoil_remove  # what the store had confirmed is gone: no trying helps
    ended = wait_for(lambda: (j := f.gateway.job(job))["error"] and (not lost or j["state"] != "finishing") and j, "the failure to be told", timeout_s=40)
    assert ended["error"]["code"] == ("storage_lost" if lost else "storage_failed"), ended
    assert ended["state"] == ("failed" if lost else "finishing"), ended
    assert f.gateway.api("POST", f"/v1/captures/{job}/link").status == 409
    begin = time.monotonic()
    wait_for(lambda: time.monotonic() - begin > 1, "some sweeps")
    assert f.gateway.job(job)["state"] != "ready"
    assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204
    assert nothing_left(f.gateway, job)


@pytest.fixture
def tiny(folder):
    """A file system of 4 MiB."""
    path = folder / "tiny"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_full_spool(fleet, folder, tiny):
    f = fleet(1, config={"storage": {"spool": str(tiny / "spool"), "min_free": "1MiB"}})
    job = f.gateway.store(packet_filter=FILTER)
    sender = f.send(pps=5000, size=1400, burst=5)
    ended = f.gateway.wait_state(job, ENDS)
    sender.stop()
    assert ended["state"] == "ready" and ended["stop_reason"] == "spool_full", ended
    data = f.gateway.download(job)
    (folder / "x.pcapng").write_bytes(data)
    assert accepted_by_all(folder / "x.pcapng") == ended["packets"]["captured"] > 1000
    capture = read_pcapng(data)
    numbers = numbers_of(capture.packets, PORT)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert "capture ended (spool_full)" in capture.interfaces[0].last_stats.comments[-1]
    assert 2.5 * 2 ** 20 < len(data) <= 4 * 2 ** 20
    # The room is free again.
    again = stored(f, 10)
    assert again["packets"]["captured"] == 10


def test_disk_that_is_full_already(fleet, tiny):
    """Store is refused with the reason, auto is live, and the gateway stays ready for live."""
    f = fleet(1, config={"storage": {"spool": str(tiny / "spool"), "min_free": "1MiB"}})
    f.gateway.allowed_errors.append("readiness.storage")
    (tiny / "ballast").write_bytes(bytes(3500000))
    refused = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode="store"))
    assert refused.status in (503, 507) and refused.error["field"] == "mode", refused
    live = f.gateway.live(mode="auto", packet_filter=FILTER)
    assert live.status == 200
    ready = wait_for(lambda: (r := f.gateway.api("GET", "/readyz", user=None)).json["reasons"] and r, "readiness to name the storage")
    assert ready.status == 200 and [r["what"] for r in ready.json["reasons"]] == ["storage"]
    f.gateway.finish(live.job)
    live.wait_end()
    (tiny / "ballast").unlink()
    stored(f, 5)


def test_largest_object(fleet, folder):
    f = fleet(1, config={"storage": {"job_max": "1MiB", "chunk": "256KiB"}})
    over = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode="store", max_bytes=2 ** 20 + 1))
    assert over.status in (400, 413) and over.error["field"] == "options.max_bytes" and over.error["code"] == "over_limit"
    sender = f.send(pps=5000, size=1000, burst=5)
    ended = f.gateway.wait_state(f.gateway.store(packet_filter=FILTER), ENDS)
    sender.stop()
    assert ended["state"] == "ready" and ended["stop_reason"] in ("max_bytes", "storage_full"), ended
    assert ended["object"]["size_bytes"] <= 2 ** 20
    (folder / "x.pcapng").write_bytes(f.gateway.download(ended["id"]))
    assert accepted_by_all(folder / "x.pcapng") == ended["packets"]["captured"]
