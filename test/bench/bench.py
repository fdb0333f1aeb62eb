#!/usr/bin/python3
"""The bench: what Pcapline costs beside tcpdump, dumpcap and tcpdump over ssh, and on the way into a bucket beside curl, s3cmd and boto3, all
in one run on this machine.

usage: bench.py [--json] [--rounds N] [WORD...]

A WORD is a row (paced, bulk, full, workload, latency, stopped, store, bucket, many, token, kill) or one of its ways: of capturing (tcpdump, dumpcap, ssh, agent,
pcapline, stored; of fifty instances many-ssh, many-pcapline; beside a workload nothing, unguarded, guarded), of uploading (curl, uploader, boto3, s3cmd), of saying who asks (static, rs256, es256),
of hanging during a kill (kill-well, kill-frozen, kill-stalled, kill-store).
Without words everything runs, in about eleven minutes.  Rounds are interleaved: each way once, then all again.  Figures are medians of
the rounds; a ratio is the median of the ratios of each round.  There are no thresholds: the table is for people.
"""
import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time

from place import PROJECT, BenchError, Place
from rows import ROWS, WAYS

LIMIT_S = 1200  # nothing here hangs for ever
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


def arguments():
    parser = argparse.ArgumentParser(usage="bench.py [--json] [--rounds N] [WORD...]", add_help=True)
    parser.add_argument("--json", action="store_true", help="the figures of every round as JSON")
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 21), metavar="N", help="measurements of each (3)")
    parser.add_argument("words", nargs="*", metavar="WORD", help=f"rows: {' '.join(r.name for r in ROWS)}; ways: {' '.join(WAYS)}")
    found = parser.parse_intermixed_args()
    names = {row.name for row in ROWS}
    for word in found.words:
        if word not in names and word not in WAYS:
            parser.error(f"'{word}' is neither a row ({', '.join(sorted(names))}) nor a way ({', '.join(WAYS)})")
    found.rows = [row for row in ROWS if row.name in found.words] or list(ROWS)
    found.ways = {WAYS[word] for word in found.words if word in WAYS} or set(WAYS.values())
    return found


def ways_of(row, wanted):
    """The wanted ways of a row and the peers that their ratios need, in the row's order."""
    ours = {way for way in row.ways if way in wanted}
    ours |= {row.peers[way] for way in ours if row.peers.get(way) in row.ways}
    return [way for way in row.ways if way in ours]


# ---- figures ----

def median(rounds, key):
    values = [figures[key] for figures in rounds if figures.get(key) is not None]
    return statistics.median(values) if values else None


def ratio(row, results, way):
    """(peer's name, median of the rounds' ratios) or None."""
    key = next((metric.key for metric in row.metrics if metric.ratio), None)
    peer = row.peers.get(way)
    if peer not in results:
        return None
    pairs = zip(results[way], results[peer])
    found = [mine[key] / theirs[key] for mine, theirs in pairs if mine.get(key) is not None and theirs.get(key)]
    return (peer.name, statistics.median(found)) if found else None


def number(value, decimals):
    return "-" if value is None else f"{value:.{decimals}f}"


def parts(way, rounds):
    found = [(role, median(rounds, f"part {role}")) for role in way.roles]
    return ", ".join(f"{role} {value:.2f}" for role, value in found if value is not None) if len(found) > 1 else ""


# ---- the table ----

