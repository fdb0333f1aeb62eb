"""The ways of capturing fifty instances in one go.

Each: start() starts the servers only, begin() what the user starts; then packet_came(), running() of INSTANCES, settle(), finish(), close().
"""
import json
import signal

import files
from place import BenchError, Process, children_of, comm_of, wait_for
from systems import Asking, Ssh, Whole

AGENTS, EACH = 10, 5
INSTANCES = AGENTS * EACH
MARKER = b"p" * 64  # in every packet of the sender
RING = "4MiB"
PCAP_HEADER_BYTES = 24


class ManyWhole(Whole):
    """pcap host GROUP -w file: ten agents, five instances on each, merged into one file"""
    name, roles = "pcapline", ("agent", "gateway", "pcap")

    def instances(self):
        return [(f"{n}", port) for n, port in enumerate(port for port in self.ports for _ in range(EACH))]

    def start(self):
        self.clean()
        self.ports = [self.place.free_port() for _ in range(AGENTS)]
        self.agents = [self.agent_process(f"agent{n}", port, f"capture: {{ring: {RING}}}\n") for n, port in enumerate(self.ports)]
        for port in self.ports:
            self.agent_port = port
            wait_for(lambda: self.curl("GET", "/v1/info").returncode == 0, "pcap-agent")
        self.start_gateway()
        self.idle_memory = self.memory()
        self.asking, self.job, self.read_to = Asking(self.place, self.gateway_port, self.place.token), None, 0

    def pids(self):
        return {"agent": [agent.pid for agent in self.agents], **super().pids()}

    def begin(self):
        self.launch_viewer("-w", self.file)

    def packet_came(self):
        if self.size() < self.read_to + len(MARKER):
            return False
        with open(self.file, "rb") as f:
            f.seek(self.read_to)
            piece = f.read()
        self.read_to += max(len(piece) - len(MARKER), 0)
        return MARKER in piece

    def ask(self, path):
        status, body = self.asking.get(path)
        if status != 200:
            raise BenchError(f"GET {path}: {status}")
        return json.loads(body)

    def running(self):
        self.job = self.job or next((job["id"] for job in self.ask("/v1/captures")["captures"]), None)
        return sum(i["state"] == "running" for i in self.ask(f"/v1/captures/{self.job}")["instances"]) if self.job else 0

    def trouble(self):
        return self.viewer().err()[-500:]

    def close(self):
        self.asking.close()
        self.stop_gateway()
        for agent in self.agents:
            agent.stop(signal.SIGTERM)


class ManySsh(Ssh):
    """As many times ssh host tcpdump -w - > file, started at once by a shell; a file for each"""
    name = "ssh tcpdump"

    def outputs(self, suffix):
        return [self.place.dir / f"ssh{n}.{suffix}" for n in range(INSTANCES)]

    def start(self):
        self.clean()
        self.start_sshd(f"MaxStartups {4 * INSTANCES}\nMaxSessions {4 * INSTANCES}\n")
        self.waited_for = set(self.outputs("err"))

    def begin(self):
        script = f'n=0; while [ $n -lt {INSTANCES} ]; do "$@" >ssh$n.pcap 2>ssh$n.err & n=$((n + 1)); done; wait'
        self.ssh = Process(self.place, "shell", ["sh", "-c", script, "sh", *self.ssh_argv()])

    def pids(self):
        return {**super().pids(), "ssh": [pid for pid in children_of(self.ssh.pid) if comm_of(pid) == "ssh"]}

    def packet_came(self):
        return any(path.exists() and path.stat().st_size > PCAP_HEADER_BYTES for path in self.outputs("pcap"))

    def running(self):
        self.waited_for = {path for path in self.waited_for if not (path.exists() and b"listening on" in path.read_bytes())}
        return INSTANCES - len(self.waited_for)

    def trouble(self):
        said = [path.read_text(errors="replace") for path in sorted(self.waited_for) if path.exists()]
        return f"{len(self.waited_for)} of ssh do not capture: {said[0][-300:] if said else ''} {self.sshd.err()[-300:]}"

    def size(self):
        return sum(path.stat().st_size for path in self.outputs("pcap") if path.exists())

    def count(self, only=None):
        total = files.Counted()
        for path in self.outputs("pcap"):
            counted = files.count(path, only)
            total.packets += counted.packets
            total.captured_bytes += counted.captured_bytes
        return total

    def clean(self):
        for path in (*self.outputs("pcap"), *self.outputs("err")):
            path.unlink(missing_ok=True)
