"""What is measured.  A Row runs one way once and gives figures; bench.py repeats, compares and prints."""
import os
import re
import select
import struct
import threading
import time

from bucket import Boto3, Bucket, Curl, S3cmd, Uploader
from kill import Killed, KilledFrozen, KilledStalled, KilledStoring
from many import AGENTS, INSTANCES, ManySsh, ManyWhole
from place import FAR_IP, HOST_IP, PORT, BenchError, Process, wait_for
from systems import Agent, Dumpcap, Ssh, Store, Tcpdump, Whole
from tokens import Es256, Rs256, StaticToken
from workload import Guarded, Nothing, Unguarded, packets_of

GB = 1e9
IPERF_PORT = 5201


class Metric:
    """key in a row's figures, heading, how many decimals; ratio: the figure that is compared with the peer's."""

    def __init__(self, key, heading, decimals, ratio=False):
        self.key, self.heading, self.decimals, self.ratio = key, heading, decimals, ratio


class Row:
    """name, title and what the figures mean; ways: who takes part; peers: whom each is compared with."""

    name, title, notes = "", "", ""
    ways = ()
    metrics = ()
    has_parts = False  # whether the figures of a sum's parts are there
    has_memory = False  # whether the memory of the parts is
    peers = {Dumpcap: Tcpdump, Ssh: Tcpdump, Agent: Tcpdump, Whole: Ssh, Store: Tcpdump}

    def run(self, place, way_class):
        """One measurement: {key: figure}, with None for what this way cannot have.  Parts of a sum: "part NAME"."""
        way = way_class(place, **self.options(place))
        try:
            way.start()
            return self.measure(place, way)
        finally:
            for process in list(place.processes):
                process.kill()
            way.clean()

    def options(self, place):
        return {}

    def measure(self, place, way):
        raise NotImplementedError


class Peak:
    """The most memory that each part took while it was looked at, four times a second."""

    def __init__(self, way):
        self.way, self.peak, self.over = way, {}, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.over.wait(0.25):
            for role, now in self.way.memory().items():
                self.peak[role] = tuple(map(max, now, self.peak.get(role, (0, 0))))

    def stop(self):
        self.over.set()
        self.thread.join()
        return self.peak


def cpu_between(way, before, after, unit):
    """{"cpu": sum, "part agent": ...} per unit."""
    parts = {role: max(after[role] - before[role], 0) / unit for role in way.roles}
    return {"cpu": sum(parts.values()), **{f"part {role}": value for role, value in parts.items()}}


def remember_memory(figures, when, by_role):
    for role, (resident, anonymous) in by_role.items():
        figures[f"memory {role} {when}"] = resident
        figures[f"anonymous {role} {when}"] = anonymous


def loss_percent(sent, got):
    return 100 * (sent - got) / sent if sent else 0.0


class Paced(Row):
    name = "paced"
    title = "512-byte packets at 50 kpps, evenly paced"
    notes = ("CPU s per million packets, from the first packet until nothing more comes; of --store until the object is ready.\n"
             "sender late: the worst that the pace was behind; when it is much, so was everything else.")
    ways = (Tcpdump, Dumpcap, Ssh, Agent, Whole, Store)
    metrics = (Metric("late", "sender late ms", 1), Metric("lost", "lost %", 3), Metric("said", "file says %", 3),
               Metric("cpu", "CPU s/M", 2, ratio=True))
    has_parts = has_memory = True
    pps, seconds = 50000, 4

    def measure(self, place, way):
        figures = {}
        remember_memory(figures, "start", way.idle_memory or way.memory())
        peak, before = Peak(way), way.cpu()
        sent, _, late_us = place.send(self.pps, self.seconds)
        way.settle()
        after = way.cpu()
        remember_memory(figures, "load", peak.stop())
        way.finish()
        if isinstance(way, Store):
            after = way.cpu()
        counted = way.count()
        time.sleep(0.5)
        remember_memory(figures, "after", way.memory())
        way.close()
        figures |= cpu_between(way, before, after, sent / 1e6)
        figures["late"] = late_us / 1e3
        figures["lost"] = loss_percent(sent, counted.packets)
        figures["said"] = None if counted.said_lost is None else 100 * counted.said_lost / sent
        return figures


