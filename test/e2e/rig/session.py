"""What is shared by all tests of one pytest run: where the programs are, where files go, which secrets were used."""
import os
import pathlib
import re
import secrets
import shutil
import tempfile

from .wait import wait_for

MARK = "PCAPLINE_E2E"  # in the environment of every process of ours, so that those left behind are found
PROJECT = pathlib.Path(__file__).resolve().parents[3]


class Session:
    """One pytest run.

    build    folder of the programs (environment PCAPLINE_BUILD, default build/ of the project)
    work     temporary folder, removed at the end unless a test failed
    secrets  every token and private key used: text that no log may hold
    """

    def __init__(self):
        self.build = pathlib.Path(os.environ.get("PCAPLINE_BUILD", PROJECT / "build")).resolve()
        self.mark = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="pcapline-e2e-"))
        self.secrets = {}
        self.logs = []
        self.failed = False

    def program(self, name):
        path = self.build / name
        assert path.exists(), f"{path} is not built; run make first"
        return str(path)

    def secret(self, what, text):
        """Remembers text (what it is: for the message) and returns it."""
        self.secrets[text] = what
        return text

    def new_token(self, user):
        return self.secret(f"token of {user}", secrets.token_urlsafe(24))

    def env(self, **more):
        """A clean environment: what the shell of the tester has set must not change what is tested."""
        env = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            MARK: self.mark,
            "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
            "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=99",
            "TSAN_OPTIONS": "exitcode=99:second_deadlock_stack=1",
        }
        env.update({k: str(v) for k, v in more.items()})
        return env

    # ---- at the end ----

    def processes(self):
        """Processes of this run that are still there: [(pid, command line)]."""
        found = []
        for proc in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self.mark}".encode() in (proc / "environ").read_bytes().split(b"\0"):
                    state = (proc / "stat").read_text().rsplit(")", 1)[1].split()[0]
                    if state != "Z":
                        found.append((int(proc.name), (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")))
            except OSError:
                continue  # ended meanwhile
        return found

    def check_logs(self):
        """Pitfall 25: no token and no key in any log of any daemon or command of the whole run."""
        assert self.secrets or not self.logs, "daemons ran, but no secret was recorded: the rig has lost its memory"
        for log in self.logs:
            text = pathlib.Path(log).read_text(errors="replace") if pathlib.Path(log).exists() else ""
            for secret, what in self.secrets.items():
                assert secret not in text, f"{log} holds the {what}"

    def check_leftovers(self):
        wait_for(lambda: not self.processes(), "all our processes to end", timeout_s=10)
        names = [n for n in os.listdir("/run/netns") if n.startswith(f"pl{os.getpid()}-")] if os.path.isdir("/run/netns") else []
        assert not names, f"namespaces left: {names}"
        links = [n for n in os.listdir("/sys/class/net") if re.match(r"plb\d+$", n)
                 and pathlib.Path(f"/sys/class/net/{n}/ifalias").read_text().strip() == str(os.getpid())]
        assert not links, f"bridges left: {links}"

    def close(self):
        if not self.failed and not os.environ.get("PCAPLINE_KEEP"):
            shutil.rmtree(self.work)
            assert not self.work.exists()
        else:
            print(f"\nfiles of this run: {self.work}")
