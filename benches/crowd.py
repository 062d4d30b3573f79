#!/usr/bin/env python3
"""Holds many sockets, as a busy host does: N established loopback connections (2 N sockets, as both ends are here), 500 UDP
sockets and 100 listeners, over 50 processes. Prints `ready`, then waits for the end of its input.

    crowd.py 10000 [processes [UDP sockets]]
"""

import os
import resource
import socket
import sys

LISTENERS = 100


def share(total, parts, index):
    """The index-th of `parts` nearly equal parts."""
    return total // parts + (index < total % parts)


def hold(index, processes, connections, datagrams):
    """One process's part. Each has an address of its own, so that ports do not run out."""
    address = f"127.0.{1 + index // 200}.{1 + index % 200}"
    kept = []
    for port in range(max(1, share(LISTENERS, processes, index))):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 10000 + port))
        listener.listen(4096)
        kept.append(listener)
    for _ in range(share(datagrams, processes, index)):
        datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagram.bind((address, 0))
        kept.append(datagram)
    for _ in range(share(connections, processes, index)):
        client = socket.socket()
        client.connect((address, 10000))
        server, _ = kept[0].accept()
        kept += [client, server]
    return kept


def main():
    connections = int(sys.argv[1])
    processes = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    datagrams = int(sys.argv[3]) if len(sys.argv) > 3 else 500
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ready_read, ready_write = os.pipe()
    end_read, end_write = os.pipe()
    for index in range(processes):
        if os.fork() == 0:
            os.close(end_write)
            os.close(ready_read)
            kept = hold(index, processes, connections, datagrams)
            os.write(ready_write, b"+")
            os.read(end_read, 1)
            os._exit(0 if kept else 1)
    os.close(ready_write)
    done = 0
    while done < processes:
        more = os.read(ready_read, processes)
        if not more:
            sys.exit("crowd: a process failed")
        done += len(more)
    print("ready", flush=True)
    sys.stdin.read()


main()