class Full(Row):
    name = "full"
    title = "512-byte packets at the sender's full rate"
    notes = "The sender shares the processors with what captures: its own rate falls with what they take."
    ways = (Tcpdump, Dumpcap, Ssh, Agent, Whole)
    metrics = (Metric("kpps", "sent kpps", 0), Metric("got", "in file kpps", 0), Metric("lost", "lost %", 2, ratio=True),
               Metric("said", "file says %", 2), Metric("cpu", "CPU s/M in file", 2))
    seconds = 2

    def measure(self, place, way):
        before = way.cpu()
        sent, took, _ = place.send(0, self.seconds)
        way.settle()
        after = way.cpu()
        way.finish()
        counted = way.count()
        way.close()
        return {"kpps": sent / took / 1e3, "got": counted.packets / took / 1e3, "lost": loss_percent(sent, counted.packets),
                "said": None if counted.said_lost is None else 100 * counted.said_lost / sent,
                "cpu": cpu_between(way, before, after, max(counted.packets, 1) / 1e6)["cpu"]}


class Bulk(Row):
    name = "bulk"
    title = "bulk TCP (iperf3, one stream at 1 Gbit/s)"
    notes = "CPU s per GB in the file.  Packets as the veth pair carries them: mostly far above 1500 bytes."
    ways = (Tcpdump, Dumpcap, Ssh, Agent, Whole, Store)
    metrics = (Metric("bytes", "bytes/packet", 0), Metric("lost", "lost %", 2), Metric("cpu", "CPU s/GB", 2, ratio=True))
    has_parts = True
    seconds = 3

    def options(self, place):
        return {"packet_filter": f"tcp port {IPERF_PORT}"}

    def measure(self, place, way):
        server = Process(place, "iperf3", ["iperf3", "-s", "-1", "-B", HOST_IP, "-p", IPERF_PORT])
        time.sleep(0.3)
        before = way.cpu()
        done = place.run(["iperf3", "-c", HOST_IP, "-B", FAR_IP, "-p", IPERF_PORT, "-t", self.seconds, "-b", "1G", "-J"],
                         ns="far", timeout=60)
        if done.returncode != 0:
            raise BenchError(f"iperf3: {done.stdout[-300:]}")
        way.settle()
        after = way.cpu()
        way.finish()
        if isinstance(way, Store):
            after = way.cpu()
        counted = way.count()
        way.close()
        server.kill()
        carried = re.search(r'"sum_sent".*?"bytes":\s*(\d+)', done.stdout, re.S)
        figures = cpu_between(way, before, after, max(counted.captured_bytes, 1) / GB)
        # Headers and retransmissions come on top of what iperf3 counts: the loss is at least this.
        figures["lost"] = max(loss_percent(int(carried.group(1)), counted.captured_bytes), 0.0)
        figures["bytes"] = counted.captured_bytes / max(counted.packets, 1)
        return figures


