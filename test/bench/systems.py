"""The ways of capturing that are compared.  Each: start(), the load of a row, settle(), stop(); then file and packets.

A Way names its parts (`roles`): CPU seconds and memory are read for each.  The peers run with their own defaults.
"""
import hashlib
import http.client
import json
import pathlib
import secrets
import shutil
import signal
import subprocess
import time

import files
from place import DEVICE, PORT, BenchError, Process, children_of, comm_of, cpu_of, memory_of, wait_for
from rig.http import Http

FILTER = f"udp port {PORT}"
READY_S = 0.3  # between "it says that it captures" and the first packet


class Way:
    """name, roles; file: where the packets are when it has stopped.  packet_filter: what is captured."""

    name, roles = "", ()
    out_name = "out.pcap"
    quiet_s = 0.6  # nothing for so long: all is out

    def __init__(self, place, packet_filter=FILTER, stdout=None):
        self.place, self.packet_filter, self.stdout = place, packet_filter, stdout
        self.file = place.dir / self.out_name
        self.parts = {}
        self.idle_memory = None  # of servers before there is a capture

    def out(self):
        """Where a viewer's bytes go: the file, or a pipe in the hands of the row."""
        return self.stdout if self.stdout is not None else self.file

    def pids(self):
        return {role: [part.pid] for role, part in self.parts.items()}

    def cpu(self):
        return {role: sum(map(cpu_of, pids)) for role, pids in self.pids().items()}

    def memory(self):
        """{role: (resident, anonymous)} in MiB of the parts that live; of several processes the sum."""
        found = {}
        for role, pids in self.pids().items():
            for pid in pids:
                try:
                    found[role] = tuple(map(sum, zip(memory_of(pid), found.get(role, (0, 0)))))
                except (OSError, KeyError):
                    continue  # it has ended
        return found

    def start(self):
        self.file.unlink(missing_ok=True)
        self.launch()
        time.sleep(READY_S)

    def size(self):
        return self.file.stat().st_size if self.file.exists() else 0

    def settle(self, limit_s=30):
        """Until nothing more comes out; when the last bytes came (monotonic)."""
        begin, last, since = time.monotonic(), -1, time.monotonic()
        while since - begin < limit_s:
            size = self.progress()
            if size != last:
                last, since = size, time.monotonic()
            elif time.monotonic() - since > self.quiet_s:
                break
            time.sleep(0.02)
        return since

    def progress(self):
        return self.size()

    def viewer(self):
        """The process whose output the user reads."""
        raise NotImplementedError

    def finish(self):
        """Ends the capture; the file is complete then."""
        self.viewer().stop()

    def close(self):
        """Ends what else runs."""

    def count(self, only=None):
        return files.count(self.file, only)

    def clean(self):
        self.file.unlink(missing_ok=True)


class Tcpdump(Way):
    """tcpdump -w file"""
    name, roles = "tcpdump", ("tcpdump",)
    quiet_s = 1.3  # its libpcap hands a block that is not full over after a second

    def launch(self):
        argv = ["tcpdump", "-Z", "root", "-i", DEVICE, *(["-U", "-w", "-"] if self.stdout else ["-w", self.file]), self.packet_filter]
        self.parts = {"tcpdump": Process(self.place, "tcpdump", argv, out=self.stdout or subprocess.DEVNULL)}
        wait_for(lambda: "listening on" in self.viewer().err(), "tcpdump")

    def viewer(self):
        return self.parts["tcpdump"]


class Dumpcap(Way):
    """dumpcap -w file"""
    name, roles = "dumpcap", ("dumpcap",)
    out_name = "out.pcapng"

    def launch(self):
        argv = ["dumpcap", "-q", "-i", DEVICE, "-f", self.packet_filter, "-w", "-" if self.stdout else self.file]
        self.parts = {"dumpcap": Process(self.place, "dumpcap", argv, out=self.stdout or subprocess.DEVNULL)}
        wait_for(lambda: "Capturing on" in self.viewer().err() and (self.stdout or self.size() > 0), "dumpcap")

    def viewer(self):
        return self.parts["dumpcap"]


