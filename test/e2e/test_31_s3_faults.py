"""Pitfalls 1 to 3: each fault at each request of an upload in turn.  Afterwards the object has the right bytes, or the job says that it failed;
and no upload stays open."""
import pytest

from rig import PORT, numbers_of, read_pcapng, store_faults, wait_for
from rig.s3 import examined

FILTER = f"udp port {PORT}"
COUNT = 900  # of 1000 bytes: four parts and more

# The requests of an upload.
REQUESTS = {
    "create": {"op": "create"}, "part 1": {"op": "part", "part": 1}, "part 2": {"op": "part", "part": 2}, "part 4": {"op": "part", "part": 4},
    "list parts": {"op": "list_parts"}, "complete": {"op": "complete"}, "head": {"op": "head"}, "tagging": {"op": "put_tagging"},
}

# times 1: meets the first such request only; then all is well again.
PASSING = [
    store_faults.reset, store_faults.cut_body, store_faults.lose_answer, store_faults.cut_answer, store_faults.hang, store_faults.hang_after,
    store_faults.drip, store_faults.internal_error, store_faults.slow_down, store_faults.expired_token, store_faults.skewed, store_faults.no_rights,
    store_faults.html_200, store_faults.html_404, store_faults.html_502, store_faults.not_xml, store_faults.error_in_200, store_faults.redirect("http://127.0.0.1:9/"),
    store_faults.endless, store_faults.huge_headers, store_faults.wrong_etag,
]
# What the program has to read then is of another kind each time: these it meets under sanitizers too.
PECULIAR = [store_faults.cut_body, store_faults.cut_answer, store_faults.lose_answer, store_faults.expired_token, store_faults.not_xml,
            store_faults.error_in_200, store_faults.endless, store_faults.huge_headers]

# What the store had confirmed and what it holds are not the same: no later attempt can heal that.
FINAL = {("wrong_etag", "part 1"), ("wrong_etag", "part 2"), ("wrong_etag", "part 4")}
# A good status is all there is to the answer of a tagging; and packets are worth more than their tags.
UNTAGGED = {"html 200", "not_xml", "error_in_200", "endless", "huge_headers", "403 AccessDenied", "301", "404 html"}

ALLOWED = ["storage", "store", "recover"]


def start(f, n):
    """n captures that have COUNT packets each."""
    jobs = [f.gateway.store(packet_filter=FILTER) for _ in range(n)]
    return jobs


def feed(f, jobs):
    f.send_captured(jobs, COUNT, 1000)


def settled(f, job, timeout_s=90):
    """The job once it is ready, or once it says that it failed."""
    return wait_for(lambda: (j := f.gateway.job(job)) and (j["state"] == "ready" or j["error"]) and j, "an end or an honest failure", timeout_s)


def assert_right(bucket, job):
    found = bucket.object_of(job)
    assert numbers_of(read_pcapng(found.data).packets, PORT) == list(range(COUNT))
    return found


@pytest.mark.timeout_s(240)
@pytest.mark.parametrize("fault", [pytest.param(f, id=f.__name__.replace(" ", "-"), marks=[] if f in PECULIAR else pytest.mark.slow) for f in PASSING])
def test_fault_at_each_request(s3_fleet, store_proxy, bucket, fault):
    """A capture per request that meets the fault, all at once."""
    f = s3_fleet(1, store_proxy.url, idle_timeout="2s", connect_timeout="2s", connections=32)
    f.gateway.allowed_errors += ALLOWED
    jobs = dict(zip(REQUESTS, start(f, len(REQUESTS))))
    for name, job in jobs.items():
        store_proxy.fault(fault, of=job, **REQUESTS[name])
    feed(f, jobs.values())
    for job in jobs.values():
        assert f.gateway.stop_job(job).status in (200, 202)
    for name, job in jobs.items():
        first = settled(f, job)
        if (fault.__name__, name) in FINAL:
            assert first["state"] != "ready" and first["error"]["message"], (name, first)
            assert f.gateway.api("POST", f"/v1/captures/{job}/link").status == 409
            assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204
            continue
        try:
            ended = f.gateway.wait_state(job, "ready", timeout_s=90)
            found = assert_right(bucket, ended)
        except AssertionError as e:
            raise AssertionError(f"{fault.__name__} at {name}: {e}\nfirst: {first}\n{store_proxy.of(of=job)}") from e
        assert found.metadata["job"] == job
        if name != "tagging" or fault.__name__ not in UNTAGGED:
            assert found.tags.get("job") == job, (name, found.tags)
    met = {s.path.rsplit("/", 1)[1].split(".")[0] for s in store_proxy.met()}
    assert met == set(jobs.values()), f"not each request met its fault: {[n for n, j in jobs.items() if j not in met]}"
    wait_for(lambda: not bucket.uploads(), "no upload to be open")
    alive = {j for n, j in jobs.items() if (fault.__name__, n) not in FINAL}
    assert sorted(k.rsplit("/", 1)[1].split(".")[0] for k in bucket.keys()) == sorted(alive)
    assert not [p for p in (f.gateway.state_dir / "spool").rglob("*") if p.is_file()]


