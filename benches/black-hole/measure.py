"""p99 of nine platforms before and while the tenth is a black hole, in one run.

Method: one process holds ten platforms, each a port that answers 200 with 1 KiB; one gateway stands before them; this process
asks. Each of the nine is asked at a steady rate over connections that stay open, and each answer's time is counted from the
moment it was due, so that a gateway which stalls cannot hide it. The tenth is asked all the time by callers of its own, each
the next when the last was answered; half-way it still takes connections and requests but answers no more. It is asked in the
same way before, so that the load is alike. The figure is the difference of the p99 of the nine: it must stay below 20 ms.
Standard library only.
"""

import argparse
import asyncio
import multiprocessing
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parents[2]
OTHERS = 9
FIRST_BYTE_MS = 1000
BODY = b"." * 1024
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n" + BODY
RISE_MS_MAX = 20


def main():
    options = arguments()
    if not os.access(options.yimen, os.X_OK):
        sys.exit(f"{options.yimen} is missing; build it with `cargo build --release --locked`, or name one with --yimen")
    ports, silent = multiprocessing.Queue(), multiprocessing.Event()
    platforms = multiprocessing.Process(target=serve, args=(ports, silent), daemon=True)
    platforms.start()
    with tempfile.TemporaryDirectory(prefix="yimen-black-hole-") as folder:
        gateway, port = start(options, pathlib.Path(folder), ports.get(timeout=10))
        try:
            before, during = asyncio.run(measure(options, port, silent))
        finally:
            gateway.terminate()
            gateway.wait(30)
            platforms.terminate()
    sys.exit(report(options, before, during))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yimen", default=str(PROJECT / "target/release/yimen"), help="the binary to measure")
    parser.add_argument("--seconds", type=int, default=20, help="seconds before, and as many during (20)")
    parser.add_argument("--rate", type=int, default=20, help="requests a second at each of the nine (20)")
    parser.add_argument("--callers", type=int, default=50, help="callers of the tenth at a time (50)")
    return parser.parse_args()


# --- platforms ------------------------------------------------------------------------------------------------------


def serve(ports, silent):
    asyncio.run(platforms_of(ports, silent))


async def platforms_of(ports, silent):
    async def answer(reader, writer, is_tenth):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if is_tenth and silent.is_set():
                    await asyncio.sleep(3600)
                writer.write(ANSWER)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the gateway closed it
        finally:
            writer.close()

    servers = []
    for number in range(OTHERS + 1):
        is_tenth = number == OTHERS
        serving = lambda reader, writer, is_tenth=is_tenth: answer(reader, writer, is_tenth)
        servers.append(await asyncio.start_server(serving, "127.0.0.1", 0, backlog=1024))
    ports.put([server.sockets[0].getsockname()[1] for server in servers])
    await asyncio.sleep(1e9)


# --- the gateway ----------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(options, home, ports):
    routes = home / "routes"
    (routes / "platforms").mkdir(parents=True)
    for data in ("divisions.csv", "streets.csv.gz", "items.csv"):
        shutil.copy(PROJECT / "routes" / data, routes)
    for number, port in enumerate(ports):
        (routes / f"platforms/platform-{number}.toml").write_text(filing(number, port))
    public, metrics = free_port(), free_port()
    config = home / "yimen.toml"
    config.write_text(f"""
[public]
listen = "127.0.0.1:{public}"
hosts = ["127.0.0.1"]
origin = "http://127.0.0.1:{public}"
plaintext = true
[management]
listen = "127.0.0.1:{free_port()}"
[metrics]
listen = "127.0.0.1:{metrics}"
[data]
directory = "{home}/data"
[register]
upstreams_allowed = ["127.0.0.0/8"]
[routes]
directory = "{routes}"
[limits]
connections_per_address_max = 100000
[log]
access = "off"
""")
    log = (home / "yimen.log").open("wb")
    gateway = subprocess.Popen([options.yimen, "serve", "--config", str(config)], stdout=log, stderr=log)
    end = time.monotonic() + 30
    while time.monotonic() < end and gateway.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", public), 0.2).close()
            return gateway, public
        except OSError:
            time.sleep(0.05)
    sys.exit(f"the gateway did not start:\n{(home / 'yimen.log').read_text(errors='replace')[-2000:]}")


