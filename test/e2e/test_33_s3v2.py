"""Captures in a bucket with signature version 2, through libs3: a real S3 server takes them, and what goes wrong on the way is not believed.

What the server does not do (lie about what it has) is in test/unit/test_driver_s3v2_lies.c.
"""
import pathlib
import re
import subprocess
import urllib.parse

import pytest

from rig import PORT, Pki, Tcpdump, numbers_of, read_pcapng, store_faults, wait_for
from rig.gateway import ENDS

FILTER = f"udp port {PORT}"


@pytest.fixture
def v2_fleet(s3_fleet):
    """s3_fleet with signature version 2."""
    def make(n=1, endpoint=None, **kwargs):
        return s3_fleet(n, endpoint, signature_version="2", **kwargs)
    return make


def capture(f, count=100, size=64):
    job = f.gateway.store(packet_filter=FILTER)
    f.send_captured([job], count, size)
    return job


def stored(f, count=100, size=64):
    ended = f.gateway.finish(capture(f, count, size))
    assert ended["state"] == "ready", ended
    return ended


def staged(f):
    return sorted((f.gateway.state_dir / "spool" / ".staging").glob("*.part"))


def curl(url, *args):
    """What a stranger gets: (status, headers, body)."""
    done = subprocess.run(["curl", "-sS", "-i", "--noproxy", "*", "-m", "60", *args, url], capture_output=True, timeout=90)
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}, body


def test_one_libcurl(v2_fleet):
    """Debian's shared libs3 would bring a second one, of another TLS library, and past the wrapper."""
    maps = pathlib.Path(f"/proc/{v2_fleet().gateway.process.pid}/maps").read_text()
    libraries = set(re.findall(r"[^/\s]+\.so[.0-9]*$", maps, re.MULTILINE))
    found = [name for name in libraries if "curl" in name or name.startswith("libs3")]
    assert len(found) == 1 and found[0].startswith("libcurl.so"), found


def test_object_is_put_whole_at_the_end(v2_fleet, store_proxy, bucket):
    f = v2_fleet(1, store_proxy.url)
    dump = Tcpdump(f.nodes[0], "eth0", FILTER)
    job = capture(f, 1500, 1000)
    part = wait_for(lambda: staged(f), "the staged file")[0]
    wait_for(lambda: part.stat().st_size > 1000000, "closed chunks to be staged")
    assert not bucket.keys() and not store_proxy.of("put", job)
    ended = f.gateway.finish(job)
    assert ended["state"] == "ready", ended
    found = bucket.object_of(ended)
    wait_for(lambda: dump.count() >= 1500, "tcpdump to have them")
    assert [p.data for p in read_pcapng(found.data).packets] == [p.data for p in dump.stop().packets]
    assert found.content_type == "application/x-pcapng" and not found.tags
    assert found.disposition == f'attachment; filename="{job}.pcapng"'
    assert found.metadata == {"job": job, "user": "alice", "org": "acme", "space": "dev", "source": "pcapline"}
    assert [s.op for s in store_proxy.of(of=job)] == ["head", "head", "put", "head"]
    for seen in store_proxy.seen:
        assert seen.headers["authorization"].startswith(f"AWS {bucket.rgw.access_key}:"), seen
    assert not staged(f) and not bucket.uploads()


def test_links(v2_fleet, rgw, bucket):
    f = v2_fleet(1)
    job = stored(f, 300, 1000)
    data, url = bucket.object_of(job).data, f.gateway.link(job["id"], ttl_s=600)["url"]
    assert url.startswith(f"{rgw.url}/{bucket.name}/captures/acme/") and rgw.secret_key not in url
    status, headers, body = curl(url)
    assert status == 200 and body == data
    assert re.fullmatch(f'attachment; filename="?web-{job["id"]}.pcapng"?', headers["content-disposition"])
    assert curl(url, "-r", "100-199")[2] == data[100:200]
    parts = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(parts.query))

    def changed(**replaced):
        return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode({**query, **replaced}, quote_via=urllib.parse.quote)))

    assert curl(changed())[0] == 200
    for bad in (changed(Expires=str(int(query["Expires"]) + 1)), changed(Signature="A" + query["Signature"][1:-2] + "A="),
                changed(**{"response-content-disposition": "inline"}), url.replace(job["id"], "0" * 26), parts._replace(query="").geturl()):
        assert curl(bad)[0] == 403, bad
    assert curl(url, "-I")[0] == 403 and curl(url, "-X", "DELETE")[0] == 403
    short = f.gateway.link(job["id"], ttl_s=2)["url"]
    wait_for(lambda: curl(short)[0] == 403, "the link to expire", timeout_s=15)
    assert bucket.keys() == [job["object"]["key"]]


