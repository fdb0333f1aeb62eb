"""Stored captures in a bucket of a real S3 server: what is stored and how, who may fetch it, what an outage does, and that erased is erased."""
import concurrent.futures
import json
import os
import re
import subprocess
import time
import urllib.parse

import pytest

from rig import PORT, FaultProxy, Pki, Tcpdump, numbers_of, read_pcap, read_pcapng, store_faults, wait_for
from rig.gateway import ENDS
from rig.reference import accepted_by_all
from rig.s3 import examined

FILTER = f"udp port {PORT}"


def bytes_of(packets):
    return [(p.data, p.length) for p in packets]


def capture(f, count=100, size=64, **kwargs):
    """A stored capture that has count packets and runs: its id."""
    kwargs.setdefault("packet_filter", FILTER)
    job = f.gateway.store(**kwargs)
    if count:
        send(f, job, count, size)
    return job


def send(f, job, count, size=1000, before=0):
    f.send_captured([job], count, size, before)


def stored(f, count=100, size=64, **kwargs):
    """A finished stored capture: its job."""
    ended = f.gateway.finish(capture(f, count, size, **kwargs))
    assert ended["state"] == "ready", ended
    return ended


def dumped(dump, n):
    """What tcpdump has, once it has n packets."""
    wait_for(lambda: dump.count() >= n, f"tcpdump to have {n}")
    return bytes_of(dump.stop().packets)


def curl(url, *args):
    """What a stranger gets: (status, headers, body)."""
    done = subprocess.run(["curl", "-sS", "-i", "--noproxy", "*", "-m", "60", *args, url], capture_output=True, timeout=90)
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}, body


def spool_of(f):
    return [p for p in (f.gateway.state_dir / "spool").rglob("*") if p.is_file()]


# ---- what is stored ----

def test_small_capture_is_one_put(s3_fleet, store_proxy, bucket, folder):
    f = s3_fleet(2, store_proxy.url)
    dumps = [Tcpdump(node, "eth0", FILTER) for node in f.nodes]
    job = f.gateway.store(packet_filter=FILTER)
    wait_for(lambda: all(i["state"] == "running" for i in f.gateway.job(job)["instances"]), "both to run")
    for i in range(2):
        f.send(i, count=40).wait()
    f.wait_captured(job, 80)
    ended = f.gateway.finish(job)
    key = ended["object"]["key"]
    assert key.startswith("captures/acme/") and key.endswith(f"/{job}.pcapng") and bucket.keys() == [key]
    found = bucket.object_of(ended)
    packets = read_pcapng(found.data)
    for i, dump in enumerate(dumps):
        assert bytes_of(packets.of(f"web/{i} ")) == dumped(dump, 40)
    (folder / "x.pcapng").write_bytes(found.data)
    assert accepted_by_all(folder / "x.pcapng") == 80
    assert found.content_type == "application/x-pcapng"
    assert re.fullmatch(r'attachment; filename="[A-Za-z0-9._-]*' + job + r'\.pcapng"', found.disposition)
    assert found.tags == {"job": job, "user": "alice", "org": "acme", "space": "dev", "source": "pcapline"}
    assert found.metadata == found.tags
    ops = [s.op for s in store_proxy.of(of=job)]
    assert ops.count("put") == 1 and not {"create", "part", "complete"} & set(ops), ops
    assert not bucket.uploads() and not spool_of(f)


@pytest.mark.threads
def test_large_capture_goes_in_parts_while_it_runs(s3_fleet, store_proxy, bucket, folder):
    f = s3_fleet(1, store_proxy.url)
    dump = Tcpdump(f.nodes[0], "eth0", FILTER)
    job = capture(f, 1000, 1000)
    wait_for(lambda: len([s for s in store_proxy.of("part", job) if s.status == 200]) >= 4, "most parts to be in the store")
    wait_for(lambda: sum(p.stat().st_size for p in spool_of(f)) < 4 * 65536, "what is in the store to leave the spool")
    assert f.gateway.job(job)["state"] == "running" and len(bucket.uploads()) == 1 and not bucket.keys()
    send(f, job, 500, before=1000)
    ended = f.gateway.finish(job)
    found = bucket.object_of(ended)
    assert bytes_of(read_pcapng(found.data).packets) == dumped(dump, 1500)
    (folder / "x.pcapng").write_bytes(found.data)
    assert accepted_by_all(folder / "x.pcapng") == 1500
    assert found.tags == {"job": job, "user": "alice", "org": "acme", "space": "dev", "source": "pcapline"} == found.metadata
    seen = [s for s in store_proxy.of(of=job) if s.method != "HEAD"]
    parts = sorted(s.part for s in seen if s.op == "part")
    assert parts == list(range(1, len(parts) + 1)) and len(parts) > 5, "each part once"
    assert sum(s.bytes for s in seen if s.op == "part") == len(found.data)
    ops = [s.op for s in seen if s.op != "part"]
    assert ops.count("create") == 1 and ops.index("list_parts") < ops.index("complete") < ops.index("put_tagging"), ops
    assert "put" not in ops and not store_proxy.of("get", job), "the object is not fetched to be checked"
    assert not bucket.uploads() and not spool_of(f)


def test_list_of_parts_in_pages(s3_fleet, store_proxy, bucket):
    f = s3_fleet(1, store_proxy.url)
    job = capture(f, 1500, 1000)
    store_proxy.fault(store_faults.short_pages(2), op="list_parts", times=None)
    assert numbers_of(read_pcapng(bucket.object_of(f.gateway.finish(job)).data).packets, PORT) == list(range(1500))
    parts = max(s.part for s in store_proxy.of("part", job))
    markers = [int(s.query["part-number-marker"]) for s in store_proxy.of("list_parts", job)]
    assert parts > 4 and markers == list(range(0, parts, 2)), markers


