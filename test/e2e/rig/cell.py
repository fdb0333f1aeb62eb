"""A Diego cell: a namespace in which pcap-agent runs, containers by runc, and the records that a real cell keeps of them.

    from rig.cell import cells                        the fixture; or Cell(net, agents, "cell0") and its close()
    cell = cells("cell0")                             config={...}: overrides of the agent's
    c = cell.container(app_guid, 0)                   app instance 0, running, wired, in the records
    Sender(cell.ns, c.ip, 8080).wait()                from the cell into the container's eth0
    Sender(c.ns, "127.0.0.1", 8080); Sink(c.ns, 8080) inside: c.ns is for all of the rig what a Namespace is
    live = cell.capture(c, "lo", "udp")               of the agent on the cell: rig.agent.Agent, cell.agent
    c.kill(); c.remove(); c2 = c.restart()            the process ends; everything of it goes; a new handle for the same app

As on a cell (in a folder of its own below /run, which others than root may pass):
    container-metadata/store.json (+ _lock, _version)  handle -> app, written in place under flock
    runc/HANDLE/state.json                             by runc --root
    container-netns/HANDLE                             the mount of its network namespace
    s-010255000007 on the cell <-> eth0 inside         point to point, through 169.254.0.1; lo
The container has user, pid, mount and network namespaces of its own; its network namespace belongs to its user namespace, as Garden's do.

Cell
    ns, ip, agent          the namespace, its address, the Agent (listens on port 9494 of ip; stop, restart, log as of any)
    agent_config(**more)   what the agent is configured with
    container(app, index, handle=None, process=None, **entry)
                           process: argv inside of the container (busybox is there); entry: ip, workload, log_config=False (none)
    target(container)      the request's "target", as a gateway sends it
    capture(container, device, packet_filter, target=None, **options)   a Live
    devices(target)        the Reply of POST /v1/devices
    entries                what the store holds, {handle: entry}; change it, then write_store()
Container
    handle, app, index, ip, mac, ns, pid, host_end
    run(argv)              inside of all its namespaces (busybox); ns.run(argv) in its network alone, with the machine's programs
    kill()                 SIGKILL for the process; the records stay, as in the moment after a crash
    remove()               what Garden does at the end: process, records, mount, veth
    restart()              remove(), and the same instance under a new handle (and its old address when that is free)
"""
import fcntl
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import uuid

import pytest

from .agent import merge
from .net import in_namespace, ip
from .wait import SLOW, wait_for

BUSYBOX = "/usr/bin/busybox"
SUBUID = 200000  # root of the containers
VCAP = 65534     # owner of the store
_overlays = []  # third bytes of the overlay that are taken