class Workload(Row):
    name = "workload"
    title = "what a capture takes from a workload: one TCP stream (iperf3) as fast as it goes"
    notes = ("Gbit/s that the workload gets, and the ratio to what it gets alone; packets in millions.  What is captured goes to /dev/null, through TLS where it is\n"
             "an agent's.  Both ends of the stream, the capture and its reader share the processors.")
    ways = (Nothing, Tcpdump, Unguarded, Guarded)
    peers = {Tcpdump: Nothing, Unguarded: Nothing, Guarded: Nothing}
    metrics = (Metric("rate", "Gbit/s", 2, ratio=True), Metric("cpu", "CPU s/s", 2), Metric("got", "delivered M", 3), Metric("shed", "shed M", 3),
               Metric("kernel", "kernel drops M", 3))
    seconds = 6

    def options(self, place):
        self.sink_fd = os.open(os.devnull, os.O_WRONLY)
        return {"packet_filter": f"tcp port {IPERF_PORT}", "stdout": self.sink_fd}

    def run(self, place, way_class):
        try:
            return super().run(place, way_class)
        finally:
            os.close(self.sink_fd)

    def measure(self, place, way):
        server = Process(place, "iperf3", ["iperf3", "-s", "-1", "-B", HOST_IP, "-p", IPERF_PORT])
        time.sleep(0.3)
        before = way.cpu()
        done = place.run(["iperf3", "-c", HOST_IP, "-B", FAR_IP, "-p", IPERF_PORT, "-t", self.seconds, "-J"], ns="far", timeout=60)
        if done.returncode != 0:
            raise BenchError(f"iperf3: {done.stdout[-300:]}")
        after = way.cpu()
        way.finish()
        got, shed, kernel = (None if n is None else n / 1e6 for n in packets_of(way))
        way.close()
        server.kill()
        received = re.search(r'"sum_received".*?"bits_per_second":\s*([\d.e+]+)', done.stdout, re.S)
        return {"rate": float(received.group(1)) / 1e9, "got": got, "shed": shed, "kernel": kernel, **cpu_between(way, before, after, self.seconds)}


class Latency(Row):
    name = "latency"
    title = "a quiet capture: from the send until the packet is at the viewer's stdout (-w -)"
    notes = "ms; six packets, a third of a second apart.  tcpdump, also behind ssh, with -U."
    ways = (Tcpdump, Dumpcap, Ssh, Agent, Whole)
    metrics = (Metric("first", "first", 1, ratio=True), Metric("median", "median", 1), Metric("worst", "worst", 1))
    marker = b"p" * 64

    def options(self, place):
        self.read_fd, self.write_fd = os.pipe()
        return {"stdout": self.write_fd}

    def run(self, place, way_class):
        try:
            return super().run(place, way_class)
        finally:
            os.close(self.read_fd)

    def measure(self, place, way):
        os.close(self.write_fd)  # the viewer has it
        arrived, over = [], threading.Event()
        reader = threading.Thread(target=self._read, args=(arrived, over), daemon=True)
        reader.start()
        place.send(3, 2)
        try:
            wait_for(lambda: len(arrived) >= 6, "six packets at the viewer", 5)
        finally:
            over.set()
            reader.join()
        way.viewer().kill()
        ms = sorted(arrived)
        return {"first": arrived[0], "median": (ms[2] + ms[3]) / 2, "worst": ms[-1]}

    def _read(self, arrived, over):
        """Each datagram bears the time of its sending in front of the marker."""
        held = b""
        while not over.is_set():
            if not select.select([self.read_fd], [], [], 0.1)[0]:
                continue
            piece = os.read(self.read_fd, 1 << 16)
            now = time.time_ns()
            if not piece:
                return
            held += piece
            while (at := held.find(self.marker)) >= 0:
                end = at
                while end < len(held) and held[end:end + 1] == b"p":
                    end += 1
                if end - at < 512 - 42 - 16:
                    break  # the rest comes with the next piece
                arrived.append((now - struct.unpack_from("<Q", held, at - 8)[0]) / 1e6)
                held = held[end:]


class Stopped(Row):
    name = "stopped"
    title = "a viewer that is stopped (SIGSTOP) for 10 s under 50 kpps"
    notes = "Of 600 000 packets in 12 s; the file of tcpdump behind ssh has no way to say what is missing."
    ways = (Ssh, Whole)
    metrics = (Metric("lost", "lost packets", 0, ratio=True), Metric("said", "file says", 0), Metric("unsaid", "unsaid", 0))

    def measure(self, place, way):
        stopper = threading.Thread(target=self._stop_a_while, args=(way.viewer(),), daemon=True)
        stopper.start()
        sent, _, _ = place.send(50000, 12)
        stopper.join()
        way.settle()
        way.finish()
        counted = way.count()
        way.close()
        lost = sent - counted.packets
        return {"lost": lost, "said": counted.said_lost, "unsaid": lost - (counted.said_lost or 0)}

    @staticmethod
    def _stop_a_while(viewer):
        time.sleep(1)
        viewer.freeze()
        time.sleep(10)
        viewer.thaw()


