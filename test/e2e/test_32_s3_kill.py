"""Pitfall 2: kill -9 of the gateway at any moment of a capture that goes to a bucket, thirty times and more.

After the restart every job is ready; its object holds, to the byte, the beginning of what tcpdump saw; nothing of an upload is left.
"""
import collections
import random
import time

import pytest

from rig import PORT, Tcpdump, read_pcap, read_pcapng, wait_for
from rig.gateway import ENDS
from rig.s3 import examined

FILTER = f"udp port {PORT}"
GATHERED = 65536 // 640 + 1  # blocks wait for a moment, at most 64 KiB of them, before they go to the spool


def port_of(data):
    """Source port of a UDP datagram in IPv4 on Ethernet: each Sender has one of its own."""
    return int.from_bytes(data[34:36], "big")


def by_port(packets):
    found = collections.defaultdict(list)
    for p in packets:
        found[port_of(p.data)].append(p.data)
    return found


def has_all(dump, captures):
    sent = by_port(read_pcap(dump.path.read_bytes(), partial=True).packets)
    return all(len(sent[port_of(c[0])]) >= len(c) for c in captures if c)


class Round:
    """One kill: which jobs there were, and how many packets of them had been told of."""

    def __init__(self, phase):
        self.phase, self.jobs, self.told = phase, [], {}


def one_round(f, chance, phase):
    """Captures under traffic, a kill, a restart."""
    r = Round(phase)
    r.jobs = [f.gateway.store(packet_filter=FILTER) for _ in range(2)]
    sender = f.send(pps=8000, size=600, burst=8)
    enough = chance.randrange(1, 2500)
    wait_for(lambda: f.gateway.job(r.jobs[0])["packets"]["captured"] >= enough, f"{enough} packets", every_s=0.005)
    if phase == "finishing":
        for job in r.jobs:
            f.gateway.stop_job(job)
    time.sleep(chance.random() / 12)  # not waited for: the moment of the kill is what is tried out
    r.told = {job: f.gateway.job(job)["packets"]["captured"] for job in r.jobs}
    f.gateway.kill9()
    if phase == "recovering":
        for _ in range(2):
            f.gateway.start(wait=False)
            time.sleep(chance.random() / 5)
            f.gateway.kill9()
    sender.stop()
    f.gateway.start()
    return r


@pytest.mark.threads
@pytest.mark.slow
@pytest.mark.timeout_s(150)
@pytest.mark.parametrize("seed", range(4))
def test_killed_while_storing(s3_fleet, bucket, seed):
    chance = random.Random(seed)
    f = s3_fleet(1)
    dump = Tcpdump(f.nodes[0], "eth0", FILTER)
    rounds = []
    phases = ["running"] * 5 + ["finishing"] * 3 + ["recovering"] * 2
    chance.shuffle(phases)
    for phase in phases:
        rounds.append(one_round(f, chance, phase))
    ended = {}
    for r in rounds:
        for job in r.jobs:
            ended[job] = f.gateway.wait_state(job, ENDS, timeout_s=90)
            assert ended[job]["state"] == "ready", (r.phase, ended[job])
            assert ended[job]["stop_reason"] in (("user_stop", "interrupted") if r.phase == "finishing" else ("interrupted",))
    found = {job: [p.data for p in read_pcapng(bucket.object_of(ended[job]).data).packets] for r in rounds for job in r.jobs}
    wait_for(lambda: has_all(dump, found.values()), "tcpdump to have written what was captured")
    sent = by_port(dump.stop().packets)
    for r in rounds:
        for job in r.jobs:
            ours = found[job]
            assert ours and ours == sent[port_of(ours[0])][:len(ours)], f"{r.phase}: not the beginning of what was sent"
            assert len(ours) >= r.told[job] - GATHERED, f"{r.phase}: {len(ours)} packets, {r.told[job]} had been captured"
    examined(f.gateway)
    assert not bucket.uploads(probes=True)
    assert sorted(bucket.keys()) == sorted(e["object"]["key"] for e in ended.values())
    assert not list((f.gateway.state_dir / "spool").glob("*"))