def missing():
    """What of the programs is not installed; cells cannot be made without."""
    return [name for name in ("runc", "busybox") if not shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")]


def new_handle():
    """As Diego makes them: a v4 UUID cut to 28 characters."""
    return str(uuid.uuid4())[:28]


def remove_cgroups(pattern):
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/*"):
        for path in glob.glob(f"{root}/{pattern}"):
            try:
                os.rmdir(path)
            except OSError:
                continue  # gone, or its last process is still on its way


def new_app():
    return str(uuid.uuid4())


class ContainerNamespace:
    """The network of a container, with what Sender, Sink, Tcpdump and the like want of a Namespace."""

    def __init__(self, net, name, label, address):
        self.net, self.name, self.label, self.ip, self.ip6 = net, name, label, address, None

    def ip_cmd(self, *args, check=True):
        return ip("-n", self.name, *args, check=check)

    def command(self, argv):
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, argv, **kwargs):
        kwargs.setdefault("env", self.net.session.env())
        return subprocess.run(self.command(argv), capture_output=True, text=True, **kwargs)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_DGRAM, proto=0):
        return in_namespace(self.name, lambda: socket.socket(family, kind, proto))


class Container:
    """One container; made by Cell.container."""

    def __init__(self, cell, app, index, handle, address, process, label):
        self.cell, self.app, self.index, self.handle, self.ip = cell, app, index, handle, address
        self.process = process or ["/bin/busybox", "sleep", "100000"]
        groups = [int(g) for g in address.split(".")]
        self.mac = "ee:ee:" + ":".join(f"{g:02x}" for g in groups)
        self.host_end = "s-" + "".join(f"{g:03d}" for g in groups)
        self.host_mac = "aa:aa:" + self.mac[6:]
        self.ns = ContainerNamespace(cell.net, f"{cell.ns.name}-{label}", f"{cell.ns.label}-{label}", address)
        self.mount = cell.netns_folder / handle
        self.bundle = cell.folder / f"bundle-{handle}"
        self.pid = None
        self.removed = False

    # ---- made ----

    def start(self):
        self._write_bundle()
        self.cell.runc("run", "--detach", "--bundle", str(self.bundle), "--pid-file", str(self.bundle / "pid"), self.handle)
        self.pid = int((self.bundle / "pid").read_text())
        self._mount(f"/run/netns/{self.ns.name}")
        self._mount(str(self.mount))
        self._wire()
        return self

    def _write_bundle(self):
        def mapping():
            return [{"containerID": 0, "hostID": SUBUID, "size": 65536}]

        self.bundle.mkdir()
        config = {
            "ociVersion": "1.0.2", "hostname": self.handle, "root": {"path": str(self.cell.rootfs), "readonly": True},
            "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": self.process, "cwd": "/", "noNewPrivileges": True,
                        "env": ["PATH=/bin", f"INSTANCE_GUID={self.handle}", f"INSTANCE_INDEX={self.index}"],
                        "rlimits": [{"type": "RLIMIT_AS", "hard": 2 ** 64 - 1, "soft": 2 ** 64 - 1}]},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}],
            "linux": {"uidMappings": mapping(), "gidMappings": mapping(), "cgroupsPath": f"/pcapline-{os.getpid()}-{self.handle}",
                      "namespaces": [{"type": t} for t in ("user", "pid", "mount", "ipc", "uts", "network")]},
        }
        (self.bundle / "config.json").write_text(json.dumps(config))

    def _mount(self, path):
        pathlib.Path(path).touch()
        subprocess.run(["mount", "--bind", f"/proc/{self.pid}/ns/net", path], check=True)

    def _wire(self):
        """As silk: an address of its own, everything else behind 169.254.0.1, neighbours written down on both sides."""
        cell = self.cell.ns
        cell.ip_cmd("link", "add", self.host_end, "address", self.host_mac, "type", "veth",
                    "peer", "name", "eth0", "address", self.mac, "netns", self.ns.name)
        cell.ip_cmd("addr", "add", "169.254.0.1/32", "peer", f"{self.ip}/32", "dev", self.host_end)
        self.ns.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"])
        cell.ip_cmd("link", "set", self.host_end, "up")
        cell.ip_cmd("neigh", "replace", self.ip, "lladdr", self.mac, "dev", self.host_end, "nud", "permanent")
        self.ns.ip_cmd("link", "set", "lo", "up")
        self.ns.ip_cmd("addr", "add", f"{self.ip}/32", "peer", "169.254.0.1/32", "dev", "eth0")
        self.ns.ip_cmd("link", "set", "eth0", "up")
        self.ns.ip_cmd("neigh", "replace", "169.254.0.1", "lladdr", self.host_mac, "dev", "eth0", "nud", "permanent")
        self.ns.ip_cmd("route", "add", "default", "via", "169.254.0.1", "dev", "eth0")

    # ---- used ----

    @property
    def state_path(self):
        return self.cell.runc_root / self.handle / "state.json"

    def run(self, argv):
        return subprocess.run([shutil.which("runc", path="/usr/sbin:/usr/bin"), "--root", str(self.cell.runc_root), "exec", self.handle, *argv],
                              capture_output=True, text=True, env=self.cell.net.session.env(), timeout=30 * SLOW)

    def is_running(self):
        try:
            return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def kill(self):
        if self.is_running():
            os.kill(self.pid, signal.SIGKILL)
        wait_for(lambda: not self.is_running(), f"container {self.handle} to end")

    def unwire(self):
        """The veth goes; with it eth0."""
        self.cell.ns.ip_cmd("link", "del", self.host_end, check=False)

    def forget(self):
        """Its entry in the store goes."""
        if self.cell.entries.pop(self.handle, None):
            self.cell.write_store()

    def remove(self):
        """In the order of Garden: process, network and its record, state."""
        if self.removed:
            return
        self.removed = True
        self.kill()
        self.forget()
        self.unwire()
        for path in (f"/run/netns/{self.ns.name}", str(self.mount)):
            subprocess.run(["umount", path], capture_output=True)
            pathlib.Path(path).unlink(missing_ok=True)
        self.cell.runc("delete", "--force", self.handle, check=False)
        remove_cgroups(f"pcapline-{os.getpid()}-{self.handle}")  # a test may have taken the state away

    def restart(self, handle=None):
        self.remove()
        return self.cell.container(self.app, self.index, handle=handle, process=self.process, ip=self.ip)


class Cell:
    """See above.  agents: the fixture; targets and further settings of the agent: config."""

    def __init__(self, net, agents, label, config=None, start=True, **kwargs):
        self.net, self.ns = net, net.ns(label)
        self.ip = self.ns.ip
        self.folder = pathlib.Path(f"/run/pcapline-{os.getpid()}-{net.number}-{label}")
        self.folder.mkdir(mode=0o755)
        self.containers, self.entries, self._version, self._count = [], {}, 0, 0
        self.overlay = next(n for n in range(256) if n not in _overlays)
        _overlays.append(self.overlay)
        self.runc_root = self._folder("runc", 0o700)
        self.other_root = self._folder("run-runc", 0o700)
        self.metadata = self._folder("container-metadata", 0o755) / "store.json"
        self.netns_folder = self._folder("container-netns", 0o700)
        # Mounts made later have to be seen by the agent: on a cell /var/vcap/data is shared.
        subprocess.run(["mount", "--bind", str(self.netns_folder), str(self.netns_folder)], check=True)
        subprocess.run(["mount", "--make-shared", str(self.netns_folder)], check=True)
        self._make_rootfs()
        self.ns.sysctl("net/ipv4/ip_forward", 1)
        self.metadata.with_name("store.json_lock").touch()
        self.write_store()
        self.agent = agents(self.ns, start=False, config=self.agent_config(**(config or {})), **kwargs)
        if start:
            self.agent.start()

    def _folder(self, name, mode):
        path = self.folder / name
        path.mkdir(mode=mode)
        return path

    def _make_rootfs(self):
        self.rootfs = self.folder / "rootfs"
        for name in ("bin", "proc", "dev", "sys", "tmp"):
            (self.rootfs / name).mkdir(parents=True)
        shutil.copy(BUSYBOX, self.rootfs / "bin" / "busybox")
        for path in (self.rootfs, *self.rootfs.rglob("*")):
            os.chown(path, SUBUID, SUBUID)

    def agent_config(self, **more):
        return merge({
            "targets": ["container"],
            "containers": {"metadata": str(self.metadata), "runc_roots": [str(self.other_root), str(self.runc_root)],
                           "netns": str(self.netns_folder)},
        }, more)

    def runc(self, *args, check=True):
        done = subprocess.run([shutil.which("runc", path="/usr/sbin:/usr/bin"), "--root", str(self.runc_root), *args], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=open(self.folder / "runc.err", "wb"), env=self.net.session.env(),
                              timeout=60 * SLOW)
        assert not check or done.returncode == 0, f"runc {' '.join(args)}: {(self.folder / 'runc.err').read_text()}"

    # ---- containers ----

    def _free_address(self):
        used = {c.ip for c in self.containers if not c.removed}
        return next(a for a in (f"10.255.{self.overlay}.{n}" for n in range(2, 255)) if a not in used)

    def container(self, app, index, handle=None, process=None, **entry):
        self._count += 1
        c = Container(self, app, index, handle or new_handle(), entry.pop("ip", None) or self._free_address(), process, f"c{self._count}")
        self.containers.append(c)
        c.start()
        self.enter(c, **entry)
        return c

    def enter(self, c, workload="app", log_config=True):
        """Writes the container into the store."""
        metadata = {"app_id": c.app, "space_id": str(uuid.uuid4()), "org_id": str(uuid.uuid4()), "policy_group_id": c.app, "ports": "8080",
                    "container_workload": workload}
        if log_config:
            metadata["log_config"] = json.dumps({
                "guid": c.app, "index": c.index, "source_name": "CELL",
                "tags": {"app_id": c.app, "process_id": c.app, "process_type": "web", "process_instance_id": c.handle, "instance_id": str(c.index),
                         "source_id": c.app, "space_name": "dev", "organization_name": "acme", "app_name": "shöp \"quoted\""}})
        self.entries[c.handle] = {"handle": c.handle, "ip": c.ip, "metadata": metadata}
        self.write_store()

    def write_store(self):
        """In place, under the lock, as the cni wrapper does."""
        with open(self.metadata.with_name("store.json_lock"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.metadata.write_text(json.dumps(self.entries))
            os.chmod(self.metadata, 0o600)
            os.chown(self.metadata, VCAP, VCAP)
            self._version += 1
            self.metadata.with_name("store.json_version").write_text(str(self._version))

    # ---- the agent ----

    def target(self, c, **more):
        return merge({"type": "container", "handle": c.handle, "app": c.app, "index": c.index}, more)

    def capture(self, c, device="eth0", packet_filter="", target=None, **options):
        body = self.agent.body(device, packet_filter, name=f"app/{c.index if c else 0}", **options)
        body["target"] = target or self.target(c)
        live = self.agent.http.stream("POST", "/v1/captures", body)
        live.capture_id = body["id"]
        return live

    def devices(self, target):
        return self.agent.http.request("POST", "/v1/devices", {"target": target})

    # ---- the end ----

    def close(self):
        for c in self.containers:
            c.remove()
        subprocess.run(["umount", "--lazy", str(self.netns_folder)], capture_output=True)
        shutil.rmtree(self.folder)
        _overlays.remove(self.overlay)


def remove_stale():
    """What a run left that was killed; its namespaces are net.py's."""
    def is_gone(pid):
        return not os.path.exists(f"/proc/{pid}")

    for path in pathlib.Path("/proc").glob("[0-9]*/cgroup"):
        try:
            m = re.search(r"/pcapline-(\d+)-[0-9a-f-]{28,36}$", path.read_text(), re.M)
            if m and is_gone(m.group(1)):
                os.kill(int(path.parent.name), signal.SIGKILL)
        except OSError:
            continue  # ended meanwhile
    for path in pathlib.Path("/run").glob("pcapline-*"):
        m = re.match(r"pcapline-(\d+)-", path.name)
        if m and is_gone(m.group(1)):
            for mount in [*path.glob("container-netns/*"), path / "container-netns"]:
                subprocess.run(["umount", "--lazy", str(mount)], capture_output=True)
            shutil.rmtree(path, ignore_errors=True)
    for path in glob.glob("/sys/fs/cgroup/*/pcapline-*"):
        m = re.match(r"pcapline-(\d+)-", os.path.basename(path))
        if m and is_gone(m.group(1)):
            remove_cgroups(os.path.basename(path))


@pytest.fixture
def cells(net, agents):
    """cells("cell0", **kwargs): a Cell whose agent answers."""
    absent = missing()
    if absent:
        why = f"no containers to test with: {', '.join(absent)} is not installed; ops/install-deps.sh --check does it"
        if os.environ.get("CI") == "true":
            pytest.fail(why, pytrace=False)
        pytest.skip(why)
    remove_stale()
    made = []

    def make(label="cell", **kwargs):
        made.append(Cell(net, agents, label, **kwargs))
        return made[-1]

    yield make
    for cell in made:
        cell.close()