class Storing(Row):
    name = "store"
    title = "into the file store: 1514-byte packets at the sender's full rate"
    notes = "MB/s from the first packet until the file is complete (the object ready)."
    ways = (Tcpdump, Store)
    metrics = (Metric("rate", "MB/s", 0, ratio=True), Metric("lost", "lost %", 2), Metric("said", "file says %", 2),
               Metric("cpu", "CPU s/GB", 2))
    seconds = 2

    def measure(self, place, way):
        before, begin = way.cpu(), time.monotonic()
        sent, _, _ = place.send(0, self.seconds, 1514)
        took = way.settle() - begin
        after, begin = way.cpu(), time.monotonic()
        way.finish()
        took += time.monotonic() - begin
        if isinstance(way, Store):
            after = way.cpu()
        counted = way.count()
        way.close()
        return {"rate": counted.captured_bytes / took / 1e6, "lost": loss_percent(sent, counted.packets),
                "said": None if counted.said_lost is None else 100 * counted.said_lost / sent,
                "cpu": cpu_between(way, before, after, max(counted.captured_bytes, 1) / GB)["cpu"]}


class Uploading(Row):
    name = "bucket"
    title = "512 MiB into a bucket of a Ceph RADOS gateway on loopback"
    notes = "Both cores are the server's too. Ours hashes twice, spools, sends four parts at once, compares and tags; curl only sends."
    ways = (Curl, Uploader, Boto3, S3cmd)
    peers = {Uploader: Curl, Boto3: Curl, S3cmd: Curl}
    metrics = (Metric("rate", "MB/s", 0, ratio=True), Metric("cpu", "CPU s/GB", 2))
    bucket = None

    def run(self, place, way_class):
        if not self.bucket:
            self.bucket = Bucket(place)
        took, cpu = way_class(self.bucket).run()
        self.bucket.empty()
        return {"rate": self.bucket.bytes / took / 1e6, "cpu": cpu / (self.bucket.bytes / GB)}


class Many(Row):
    name = "many"
    title = f"{INSTANCES} instances on {AGENTS} agents in one go, then 1 kpps on each"
    notes = ("ms from the start of the command, while packets come already, until the first of them is in a file and until all capture (the ratio is of\n"
             "this).  The peer is an ssh for each, all at once, into a file for each; ours are merged into one.  CPU s per million packets and loss\n"
             f"under {INSTANCES} x 1 kpps afterwards; all capture on one device, so the sender sends 1 kpps.")
    ways = (ManySsh, ManyWhole)
    peers = {ManyWhole: ManySsh}
    metrics = (Metric("first", "first packet ms", 0), Metric("all", "all capture ms", 0, ratio=True), Metric("late", "sender late ms", 1),
               Metric("lost", "lost %", 3), Metric("cpu", "CPU s/M", 2))
    has_parts = has_memory = True
    pps, seconds, frame = 1000, 4, 512
    start_frame = 500  # so that the packets of the start are told from those that are counted
    start_s, limit_s = 60, 45

    def measure(self, place, way):
        figures = {}
        if way.idle_memory:
            remember_memory(figures, "start", way.idle_memory)
        sender = Process(place, "sender", [place.program("bench/sender"), HOST_IP, PORT, self.start_frame, self.pps, self.start_s], ns="far")
        figures["first"], figures["all"] = self._start(way)
        sender.kill()
        way.settle()
        peak, before = Peak(way), way.cpu()
        sent, _, late_us = place.send(self.pps, self.seconds, self.frame)
        way.settle()
        after = way.cpu()
        remember_memory(figures, "load", peak.stop())
        way.finish()
        counted = way.count(self.frame)
        time.sleep(0.5)
        remember_memory(figures, "after", way.memory())
        way.close()
        figures |= cpu_between(way, before, after, sent * INSTANCES / 1e6)
        figures["late"] = late_us / 1e3
        figures["lost"] = loss_percent(sent * INSTANCES, counted.packets)
        return figures

    def _start(self, way):
        """Milliseconds until the first packet, and until all capture."""
        first = everywhere = None
        begin = time.monotonic()
        way.begin()
        while first is None or everywhere is None:
            since = time.monotonic() - begin
            if since > self.limit_s or not way.viewer().alive():
                raise BenchError(f"not all {INSTANCES} capture after {since:.0f} s: {way.trouble()}")
            if first is None and way.packet_came():
                first = (time.monotonic() - begin) * 1e3
            if everywhere is None and way.running() == INSTANCES:
                everywhere = (time.monotonic() - begin) * 1e3
            time.sleep(0.01)  # the machine is for what is measured
        return first, everywhere


