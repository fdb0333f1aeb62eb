"""The usual setting of a gateway's test: a group `web` of agents, each in a namespace, and a namespace from which traffic comes."""
from .traffic import Sender, Sink
from .wait import wait_for

PORT = 7000


class Fleet:
    """nodes: namespaces with agents[i] as web/i; source: sends to them; gateway: with the agents as group web."""

    def __init__(self, net, agents, gateways, n=1, agent_config=None, ipv6=False, groups=None, **gateway):
        self.net = net
        self.source = net.ns("src", ipv6=ipv6)
        self.nodes = [net.ns(f"n{i}", ipv6=ipv6) for i in range(n)]
        self.sinks = [Sink(node, PORT) for node in self.nodes]
        self.agents = [agents(node, config=agent_config, ipv6=ipv6) for node in self.nodes]
        self.gateway = gateways(groups(self.agents) if groups else {"web": self.agents}, **gateway)

    def send(self, i=0, **kwargs):
        """A Sender of numbered datagrams to node i."""
        return Sender(self.source, self.nodes[i].ip, PORT, **kwargs)

    def send_captured(self, jobs, count, size, before=0):
        """Datagrams 0 to count - 1 to node 0, each of which every job has when this returns; until now they had `before` packets.

        In at least ten pieces, or of 50: one that waited somewhere could come as one write, and be one part where a test wants several."""
        piece = max(50, count // 10)
        for first in range(0, count, piece):
            n = min(piece, count - first)
            self.send(count=n, size=size, pps=10000, burst=10, first=first).wait()
            for job in jobs:
                self.wait_captured(job, before + first + n)

    def wait_captured(self, job, count):
        wait_for(lambda: self.gateway.job(job)["packets"]["captured"] == count, "all to be captured")

    def round_robin(self, count):
        """Datagram k to node k mod n, from one socket: traffic whose order over all nodes is known."""
        s = self.source.socket()
        for k in range(count):
            s.sendto(k.to_bytes(8, "big") + bytes(56), (self.nodes[k % len(self.nodes)].ip, PORT))
        s.close()