@pytest.mark.threads
@pytest.mark.timeout_s(240)
@pytest.mark.parametrize("seed", range(3))
def test_a_bad_day(s3_fleet, store_proxy, bucket, seed):
    """A fifth of all requests meets something, for as long as the captures run and a while longer."""
    import random
    chance = random.Random(seed)
    faults = [store_faults.reset, store_faults.cut_body, store_faults.lose_answer, store_faults.internal_error, store_faults.slow_down, store_faults.html_502]
    f = s3_fleet(1, store_proxy.url, idle_timeout="2s", connect_timeout="2s")
    f.gateway.allowed_errors += ALLOWED
    jobs = start(f, 4)
    for fault in faults:
        store_proxy.fault(fault, times=None, match=lambda s: any(j in s.path for j in jobs) and chance.random() < 0.2 / len(faults))
    feed(f, jobs)
    for job in jobs:
        f.gateway.stop_job(job)
    for job in jobs:
        settled(f, job, timeout_s=150)
    store_proxy.heal()
    for job in jobs:
        assert_right(bucket, f.gateway.wait_state(job, "ready", timeout_s=90))
    wait_for(lambda: not bucket.uploads(), "no upload to be open")
    assert len(bucket.keys()) == len(jobs)


@pytest.mark.parametrize("fault", [store_faults.reset, store_faults.cut_body, store_faults.lose_answer, store_faults.cut_answer, store_faults.hang,
                                   store_faults.internal_error, store_faults.slow_down, store_faults.html_200, store_faults.html_502, store_faults.not_xml,
                                   store_faults.wrong_etag, store_faults.no_rights], ids=lambda f: f.__name__.replace(" ", "-"))
def test_fault_of_a_single_put(s3_fleet, store_proxy, bucket, fault):
    f = s3_fleet(1, store_proxy.url, idle_timeout="2s", connect_timeout="2s")
    f.gateway.allowed_errors += ALLOWED
    at = ["put", "head"] + (["put_tagging"] if fault.__name__ not in UNTAGGED else [])
    jobs = [f.gateway.store(packet_filter=FILTER) for _ in at]
    for op, job in zip(at, jobs):
        store_proxy.fault(fault, op=op, of=job)
    f.send(count=20).wait()
    for job in jobs:
        f.wait_captured(job, 20)
        f.gateway.stop_job(job)
    for op, job in zip(at, jobs):
        settled(f, job)
        found = bucket.object_of(f.gateway.wait_state(job, "ready", timeout_s=90))
        assert numbers_of(read_pcapng(found.data).packets, PORT) == list(range(20)) and found.tags["job"] == job, op
    assert len(store_proxy.met()) == len(at) and len(bucket.keys()) == len(at) and not bucket.uploads()


@pytest.mark.parametrize("op", ["create", "part", "list_parts", "complete", "head"])
def test_fault_that_stays(s3_fleet, store_proxy, bucket, op):
    """Pitfall 11: not for ever, not in a tight loop, and never `ready`; when it is over, everything is put right without anybody's doing."""
    f = s3_fleet(1, store_proxy.url)
    f.gateway.allowed_errors += ALLOWED
    job = f.gateway.store(packet_filter=FILTER)
    store_proxy.fault(store_faults.no_rights, op=op, times=None, of=job)
    feed(f, [job])
    f.gateway.stop_job(job)
    failed = settled(f, job)
    assert failed["state"] != "ready" and failed["error"]["code"] == "storage_failed", failed
    assert f.gateway.api("POST", f"/v1/captures/{job}/link").status == 409
    store_proxy.heal()
    assert_right(bucket, f.gateway.wait_state(job, "ready", timeout_s=90))
    assert not bucket.uploads()


def test_page_while_a_single_put_is_recovered(s3_fleet, store_proxy, bucket):
    """The object is there and whole; somebody else's 404 to the list of uploads does not make it lost."""
    f = s3_fleet(1, store_proxy.url)
    f.gateway.allowed_errors += ALLOWED
    job = f.gateway.store(packet_filter=FILTER)
    store_proxy.fault(store_faults.no_rights, op="head", of=job, match=lambda s: store_proxy.of("put", job))  # the sweeper takes over
    store_proxy.fault(store_faults.html_404, op="list_uploads", times=2, match=lambda s: job in s.target)
    f.send(count=20).wait()
    f.wait_captured(job, 20)
    f.gateway.stop_job(job)
    found = bucket.object_of(f.gateway.wait_state(job, ("ready", "failed")))
    assert numbers_of(read_pcapng(found.data).packets, PORT) == list(range(20))
    assert [s.op for s in store_proxy.met()] == ["head", "list_uploads", "list_uploads"]


