"""Captures of several gigabytes: more parts than a page of a list has, sizes beyond 32 bits, and memory that stays as it was."""
import hashlib
import struct

import pytest

from rig import wait_for
from rig.fake_agent import SECTION, interface, packet
from rig.gateway import ENDS

PACKETS, PIECES = 24, 1700  # a piece is sent at once; each packet is as large as packets get
DATA = bytes(range(256)) * 240


def numbered(n):
    return packet(1_700_000_000_000_000_000 + n, struct.pack(">Q", n) + DATA)


def flood(exchange):
    """All packets at full speed; then a stream that ends well."""
    if exchange.path.endswith("/stop"):
        exchange.reply(202, {})
        return
    exchange.begin()
    exchange.chunk(SECTION + interface())
    for piece in range(PIECES):
        exchange.chunk(b"".join(numbered(piece * PACKETS + i) for i in range(PACKETS)))
    exchange.end()


def walk(body):
    """Of a stream of pcapng: bytes, SHA-256, and how many packets bear their number in order."""
    size, digest, count, rest = 0, hashlib.sha256(), 0, b""
    for data in body.iter_chunks(1 << 20):
        size += len(data)
        digest.update(data)
        rest += data
        at = 0
        while len(rest) - at >= 12:
            kind, length = struct.unpack_from("<II", rest, at)
            if len(rest) - at < length:
                break
            if kind == 6:
                assert struct.unpack_from(">Q", rest, at + 28)[0] == count, f"packet {count} is not where it should be"
                count += 1
            at += length
        rest = rest[at:]
    assert not rest
    return size, digest.hexdigest(), count


@pytest.mark.slow
@pytest.mark.memory
@pytest.mark.timeout_s(600)
def test_several_gigabytes(s3_servers, buckets, fakes, gateways):
    """Pitfall 16."""
    bucket = buckets(s3_servers("large", bytes=6 * 2 ** 30))
    storage = {"chunk": "1MiB", "job_max": "4GiB", "spool_job_max": "0", "spool_max": "0"}
    gateway = gateways({"web": [fakes(flood)]}, config=bucket.config(storage=storage))
    job = gateway.api("POST", "/v1/captures", gateway.request(mode="store")).json["id"]
    wait_for(lambda: gateway.job(job)["bytes"] > 64 << 20, "the first bytes")
    begin, peak = gateway.rss_kb(), 0

    def is_over():
        nonlocal peak
        peak = max(peak, gateway.rss_kb())
        return gateway.job(job)["state"] in ENDS

    wait_for(is_over, "the object to stand", timeout_s=500)
    ended = gateway.job(job)
    assert ended["state"] == "ready" and ended["packets"]["captured"] == PACKETS * PIECES, ended
    assert ended["bytes"] > 2 ** 31
    assert peak - begin < 24 * 1024, f"{begin} KB grew to {peak} KB"
    stored = bucket.client(read_timeout=120).get_object(Bucket=bucket.name, Key=ended["object"]["key"])
    assert walk(stored["Body"]) == (ended["object"]["size_bytes"], ended["object"]["sha256"], PACKETS * PIECES)
    assert not bucket.uploads()
    print(f"{ended['bytes'] >> 20} MiB, resident {begin >> 10} to {peak >> 10} MiB")