@pytest.mark.slow
@pytest.mark.timeout_s(200)
def test_killed_with_more_parts_than_a_page_has(s3_fleet, store_proxy, bucket):
    """More than a thousand, which is what S3 gives at a time."""
    f = s3_fleet(1, store_proxy.url, parallel=8)
    job = f.gateway.store(packet_filter=FILTER)
    sender = f.send(size=1400, pps=8000, burst=20)
    wait_for(lambda: len([s for s in store_proxy.of("part", job) if s.status == 200]) > 1020, "the parts to be stored", timeout_s=120)
    f.gateway.kill9()
    sender.stop()
    f.gateway.start()
    found = bucket.object_of(f.gateway.wait_state(job, ENDS, timeout_s=60))
    numbers = numbers_of(read_pcapng(found.data).packets, PORT)
    assert len(found.data) > 1000 * 65536 and numbers == sorted(set(numbers))
    assert len(store_proxy.of("list_parts", job)) >= 2 and not bucket.uploads() and not spool_of(f)


def test_payloads_are_signed(s3_fleet, store_proxy, bucket):
    """Each body goes with its SHA-256, so that the store refuses what was damaged on the way."""
    f = s3_fleet(1, store_proxy.url)
    bucket.object_of(stored(f, 300, 1000))
    for seen in store_proxy.seen:
        assert re.fullmatch("[0-9a-f]{64}", seen.headers["x-amz-content-sha256"]), seen
        assert seen.headers["authorization"].startswith("AWS4-HMAC-SHA256 "), seen


def test_classic_pcap_and_no_packets(s3_fleet, bucket):
    f = s3_fleet(1)
    job = stored(f, 50, format="pcap")
    found = bucket.object_of(job)
    assert numbers_of(read_pcap(found.data).packets, PORT) == list(range(50))
    assert job["object"]["key"].endswith(".pcap") and found.content_type == "application/vnd.tcpdump.pcap"
    empty = read_pcapng(bucket.object_of(stored(f, 0)).data)
    assert len(empty.interfaces) == 1 and not empty.packets and empty.interfaces[0].stats


def test_odd_names_are_encoded(s3_fleet, bucket):
    """User text in tags and metadata is encoded; different texts stay different."""
    names = ["jürgen <a&b>=\"c\"?/%2F", "%41=41+ &", "日本", " spaces  ", "x" * 200]
    users = {f"u{i}": {"org": name, "space": name} for i, name in enumerate(names)}
    f = s3_fleet(1, gateway={"users": {**users, "olga": {"operator": True}}, "groups": lambda agents: {
        "web": {"users": list(users), "orgs": [], "instances": [{"id": "0", "agent": agents[0].address}]}}})
    seen = set()
    for user, more in users.items():
        job = f.gateway.store(user=user, packet_filter=FILTER)
        f.send(count=3).wait()
        wait_for(lambda: f.gateway.job(job, user)["packets"]["captured"] == 3, "its packets")
        found = bucket.object_of(f.gateway.finish(job, user))
        decoded = re.sub("=([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]).decode("latin-1"), found.tags["org"])
        assert decoded.encode("latin-1").decode() == more["org"]
        assert urllib.parse.unquote(found.metadata["space"]) == more["space"] and found.tags["user"] == user
        seen.add(found.tags["org"])
    assert len(seen) == len(names)


@pytest.mark.memory
def test_memory_stays_flat(s3_fleet, bucket):
    """Pitfall 16."""
    f = s3_fleet(1, storage={"chunk": "1MiB"})
    job = capture(f, 5000, 1400)
    rss = f.gateway.rss_kb()
    send(f, job, 40000, 1400, before=5000)
    assert f.gateway.rss_kb() - rss < 16 * 1024
    ended = f.gateway.finish(job)
    assert ended["object"]["size_bytes"] > 45000 * 1400
    bucket.object_of(ended)


@pytest.mark.slow
def test_many_at_once(s3_fleet, bucket):
    """Fifty captures, each an object of its own with the same packets in it."""
    f = s3_fleet(1, gateway={"agent_config": {"limits": {"captures": 60}}}, storage={"chunk": "64KiB"})
    f.gateway.config["limits"] = {f"captures{of}": 60 for of in ("", "_per_user", "_per_space", "_per_org")}
    f.gateway.restart()
    jobs = [f.gateway.store(packet_filter=FILTER) for _ in range(50)]
    f.send(count=300, size=1000, pps=1000, burst=5).wait()
    for job in jobs:
        f.wait_captured(job, 300)
    for job in jobs:
        f.gateway.stop_job(job)
    ended = [f.gateway.wait_state(job, ENDS) for job in jobs]
    assert len(set(bucket.keys())) == 50 and not bucket.uploads() and not spool_of(f)
    for job in ended:
        assert numbers_of(read_pcapng(bucket.object_of(job).data).packets, PORT) == list(range(300))


# ---- ways to the store ----

@pytest.mark.parametrize("way", ["path", "host", "tls path", "tls host"])
def test_ways_to_address_the_bucket(s3_fleet, rgw, bucket, pki, way):
    url = {"path": rgw.url, "host": rgw.host_url, "tls path": rgw.tls_url, "tls host": f"https://s3.localhost:{rgw.tls_port}"}[way]
    f = s3_fleet(1, url, path_style="path" in way, ca=pki.ca if "tls" in way else None)
    job = stored(f, 300, 1000)
    found = bucket.object_of(job)
    link = f.gateway.link(job["id"])["url"]
    base = url.replace("//", f"//{bucket.name}.") if "host" in way else f"{url}/{bucket.name}"
    assert link.startswith(f"{base}/captures/acme/")
    status, _, body = curl(link, "--cacert", pki.ca)
    assert status == 200 and body == found.data
    stored(f, 3)


def test_temporary_keys(s3_servers, buckets, fleet):
    server = s3_servers("sts-gateway", sts=True)
    bucket, (access, secret, token) = buckets(server), server.session_keys()
    f = fleet(1, config=bucket.config(access_key=access, secret_key=secret, session_token=token))
    job = stored(f, 300, 1000)
    found = bucket.object_of(job)
    status, _, body = curl(f.gateway.link(job["id"])["url"])
    assert status == 200 and body == found.data


@pytest.mark.threads
def test_keys_change_while_a_capture_runs(s3_fleet, rgw, bucket, folder, session):
    """Pitfall 4: each attempt is signed with the keys of now."""
    path, keys = folder / "keys", rgw.new_keys()
    session.secret("secret key of the store, second", keys[1])

    def write(access, secret):
        (folder / "keys.new").touch(0o600)
        (folder / "keys.new").write_text(f"[default]\naws_access_key_id = x\naws_secret_access_key = y\n\n"
                                         f"[pcap]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")
        os.rename(folder / "keys.new", path)

    write(*keys)
    f = s3_fleet(1, credentials="file", credentials_file=str(path), profile="pcap", access_key=None, secret_key=None)
    job = capture(f, 200, 1000)
    wait_for(bucket.uploads, "the upload to be open")
    rgw.drop_keys(keys[0])
    send(f, job, 200, before=200)
    wait_for(lambda: "InvalidAccessKeyId" in str(f.gateway.job(job).get("storage")), "the old keys to be refused")
    write(rgw.access_key, rgw.secret_key)
    send(f, job, 200, before=400)
    ended = f.gateway.finish(job)
    assert [e for e in f.gateway.events(job) if e["type"] == "storage_retry"] and ended["state"] == "ready", ended
    assert len(read_pcapng(bucket.object_of(ended).data).packets) == 600 and not bucket.uploads()
    assert curl(f.gateway.link(job)["url"])[0] == 200


# ---- what cannot be ----

def offered(f):
    """Whether a capture can be stored now; the refusal otherwise."""
    reply = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode="store", packet_filter=FILTER))
    if reply.status == 202:
        return True, reply.json["id"]
    return False, reply


