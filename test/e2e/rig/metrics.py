"""The page that monitoring gets, read by a parser of the tests' own and judged by promtool."""
import re
import shutil
import subprocess

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


class Page:
    """value(name, **labels): one figure; total(name, **labels): the sum of all that have these labels; names: of all families."""

    def __init__(self, text):
        self.text, self.types, self.samples = text, {}, {}
        assert text.endswith("\n")
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert name not in self.types, f"{name} comes twice"
                self.types[name] = kind
            elif not line.startswith("# HELP "):
                self._take(line)

    def _take(self, line):
        m = SAMPLE.match(line)
        assert m, f"no line of the format: {line!r}"
        name, inside, value = m.groups()
        labels = LABEL.findall(inside or "")
        assert "".join(f'{k}="{v}",' for k, v in labels).rstrip(",") == (inside or ""), line
        key = (name, tuple(sorted(labels)))
        assert key not in self.samples, f"twice: {line}"
        self.samples[key] = float(value)

    @property
    def names(self):
        return set(self.types) | {name for name, _ in self.samples}

    @property
    def rows(self):
        return set(self.samples)

    def value(self, name, **labels):
        return self.samples[(name, tuple(sorted(labels.items())))]

    def total(self, name, **labels):
        return sum(v for (n, ls), v in self.samples.items() if n == name and set(labels.items()) <= set(ls))

    def counters(self):
        """What may only grow."""
        grows = {n for n, kind in self.types.items() if kind == "counter"}
        grows |= {f"{n}{end}" for n, kind in self.types.items() if kind == "histogram" for end in ("_bucket", "_count", "_sum")}
        return {key: v for key, v in self.samples.items() if key[0] in grows}


def scrape(http, path="/metrics"):
    """The page behind an Http, its head looked at."""
    reply = http.request("GET", path)
    assert reply.status == 200, reply
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Page(reply.body.decode())


def promtool():
    """Its path; None: not installed."""
    return shutil.which("promtool")


def run_promtool(*argv, stdin=None):
    """What it prints; AssertionError when it finds anything, lint included."""
    done = subprocess.run([promtool(), *map(str, argv)], input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"promtool {argv}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr
