"""A program of ours that runs in the background, and what is demanded of it when it ends."""
import json
import pathlib
import re
import signal
import subprocess

from .wait import SLOW, wait_for

SANITIZER = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|WARNING: ThreadSanitizer|SUMMARY: \w+Sanitizer")


def sanitizer_report(text):
    """The first lines of a sanitizer's report in text, or None."""
    m = SANITIZER.search(text)
    return text[m.start():m.start() + 4000] if m else None


class Daemon:
    """Life: start(), then stop() or kill9(); start() again is a restart, the log goes on.

    allowed_errors   regular expressions: log lines of level "error" that this test provokes
    """

    def __init__(self, session, name, folder):
        self.session, self.name = session, name
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / f"{name}.log"
        self.session.logs.append(str(self.log_path))
        self.process = None
        self.allowed_errors = []
        self.expected_exits = {0}

    def launch(self, argv, env=None):
        assert not self.is_running(), f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                            env=self.session.env(**(env or {})))

    @property
    def pid(self):
        return self.process.pid

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def send(self, number):
        self.process.send_signal(number)

    def wait_ready(self, answers, timeout_s=20):
        def look():
            assert self.process.poll() is None, f"{self.name} ended at once, exit code {self.process.returncode}:\n{self.log()[-4000:]}"
            return answers()
        wait_for(look, f"{self.name} to answer; its log: {self.log_path}", timeout_s)

    def wait_exit(self, timeout_s=60):
        try:
            return self.process.wait(timeout_s * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end within {timeout_s * SLOW} s:\n{self.log()[-4000:]}") from None

    def stop(self, sig=signal.SIGTERM, timeout_s=60):
        """Asks it to end and looks at what it leaves."""
        if self.is_running():
            self.send(sig)
        self.wait_exit(timeout_s)
        self.check()

    def kill9(self):
        self.process.kill()
        self.process.wait()
        self.expected_exits = self.expected_exits | {-signal.SIGKILL}

    def freeze(self):
        self.send(signal.SIGSTOP)

    def thaw(self):
        self.send(signal.SIGCONT)

    def check(self):
        """Exit code, sanitizer reports, errors in the log."""
        text = self.log()
        report = sanitizer_report(text)
        assert not report, f"{self.name}: {report}"
        assert self.process.returncode in self.expected_exits, \
            f"{self.name}: exit code {self.process.returncode}, its log ends:\n{text[-3000:]}"
        for line in self.log_lines():
            if line.get("level") == "error":
                assert any(re.search(a, json.dumps(line)) for a in self.allowed_errors), f"{self.name} logged an error: {line}"

    # ---- its log ----

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_lines(self):
        """The JSON lines; anything else a daemon says is a fault of its own."""
        lines = []
        for text in self.log().splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                line = {"level": "error", "event": "not JSON", "text": text}
            lines.append(line if isinstance(line, dict) else {"level": "error", "event": "no object", "text": text})
        return lines

    def logged(self, event):
        """The lines of this event."""
        return [line for line in self.log_lines() if line.get("event") == event]

    # ---- its memory and work ----

    def rss_kb(self):
        """Memory of its own; a mapped packet ring is the kernel's."""
        return int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{self.pid}/status").read_text()).group(1))

    def threads(self):
        return int(re.search(r"Threads:\s+(\d+)", pathlib.Path(f"/proc/{self.pid}/status").read_text()).group(1))

    def fds(self):
        return len(list(pathlib.Path(f"/proc/{self.pid}/fd").iterdir()))
