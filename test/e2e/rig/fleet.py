"""The usual setting of a gateway's test: a group `web` of agents, each in a namespace, and a namespace from which traffic comes."""
from .traffic import Sender, Sink

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

    def round_robin(self, count):
        """Datagram k to node k mod n, from one socket: traffic whose order over all nodes is known."""
        s = self.source.socket()
        for k in range(count):
            s.sendto(k.to_bytes(8, "big") + bytes(56), (self.nodes[k % len(self.nodes)].ip, PORT))
        s.close()