def print_table(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    for cells in rows:
        print("  " + "  ".join(cell.ljust(w) if i in (0, len(cells) - 1) else cell.rjust(w)
                               for i, (cell, w) in enumerate(zip(cells, widths))).rstrip())


def print_row(row, results):
    print(f"\n{row.name}: {row.title}")
    if row.notes:
        print(row.notes)
    table = [["", *(metric.heading for metric in row.metrics), "ratio", "of these" if row.has_parts else ""]]
    for way, rounds in results.items():
        compared = ratio(row, results, way)
        table.append([way.name, *(number(median(rounds, metric.key), metric.decimals) for metric in row.metrics),
                      f"{compared[1]:.2f} x {compared[0]}" if compared else "", parts(way, rounds) if row.has_parts else ""])
    print_table(table)
    if row.has_memory:
        print_memory(results)


def print_memory(results):
    print("\nmemory: MiB resident (anonymous; the rest is program text and the packet ring, which is the kernel's) in the same runs:\n"
          "started (servers: without a capture yet), the most under load, after the capture")
    table = [["", "part", "started", "load", "after", ""]]
    for way, rounds in results.items():
        for role in way.roles:
            cells = []
            for when in ("start", "load", "after"):
                resident, anonymous = (median(rounds, f"{kind} {role} {when}") for kind in ("memory", "anonymous"))
                cells.append("-" if resident is None else f"{resident:.1f} ({anonymous:.1f})")
            table.append([way.name, role, *cells, ""])
    print_table(table)


def machine():
    def first_line(argv):
        done = subprocess.run(argv, capture_output=True, text=True)
        return ((done.stdout or done.stderr).splitlines() or ["?"])[0]

    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "?")
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0],
            "tcpdump": first_line(["tcpdump", "--version"]), "dumpcap": first_line(["dumpcap", "--version"]),
            "ssh": first_line(["ssh", "-V"])}


# ---- the run ----

def say(text):
    """What is going on, for whoever watches."""
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


def measure(place, row, ways, rounds, failures):
    """{way: [figures of each round]}; a round that failed has no figures, and is named."""
    results = {way: [] for way in ways}
    for n in range(rounds):
        for way in ways:
            say(f"{row.name} {n + 1}/{rounds} {way.name}")
            try:
                results[way].append(row.run(place, way))
            except (BenchError, OSError, subprocess.SubprocessError) as error:
                results[way].append({})
                failures.append(f"{row.name}, {way.name}, round {n + 1}: {error}")
    say("")
    return results


def as_json(row, results):
    found = {}
    for way, rounds in results.items():
        keys = sorted({key for figures in rounds for key in figures})
        compared = ratio(row, results, way)
        found[way.name] = {"median": {key: median(rounds, key) for key in keys}, "rounds": rounds,
                           "ratio": {"to": compared[0], "median": compared[1]} if compared else None}
    return {"row": row.name, "title": row.title, "ways": found}


class Ended(Exception):
    """Told to end, or no end in sight."""


def give_up(number_of_signal, _):
    for known in SIGNALS:
        signal.signal(known, signal.SIG_IGN)  # what follows is the cleaning up
    raise Ended(signal.Signals(number_of_signal).name)


def main():
    args = arguments()
    if os.geteuid() != 0:
        sys.exit("bench: must run as root: it makes network namespaces and captures in them")
    for known in SIGNALS:
        signal.signal(known, give_up)
    signal.alarm(LIMIT_S)
    place, failures, out = Place(os.environ.get("PCAPLINE_BUILD", PROJECT / "build")), [], []
    about, begin = machine(), time.monotonic()
    if not args.json:
        print("{cpu}, {cores} cores, Linux {kernel}; {tcpdump}; {dumpcap}; {ssh}".format(**about))
        print(f"medians of {args.rounds}; load average at the start {about['load']:.2f}"
              + (" - others work here: trust the ratios, not the figures" if about["load"] > 0.5 else ""))
    try:
        place.open()
        for row in args.rows:
            ways = ways_of(row, args.ways)
            if not ways:
                continue
            results = measure(place, row, ways, args.rounds, failures)
            out.append(as_json(row, results))
            if not args.json:
                print_row(row, results)
                sys.stdout.flush()
    except (BenchError, Ended) as error:
        failures.append(f"ended early: {error}")
    finally:
        signal.alarm(0)
        place.close()
    if args.json:
        json.dump({"machine": about, "rounds": args.rounds, "rows": out, "failures": failures}, sys.stdout, indent=1)
        print()
    else:
        print(f"\ntook {time.monotonic() - begin:.0f} s")
    for failure in failures:
        print(f"bench: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