def test_answer_to_complete_is_lost_and_the_object_is_not_found(s3_fleet, store_proxy, bucket):
    f = s3_fleet(1, store_proxy.url)
    f.gateway.allowed_errors += ALLOWED
    job = f.gateway.store(packet_filter=FILTER)
    store_proxy.fault(store_faults.lose_answer, op="complete", of=job)
    store_proxy.fault(store_faults.html_404, op="head", times=2, match=lambda s: job in s.path and "complete" in store_proxy.ops())
    feed(f, [job])
    f.gateway.stop_job(job)
    assert_right(bucket, f.gateway.wait_state(job, ("ready", "failed")))
    assert [s.op for s in store_proxy.met()] == ["complete", "head", "head"]


def test_tags_replace_the_object(s3_fleet, store_proxy, bucket):
    """A store that does not look at ?tagging.  Before the examination knows: an honest failure; then captures are left alone."""
    f = s3_fleet(1, store_proxy.url)
    f.gateway.allowed_errors += ALLOWED
    job = f.gateway.store(packet_filter=FILTER)
    store_proxy.fault(store_faults.takes_for_object(bucket), op="put_tagging", times=None)
    feed(f, [job])
    f.gateway.stop_job(job)
    failed = settled(f, job)
    assert failed["state"] != "ready" and "tags" in failed["error"]["message"], failed
    assert f.gateway.api("POST", f"/v1/captures/{job}/link").status == 409
    assert f.gateway.api("DELETE", f"/v1/captures/{job}").status == 204
    f.gateway.restart()
    assert examined(f.gateway)["tags"]["severity"] == "error"
    store_proxy.seen.clear()
    job = f.gateway.store(packet_filter=FILTER)
    feed(f, [job])
    assert not assert_right(bucket, f.gateway.finish(job)).tags
    assert not store_proxy.of("put_tagging", job)


def test_damaged_chunk_before_stored_ones(s3_fleet, store_proxy, bucket):
    """Ceph completes all parts of an upload or none: what comes before the damage is the object all the same."""
    f = s3_fleet(1, store_proxy.url, parallel=4)
    f.gateway.allowed_errors += ALLOWED
    job = f.gateway.store(packet_filter=FILTER)
    store_proxy.fault(store_faults.hang, op="part", part=3, times=None, of=job)
    feed(f, [job])
    wait_for(lambda: {1, 2, 4} <= {s.part for s in store_proxy.of("part", job) if s.status == 200}, "parts around the third to be stored")
    f.gateway.kill9()
    store_proxy.heal()
    chunk = next((f.gateway.state_dir / "spool").rglob("000003.chunk"))
    data = bytearray(chunk.read_bytes())
    data[5000] ^= 255
    chunk.write_bytes(data)
    store_proxy.fault(store_faults.lose_answer, op="complete", of=job, skip=1)  # of all parts
    store_proxy.fault(store_faults.internal_error, op="part", of=job, match=lambda s: "x-amz-copy-source" in s.headers)
    f.gateway.start()
    found = bucket.object_of(f.gateway.wait_state(job, ("ready", "failed")))
    numbers = numbers_of(read_pcapng(found.data).packets, PORT)
    before = sum(s.bytes for s in store_proxy.of("part", job) if s.part in (1, 2) and "x-amz-copy-source" not in s.headers)
    assert numbers and numbers == list(range(len(numbers))) and len(found.data) == before
    assert found.tags["job"] == job and len(store_proxy.met()) == 3
    assert not bucket.uploads() and len(bucket.keys()) == 1
    assert not [p for p in (f.gateway.state_dir / "spool").rglob("*") if p.is_file()]


def test_erased_while_it_fails(s3_fleet, store_proxy, bucket):
    f = s3_fleet(1, store_proxy.url)
    f.gateway.allowed_errors += ALLOWED
    job = f.gateway.store(packet_filter=FILTER)
    store_proxy.fault(store_faults.slow_down, op="complete", of=job, times=None)
    feed(f, [job])
    f.gateway.stop_job(job)
    wait_for(lambda: store_proxy.met(), "an attempt to complete")
    wait_for(lambda: f.gateway.api("DELETE", f"/v1/captures/{job}", timeout=120).status == 204, "it to be erased", timeout_s=120)
    assert f.gateway.job(job)["state"] == "purged"
    assert bucket.is_empty() and not [p for p in (f.gateway.state_dir / "spool").rglob("*") if p.is_file()]