def said(f):
    """Everything that a gateway says of its store: its log."""
    return "\n".join(json.dumps(line) for line in f.gateway.log_lines() if line["level"] in ("error", "warning"))


def assert_no_store(f, told, live=True):
    """Storing is refused with a reason, the log says what is wrong, and what needs no store goes on."""
    f.gateway.allowed_errors += ["storage", "store"]
    good, reply = offered(f)
    if good:
        f.gateway.finish(reply)
        raise AssertionError(f"a capture was taken: {f.gateway.job(reply)}")
    assert reply.status == 503 and reply.error["field"] == "mode", reply
    ready = wait_for(lambda: (r := f.gateway.api("GET", "/readyz", user=None)).json["reasons"] and r, "readiness to name the storage")
    assert ready.status == 200 and [r["what"] for r in ready.json["reasons"]] == ["storage"]
    wait_for(lambda: re.search(told, said(f)), f"{told} in what is said: {said(f)}")
    if live:
        taken = f.gateway.live(mode="auto", packet_filter=FILTER)
        assert taken.status == 200
        f.send(count=5).wait()
        taken.wait_packets(5)
        f.gateway.finish(taken.job)
        taken.wait_end()


def test_wrong_bucket(s3_fleet, bucket):
    f = s3_fleet(1, bucket="tests-there-is-none")
    assert_no_store(f, "tests-there-is-none")


@pytest.mark.parametrize("what, told", [("access", "(?i)access.?key"), ("secret", "(?i)secret|signature")])
def test_wrong_keys(s3_fleet, rgw, bucket, what, told):
    f = s3_fleet(1, **{f"{what}_key": ("A" if what == "access" else "a") * 20})
    assert_no_store(f, told)


def test_keys_without_rights(s3_fleet, rgw, bucket, session):
    access, secret = rgw.other_user()
    session.secret("secret key of another user", secret)
    f = s3_fleet(1, access_key=access, secret_key=secret)
    f.gateway.allowed_errors += ["storage", "store", "retention.recover_failed"]
    good, found = offered(f)
    if good:  # it may be that only writing was allowed: then the job says it
        wait_for(lambda: f.gateway.job(found)["state"] in ENDS | {"running"}, "its start")
        f.gateway.stop_job(found)
        job = wait_for(lambda: (j := f.gateway.job(found))["error"] and j, "the failure to be told")
        assert job["state"] != "ready"
    assert re.search("(?i)access.?denied|not allowed|right", said(f)), said(f)
    assert bucket.is_empty()


def test_wrong_ca(s3_fleet, rgw, bucket, pki, session, folder):
    other = Pki(session, folder / "other-pki", "Another CA")
    f = s3_fleet(1, rgw.tls_url, ca=other.ca)
    assert_no_store(f, "(?i)certificate")


def test_certificate_of_another_host(s3_fleet, rgw, bucket, pki):
    f = s3_fleet(1, f"https://localhost:{rgw.tls_port}", ca=pki.ca)
    assert_no_store(f, "(?i)certificate|subject|name")


