"""pcap download: in parts over several connections, from stores that cut, hold, refuse and lie.  FILE.part is the file's beginning without a gap at
any moment, and FILE is the file or is not there."""
import os
import random
import threading

import pytest

from rig import PORT, wait_for
from rig.stored_file import StoredFile
from rig.wait import SLOW

SEGMENT = 8 << 20
DATA = random.Random(29).randbytes(5 * SEGMENT + 12345)
INCOMPLETE = 7


@pytest.fixture
def stored(session):
    """stored(script, data, links): a StoredFile."""
    made = []

    def make(script=None, data=DATA, **kwargs):
        made.append(StoredFile(session, data, script, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Place:
    """A user's command and where it writes."""

    def __init__(self, cli, stored):
        self.cli, self.stored = cli(stored), stored
        self.file, self.part = self.cli.folder / "x.pcapng", self.cli.folder / "x.pcapng.part"

    def argv(self, *more):
        return "download", self.stored.job, "-o", "x.pcapng", *more

    def run(self, *more, code=0):
        return self.cli.run(*self.argv(*more), code=code)

    def start(self, *more):
        return self.cli.start(*self.argv(*more))

    def is_whole(self):
        assert self.file.read_bytes() == self.stored.data and not self.part.exists()
        assert self.file.stat().st_mode & 0o777 == 0o600

    def prefix(self):
        """How much there is in FILE.part, which must be right; no FILE."""
        assert not self.file.exists()
        have = self.part.read_bytes() if self.part.exists() else b""
        assert have == self.stored.data[:len(have)], "FILE.part is not the beginning of the file"
        return len(have)


@pytest.fixture
def place(cli):
    return lambda stored: Place(cli, stored)


def covered(asked, begin=0, end=len(DATA)):
    """Were these asked for exactly once, in segments?"""
    spans = sorted((a.first, a.end) for a in asked)
    return spans == [(at, min(at + SEGMENT, end)) for at in range(begin, end, SEGMENT)]


# ---- in parts ----

@pytest.mark.threads
@pytest.mark.parametrize("given, connections", [([], 4), (["--connections", "2"], 2), (["--connections", "16"], 6)])
def test_in_parts(stored, place, given, connections):
    """As many at a time as wished for (and as there are parts), each byte once, the first alone until it is answered; one link; the token stays at home."""
    full = threading.Event()

    def script(asked):
        if asked.number == 0:
            assert s.most_in_flight == 1
        asked.part_head()
        asked.body(1000)
        if s.in_flight == connections:
            full.set()
        assert full.wait(30 * SLOW), f"{s.in_flight} connections at a time, not {connections}"
        asked.body()

    s = stored(script)
    p = place(s)
    result = p.run(*given)
    p.is_whole()
    assert covered(s.asked) and s.most_in_flight == connections and len(s.wishes) == 1, s.asked
    assert result.err.startswith("wrote x.pcapng (") and len(result.err.splitlines()) == 1, result


@pytest.mark.parametrize("size, given", [(SEGMENT, []), (1, []), (0, []), (SEGMENT + 1, ["--connections", "1"])])
def test_in_one(stored, place, size, given):
    """What is small, or wished so, is one plain request."""
    s = stored(data=DATA[:size])
    p = place(s)
    p.run(*given)
    p.is_whole()
    assert [a.ranged for a in s.asked] == [False] * (size > 0), s.asked


def test_bad_numbers_of_connections(stored, place):
    s = stored()
    for bad in ("0", "17", "-1", "many", ""):
        result = place(s).run("--connections", bad, code=2)
        assert "connections" in result.err, result
    assert not s.asked and not s.wishes


@pytest.mark.threads
def test_out_of_order(stored, place):
    """The first part comes last: the others wait in memory, and no more of them are asked for than the window holds."""
    others = threading.Event()

    def script(asked):
        asked.part_head()
        if asked.first == 0:
            asked.body(SEGMENT // 2)
            assert others.wait(60 * SLOW)
        asked.body()

    s = stored(script)
    p = place(s)
    command = p.start()
    wait_for(lambda: len([a for a in s.asked if a.sent == SEGMENT]) == 3 and s.in_flight == 1, "the three others")
    wait_for(lambda: p.prefix() == SEGMENT // 2, "what came of the first to be written")
    assert len(s.asked) == 4
    others.set()
    assert command.wait().code == 0
    p.is_whole()
    assert covered(s.asked)


def test_to_stdout(stored, cli):
    """The same bytes in the same order to a pipe; its reader may go."""
    late = threading.Event()

    def script(asked):
        asked.part_head()
        assert asked.first or late.wait(60 * SLOW)
        asked.body()
        if asked.first == 3 * SEGMENT:
            late.set()

    s = stored(script)
    result = cli(s).run("download", s.job, "-o", "-", code=0)
    assert result.out == s.data and result.err == ""
    assert covered(s.asked)
    reader, writer = os.pipe()
    command = cli(s).start("download", s.job, "-o", "-", stdout=writer)
    os.close(writer)
    assert os.read(reader, 10) == s.data[:10]
    os.close(reader)
    result = command.wait()
    assert result.code == 0 and result.err == ""


@pytest.mark.memory
def test_memory_is_bounded(stored, place):
    """A first part that hangs does not make the rest pile up."""
    hold = threading.Event()

    def script(asked):
        asked.part_head()
        if asked.first == 0:
            asked.body(1)
            assert hold.wait(60 * SLOW)
        asked.body()

    s = stored(script, data=DATA * 5)
    p = place(s)
    command = p.start("--connections", "3")
    wait_for(lambda: len(s.asked) == 3 and s.in_flight == 1, "the others to be there")
    hold.set()
    peak = 0
    while command.process.poll() is None:
        try:
            status = open(f"/proc/{command.process.pid}/status").read()
            peak = max([peak] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")])
        except OSError:
            break
    assert command.wait().code == 0
    p.is_whole()
    assert 2 * SEGMENT < peak * 1024 < 3 * SEGMENT + (40 << 20), peak


# ---- what goes wrong on the way ----

def breaks(asked, how):
    """A request that fails, in one of the ways of networks and stores; how much of the body was sent."""
    some = min(100_000, (asked.end - asked.first) // 2)
    if how in ("cut", "reset"):
        asked.part_head()
        asked.body(some)
    elif how == "short":
        asked.part_head(Content_Length=some)
        asked.body(some)
    elif how != "silent":
        asked.refuse(how, "<Error><Code>SlowDown</Code></Error>")
    if how in ("reset", "silent"):
        asked.reset()
    return asked.sent


@pytest.mark.threads
@pytest.mark.parametrize("how", ["cut", "reset", "short", "silent", 500, 502, 503, 429])
def test_each_part_fails_once(stored, place, how):
    """Each part alone is asked for again, and only for what it lacks."""
    failed = set()

    def script(asked):
        part = asked.first // SEGMENT
        with s.lock:
            first_time = asked.number > 0 and part not in failed
            failed.update({part} if asked.number else ())
        breaks(asked, how) if first_time else asked.good()

    s = stored(script)
    p = place(s)
    result = p.run()
    p.is_whole()
    assert sorted(failed) == [1, 2, 3, 4, 5] and len(s.asked) == 11 and len(s.wishes) == 1, s.asked
    for part in range(1, 6):
        one, two = [a for a in s.asked if a.first // SEGMENT == part]
        assert one.first == part * SEGMENT and one.end == two.end
        # A reset may overtake what was sent before it.
        assert two.first == one.first + one.sent or how == "reset" and one.first <= two.first <= one.first + one.sent, s.asked
    assert "connection lost" in result.err, result


@pytest.mark.slow
@pytest.mark.parametrize("how", ["silent", 503])
def test_a_part_that_never_comes(stored, place, how):
    """It is given up after a bounded number of tries; what stands before it is kept, and gone on from."""
    bad = 2 * SEGMENT

    def script(asked):
        breaks(asked, how) if asked.first == bad and not healed else asked.good()

    healed = False
    s = stored(script)
    p = place(s)
    result = p.run(code=INCOMPLETE)
    assert p.prefix() == bad, result
    tries = len([a for a in s.asked if a.first == bad])
    assert 6 <= tries <= 40 and len([a for a in s.asked if a.first != bad]) <= 5, s.asked
    healed, before = True, len(s.asked)
    p.run()
    p.is_whole()
    assert covered(s.asked[before:], begin=bad)


@pytest.mark.parametrize("how", [500, 503, 404, "silent"])
def test_what_does_not_begin_is_said_at_once(stored, place, how):
    s = stored(lambda asked: breaks(asked, how))
    p = place(s)
    p.run(code=4 if how == 404 else INCOMPLETE)
    assert len(s.asked) == 1 and not p.part.exists()


# ---- servers that lie ----

def lie(how):
    total = len(DATA)

    def script(asked):
        if asked.number == 0:
            return asked.good()
        first, last = asked.first, asked.end - 1
        wrong = {
            "begins elsewhere": f"bytes {first + 1}-{last}/{total}",
            "ends earlier": f"bytes {first}-{last - 1}/{total}",
            "ends later": f"bytes {first}-{last + 1}/{total}",
            "of another size": f"bytes {first}-{last}/{total + 1}",
            "of an unknown size": f"bytes {first}-{last}/*",
            "the first part": f"bytes 0-{SEGMENT - 1}/{total}",
            "no range": None,
            "no numbers": "bytes x-y/z",
            "with a tail": f"bytes {first}-{last}/{total} ",
        }
        if how in wrong:
            asked.part_head(Content_Range=wrong[how])
        elif how == "another ETag":
            asked.part_head(ETag='"two"')
        elif how == "no ETag":
            asked.part_head(ETag=None)
        elif how == "longer":
            asked.part_head(Content_Length=asked.end - asked.first + 1)
            asked.send(DATA[asked.first:asked.end] + b"x")
            return None
        elif how == "nothing":
            return asked.head(204, None)
        elif how == "moved":
            return asked.head(302, 0, Location=f"{asked.stored.store_url}/bucket/other")
        return asked.body()
    return script


@pytest.mark.parametrize("how", ["begins elsewhere", "ends earlier", "ends later", "of another size", "of an unknown size", "the first part", "no range",
                                 "no numbers", "another ETag", "no ETag", "longer", "nothing", "moved"])
def test_a_lie_is_not_believed(stored, place, how):
    s = stored(lie(how))
    p = place(s)
    result = p.run(code=INCOMPLETE)
    have = p.prefix()
    assert have <= SEGMENT or how == "longer", result
    assert len(s.asked) <= 5, f"asked again after a lie: {s.asked}"


@pytest.mark.threads
@pytest.mark.parametrize("how", ["a lie", "no ranges"])
def test_the_others_end_at_once(stored, place, how):
    """Connections that bring little for ever do not hold up the end."""
    dripping, over = threading.Event(), threading.Event()

    def script(asked):
        if asked.first == 0 or asked.first >= 4 * SEGMENT or over.is_set():
            return asked.good()
        if asked.first == SEGMENT:
            assert dripping.wait(60 * SLOW)
            over.set()
            return asked.part_head(Content_Range="bytes 0-1/2") if how == "a lie" else asked.whole()
        asked.part_head()
        while asked.sent < 1000 * SLOW and not s.closing.wait(0.1):
            asked.body(1)
            if len([a for a in s.asked if a.sent and a.first >= 2 * SEGMENT]) == 2:
                dripping.set()
        return None

    s = stored(script)
    p = place(s)
    if how == "a lie":
        p.run(code=INCOMPLETE)
        assert p.prefix() <= SEGMENT
    else:
        p.run()
        p.is_whole()


def test_wrong_bytes(stored, place):
    """Right headers, one bit wrong: the checksum says so, and nothing is left that could be taken for the capture."""
    def script(asked):
        asked.part_head()
        data = bytearray(DATA[asked.first:asked.end])
        data[-1] ^= asked.first == SEGMENT
        asked.send(bytes(data))

    s = stored(script)
    p = place(s)
    result = p.run(code=INCOMPLETE)
    assert "SHA-256" in result.err and not p.file.exists() and not p.part.exists()


# ---- servers without ranges ----

@pytest.mark.threads
@pytest.mark.parametrize("ranges", [0, 1, 3])
def test_no_ranges(stored, place, cli, ranges):
    """A 200, at once or after some parts: one connection goes on where it is, to a file and to a pipe."""
    def script(asked):
        asked.good() if asked.number < ranges and asked.ranged else asked.whole()

    s = stored(script)
    p = place(s)
    result = p.run()
    p.is_whole()
    assert "one connection" in result.err, result
    assert [a.sent for a in s.asked].count(len(DATA)) == 1, s.asked
    s2 = stored(script)
    result = cli(s2).run("download", s2.job, "-o", "-", code=0)
    assert result.out == DATA


def test_no_ranges_and_cut(stored, place):
    """Nor does a break lose what is there."""
    def script(asked):
        if asked.number in (1, 2):
            asked.head(200, len(DATA))
            asked.send(DATA[:asked.number * 2 * SEGMENT])
        else:
            asked.whole()

    s = stored(script)
    p = place(s)
    p.run()
    p.is_whole()
    assert len(s.asked) == 4 and s.asked[-1].first == 4 * SEGMENT, s.asked


def test_no_ranges_and_another_size(stored, place):
    s = stored(lambda asked: asked.head(200, len(DATA) - 1))
    p = place(s)
    p.run("--connections", "1", code=INCOMPLETE)
    assert not p.file.exists() and not p.part.exists() and len(s.asked) == 1


# ---- links that expire ----

@pytest.mark.threads
@pytest.mark.parametrize("status", [403, 410])
@pytest.mark.parametrize("connections", ["1", "4"])
def test_expired_link(stored, place, status, connections):
    """In the middle: another one is asked for, once for all connections."""
    def script(asked):
        if asked.link == 1 and asked.number == 0:
            asked.part_head() if asked.ranged else asked.head(200, len(DATA))
            asked.body(SEGMENT - 5)
        elif asked.link == 1:
            asked.refuse(status)
        else:
            asked.good()

    s = stored(script)
    p = place(s)
    p.run("--connections", connections)
    p.is_whole()
    assert len(s.wishes) == 2 and {a.link for a in s.asked} == {1, 2}
    assert min(a.first for a in s.asked if a.link == 2) == SEGMENT - 5


@pytest.mark.parametrize("status, code", [(403, 3), (410, 4)])
@pytest.mark.parametrize("at_once", [True, False])
def test_no_link_helps(stored, place, status, code, at_once):
    """Bounded, and the store's refusal is the answer."""
    s = stored(lambda asked: asked.good() if asked.number == 0 and not at_once else asked.refuse(status))
    p = place(s)
    result = p.run(code=code)
    assert f"HTTP {status}" in result.err
    assert len(s.wishes) <= 12 and len(s.asked) <= 40, s.asked
    assert p.prefix() <= (0 if at_once else SEGMENT)


def test_gateway_gives_no_more_links(stored, place):
    """Erased meanwhile: the gateway's own words."""
    s = stored(lambda asked: asked.good() if asked.number == 0 else asked.refuse(403), links=lambda n: 409 if n > 1 else None)
    p = place(s)
    result = p.run(code=8)
    assert "no link" in result.err and len(s.wishes) <= 12
    assert p.prefix() <= SEGMENT


# ---- the store's certificate ----

@pytest.mark.parametrize("connections", ["1", "4"])
def test_store_of_a_private_ca(stored, place, pki, connections):
    """The CA that the user gave for the gateway is tried for the store as well; without it there is no download."""
    s = stored(identity=pki.gateway)
    p = place(s)
    p.run("--connections", connections, "--cacert", pki.ca)
    p.is_whole()
    before = len(s.asked)
    p.file.unlink()
    result = p.run("--connections", connections, code=INCOMPLETE)
    assert "certificate" in result.err and len(s.asked) == before and not p.part.exists(), result


def test_store_with_a_wrong_certificate(stored, place, pki):
    s = stored(identity=pki.issue("elsewhere", ["elsewhere.test"]))
    result = place(s).run("--cacert", pki.ca, code=INCOMPLETE)
    assert not s.asked and result.err, result


# ---- leaving, and going on ----

@pytest.mark.threads
@pytest.mark.parametrize("end", ["interrupt", "kill9"])
def test_left_in_the_middle(stored, place, end):
    """Every connection ends at once; what is there is the beginning of the file, and the next run goes on behind it."""
    cut, gone = [], []

    def script(asked):
        asked.part_head()
        if asked.number > 3:
            return asked.body()
        asked.body(SEGMENT if asked.first == 0 else 3_000_000 + asked.first % 1000)
        if asked.first:
            cut.append(asked.first)
            asked.wait_gone()
            gone.append(asked.first)
        return None

    s = stored(script)
    p = place(s)
    command = p.start()
    wait_for(lambda: p.prefix() > SEGMENT + 1_000_000, "a part to be under way behind the first")
    wait_for(lambda: len(cut) >= 3, "others beside it, each in its middle")
    getattr(command, end)()
    if end == "interrupt":
        result = command.wait()
        assert result.code == 1 and "interrupted" in result.err, result
    wait_for(lambda: s.in_flight == 0 and len(gone) >= 3, "all connections to end")
    have, before = p.prefix(), len(s.asked)
    assert have > SEGMENT
    p.run()
    p.is_whole()
    assert covered(s.asked[before:], begin=have), s.asked


def test_interrupted_while_a_link_is_asked_for(stored, place):
    """A gateway that does not answer holds nobody up."""
    silent = threading.Event()
    s = stored(lambda asked: asked.good() if asked.number == 0 else asked.refuse(403), links=lambda n: n > 1 and silent.wait(60 * SLOW) and None)
    try:
        p = place(s)
        command = p.start()
        wait_for(lambda: len(s.wishes) == 2, "a second link to be asked for")
        wait_for(lambda: p.prefix() == SEGMENT, "the first part to be written")
        command.interrupt()
        result = command.wait(15)
        assert result.code == 1 and "interrupted" in result.err, result
        assert p.prefix() == SEGMENT
    finally:
        silent.set()


@pytest.mark.parametrize("left", [1, SEGMENT - 1, SEGMENT, 2 * SEGMENT + 77, len(DATA) - 1, len(DATA)])
def test_goes_on(stored, place, left):
    s = stored()
    p = place(s)
    p.part.write_bytes(DATA[:left])
    p.part.chmod(0o600)
    p.run()
    p.is_whole()
    assert covered(s.asked, begin=left), s.asked


@pytest.mark.parametrize("left", [b"x" * (SEGMENT + 5), DATA + b"x"], ids=["wrong", "longer"])
def test_left_overs_of_something_else(stored, place, left):
    s = stored()
    p = place(s)
    p.part.write_bytes(left)
    p.part.chmod(0o600)
    p.run()
    p.is_whole()


def test_one_at_a_time(stored, place):
    """A second download into the same file is refused, and leaves the first one's part alone."""
    go_on = threading.Event()

    def script(asked):
        asked.part_head()
        assert go_on.wait(60 * SLOW)
        asked.body()

    s = stored(script)
    p = place(s)
    command = p.start()
    wait_for(lambda: len(s.asked) == 4, "the first one to be under way")
    result = p.run(code=8)
    assert "another download" in result.err and p.part.exists() and len(s.asked) == 4
    go_on.set()
    assert command.wait().code == 0
    p.is_whole()


# ---- with a real gateway ----

def large(f):
    """A stored capture of several parts."""
    job = f.gateway.store(packet_filter=f"udp port {PORT}")
    sender = f.send(size=1400, pps=8000, burst=20)
    wait_for(lambda: f.gateway.job(job)["bytes"] > 3 * SEGMENT, "enough to be stored", timeout_s=60)
    sender.stop()
    job = f.gateway.finish(job)
    assert job["state"] == "ready" and job["object"]["size_bytes"] > 3 * SEGMENT, job
    return job


@pytest.mark.threads
def test_from_a_gateway(fleet, cli):
    """Its own links to the files of its own store."""
    f = fleet(1)
    job, user = large(f), cli(f.gateway)
    user.ok("download", job["id"], "-o", "x.pcapng", "--connections", "3")
    assert (user.folder / "x.pcapng").read_bytes() == f.gateway.download(job["id"])


def test_from_a_bucket(s3_fleet, bucket, store_proxy, cli):
    """Signed links that lead to the store itself, and that it accepts in parts."""
    f = s3_fleet(1, endpoint=store_proxy.url)
    job, user = large(f), cli(f.gateway)
    before = len(store_proxy.seen)
    user.ok("download", job["id"], "-o", "x.pcapng")
    seen = [s for s in store_proxy.seen[before:] if s.op == "get"]
    assert len(seen) == (job["object"]["size_bytes"] + SEGMENT - 1) // SEGMENT and {s.status for s in seen} == {206}, seen
    assert not any(name.lower() == "authorization" for s in seen for name in dict(s.headers))
    assert (user.folder / "x.pcapng").read_bytes() == bucket.object_of(job).data