class TokenCheck(Row):
    name = "token"
    title = "a token's check: GET /v1/captures over one connection (TLS)"
    notes = "CPU microseconds of the gateway per request, all of it; what a signed token costs is the difference.  One client, so the rate is its own too."
    ways = (StaticToken, Rs256, Es256)
    peers = {Rs256: StaticToken, Es256: StaticToken}
    metrics = (Metric("cpu", "CPU us/request", 1, ratio=True), Metric("rate", "requests/s", 0))
    requests, warm_up = 4000, 200

    def measure(self, place, way):
        way.ask_often(self.warm_up)
        took, cpu = way.ask_often(self.requests)
        way.close()
        return {"cpu": cpu * 1e6 / self.requests, "rate": self.requests / took}


class Kill(Row):
    name = "kill"
    title = f"pcap admin kill of {INSTANCES} instances on {AGENTS} agents under traffic, while something hangs"
    notes = ("ms from the operator's request until the answer, until no agent that lives captures any more, and until the job is killed; then, within two seconds,\n"
             "what the gateway has more than before the capture: threads, descriptors, files in the spool.")
    ways = (Killed, KilledFrozen, KilledStalled, KilledStoring)
    peers = {}
    metrics = (Metric("answer", "answer ms", 0), Metric("agents", "agents free ms", 0), Metric("job", "job killed ms", 0), Metric("threads", "threads left", 0),
               Metric("fds", "descriptors left", 0), Metric("files", "files left", 0))
    pps, seconds, limit_s = 4000, 60, 30

    def measure(self, place, way):
        sender = Process(place, "sender", [place.program("bench/sender"), HOST_IP, PORT, 512, self.pps, self.seconds], ns="far")
        way.begin()
        wait_for(lambda: way.running() == INSTANCES, "all to capture", 45)
        way.hang()
        figures, begin = {}, time.monotonic()
        way.kill()
        figures["answer"] = (time.monotonic() - begin) * 1e3
        while "agents" not in figures or "job" not in figures:
            if "agents" not in figures and way.agents_busy() == 0:
                figures["agents"] = (time.monotonic() - begin) * 1e3
            if "job" not in figures and way.is_killed():
                figures["job"] = (time.monotonic() - begin) * 1e3
            if time.monotonic() - begin > self.limit_s:
                raise BenchError(f"not killed after {self.limit_s} s: {way.trouble()}")
        sender.kill()
        way.viewer().thaw()  # one that is stopped cannot take leave of a connection of its own
        end = time.monotonic() + 2
        while any(way.left().values()) and time.monotonic() < end:
            time.sleep(0.02)
        figures |= way.left()
        way.close()
        return figures


ROWS = (Paced(), Bulk(), Full(), Workload(), Latency(), Stopped(), Storing(), Uploading(), Many(), TokenCheck(), Kill())
WAYS = {"tcpdump": Tcpdump, "dumpcap": Dumpcap, "ssh": Ssh, "agent": Agent, "pcapline": Whole, "stored": Store,
        "nothing": Nothing, "unguarded": Unguarded,
        "guarded": Guarded, "curl": Curl, "uploader": Uploader, "boto3": Boto3, "s3cmd": S3cmd, "many-ssh": ManySsh, "many-pcapline": ManyWhole,
        "static": StaticToken, "rs256": Rs256, "es256": Es256,
        "kill-well": Killed, "kill-frozen": KilledFrozen, "kill-stalled": KilledStalled, "kill-store": KilledStoring}