WRONG_STORES = {
    "html 200": (store_faults.html_200, None), "html 502": (store_faults.html_502, "502"),
    "wrong region": (store_faults.refusal(400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-central-1'"), "region"),
    "redirect": (store_faults.redirect("http://127.0.0.1:9/"), "(?i)redirect|elsewhere|301|region"),
    "slow down": (store_faults.slow_down, "(?i)slow|503|busy"), "skewed": (store_faults.skewed, "(?i)clock"),
    "expired": (store_faults.expired_token, "(?i)expired"), "endless": (store_faults.endless, None),
    "huge headers": (store_faults.huge_headers, None), "no xml": (store_faults.not_xml, None),
    "reset": (store_faults.reset, "."), "hangs": (store_faults.hang, "(?i)time|answer|silent"), "internal": (store_faults.internal_error, "(?i)500|internal"),
}


@pytest.mark.parametrize("name", WRONG_STORES)
def test_something_else_answers(s3_fleet, store_proxy, bucket, name):
    """From the first request on: never a crash, never `ready`, and somebody is told."""
    fault, told = WRONG_STORES[name]
    store_proxy.fault(fault, times=None)
    f = s3_fleet(1, store_proxy.url, idle_timeout="1s", connect_timeout="1s")
    f.gateway.allowed_errors += ["storage", "store", "recover"]
    good, found = offered(f)
    if good:
        f.gateway.wait_state(found, ENDS | {"running"})
        f.gateway.stop_job(found)
        job = wait_for(lambda: (j := f.gateway.job(found))["error"] and j, "the failure to be told", timeout_s=180)
        assert job["state"] != "ready" and job["error"]["message"], job
    else:
        assert found.status == 503 and found.error["message"], found
    if told:
        wait_for(lambda: re.search(told, said(f)), f"{told} in what is said: {said(f)}")
    store_proxy.heal()
    wait_for(lambda: not f.gateway.api("GET", "/readyz", user=None).json["reasons"], "the store to be good again")
    bucket.object_of(stored(f, 20))
    wait_for(lambda: not bucket.uploads(), "no upload to be open")


def test_no_redirect_is_followed(s3_fleet, store_proxy, bucket):
    """Signed requests and packets go where the configuration says, nowhere else."""
    f = s3_fleet(1, store_proxy.url)
    f.gateway.allowed_errors += ["storage", "store", "recover"]
    job = f.gateway.store(packet_filter=FILTER)
    store_proxy.fault(store_faults.redirect(f"{store_proxy.url}/stolen/x"), op="create", of=job, times=3)
    send(f, job, 200)
    f.gateway.stop_job(job)
    wait_for(lambda: len(store_proxy.met()) >= 1, "the redirect to be met")
    ended = wait_for(lambda: (j := f.gateway.job(job))["state"] in ENDS and j, "the end", timeout_s=180)
    assert len(read_pcapng(bucket.object_of(ended).data).packets) == 200
    assert not [s for s in store_proxy.seen if "stolen" in s.path]


@pytest.mark.parametrize("broken, told", [
    ({"endpoint": "https://h/path"}, "endpoint"), ({"endpoint": "ftp://h"}, "endpoint"), ({"bucket": "Not_A_Bucket"}, "bucket"), ({"bucket": "x"}, "bucket"),
    ({"bucket": "../etc"}, "bucket"), ({"access_key": ""}, "access_key"), ({"secret_key": None}, "secret_key"), ({"allow_http": False}, "allow_http"),
    ({"signature_version": "3"}, "signature_version"), ({"credentials": "file", "credentials_file": "/nonexistent"}, "credentials_file|/nonexistent"),
    ({"encryption": "rot13"}, "encryption"), ({"part_min": "128KiB"}, "part_min|chunk"), ({"parallel": 0}, "parallel"), ({"ca": "/nonexistent"}, "ca|/nonexistent"),
], ids=lambda v: "-".join(v) if isinstance(v, dict) else None)
def test_configuration_that_cannot_be(gateways, bucket, agents, net, broken, told):
    node = net.ns("a")
    gateway = gateways({"web": [agents(node)]}, start=False, config=bucket.config(**broken))
    gateway.expected_exits = {1, 2}
    gateway.allowed_errors.append(".")
    gateway.start(wait=False)
    gateway.wait_exit()
    assert gateway.process.returncode != 0 and re.search(told, gateway.log()), gateway.log()
    gateway.check()


# ---- links ----

def test_link_is_good_for_a_stranger(s3_fleet, rgw, bucket):
    f = s3_fleet(1)
    job = stored(f, 300, 1000)
    data, link = bucket.object_of(job).data, f.gateway.link(job["id"], ttl_s=600)
    url = link["url"]
    assert url.startswith(f"{rgw.url}/{bucket.name}/"), "straight from the bucket"
    assert link["size_bytes"] == len(data) and link["sha256"] == job["object"]["sha256"] and rgw.secret_key not in url
    status, headers, body = curl(url)
    assert status == 200 and body == data and headers["content-type"] == "application/x-pcapng"
    assert re.fullmatch(f'attachment; filename="?web-{job["id"]}.pcapng"?', headers["content-disposition"])
    status, headers, body = curl(url, "-r", "100-199")
    assert status == 206 and body == data[100:200]
    reply = f.gateway.api("GET", f"/v1/captures/{job['id']}/download")
    assert reply.status == 303 and curl(reply.headers["location"])[2] == data


@pytest.mark.slow
def test_link_expires(s3_fleet, bucket):
    f = s3_fleet(1)
    job = stored(f)
    url = wait_for(lambda: curl(u := f.gateway.link(job["id"], ttl_s=2)["url"])[0] == 200 and u, "a link that is used in time")
    wait_for(lambda: curl(url)[0] == 403, "the link to expire", timeout_s=15)
    assert curl(f.gateway.link(job["id"], ttl_s=600)["url"])[0] == 200


def test_link_cannot_be_changed(s3_fleet, bucket):
    f = s3_fleet(1)
    job, other = stored(f), stored(f)
    url = f.gateway.link(job["id"])["url"]
    parts = urllib.parse.urlsplit(url)
    query = urllib.parse.parse_qsl(parts.query)
    assert curl(url)[0] == 200

    def changed(**replaced):
        new = [(k, replaced.get(k.replace("-", "_"), v)) for k, v in query]
        assert new != query
        return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(new, quote_via=urllib.parse.quote)))

    signature = dict(query)["X-Amz-Signature"]
    bad = [
        url.replace(job["id"], other["id"]), changed(X_Amz_Expires="604800"), changed(X_Amz_Signature=signature[:-1] + ("0" if signature[-1] != "0" else "1")),
        changed(response_content_disposition="inline"), changed(response_content_type="text/html"), parts._replace(query="").geturl(),
        url.replace(parts.path, f"/{bucket.name}?list-type=2"),
    ]
    for other_url in bad:
        status, _, body = curl(other_url)
        assert status == 403 and b"<Error>" in body, other_url
    for method in ("PUT", "DELETE", "POST"):
        assert curl(url, "-X", method, "-d", "")[0] in (403, 405)
    assert bucket.object_of(job)