def filing(number, port):
    return f"""[platform]
id = "platform-{number}"
name = "测试平台"
name_en = "Bench platform"
owner = "12100000400000624D"
division = "100000"
function = "answers 1 KiB"
scope = "benches only"
approving_body = "nobody: a sample"
approved_on = "2026-01-01"
funding = "none"
filing_number = "SAMPLE-BENCH-{number}"
valid_until = "2099-12-31"
contact = "bench@example.gov"
state = "approved"
trusted = true
[[upstream]]
address = "127.0.0.1:{port}"
[[route]]
path = "/platform-{number}/"
access = "open"
[route.deadlines]
first_byte_ms = {FIRST_BYTE_MS}
"""


# --- the load -------------------------------------------------------------------------------------------------------


class Part:
    """What was seen in one part of the run: milliseconds of the nine, and status with milliseconds of the tenth."""

    def __init__(self):
        self.nine, self.tenth, self.bad = [], [], []


async def measure(options, port, silent):
    warm, before, during = Part(), Part(), Part()
    await load(options, port, warm, 2)
    await load(options, port, before, options.seconds)
    silent.set()
    await load(options, port, during, options.seconds)
    return before, during


async def load(options, port, part, seconds):
    end = time.monotonic() + seconds
    nine = [steady(options, port, number, part, end) for number in range(OTHERS)]
    await asyncio.gather(*nine, *(caller(port, part, end) for _ in range(options.callers)))


async def steady(options, port, number, part, end):
    """Asks at its rate whatever becomes of earlier requests: each has a connection of a small pool to itself."""
    pool, tasks = [], set()
    due = time.monotonic() + number / OTHERS / options.rate

    async def one(due):
        connection = pool.pop() if pool else await Connection.open(port)
        status = await connection.ask(f"/platform-{number}/")
        part.nine.append((time.monotonic() - due) * 1000)
        if status != 200:
            part.bad.append(status)
        if connection.usable:
            pool.append(connection)

    while due < end:
        await asyncio.sleep(max(0, due - time.monotonic()))
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        due += 1 / options.rate
    await asyncio.gather(*tasks)
    for connection in pool:
        connection.close()


async def caller(port, part, end):
    connection = None
    while time.monotonic() < end:
        if connection is None or not connection.usable:
            connection = await Connection.open(port)
        start = time.monotonic()
        status = await connection.ask(f"/platform-{OTHERS}/")
        part.tenth.append((status, (time.monotonic() - start) * 1000))
        # A person who was refused does not come back within the millisecond; without this the callers would be an attack.
        await asyncio.sleep(0.1)
    if connection is not None:
        connection.close()


class Connection:
    @classmethod
    async def open(cls, port):
        self = cls()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.usable = True
        return self

    async def ask(self, path):
        """The status; 0 when the connection broke off."""
        try:
            self.writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0] or 0)
            await self.reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0
        if b"connection: close" in head:
            self.close()
        return int(head[9:12])

    def close(self):
        self.usable = False
        self.writer.close()


# --- the report -----------------------------------------------------------------------------------------------------


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else float("nan")


def report(options, before, during):
    print(f"{os.cpu_count()} cores, {options.seconds} s each, nine platforms at {options.rate}/s each, {options.callers} callers of the tenth\n")
    print("| the nine | requests | not 200 | median ms | p99 ms | highest ms |")
    print("|---|---|---|---|---|---|")
    for name, part in (("before", before), ("during", during)):
        times = part.nine
        print(f"| {name} | {len(times)} | {len(part.bad)} | {statistics.median(times):.1f} | {percentile(times, 0.99):.1f} | {max(times):.1f} |")
    print("\n| the tenth | status | answers | median ms | p99 ms |")
    print("|---|---|---|---|---|")
    for name, part in (("before", before), ("during", during)):
        for status in sorted({status for status, _ in part.tenth}):
            times = [took for known, took in part.tenth if known == status]
            print(f"| {name} | {status} | {len(times)} | {statistics.median(times):.1f} | {percentile(times, 0.99):.1f} |")
    rise = percentile(during.nine, 0.99) - percentile(before.nine, 0.99)
    kept = rise < RISE_MS_MAX and not before.bad and not during.bad
    print(f"\np99 of the nine rises by {rise:.1f} ms (must be below {RISE_MS_MAX}, and all answers 200): {'kept' if kept else 'MISSED'}")
    return 0 if kept else 1


if __name__ == "__main__":
    main()
