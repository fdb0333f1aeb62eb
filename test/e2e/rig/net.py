"""Network namespaces on a bridge of their own.

The bridge stands in the root namespace with an address, so that a gateway on the tester's loopback reaches agents inside: bridge
plbX has 10.199.X.1/24 (and fd00:199:X::1/64), the namespaces .10, .11...  X is claimed by creating the bridge, so that several
runs on one machine do not meet.
"""
import ctypes
import fcntl
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import threading

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*args, check=True):
    done = subprocess.run(["ip", *args], capture_output=True, text=True)
    assert not check or done.returncode == 0, f"ip {' '.join(args)}: {done.stderr.strip()}"
    return done


def in_namespace(name, function):
    """Runs function in a thread that has entered the namespace; sockets made there stay there."""
    result = {}

    def run():
        try:
            fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(fd, CLONE_NEWNET) < 0:
                    raise OSError(ctypes.get_errno(), f"setns {name}")
            finally:
                os.close(fd)
            result["value"] = function()
        except BaseException as e:  # handed to the caller
            result["error"] = e

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in result:
        raise result["error"]
    return result["value"]


class Namespace:
    """One namespace: `name` for ip netns, `ip` and `ip6` its addresses on the bridge, device eth0."""

    def __init__(self, net, label, number, ipv6):
        self.net, self.label = net, label
        self.name = f"pl{os.getpid()}-{net.number}-{label}"
        self.ip = f"10.199.{net.number}.{number}"
        self.ip6 = f"fd00:199:{net.number}::{number}" if ipv6 else None
        ip("netns", "add", self.name)
        # Without this the kernel's own talk (router solicitations, multicast reports) would be in the captures.
        self.sysctl("net/ipv6/conf/all/disable_ipv6", 0 if ipv6 else 1)
        self.sysctl("net/ipv6/conf/default/disable_ipv6", 0 if ipv6 else 1)
        self.ip_cmd("link", "set", "lo", "up")
        self.outside = f"plb{net.number}v{number}"
        ip("link", "add", self.outside, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        self.ip_cmd("addr", "add", f"{self.ip}/24", "dev", "eth0")
        if ipv6:
            self.ip_cmd("addr", "add", f"{self.ip6}/64", "dev", "eth0", "nodad")
        self.ip_cmd("link", "set", "eth0", "up")
        ip("link", "set", self.outside, "master", net.bridge, "up")
        self.ip_cmd("route", "add", "default", "via", net.ip, check=False)

    def sysctl(self, path, value):
        subprocess.run(["ip", "netns", "exec", self.name, "sh", "-c", f"[ ! -e /proc/sys/{path} ] || echo {value} > /proc/sys/{path}"],
                       check=True)

    def ip_cmd(self, *args, check=True):
        return ip("-n", self.name, *args, check=check)

    def command(self, argv):
        """argv as it runs inside; `ip netns exec` replaces itself, so the pid is the program's."""
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, argv, **kwargs):
        kwargs.setdefault("env", self.net.session.env())
        return subprocess.run(self.command(argv), capture_output=True, text=True, **kwargs)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_DGRAM, proto=0):
        """A socket inside, in the hands of the test."""
        return in_namespace(self.name, lambda: socket.socket(family, kind, proto))

    def tun(self, name, network):
        """A tun device with address network.1/24, its other side held by the test; gives that side's descriptor.

        network   "10.197.0": datagrams to 10.197.0.2 leave through the device
        """
        def make():
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
            return fd

        fd = in_namespace(self.name, make)
        self.net.closers.append(lambda: os.close(fd))
        self.ip_cmd("addr", "add", f"{network}.1/24", "dev", name)
        self.ip_cmd("link", "set", name, "up")
        return fd

    def pids(self):
        return [int(p) for p in ip("netns", "pids", self.name, check=False).stdout.split()]

    def delete(self):
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # By name: a namespace that somebody holds open would keep the pair for a while.
        ip("link", "del", self.outside, check=False)
        ip("netns", "del", self.name, check=False)


class Net:
    """A bridge and its namespaces; close() removes all of it, whatever state it is in."""

    def __init__(self, session):
        self.session = session
        self.namespaces = {}
        self.closers = []  # of what lives in the namespaces: sockets, senders
        for number in random.sample(range(1, 255), 254):
            self.number, self.bridge = number, f"plb{number}"
            if ip("link", "add", self.bridge, "type", "bridge", check=False).returncode == 0:
                break
        else:
            raise AssertionError("no free bridge name")
        self.ip = f"10.199.{self.number}.1"
        self.ip6 = f"fd00:199:{self.number}::1"
        ip("link", "set", self.bridge, "alias", str(os.getpid()))
        ip("link", "set", self.bridge, "up")
        ip("addr", "add", f"{self.ip}/24", "dev", self.bridge)
        ip("addr", "add", f"{self.ip6}/64", "dev", self.bridge, "nodad", check=False)

    def ns(self, label, ipv6=False):
        """A new namespace; label is unique and short."""
        assert label not in self.namespaces
        n = Namespace(self, label, 10 + len(self.namespaces), ipv6)
        self.namespaces[label] = n
        return n

    def join(self, a, device_a, b, device_b, number=0):
        """A veth pair between two namespaces, quiet but for what tests send: 10.198.number.1 at a, .2 at b."""
        ip("-n", a.name, "link", "add", device_a, "type", "veth", "peer", "name", device_b, "netns", b.name)
        a.ip_cmd("addr", "add", f"10.198.{number}.1/24", "dev", device_a)
        b.ip_cmd("addr", "add", f"10.198.{number}.2/24", "dev", device_b)
        a.ip_cmd("link", "set", device_a, "up")
        b.ip_cmd("link", "set", device_b, "up")
        return f"10.198.{number}.1", f"10.198.{number}.2"

    def close(self):
        for close in reversed(self.closers):
            close()
        for n in self.namespaces.values():
            n.delete()
        ip("link", "del", self.bridge, check=False)


def remove_stale():
    """What a run left that was killed: its namespaces and bridges bear its pid."""
    def is_gone(pid):
        return not os.path.exists(f"/proc/{pid}")

    if os.path.isdir("/run/netns"):
        for name in os.listdir("/run/netns"):
            m = re.match(r"pl(\d+)-", name)
            if m and is_gone(m.group(1)):
                ip("netns", "del", name, check=False)
    for name in os.listdir("/sys/class/net"):
        alias = pathlib.Path(f"/sys/class/net/{name}/ifalias")
        if re.match(r"plb\d+$", name) and alias.exists():
            pid = alias.read_text().strip()
            if pid.isdigit() and is_gone(pid):
                ip("link", "del", name, check=False)