class Ssh(Way):
    """ssh host tcpdump -w - > file"""
    name, roles = "ssh tcpdump", ("tcpdump", "sshd", "ssh")
    quiet_s = Tcpdump.quiet_s

    def start_sshd(self, more=""):
        d, self.port = self.place.dir, self.place.free_port()
        key, host_key = d / "ssh_key", d / "ssh_host_key"
        for path in (key, host_key):
            if not path.exists():
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        (d / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {host_key}\nAuthorizedKeysFile {key}.pub\nPidFile none\nUsePAM no\n"
            "StrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            "PrintMotd no\nPrintLastLog no\nSetEnv PATH=/usr/sbin:/usr/bin:/sbin:/bin\n" + more)
        (d / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key.with_suffix('.pub').read_text()}")
        self.place.make_folder(pathlib.Path("/run/sshd"))  # sshd wants it, empty; its service would make it
        self.sshd = Process(self.place, "sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", d / "sshd_config"])
        wait_for(lambda: "Server listening" in self.sshd.err(), "sshd")

    def ssh_argv(self):
        d = self.place.dir
        remote = f"exec tcpdump -Z root -i {DEVICE} {'-U ' if self.stdout else ''}-w - '{self.packet_filter}'"
        return ["ssh", "-F", "none", "-i", d / "ssh_key", "-p", self.port, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o",
                f"UserKnownHostsFile={d}/known_hosts", "-o", "ControlPath=none", "root@127.0.0.1", remote]

    def launch(self):
        self.start_sshd()
        self.ssh = Process(self.place, "ssh", self.ssh_argv(), out=self.out())
        wait_for(lambda: "listening on" in self.ssh.err() or not self.ssh.alive(), "tcpdump behind ssh")
        if not self.ssh.alive():
            raise BenchError(f"ssh: {self.ssh.err()} {self.sshd.err()}")

    def pids(self):
        found = {"tcpdump": [], "sshd": [self.sshd.pid], "ssh": [self.ssh.pid]}
        for pid in children_of(self.sshd.pid):
            found["tcpdump" if comm_of(pid) == "tcpdump" else "sshd"].append(pid)
        return found

    def viewer(self):
        return self.ssh

    def finish(self):
        """As a user's script does: tcpdump there is interrupted, and ssh ends with it."""
        tcpdump = self.pids()["tcpdump"]
        if tcpdump:
            subprocess.run(["kill", "-INT", *map(str, tcpdump)], check=False)
            self.ssh.wait()
            self.ssh.forget()
        else:
            self.ssh.stop()

    def close(self):
        self.sshd.kill()


# ---- ours ----

class Agent(Way):
    """pcap-agent, its stream read by curl"""
    name, roles = "agent", ("agent",)
    out_name = "out.pcapng"
    guard = "guard: {enabled: false, nice: 0}\nlimits: {cpu_total: 0, memory: 0}\n"

    def start_agent(self):
        self.agent_port = self.place.free_port()
        self.parts["agent"] = self.agent_process("agent", self.agent_port)
        wait_for(lambda: self.curl("GET", "/v1/info").returncode == 0, "pcap-agent")

    def agent_process(self, name, port, more=""):
        config, certs = self.place.dir / f"{name}.yml", self.place.dir / "certs"
        config.write_text(
            f"listen: {{address: 127.0.0.1, port: {port}}}\n"
            f"tls: {{certificate: {certs}/agent.pem, private_key: {certs}/agent.key, client_ca: {certs}/ca.pem}}\n"
            # What is measured is what it can do; the row "workload" has the guard.
            + self.guard + more)
        return Process(self.place, name, [self.place.program("pcap-agent"), "--config", config])

    def curl_argv(self, method, path):
        certs = self.place.dir / "certs"
        return ["curl", "-fsSN", "--noproxy", "*", "-X", method, "--cacert", certs / "ca.pem", "--cert", certs / "gateway-client.pem",
                "--key", certs / "gateway-client.key", "--connect-to", f"pcap-agent:{self.agent_port}:127.0.0.1:{self.agent_port}",
                f"https://pcap-agent:{self.agent_port}{path}"]

    def curl(self, method, path):
        return self.place.run(self.curl_argv(method, path))

    def launch(self):
        self.start_agent()
        self.idle_memory = self.memory()
        self.id = new_id()
        body = {"id": self.id, "job": new_id(), "name": "bench/0", "target": {"type": "host"},
                "options": {"device": DEVICE, "filter": self.packet_filter}, "exclude": []}
        argv = [*self.curl_argv("POST", "/v1/captures"), "-H", "Content-Type: application/json", "-d", json.dumps(body)]
        self.reader = Process(self.place, "curl", argv, out=self.out())
        wait_for(lambda: '"captures":[]' not in self.curl("GET", "/v1/info").stdout.replace(" ", "") and (self.stdout or self.size() > 0),
                 "the agent's capture")

    def viewer(self):
        return self.reader

    def finish(self):
        self.curl("POST", f"/v1/captures/{self.id}/stop")
        self.reader.wait()
        self.reader.forget()

    def close(self):
        self.parts["agent"].stop(signal.SIGTERM)


class Asking:
    """The API of a gateway in "host" over one connection, kept alive: next to nothing beside a curl for each request."""

    def __init__(self, place, port, token):
        self.headers = {"Authorization": f"Bearer {token}"}
        self.connection = Http(("127.0.0.1", port), place.dir / "certs/ca.pem", server_name="localhost").connection()
        place.within("host", self.connection.connect)

    def get(self, path):
        """(status, body)"""
        try:
            self.connection.request("GET", path, headers=self.headers)
            reply = self.connection.getresponse()
            return reply.status, reply.read()
        except http.client.HTTPException as error:
            raise BenchError(f"GET {path}: {error!r}") from None

    def close(self):
        self.connection.close()


