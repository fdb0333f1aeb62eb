"""The rig of the end-to-end tests: real programs, real namespaces, real packets.

A class per server (Agent, Gateway), per command (Cli) and per reference (Tcpdump); ``wait_for`` instead of sleeping; everything is
cleaned up by the fixtures of conftest.py, which also look at what the daemons left behind: exit codes, sanitizer reports, errors in logs.
"""
from .agent import Agent
from .browser import Browser
from .cli import Cli
from .cloud_controller import CloudController
from .daemon import Daemon
from .fault_proxy import FaultProxy
from .fleet import PORT, Fleet
from .gateway import Gateway
from .http import Http, Live, Reply
from .issuer import Issuer
from .net import Namespace, Net
from .pcapng import Capture, read_pcap, read_pcapng
from .pki import Pki
from .proxy import Proxy
from .reference import Tcpdump, capinfos, tshark
from .rgw import Rgw
from .s3 import Bucket
from .session import Session
from .traffic import Sender, Sink, WebServer, numbers_of
from .wait import wait_for

__all__ = [
    "Agent", "Browser", "Bucket", "Capture", "Cli", "CloudController", "Daemon", "FaultProxy", "Fleet", "Gateway", "Http", "Issuer", "Live", "Namespace", "Net", "PORT", "Pki", "Proxy",
    "Reply", "Rgw", "Sender", "Session", "Sink", "Tcpdump", "WebServer", "capinfos", "numbers_of", "read_pcap", "read_pcapng", "tshark", "wait_for",
]