def test_link_and_download_through_the_gateway(v2_fleet, bucket):
    f = v2_fleet(1, storage={"links": "gateway"})
    job = stored(f, 300, 1000)
    url = f.gateway.link(job["id"])["url"]
    assert bucket.name not in url
    assert f.gateway.fetch(url).body == bucket.object_of(job).data


def test_erased(v2_fleet, bucket):
    f = v2_fleet(1)
    first, second = stored(f), stored(f)
    assert f.gateway.api("DELETE", f"/v1/captures/{first['id']}").status == 204
    wait_for(lambda: bucket.keys() == [second["object"]["key"]], "the first to be gone, and only it")


@pytest.mark.parametrize("way", ["host", "tls path", "tls host"])
def test_ways_to_address_the_bucket(v2_fleet, rgw, bucket, pki, way):
    url = {"host": rgw.host_url, "tls path": rgw.tls_url, "tls host": f"https://s3.localhost:{rgw.tls_port}"}[way]
    f = v2_fleet(1, url, path_style="path" in way, ca=pki.ca if "tls" in way else None)
    job = stored(f, 300, 1000)
    status, _, body = curl(f.gateway.link(job["id"])["url"], "--cacert", pki.ca)
    assert status == 200 and body == bucket.object_of(job).data


def test_unknown_ca(v2_fleet, rgw, bucket, pki, session, folder):
    """libs3 itself takes any certificate."""
    f = v2_fleet(1, rgw.tls_url, ca=Pki(session, folder / "other-pki", "Another CA").ca)
    f.gateway.allowed_errors += ["storage", "store"]
    reply = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode="store", packet_filter=FILTER))
    assert reply.status == 503, reply
    wait_for(lambda: re.search("(?i)certificate", f.gateway.log()), "the log to say why")
    assert bucket.is_empty()


FAULTS = ["internal_error", "slow_down", "reset", "cut_body", "lose_answer", "cut_answer"]


@pytest.mark.parametrize("op", ["put", "head"])
@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_got_over(v2_fleet, store_proxy, bucket, name, op):
    """At the upload, and at each look before and after it: the right bytes in the end."""
    f = v2_fleet(1, store_proxy.url)
    f.gateway.allowed_errors += ["storage", "store"]
    job = capture(f, 1500, 1000)
    store_proxy.fault(getattr(store_faults, name), op=op, of=job, times=2)
    ended = f.gateway.finish(job)
    assert ended["state"] == "ready", ended
    assert len(store_proxy.met()) >= 1
    assert numbers_of(read_pcapng(bucket.object_of(ended).data).packets, PORT) == list(range(1500))
    assert not staged(f)


@pytest.mark.slow
def test_outage(v2_fleet, store_proxy, bucket):
    """The store is away when the capture ends, and comes back."""
    f = v2_fleet(1, store_proxy.url)
    f.gateway.allowed_errors += ["storage", "store"]
    job = capture(f, 300, 1000)
    store_proxy.fault(store_faults.reset, times=None)
    f.gateway.stop_job(job)
    wait_for(lambda: [e for e in f.gateway.events(job) if e["type"] == "storage_retry"], "the outage to be told")
    assert f.gateway.job(job)["state"] not in ENDS and not bucket.keys()
    store_proxy.heal()
    ended = f.gateway.wait_state(job, ENDS, timeout_s=150)
    assert ended["state"] == "ready", ended
    assert len(read_pcapng(bucket.object_of(ended).data).packets) == 300


@pytest.mark.parametrize("when", ["running", "putting", "put"])
def test_killed(v2_fleet, store_proxy, bucket, when):
    f = v2_fleet(1, store_proxy.url)
    dump = Tcpdump(f.nodes[0], "eth0", FILTER)
    job = capture(f, 1500, 1000)
    if when != "running":
        store_proxy.fault(store_faults.hang, op="put" if when == "putting" else "head", of=job, times=1, skip=0 if when == "putting" else 1)
        f.gateway.stop_job(job)
        wait_for(store_proxy.met, "the gateway to be there")
    f.gateway.kill9()
    store_proxy.heal()
    f.gateway.start()
    ended = f.gateway.wait_state(job, ENDS, timeout_s=90)
    assert ended["state"] == "ready", ended
    ours = [p.data for p in read_pcapng(bucket.object_of(ended).data).packets]
    wait_for(lambda: dump.count() >= 1500, "tcpdump to have them")
    assert ours and ours == [p.data for p in dump.stop().packets][:len(ours)]
    assert when == "running" or len(ours) == 1500
    assert not staged(f) and bucket.keys() == [ended["object"]["key"]]
