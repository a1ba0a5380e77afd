"""What ours is compared with: what the server's own tool does, and the plainest of all writes."""

import shutil
import socket
import subprocess
import time

from .servers import Server

PROGRAM = shutil.which("redis-benchmark")
PIPELINED = "redis-benchmark" if PROGRAM else "a bare socket"
RECORD = b"x" * 100
AT_ONCE = 100


def pipelined(server: Server, count: int) -> float:
    """Return how many records a second one connection pushes, a hundred commands at once."""
    return _of_program(server, count) if PROGRAM else _of_socket(server, count)


def _of_program(server: Server, count: int) -> float:
    words = f"-p {server.port} -n {count} -c 1 -P {AT_ONCE} -d {len(RECORD)} -t rpush --csv"
    done = subprocess.run(
        [str(PROGRAM), *words.split()], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout.strip().splitlines()[-1].split(",")[1].strip('"'))


def _of_socket(server: Server, count: int) -> float:
    """Do what the program does: one request after the other, whose bytes are made beforehand."""
    request = b"*3\r\n$5\r\nRPUSH\r\n$6\r\nmylist\r\n$%d\r\n%b\r\n" % (len(RECORD), RECORD)
    with socket.create_connection(("127.0.0.1", server.port)) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        for _ in range(count // AT_ONCE):
            one.sendall(request * AT_ONCE)
            lines = 0
            while lines < AT_ONCE:
                lines += one.recv(1 << 16).count(b"\n")
        return count / (time.perf_counter() - began)


def one_after_the_other(server: Server, count: int) -> float:
    """Return how many records a second are pushed by redis-py, each waited for."""
    with server.client() as client:
        began = time.perf_counter()
        for _ in range(count):
            client.rpush("mylist", RECORD)
        return count / (time.perf_counter() - began)