def test_links_through_the_gateway(s3_fleet, bucket):
    """A policy keeps the store from sight."""
    f = s3_fleet(1, storage={"links": "gateway"})
    job = stored(f, 1000, 1000)
    data = bucket.object_of(job).data
    assert f.gateway.download(job["id"]) == data
    url = f.gateway.link(job["id"])["url"]
    for first, last in ((0, 0), (100, 65635), (65530, 65540), (len(data) - 1, len(data) - 1)):
        reply = f.gateway.fetch(url, {"Range": f"bytes={first}-{last}"})
        assert reply.status == 206 and reply.body == data[first:last + 1]
    assert f.gateway.fetch(url, {"Range": f"bytes={len(data)}-"}).status == 416
    once = f.gateway.link(job["id"], once=True)["url"]
    assert [f.gateway.fetch(once).status for _ in range(2)] == [200, 410]


def test_links_through_the_gateway_when_the_store_is_away(s3_fleet, rgw, bucket):
    f = s3_fleet(1, storage={"links": "gateway"}, connect_timeout="1s")
    f.gateway.allowed_errors += ["storage", "store"]
    job = stored(f, 1000, 1000)
    url = f.gateway.link(job["id"])["url"]
    rgw.down()
    broken = False
    try:
        reply = f.gateway.fetch(url)
        broken = reply.status >= 500
    except Exception:  # cut in the middle: not what was promised, and it shows
        broken = True
    rgw.up()
    assert broken, "the answer looked good"
    assert f.gateway.download(job["id"]) == bucket.object_of(job).data


# ---- outages ----

@pytest.mark.slow
@pytest.mark.threads
def test_outage_in_the_middle(s3_fleet, rgw, bucket):
    """The spool takes what comes, the job says why it waits, and afterwards everything goes where it belongs without anybody's doing."""
    f = s3_fleet(1, connect_timeout="1s")
    f.gateway.allowed_errors += ["readiness.storage"]
    dump = Tcpdump(f.nodes[0], "eth0", FILTER)
    job = capture(f, 200, 1000)
    wait_for(lambda: bucket.uploads() and sum(p.stat().st_size for p in spool_of(f)) < 2 * 65536, "the first parts to be in the store")
    rgw.down()
    down_at = time.monotonic()
    send(f, job, 1000, before=200)
    waiting = wait_for(lambda: (s := f.gateway.job(job)["storage"]) and s["unreachable_since"] and s, "the job to tell of the outage")
    assert waiting["parts_waiting"] >= 2 and waiting["bytes_waiting"] >= 500000 and waiting["error"], waiting
    assert f.gateway.job(job)["state"] == "running"
    wait_for(lambda: time.monotonic() - down_at > 5, "five seconds of outage")
    send(f, job, 500, before=1200)
    rgw.up()
    wait_for(lambda: not (f.gateway.job(job)["storage"] or {}).get("unreachable_since"), "the store to be found again", timeout_s=60)
    ended = f.gateway.finish(job)
    assert bytes_of(read_pcapng(bucket.object_of(ended).data).packets) == dumped(dump, 1700)
    assert ended["stop_reason"] == "user_stop" and not bucket.uploads() and not spool_of(f)
    types = [e["type"] for e in f.gateway.events(job)]
    assert types.count("storage_retry") == 1 == types.count("storage_ok"), types


def test_outage_at_the_end(s3_fleet, rgw, bucket):
    """Stopped while the store is away, gateway restarted meanwhile: once it is back the object comes."""
    f = s3_fleet(1, connect_timeout="1s")
    f.gateway.allowed_errors += ["storage", "recover", "store"]
    job = capture(f, 300, 1000)
    rgw.down()
    f.gateway.stop_job(job)
    wait_for(lambda: f.gateway.job(job)["state"] == "finishing", "it to be finishing")
    f.gateway.kill9()
    f.gateway.start()
    wait_for(lambda: (j := f.gateway.job(job))["error"] or (j["storage"] and j["storage"]["unreachable_since"]), "the job to say why it waits")
    assert f.gateway.job(job)["state"] == "finishing"
    rgw.up()
    ended = f.gateway.wait_state(job, "ready", timeout_s=90)
    assert numbers_of(read_pcapng(bucket.object_of(ended).data).packets, PORT) == list(range(300)) and not bucket.uploads()


