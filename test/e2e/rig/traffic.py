"""Traffic: numbered datagrams at a pace, and HTTP, between namespaces."""
import pathlib
import signal
import socket
import struct
import subprocess

from .wait import SLOW, wait_for

PYTHON = "/usr/bin/python3"


class Sink:
    """A bound UDP socket, so that datagrams are not answered by ICMP; mostly nobody reads it."""

    def __init__(self, ns, port, address="0.0.0.0"):
        self.socket = ns.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        self.port = port
        ns.net.closers.append(self.close)

    def take(self, count, timeout_s=30):
        """Waits for so many datagrams.  What has come to a socket has passed the rings of its device: sent alone does not say so."""
        self.socket.settimeout(timeout_s * SLOW)
        for _ in range(count):
            self.socket.recv(65536)

    def close(self):
        self.socket.close()


class Sender:
    """Numbered UDP datagrams from a namespace (see blast.py), started with go().

    size    bytes of payload, 8..65507;  pps 0: unpaced;  count 0: until stop();  first: the number of the first one
    sent    after wait() or stop(): how many went out
    """

    def __init__(self, ns, host, port, size=64, pps=1000, count=0, burst=1, first=0, go=True):
        argv = [PYTHON, str(pathlib.Path(__file__).with_name("blast.py")), host, *map(str, (port, size, pps, count, burst, first))]
        self.process = subprocess.Popen(ns.command(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=ns.net.session.env())
        ns.net.closers.append(self.close)
        assert self.process.stdout.readline() == "ready\n"
        self.sent = None
        if go:
            self.go()

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self

    def wait(self, timeout_s=60):
        out, _ = self.process.communicate(timeout=timeout_s * SLOW)
        self.sent = int(out.split()[-1])
        return self.sent

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def close(self):
        self.process.kill()
        self.process.wait()


class WebServer:
    """Python's http.server in a namespace, serving a folder with the given files ({name: bytes})."""

    def __init__(self, ns, folder, files, port=8080):
        self.ns, self.port = ns, port
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        self.process = subprocess.Popen(ns.command([PYTHON, "-u", "-m", "http.server", str(port), "--directory", str(folder)]),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ns.net.session.env())
        ns.net.closers.append(self.close)
        wait_for(self._listens, "the web server to listen")

    def _listens(self):
        s = self.ns.socket(kind=socket.SOCK_STREAM)
        try:
            return s.connect_ex(("127.0.0.1", self.port)) == 0
        finally:
            s.close()

    def get(self, ns, name, host=None):
        """curl from a namespace; the body."""
        done = subprocess.run(ns.command(["curl", "-sS", "--noproxy", "*", f"http://{host or self.ns.ip}:{self.port}/{name}"]),
                              capture_output=True, env=ns.net.session.env(), timeout=60 * SLOW)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self):
        self.process.terminate()
        self.process.wait()


def numbers_of(packets, port, link_header=14):
    """The numbers in the datagrams of blast.py to port, in file order; other packets are left out.

    packets      of one link type whose IP header begins at link_header (Ethernet 14, SLL 16, SLL2 20, raw 0)
    """
    found = []
    for p in packets:
        ip = p.data[link_header:]
        if len(ip) < 28:
            continue
        if ip[0] >> 4 == 4 and ip[9] == 17:
            udp = ip[(ip[0] & 15) * 4:]
        elif ip[0] >> 4 == 6 and ip[6] == 17:
            udp = ip[40:]
        else:
            continue
        if len(udp) >= 16 and struct.unpack_from("!H", udp, 2)[0] == port:
            found.append(struct.unpack_from("!Q", udp, 8)[0])
    return found
