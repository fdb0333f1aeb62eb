"""Sends numbered UDP datagrams; run as a program inside a namespace by traffic.Sender.

usage: blast.py HOST PORT SIZE PPS COUNT BURST FIRST - PPS 0: as fast as it goes; COUNT 0: until SIGTERM.
Payload: 8 bytes of number, big endian, from FIRST; then SIZE-8 bytes.  Prints "ready", then at the end "sent N".
"""
import signal
import socket
import struct
import sys
import time


def main():
    host, port, size, pps, count, burst, first = sys.argv[1], *map(int, sys.argv[2:8])
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    info = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    s = socket.socket(info[0], socket.SOCK_DGRAM)
    s.connect(info[4])
    tail = b"p" * (size - 8)
    print("ready", flush=True)
    sys.stdin.readline()  # the word to go
    begin, n = time.monotonic(), 0
    while not stop and (not count or n < count):
        for _ in range(burst if not count else min(burst, count - n)):
            try:
                s.send(struct.pack("!Q", first + n) + tail)
            except ConnectionRefusedError:
                s.send(struct.pack("!Q", first + n) + tail)  # an ICMP answer to an earlier one; this one had not gone out
            n += 1
        if pps:
            ahead = begin + n / pps - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
    print(f"sent {n}", flush=True)


main()
