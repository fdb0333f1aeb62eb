"""Ways of capturing beside a workload that wants the whole machine: nothing at all, and the agent with its guard as it comes."""
import json

from systems import Agent, Way


class Nothing(Way):
    """no capture"""
    name = "nothing"

    def start(self):
        pass

    def viewer(self):
        return None

    def finish(self):
        pass


class Unguarded(Agent):
    """pcap-agent that looks at no pressure and has no ceiling for its captures' sum"""
    name = "unguarded"


class Guarded(Agent):
    """pcap-agent with the defaults"""
    name = "guarded"
    guard = ""


def packets_of(way):
    """(delivered, shed, dropped by the kernel) by the agent's log; None where there is no agent."""
    if not isinstance(way, Agent):
        return None, None, None
    for line in reversed(way.parts["agent"].err().splitlines()):
        entry = json.loads(line)
        if entry["event"] == "capture.ended":
            return entry["data"]["packets"], entry["data"]["dropped_agent"], entry["data"]["dropped_kernel"]
    return None, None, None
