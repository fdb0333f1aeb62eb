"""What an agent sheds, as its statistics say it (schema/shed_note.h), and a machine whose memory is short for as long as a test wants it."""
import re

NOTE = re.compile(r"shed by the agent: (\d+) packets; ([^,]+), (?:since (\S+)|(\S+) to (\S+))$")


def shed_notes(stats):
    """(packets, why, over) of each note in these statistics blocks."""
    found = [NOTE.match(comment) for block in stats for comment in block.comments]
    return [(int(m[1]), m[2], m[5] is not None) for m in found if m]


def shed_of(stats):
    """Packets shed by the latest of these statistics."""
    return max([note[0] for note in shed_notes(stats)], default=0)


class Memory:
    """A /proc/meminfo that a test writes: Agent(..., proc=memory.proc) sees it instead of the machine's.

    Written in place and always as long: a reader finds the old or the new figure."""

    def __init__(self, folder, available_mib):
        self.path = folder / "meminfo"
        self.path.write_bytes(b"")
        self.proc = {"/proc/meminfo": self.path}
        self.set(available_mib)

    def set(self, available_mib):
        with open(self.path, "r+b") as f:
            f.write(f"MemTotal: {16 << 20:12} kB\nMemAvailable: {available_mib << 10:12} kB\n".encode())
