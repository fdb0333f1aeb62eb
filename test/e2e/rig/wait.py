"""Waiting for something to become true, never for a time to pass."""
import os
import time

# Sanitizer builds are several times slower; limits are generous, they only end what would hang.
_BUILD = os.path.basename(os.environ.get("PCAPLINE_BUILD", "build"))
SLOW = 4 if any(name in _BUILD for name in ("address", "undefined", "thread", "asan", "tsan")) else 1
SANITIZED = SLOW > 1


def wait_for(predicate, what="", timeout_s=30, every_s=0.02):
    """Calls predicate until it gives something true and returns that; AssertionError after timeout_s (times SLOW).

    predicate   no arguments; an AssertionError out of it counts as "not yet" and is quoted when time is up
    what        what is waited for, for the message
    """
    deadline = time.monotonic() + timeout_s * SLOW
    last = None
    while True:
        try:
            result = predicate()
            if result:
                return result
            last = result
        except AssertionError as e:
            last = e
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s * SLOW} s: {what or predicate}; last: {last!r}")
        time.sleep(every_s)
