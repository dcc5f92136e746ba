"""Slow visitors in numbers: how long they hold a connection, and what others notice.

Method: one gateway with the limits that are the default, one sample platform behind it. 300 connections, from a hundred addresses
of 127/8, drip: a byte of a header a second; then a byte of a body a second; then they ask for a large answer and read a byte of it
a second. Meanwhile 20 people ask again and again. Printed: how long after the last of the 300 began the gateway had cut them all (its own count),
how many requests of the people were answered, and their 99th percentile. Standard library only.
"""

import argparse
import http.client
import pathlib
import re
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from kit import RELEASE, Gateway

SLOW, PEOPLE = 300, 20
WAIT_S = 40

PARTS = (
    ("header", b"GET /sample/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", "head"),
    ("body", b"POST /sample/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n", "body"),
    ("answer", b"GET /sample/bytes?n=50000000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "answer"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yimen", default=RELEASE, help="the binary to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="yimen-bench-") as folder, Gateway(options.yimen, folder) as gateway:
        print(f"| {SLOW} visitors drip a byte a second of their | the last cut after | people answered | their p99 |")
        print("|---|---|---|---|")
        for part, begin, reason in PARTS:
            print(measure(gateway, part, begin, reason), flush=True)


def measure(gateway, part, begin, reason):
    people, stop = [[] for _ in range(PEOPLE)], threading.Event()
    threads = [threading.Thread(target=person, args=(gateway.port, times, stop)) for times in people]
    for thread in threads:
        thread.start()
    time.sleep(1)
    cut_before = cut(gateway, reason)
    slow = [drip(gateway.port, number, begin) for number in range(SLOW)]
    began = time.monotonic()
    while (done := cut(gateway, reason) - cut_before) < SLOW and time.monotonic() - began < WAIT_S:
        a_byte_each(slow, reading=part == "answer")
        time.sleep(1)
    took = time.monotonic() - began
    stop.set()
    for thread in threads:
        thread.join()
    for connection in slow:
        connection.close()
    times = [took_s for person_times in people for took_s in person_times]
    good = sorted(took_s for took_s in times if took_s is not None)
    cut_text = f"{took:.1f} s" if done == SLOW else f"never: {done} of {SLOW} within {WAIT_S} s"
    p99 = good[int(len(good) * 0.99)] * 1000
    return f"| {part} | {cut_text} | {100 * len(good) / len(times):.2f} % of {len(times)} | {p99:.1f} ms |"


def drip(port, number, begin):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.bind((f"127.0.0.{2 + number % 100}", 0))  # a hundred addresses: each has its own limit
    connection.settimeout(5)
    connection.connect(("127.0.0.1", port))
    connection.sendall(begin)
    connection.setblocking(False)
    time.sleep(0.01)  # a hundred a second: all at once they would measure how fast this machine copies memory
    return connection


def a_byte_each(slow, reading):
    for connection in slow:
        try:
            connection.recv(1) if reading else connection.send(b"x")
        except OSError:
            pass  # cut, or nothing there yet


def cut(gateway, reason):
    found = re.search(rf'^yimen_connections_cut_total{{reason="{reason}"}} (\d+)', gateway.metrics(), re.M)
    return int(found.group(1)) if found else 0


def person(port, times, stop):
    connection = None
    while not stop.is_set():
        began = time.monotonic()
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/sample/", headers={"Accept": "application/json"})
            answer = connection.getresponse()
            answer.read()
            times.append(time.monotonic() - began if answer.status == 200 else None)
        except (OSError, http.client.HTTPException):
            times.append(None)
            connection = None
        time.sleep(0.02)


if __name__ == "__main__":
    main()
