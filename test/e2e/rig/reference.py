"""What others say: tcpdump on the same device, tshark and capinfos over what we wrote."""
import re
import signal
import subprocess

from .pcapng import read_pcap
from .wait import SLOW, wait_for


class Tcpdump:
    """tcpdump -w on a device of a namespace, with a ring of its own.  Life: started and listening; stop() gives the Capture."""

    def __init__(self, ns, device, packet_filter="", snaplen=262144):
        self.path = ns.net.session.work / f"tcpdump-{ns.name}-{device}-{id(self):x}.pcap"
        self.errors = self.path.with_suffix(".err")
        argv = ["tcpdump", "-i", device, "-w", str(self.path), "-s", str(snaplen), "-B", "65536", "-U", "-Z", "root",
                "--time-stamp-precision=nano"]
        with open(self.errors, "wb") as err:
            self.process = subprocess.Popen(ns.command(argv + ([packet_filter] if packet_filter else [])), stderr=err,
                                            stdout=subprocess.DEVNULL, env=ns.net.session.env())
        ns.net.closers.append(self.close)
        wait_for(lambda: "listening on" in self.errors.read_text(), "tcpdump to listen")

    def count(self):
        return len(read_pcap(self.path.read_bytes(), partial=True).packets)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30 * SLOW)
        text = self.errors.read_text()
        self.dropped = int(re.search(r"(\d+) packets? dropped by kernel", text).group(1))
        assert self.dropped == 0, f"the reference itself lost packets: {text}"
        return read_pcap(self.path)

    def close(self):
        self.process.kill()
        self.process.wait()


def _tool(argv, data=None):
    done = subprocess.run(argv, input=data, capture_output=True, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"})
    noise = re.sub(rb"Running as user \"root\" and group \"root\"\. This could be dangerous\.\n?", b"", done.stderr)
    assert done.returncode == 0 and not noise.strip(), f"{argv[0]} complains: exit code {done.returncode}, {noise.decode()}"
    return done.stdout.decode()


def tshark(path, *args):
    """Lines of `tshark -r path ARGS`; any complaint is a failure."""
    return _tool(["tshark", "-n", "-r", str(path), *args]).splitlines()


def capinfos(path):
    """{"Number of packets": "12", ...} as capinfos prints it (first of equal names); any complaint is a failure."""
    found = {}
    for line in _tool(["capinfos", "-M", str(path)]).splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def accepted_by_all(path):
    """tshark, capinfos, tcpdump (for one link type) and editcap read it without a complaint; gives the number of packets."""
    frames = len(tshark(path, "-T", "fields", "-e", "frame.number"))
    assert int(capinfos(path)["Number of packets"]) == frames
    _tool(["editcap", str(path), "/dev/null"])
    return frames