@pytest.mark.slow
def test_store_away_at_the_start(s3_fleet, rgw, bucket):
    f = s3_fleet(1, connect_timeout="1s")
    stored(f, 3)
    rgw.down()
    wait_for(lambda: f.gateway.api("GET", "/readyz", user=None).json["reasons"], "the store to be missed", timeout_s=40)
    assert_no_store(f, "127.0.0.1|connect")
    rgw.up()
    wait_for(lambda: not f.gateway.api("GET", "/readyz", user=None).json["reasons"], "the store to be found again", timeout_s=40)
    bucket.object_of(stored(f, 3))


def test_gateway_starts_without_its_store(s3_fleet, rgw, bucket):
    rgw.down()
    f = s3_fleet(1, connect_timeout="1s")
    assert_no_store(f, "127.0.0.1|connect")
    rgw.up()
    wait_for(lambda: not f.gateway.api("GET", "/readyz", user=None).json["reasons"], "the store to be found", timeout_s=40)
    bucket.object_of(stored(f, 3))


def test_budget_of_the_spool(s3_fleet, rgw, bucket, folder):
    """Used up: the capture ends with that reason, and all that was captured is kept."""
    f = s3_fleet(1, storage={"spool_job_max": "1MiB"}, connect_timeout="1s")
    f.gateway.allowed_errors += ["storage", "store"]
    dump = Tcpdump(f.nodes[0], "eth0", FILTER)
    job = capture(f, 200, 1000)
    wait_for(lambda: bucket.uploads(), "the upload to be open")
    rgw.down()
    sender = f.send(pps=4000, size=1000, burst=4)
    wait_for(lambda: f.gateway.job(job)["stop_reason"], "the end of the budget", timeout_s=60)
    sender.stop()
    assert f.gateway.job(job)["stop_reason"] == "spool_full"
    assert sum(p.stat().st_size for p in spool_of(f)) <= 2 ** 20 + 256 * 1024
    rgw.up()
    ended = f.gateway.wait_state(job, ENDS, timeout_s=90)
    found = bucket.object_of(ended)
    ours = bytes_of(read_pcapng(found.data).packets)
    assert len(ours) == ended["packets"]["captured"] > 200 + 600
    assert ours == dumped(dump, len(ours))[:len(ours)]
    (folder / "x.pcapng").write_bytes(found.data)
    assert accepted_by_all(folder / "x.pcapng") == len(ours) and not bucket.uploads() and not spool_of(f)


def test_budget_of_all_spools(s3_fleet, rgw, bucket):
    f = s3_fleet(1, storage={"spool_job_max": "1MiB", "spool_max": "1536KiB"}, connect_timeout="1s")
    f.gateway.allowed_errors += ["storage", "store"]
    jobs = [capture(f, 0) for _ in range(3)]
    rgw.down()
    sender = f.send(pps=4000, size=1000, burst=4)
    for job in jobs:
        wait_for(lambda job=job: f.gateway.job(job)["stop_reason"] == "spool_full", "the end of the budget", timeout_s=60)
    sender.stop()
    assert sum(p.stat().st_size for p in spool_of(f)) <= 1536 * 1024 + 3 * 256 * 1024
    rgw.up()
    for job in jobs:
        ended = f.gateway.wait_state(job, ENDS, timeout_s=90)
        assert len(read_pcapng(bucket.object_of(ended).data).packets) == ended["packets"]["captured"] > 0
    assert not bucket.uploads() and not spool_of(f)


@pytest.mark.slow
def test_shutdown_while_the_store_is_away(s3_fleet, rgw, bucket):
    """Nobody waits for a store that is away: what is in the spool is finished by the next process."""
    f = s3_fleet(1, connect_timeout="1s")
    f.gateway.allowed_errors += ["storage", "store", "recover"]
    f.gateway.config["drain_timeout"] = "2s"
    f.gateway.restart()
    job = capture(f, 500, 1000)
    rgw.down()
    send(f, job, 100, before=500)
    f.gateway.stop(timeout_s=30)
    rgw.up()
    f.gateway.start()
    ended = f.gateway.wait_state(job, "ready")
    assert ended["stop_reason"] == "gateway_shutdown"
    assert numbers_of(read_pcapng(bucket.object_of(ended).data).packets, PORT) == [*range(500), *range(100)]
    assert not bucket.uploads()


def test_shutdown_while_the_store_hangs(s3_fleet, store_proxy, bucket):
    """Nobody waits for an answer either, whatever was asked: here two captures are just being erased, and requests have ten minutes."""
    f = s3_fleet(1, store_proxy.url, idle_timeout="10m")
    f.gateway.allowed_errors += ["storage", "store", "capture.erase_failed"]
    f.gateway.config["drain_timeout"] = "2s"
    f.gateway.restart()
    jobs = [stored(f)["id"], capture(f, 300, 1000)]
    wait_for(bucket.uploads, "the upload to be open")
    for job in jobs:
        store_proxy.fault(store_faults.hang, op="list_uploads", match=lambda s, job=job: job in str(s.query), times=None)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        replies = [pool.submit(f.gateway.api, "DELETE", f"/v1/captures/{job}", timeout=120) for job in jobs]
        wait_for(lambda: len({job for s in store_proxy.met() for job in jobs if job in str(s.query)}) == 2, "both to be asked for")
        f.gateway.stop()
    assert [r.result().status for r in replies] == [503, 503], [r.result() for r in replies]
    store_proxy.heal()
    f.gateway.start()
    f.gateway.wait_state(jobs[1], "purged")
    assert f.gateway.api("DELETE", f"/v1/captures/{jobs[0]}").status == 204
    examined(f.gateway)
    assert bucket.is_empty() and not spool_of(f)


