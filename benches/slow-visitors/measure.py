"""Slow visitors in numbers: how long they hold a connection, and what others notice.

Method: one gateway with the limits that are the default, one sample platform behind it. 300 connections, from a hundred addresses
of 127/8, drip: a byte of a header a second; then a byte of a body a second; then they ask for a large answer and read a byte of it
a second. Meanwhile 20 people ask again and again. Printed: after how long the gateway had cut the last of the 300 (its own count),
how many requests of the people were answered, and their 99th percentile. Standard library only.
"""

import argparse
import http.client
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

PROJECT = pathlib.Path(__file__).resolve().parents[2]
SLOW, PEOPLE = 300, 20
WAIT_S = 40
FILING = """
[platform]
id = "sample"
name = "示例平台"
name_en = "Sample platform"
owner = "12100000400000624D"
division = "330000"
function = "answers the bench"
scope = "the bench"
approving_body = "nobody: a bench"
approved_on = "2026-01-01"
funding = "none"
filing_number = "BENCH-2"
valid_until = "2099-12-31"
contact = "bench@example.gov"
trusted = true
state = "approved"

[[upstream]]
address = "UPSTREAM"

[[route]]
path = "/sample/"
match = "prefix"
access = "open"
"""

PARTS = (
    ("header", b"GET /sample/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", "head"),
    ("body", b"POST /sample/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n", "body"),
    ("answer", b"GET /sample/bytes?n=50000000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "answer"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yimen", default=str(PROJECT / "target/release/yimen"), help="the binary to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="yimen-bench-") as folder:
        started = []
        try:
            port, metrics = start(options.yimen, pathlib.Path(folder), started)
            print(f"| {SLOW} visitors drip a byte a second of their | the last cut after | people answered | their p99 |")
            print("|---|---|---|---|")
            for part, begin, reason in PARTS:
                print(measure(port, metrics, part, begin, reason), flush=True)
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(10)


def start(yimen, folder, started):
    port, metrics, management = free_port(), free_port(), free_port()
    routes = folder / "routes"
    (routes / "platforms").mkdir(parents=True)
    for data in ("divisions.csv", "streets.csv.gz", "items.csv"):
        shutil.copy(PROJECT / "routes" / data, routes)
    origin = f"https://127.0.0.1:{port}"
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
        "-keyout key.pem -out certificate.pem",
        shell=True, check=True, cwd=folder, stderr=subprocess.DEVNULL,
    )
    log = open(folder / "log", "ab")
    platform = subprocess.Popen(
        [yimen, "sample-platform", "--jwks", f"{origin}/.well-known/jwks.json", "--issuer", origin,
         "--ca", str(folder / "certificate.pem"), "--serve", "sample=127.0.0.1:0"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,  # it ends when its stdin does
    )
    started.append(platform)
    upstream = platform.stdout.readline().split()[-1]
    (routes / "platforms/sample.toml").write_text(FILING.replace("UPSTREAM", upstream))
    config = folder / "yimen.toml"
    config.write_text(f"""
[public]
listen = "127.0.0.1:{port}"
hosts = ["127.0.0.1"]
origin = "https://127.0.0.1:{port}"
plaintext = true
[management]
listen = "127.0.0.1:{management}"
[metrics]
listen = "127.0.0.1:{metrics}"
[data]
directory = "{folder}"
[routes]
directory = "{routes}"
[stores]
sessions = "sqlite:{folder}/sessions.db"
register = "sqlite:{folder}/register.db"
""")
    started.append(subprocess.Popen([yimen, "serve", "--config", str(config)], stdout=log, stderr=log))
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{metrics}/ready", timeout=1).close()
            return port, metrics
        except OSError:
            time.sleep(0.05)
    sys.exit(f"the gateway is not ready:\n{(folder / 'log').read_text(errors='replace')[-2000:]}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def measure(port, metrics, part, begin, reason):
    people, stop = [[] for _ in range(PEOPLE)], threading.Event()
    threads = [threading.Thread(target=person, args=(port, times, stop)) for times in people]
    for thread in threads:
        thread.start()
    time.sleep(1)
    cut_before = cut(metrics, reason)
    slow = [drip(port, number, begin) for number in range(SLOW)]
    began = time.monotonic()
    while (done := cut(metrics, reason) - cut_before) < SLOW and time.monotonic() - began < WAIT_S:
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
    return connection


def a_byte_each(slow, reading):
    for connection in slow:
        try:
            connection.recv(1) if reading else connection.send(b"x")
        except OSError:
            pass  # cut, or nothing there yet


def cut(metrics, reason):
    page = urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=5).read().decode()
    found = re.search(rf'^yimen_connections_cut_total{{reason="{reason}"}} (\d+)', page, re.M)
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
