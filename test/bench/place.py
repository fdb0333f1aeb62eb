"""Where the bench runs: two network namespaces of its own, processes that are measured, and an end that leaves nothing behind.

"far" sends, "host" is captured: a veth pair joins them, eth0 (10.203.0.1) at far, cap0 (10.203.0.2) at host.  All servers listen on
the loopback device of "host" and are not to be seen from anywhere else.
"""
import concurrent.futures
import ctypes
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

FAR_IP, HOST_IP = "10.203.0.1", "10.203.0.2"
DEVICE, PORT = "cap0", 7000
CLONE_NEWNET = 0x40000000
PROJECT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "test/e2e"))  # for what the bench takes from the rig


class BenchError(Exception):
    """What cannot be measured, in words for the user."""


def wait_for(look, what, limit_s=20.0):
    end = time.monotonic() + limit_s
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > end:
            raise BenchError(f"waited {limit_s:.0f} s for {what}")
        time.sleep(0.02)


def cpu_of(pid):
    """CPU seconds of a process, all its threads and those that have ended: its clock, to the nanosecond (clock_getcpuclockid)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def children_of(pid):
    """Descendants of pid."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        parents.setdefault(int(text[text.rindex(")") + 2:].split()[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        todo = [child for p in todo for child in parents.get(p, [])]
        found += todo
    return found


def comm_of(pid):
    """The program's name; "" when it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def memory_of(pid):
    """(resident, anonymous) in MiB: what is resident beside the anonymous part is shared - program text, and the packet ring."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))


class Process:
    """A program inside a namespace; stdout to `out`, stderr to a file of its name."""

    def __init__(self, place, name, argv, ns="host", out=subprocess.DEVNULL, env=None):
        self.place, self.name = place, name
        self.err_path = place.dir / f"{name}.err"
        stdout = open(out, "wb") if isinstance(out, pathlib.Path) else out
        with open(self.err_path, "wb") as err:
            self.popen = subprocess.Popen(place.inside(ns, argv), stdin=subprocess.DEVNULL, stdout=stdout, stderr=err, cwd=place.dir,
                                          env=place.env | (env or {}), start_new_session=True)
        if stdout is not out:
            stdout.close()
        self.pid = self.popen.pid
        place.processes.append(self)

    def err(self):
        return self.err_path.read_text(errors="replace")

    def alive(self):
        return self.popen.poll() is None

    def wait(self, limit_s=60):
        try:
            return self.popen.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BenchError(f"{self.name} did not end within {limit_s} s: {self.err()[-500:]}") from None

    def stop(self, sig=signal.SIGINT, limit_s=60):
        if self.alive():
            self.popen.send_signal(signal.SIGCONT)
            self.popen.send_signal(sig)
        code = self.wait(limit_s)
        self.forget()
        return code

    def freeze(self):
        self.popen.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.popen.send_signal(signal.SIGCONT)

    def kill(self):
        for pid in children_of(self.pid) if self.alive() else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.alive():
            self.popen.kill()
        self.popen.wait()
        self.forget()

    def forget(self):
        if self in self.place.processes:
            self.place.processes.remove(self)


class Place:
    """The two namespaces, a folder and everything started; close() removes all of it."""

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.processes, self.sinks, self.made, self.closing = [], [], [], []
        self.next_port = 9500
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pcapline-bench-"))
        tag = f"plbench{os.getpid()}"
        self.names = {"far": f"{tag}-far", "host": f"{tag}-host"}
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "TZ": "UTC",
                    "HOME": str(self.dir)}
        self.token = secrets.token_urlsafe(24)

    def program(self, name):
        path = self.build / name
        if not path.exists():
            raise BenchError(f"{path} is not built; run make first")
        return str(path)

    def inside(self, ns, argv):
        """argv as it runs inside; `ip netns exec` replaces itself, so the pid is the program's."""
        return ["ip", "netns", "exec", self.names[ns], *map(str, argv)]

    def run(self, argv, ns="host", **kwargs):
        return subprocess.run(self.inside(ns, argv), capture_output=True, text=True, env=self.env, cwd=self.dir, **kwargs)

    def within(self, ns, make):
        """What make() returns, called in a thread inside: the sockets and the threads that it makes stay there."""
        def enter_and_make():
            with open(f"/run/netns/{self.names[ns]}", "rb") as entry:
                if ctypes.CDLL(None, use_errno=True).setns(entry.fileno(), CLONE_NEWNET) != 0:
                    raise BenchError(f"namespace {self.names[ns]}: {os.strerror(ctypes.get_errno())}")
            return make()
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            return thread.submit(enter_and_make).result()

    def _ip(self, *args):
        done = subprocess.run(["ip", *args], capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"ip {' '.join(args)}: {done.stderr.strip()}")

    def open(self):
        far, host = self.names["far"], self.names["host"]
        for name in (far, host):
            self._ip("netns", "add", name)
            # The kernel's own talk would be among the packets.
            subprocess.run(["ip", "netns", "exec", name, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"],
                           stderr=subprocess.DEVNULL)
            self._ip("-n", name, "link", "set", "lo", "up")
        self._ip("link", "add", "eth0", "netns", far, "type", "veth", "peer", "name", DEVICE, "netns", host)
        for name, device, address in ((far, "eth0", FAR_IP), (host, DEVICE, HOST_IP)):
            self._ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            self._ip("-n", name, "link", "set", device, "up")
        self._sink()
        done = subprocess.run([PROJECT / "ops/dev-certs.sh", self.dir / "certs"], capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"dev-certs.sh: {done.stderr}")
        return self

    def _sink(self):
        """A socket in "host" that nobody reads, so that the sender gets no ICMP answers."""
        def make():
            self.sinks.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self.sinks[-1].bind((HOST_IP, PORT))
        self.within("host", make)

    def make_folder(self, path):
        """A folder outside of ours; close() removes it when it was not there before."""
        if not path.exists():
            path.mkdir(mode=0o755)
            self.made.append(path)

    def free_port(self):
        """In the namespace nobody else takes one."""
        self.next_port += 1
        return self.next_port

    def send(self, pps, seconds, frame=512):
        """Runs the sender to its end: (packets, seconds, the worst delay of a batch in microseconds)."""
        done = self.run([self.program("bench/sender"), HOST_IP, PORT, frame, pps, seconds], ns="far", timeout=seconds + 30)
        if done.returncode != 0:
            raise BenchError(f"sender: {done.stderr}")
        packets, took, late = done.stdout.split()
        return int(packets), float(took), int(late)

    def close(self):
        for process in list(self.processes):
            process.kill()
        for close in self.closing:
            close()
        for sink in self.sinks:
            sink.close()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        for path in self.made:
            path.rmdir()
        shutil.rmtree(self.dir, ignore_errors=True)