def test_slow_uploads_keep_nobody_else_waiting(s3_fleet, store_proxy, bucket):
    """With every place for uploads taken, captures are started, erased and read."""
    f = s3_fleet(1, store_proxy.url, connections=2)
    f.gateway.allowed_errors += ["storage"]
    job = stored(f)
    store_proxy.fault(store_faults.hang, op="part", times=None)
    busy = capture(f, 300, 1000)
    wait_for(lambda: len(store_proxy.met()) >= 2, "both places to be taken")
    other = f.gateway.store(packet_filter="udp port 9")
    assert f.gateway.fetch(f.gateway.link(job["id"], once=True)["url"]).status == 200
    assert f.gateway.api("DELETE", f"/v1/captures/{job['id']}").status == 204
    assert f.gateway.api("DELETE", f"/v1/captures/{other}").status == 204
    store_proxy.heal()
    assert f.gateway.finish(busy)["state"] == "ready"


# ---- the store forgets ----

def test_upload_aborted_by_somebody_else(s3_fleet, bucket):
    """With parts gone that were confirmed, there is no object: never `ready` with a hole."""
    f = s3_fleet(1)
    f.gateway.allowed_errors += ["storage", "store", "recover"]
    job = capture(f, 500, 1000)
    wait_for(lambda: bucket.uploads() and sum(p.stat().st_size for p in spool_of(f)) < 2 * 65536, "most parts to be in the store")
    (key, upload), = bucket.uploads()
    bucket.client().abort_multipart_upload(Bucket=bucket.name, Key=key, UploadId=upload)
    f.send(count=300, size=1000, pps=10000).wait()
    f.gateway.stop_job(job)
    ended = wait_for(lambda: (j := f.gateway.job(job))["error"] and j, "the loss to be told", timeout_s=90)
    assert ended["state"] != "ready" and "store" in ended["error"]["message"], ended
    assert f.gateway.api("POST", f"/v1/captures/{job}/link").status == 409
    assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204
    assert bucket.is_empty() and not spool_of(f)


@pytest.mark.parametrize("parts", ["none confirmed", "some confirmed"])
def test_upload_forgotten_while_the_gateway_was_dead(s3_fleet, store_proxy, bucket, parts):
    f = s3_fleet(1, store_proxy.url)
    f.gateway.allowed_errors += ["storage", "store", "recover"]
    if parts == "none confirmed":
        store_proxy.fault(store_faults.slow_down, op="part", of="captures/acme/", times=None)
    job = capture(f, 500, 1000)
    wait_for(bucket.uploads, "the upload to be open")
    if parts == "some confirmed":
        wait_for(lambda: sum(p.stat().st_size for p in spool_of(f)) < 2 * 65536, "most parts to be in the store")
    else:
        wait_for(lambda: len(store_proxy.met()) > 3, "some attempts")
    f.gateway.kill9()
    for key, upload in bucket.uploads():
        bucket.client().abort_multipart_upload(Bucket=bucket.name, Key=key, UploadId=upload)
    store_proxy.heal()
    f.gateway.start()
    if parts == "none confirmed":
        ended = f.gateway.wait_state(job, "ready", timeout_s=90)
        numbers = numbers_of(read_pcapng(bucket.object_of(ended).data).packets, PORT)
        assert numbers == list(range(len(numbers))) and len(numbers) > 500 - 70
    else:
        ended = wait_for(lambda: (j := f.gateway.job(job))["error"] and j, "the loss to be told", timeout_s=90)
        assert ended["state"] != "ready", ended
        assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204
    wait_for(lambda: not bucket.uploads(), "no upload to be open")


def test_object_replaced_by_somebody_else(s3_fleet, bucket, store_proxy):
    """Not ours to take for ours: another object stands at the key when a capture is finished a second time."""
    f = s3_fleet(1, store_proxy.url)
    f.gateway.allowed_errors += ["storage", "store", "recover"]
    job = f.gateway.store(packet_filter=FILTER)
    store_proxy.fault(store_faults.lose_answer, op="complete", of=job)
    store_proxy.fault(store_faults.slow_down, of=job, times=None, match=lambda s: any(c.status for c in store_proxy.of("complete", job)))
    send(f, job, 300)
    f.gateway.stop_job(job)
    key, = wait_for(bucket.keys, "the object")
    bucket.client().put_object(Bucket=bucket.name, Key=key, Body=b"something else")
    store_proxy.heal()
    ended = wait_for(lambda: (j := f.gateway.job(job))["error"] and j, "the failure to be told", timeout_s=90)
    assert ended["state"] != "ready", ended
    assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204
    assert bucket.is_empty()


# ---- going ----

def test_delete_erases_every_version(s3_fleet, bucket):
    client = bucket.client()
    client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    f = s3_fleet(1)
    job, other = stored(f, 300, 1000), stored(f)
    key = job["object"]["key"]
    client.delete_object(Bucket=bucket.name, Key=key)
    client.put_object(Bucket=bucket.name, Key=key, Body=b"another version")
    client.create_multipart_upload(Bucket=bucket.name, Key=key)
    client.put_object(Bucket=bucket.name, Key=key + ".neighbour", Body=b"not ours")
    client.create_multipart_upload(Bucket=bucket.name, Key=key + ".neighbour")
    assert len(bucket.versions()) == 5
    assert f.gateway.api("DELETE", f"/v1/captures/{job['id']}").status == 204
    left = {k for k, _ in bucket.versions()}
    assert left == {key + ".neighbour", other["object"]["key"]} and [k for k, _ in bucket.uploads()] == [key + ".neighbour"]
    assert bucket.object_of(other)


