#!/usr/bin/env python3
"""A host whose first name server is down: each lookup takes longer than a connection may.

usage: slow_resolver_test.py HOMEWARD_EMIT

Method: network and mount namespaces of its own, where 127.0.0.2 takes DNS queries and never
answers, and 127.0.0.3 knows the server's name. Exit status 77 without the rights for that.
"""

import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

NAME = b"\x03hub\x04test\x00"
PORT = 4222
TYPE_A = 1


def bring_loopback_up():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def serve_names(address):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))

    def run():
        while True:
            query, client = server.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
            has_address = query[12 : end - 4] == NAME and kind == TYPE_A
            answer = query[:2] + struct.pack("!HHHHH", 0x8180, 1, has_address, 0, 0) + query[12:end]
            if has_address:
                answer += b"\xc0\x0c" + struct.pack("!HHIH", TYPE_A, 1, 60, 4) + bytes([127, 0, 0, 1])
            server.sendto(answer, client)

    threading.Thread(target=run, daemon=True).start()
    return server


def inside(program, directory):
    bring_loopback_up()
    resolver = directory / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.2\nnameserver 127.0.0.3\noptions timeout:4 attempts:2\n")
    subprocess.run(["mount", "--bind", resolver, "/etc/resolv.conf"], check=True)
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.2", 53))
    serve_names("127.0.0.3")
    began = time.monotonic()
    socket.getaddrinfo("hub.test", PORT, type=socket.SOCK_STREAM)
    print(f"a lookup takes {time.monotonic() - began:.1f} s")
    if time.monotonic() - began < 3.5:
        print("the lookup should take 4 s")
        return 1
    server = subprocess.Popen(
        ["nats-server", "-a", "127.0.0.1", "-p", str(PORT), "-js", "-sd", directory / "nats"],
        stderr=subprocess.DEVNULL)
    try:
        emit = subprocess.run(
            [program, "--region", "ams", "--app", "shop", "--server", f"nats://hub.test:{PORT}",
             "--wait", "20"],
            input='{"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"}\n',
            stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    finally:
        server.terminate()
        server.wait()
    print(emit.stderr)
    # What answers is the server that has no streams: so there is a connection.
    return 0 if "no stream listens" in emit.stderr else 1


def main():
    program = sys.argv[-1]
    if "--inside" in sys.argv:
        return inside(program, pathlib.Path(os.environ["HOMEWARD_TEST_DIR"]))
    apart = ["unshare", "--net", "--mount", "--propagation", "private"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        print("slow_resolver_test: skipped: only root can make namespaces")
        return 77
    directory = tempfile.mkdtemp()
    try:
        return subprocess.run([*apart, sys.executable, __file__, "--inside", program],
                              env={**os.environ, "HOMEWARD_TEST_DIR": directory},
                              check=False).returncode
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
