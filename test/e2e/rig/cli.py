"""The pcap command."""
import json
import pathlib
import signal
import subprocess

from .daemon import sanitizer_report
from .wait import SLOW


class Result:
    """How a command ended: code, out (bytes), err (text)."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    @property
    def text(self):
        return self.out.decode()

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"<pcap {' '.join(self.argv)}: exit code {self.code}, out {self.out[-500:]!r}, err {self.err[-1500:]!r}>"


class Command:
    """A command under way, its output in files."""

    def __init__(self, cli, argv, stdout=None):
        self.cli, self.argv = cli, argv
        cli.runs += 1
        self.out_path, self.err_path = cli.folder / f"{cli.name}-{cli.runs}.out", cli.folder / f"{cli.name}-{cli.runs}.log"
        cli.session.logs.append(str(self.err_path))
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen([cli.session.program("pcap"), *argv], stdin=subprocess.DEVNULL, stdout=stdout or out,
                                            stderr=err, env=cli.session.env(**cli.env), cwd=cli.folder)

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def wait(self, timeout_s=60):
        try:
            code = self.process.wait(timeout_s * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"pcap {self.argv} did not end:\n{self.err}") from None
        result = Result(self.argv, code, self.out_path.read_bytes(), self.err)
        report = sanitizer_report(result.err)
        assert not report, report
        assert code >= 0, f"killed: {result}"
        return result


class Cli:
    """pcap as one user sees it: environment PCAP_GATEWAY and PCAP_TOKEN, a home of its own."""

    def __init__(self, session, folder, gateway=None, user="alice", env=None):
        self.session, self.name, self.runs = session, f"pcap-{user}", 0
        self.folder = pathlib.Path(folder) / f"home-{user}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.env = {"HOME": self.folder}
        if gateway:
            self.env |= {"PCAP_GATEWAY": gateway.url, "PCAP_TOKEN": gateway.tokens.get(user, "")}
        self.env |= env or {}

    def start(self, *argv, stdout=None):
        return Command(self, [str(a) for a in argv], stdout)

    def run(self, *argv, timeout_s=60, code=None):
        """Runs to the end; code: the exit code that must come."""
        result = self.start(*argv).wait(timeout_s)
        assert code is None or result.code == code, result
        return result

    def ok(self, *argv, timeout_s=60):
        return self.run(*argv, timeout_s=timeout_s, code=0)