def test_delete_of_a_running_capture(s3_fleet, bucket):
    f = s3_fleet(1)
    sender = f.send(pps=3000, size=1000, burst=3)
    job = f.gateway.store(packet_filter=FILTER)
    wait_for(bucket.uploads, "the upload to be open")
    wait_for(lambda: f.gateway.job(job)["packets"]["captured"] > 500, "some parts")
    assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204
    sender.stop()
    assert bucket.is_empty() and not spool_of(f)
    assert f.gateway.job(job)["state"] == "purged"


def test_delete_while_the_store_is_away(s3_fleet, rgw, bucket):
    """Nobody is told that it is gone while it is not."""
    f = s3_fleet(1, connect_timeout="1s")
    f.gateway.allowed_errors += ["storage", "store", "erase", "api"]
    job = stored(f)
    rgw.down()
    reply = f.gateway.api("DELETE", f"/v1/captures/{job['id']}", timeout=120)
    assert reply.status >= 500 and reply.error["message"], reply
    rgw.up()
    assert bucket.keys() == [job["object"]["key"]]
    assert wait_for(lambda: f.gateway.api("DELETE", f"/v1/captures/{job['id']}").status == 204, "it to be erased")
    assert bucket.is_empty()


def test_purge_says_what_it_erased(s3_fleet, bucket):
    bucket.client().put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    f = s3_fleet(1)
    jobs = [stored(f, 300, 1000), stored(f)]
    bucket.client().put_object(Bucket=bucket.name, Key=jobs[0]["object"]["key"], Body=b"x" * 1000)
    bucket.client().create_multipart_upload(Bucket=bucket.name, Key=jobs[1]["object"]["key"])
    reply = f.gateway.api("POST", "/v1/admin/purge", {"all": True}, user="olga")
    assert reply.status == 200 and not reply.json["failed"], reply
    rows = {r["job"]: r for r in reply.json["purged"]}
    assert set(rows) == {j["id"] for j in jobs}
    assert rows[jobs[0]["id"]]["objects"] == 2 and rows[jobs[1]["id"]]["objects"] == 1 and rows[jobs[1]["id"]]["uploads"] == 1, rows
    assert rows[jobs[0]["id"]]["size_bytes"] == jobs[0]["object"]["size_bytes"] + 1000
    assert bucket.is_empty()


def test_expiry_in_both_directions(s3_fleet, bucket):
    """Pitfall 5: what must go is gone from the bucket; what must stay is there."""
    f = s3_fleet(1, storage={"retention": "2s"})
    short = f.gateway.finish(capture(f))
    assert short["state"] in ("ready", "expired"), short
    f.gateway.config["storage"]["retention"] = "1h"
    f.gateway.restart()
    long = stored(f)
    f.gateway.wait_state(short["id"], "expired", timeout_s=20)
    assert bucket.keys() == [long["object"]["key"]]
    assert f.gateway.api("POST", f"/v1/captures/{short['id']}/link").status == 409
    bucket.object_of(f.gateway.job(long["id"]))


# ---- the bucket itself ----

@pytest.mark.slow
def test_lifecycle_not_allowed_is_reported(s3_fleet, rgw, bucket, session):
    """Who may write objects but not the bucket's rules stores all the same, and says what is missing."""
    access, secret = rgw.other_user(name="writer")
    session.secret("secret key of a writer", secret)
    allow = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/writer"]},
         "Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:ListBucket",
                    "s3:ListBucketMultipartUploads", "s3:ListBucketVersions", "s3:PutObjectTagging", "s3:GetObjectTagging"],
         "Resource": [f"arn:aws:s3:::{bucket.name}", f"arn:aws:s3:::{bucket.name}/*"]}]}
    bucket.client().put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(allow))
    f = s3_fleet(1, access_key=access, secret_key=secret, lifecycle=True)
    found = examined(f.gateway)["lifecycle"]
    assert found["severity"] == "warning" and found["message"], found
    job = stored(f, 300, 1000)
    bucket.object_of(job, keys=(access, secret))
    assert f.gateway.api("DELETE", f"/v1/captures/{job['id']}").status == 204
    assert bucket.is_empty()


# ---- encryption ----

def test_encryption_is_asked_for_and_checked(s3_fleet, rgw, bucket, pki, store_proxy):
    """This server takes the header and does not encrypt: it must not be believed blindly."""
    f = s3_fleet(1, rgw.tls_url, ca=pki.ca, encryption="AES256")
    f.gateway.allowed_errors += ["storage", "store"]
    found = examined(f.gateway)["encryption"]
    assert found["severity"] in ("warning", "error"), found


@pytest.mark.slow
def test_encryption_headers(s3_fleet, rgw, bucket, pki):
    proxy = FaultProxy(("127.0.0.1", rgw.tls_port), pki.issue("store-proxy", [], ips=["127.0.0.1"]), pki.ca)
    try:
        f = s3_fleet(1, proxy.url, ca=pki.ca, encryption="aws:kms", kms_key_id="key-1")
        f.gateway.allowed_errors += ["storage", "store", "recover"]
        job = f.gateway.store(packet_filter=FILTER)
        send(f, job, 300)
        create = wait_for(lambda: proxy.of("create", job), "the upload to be begun")[0]
        assert create.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert create.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "key-1"
        assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204
        f.gateway.stop()
    finally:
        proxy.close()


# ---- several at once ----

@pytest.mark.slow
def test_downloads_at_once(s3_fleet, bucket):
    f = s3_fleet(1, storage={"links": "gateway"}, connections=4)
    job = stored(f, 2000, 1000)
    data, url = bucket.object_of(job).data, f.gateway.link(job["id"])["url"]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert all(r.body == data for r in pool.map(lambda _: f.gateway.fetch(url), range(12)))