class Whole(Agent):
    """pcap host ... -w file: agent, gateway and command, TLS on both hops"""
    name, roles = "pcapline", ("agent", "gateway", "pcap")

    def instances(self):
        """(id, agent's port) of the inventory's group."""
        return [("0", self.agent_port)]

    def start_gateway(self, more=""):
        d, certs, token = self.place.dir, self.place.dir / "certs", self.place.token
        self.gateway_port = self.place.free_port()
        self.state = d / f"state{self.gateway_port}"
        self.state.mkdir(mode=0o700)
        (d / "tokens.yml").write_text(f"tokens: [{{sha256: {hashlib.sha256(token.encode()).hexdigest()}, user_id: bench, operator: true}}]\n")
        (d / "tokens.yml").chmod(0o600)
        instances = ", ".join(f"{{id: '{name}', agent: '127.0.0.1:{port}'}}" for name, port in self.instances())
        (d / "inventory.yml").write_text(f"groups: [{{name: bench, users: [bench], instances: [{instances}]}}]\n")
        (d / "gateway.yml").write_text(
            f"listen: {{address: 127.0.0.1, port: {self.gateway_port}}}\n"
            f"tls: {{certificate: {certs}/gateway.pem, private_key: {certs}/gateway.key}}\n"
            f"agents: {{ca: {certs}/ca.pem, certificate: {certs}/gateway-client.pem, private_key: {certs}/gateway-client.key}}\n"
            f"state_dir: {self.state}\ninventory: {d}/inventory.yml\ntokens: {d}/tokens.yml\n" + more)
        self.parts["gateway"] = Process(self.place, "gateway", [self.place.program("pcap-gateway"), "--config", d / "gateway.yml"])
        self.env = {"PCAP_GATEWAY": f"https://localhost:{self.gateway_port}", "PCAP_TOKEN": token, "PCAP_CACERT": f"{certs}/ca.pem"}
        wait_for(lambda: self.api("/readyz").returncode == 0, "pcap-gateway")

    def api(self, path, method="GET"):
        return self.place.run(["curl", "-fsS", "--noproxy", "*", "-X", method, "--cacert", self.place.dir / "certs/ca.pem", "-H",
                               f"Authorization: Bearer {self.place.token}", f"https://localhost:{self.gateway_port}{path}"])

    def jobs(self):
        reply = self.api("/v1/captures")
        listed = json.loads(reply.stdout) if reply.returncode == 0 else []
        return listed.get("captures", []) if isinstance(listed, dict) else listed

    def launch_viewer(self, *options):
        argv = [self.place.program("pcap"), "host", "bench", "-i", DEVICE, *options, *self.packet_filter.split()]
        self.parts["pcap"] = Process(self.place, "pcap", argv, out=self.stdout or subprocess.DEVNULL, env=self.env)

    def start_viewer(self, *options):
        self.launch_viewer(*options)
        wait_for(lambda: any(job["state"] == "running" for job in self.jobs()) or not self.viewer().alive(), "the capture to run")
        if not self.viewer().alive():
            raise BenchError(f"pcap: {self.viewer().err()}")

    def launch(self):
        self.start_agent()
        self.start_gateway()
        self.idle_memory = self.memory()
        self.start_viewer("-w", "-" if self.stdout else self.file)

    def viewer(self):
        return self.parts["pcap"]

    def finish(self):
        self.viewer().stop()

    def stop_gateway(self):
        self.parts["gateway"].stop(signal.SIGTERM)
        shutil.rmtree(self.state)

    def close(self):
        self.stop_gateway()
        self.parts["agent"].stop(signal.SIGTERM)


class Store(Whole):
    """pcap host ... --store: agent and gateway, into the file store"""
    name, roles = "pcapline --store", ("agent", "gateway")

    def launch(self):
        self.start_agent()
        self.start_gateway()
        self.idle_memory = self.memory()
        self.start_viewer("--store", "--wait")

    def progress(self):
        """From outside: asking the gateway would be work for it."""
        return sum(path.stat().st_size for path in (self.state / "spool").rglob("*") if path.is_file())

    def finish(self):
        self.api(f"/v1/captures/{self.jobs()[0]['id']}/stop", "POST")
        self.viewer().wait()
        self.viewer().forget()
        objects = list((self.state / "objects").rglob("*.pcapng"))
        if len(objects) != 1:
            raise BenchError(f"{len(objects)} objects in the store: {self.viewer().err()}")
        self.file = objects[0]


def new_id():
    """As common/id.h makes them."""
    number = int(time.time() * 1000) << 80 | secrets.randbits(80)
    return "".join("0123456789abcdefghjkmnpqrstvwxyz"[number >> 5 * i & 31] for i in reversed(range(26)))
