"""What the benches that start a gateway with a sample platform behind it have in common. Standard library only."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

PROJECT = pathlib.Path(__file__).resolve().parents[1]
RELEASE = str(PROJECT / "target/release/yimen")
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
body_bytes_max = 10000000

[[route]]
path = "/closed/"
match = "prefix"
access = "required"
"""


class Gateway:
    """A gateway and a sample platform, in a folder of their own."""

    def __init__(self, yimen, folder, tls=False, sessions=None, more=""):
        if not os.access(yimen, os.X_OK):
            sys.exit(f"{yimen} is missing; build it with `cargo build --release --locked`, or name one with --yimen")
        self.yimen, self.folder, self.started = yimen, pathlib.Path(folder), []
        self.port, self.metrics_port = free_port(), free_port()
        self.log = open(self.folder / "log", "ab")
        self.make_certificate()
        self.make_routes()
        tls_lines = 'certificate = "FOLDER/certificate.pem"\nkey = "FOLDER/key.pem"' if tls else "plaintext = true"
        self.config = self.folder / "yimen.toml"
        self.config.write_text(f"""
[public]
listen = "127.0.0.1:{self.port}"
hosts = ["127.0.0.1"]
origin = "https://127.0.0.1:{self.port}"
{tls_lines}
[management]
listen = "127.0.0.1:{free_port()}"
[metrics]
listen = "127.0.0.1:{self.metrics_port}"
[data]
directory = "FOLDER"
[register]
upstreams_allowed = ["127.0.0.0/8"]
[routes]
directory = "FOLDER/routes"
[stores]
sessions = "{sessions or 'sqlite:FOLDER/sessions.db'}"
register = "sqlite:FOLDER/register.db"
{more}
""".replace("FOLDER", str(folder)))

    def make_certificate(self):
        subprocess.run(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
            "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.new -out certificate.new",
            shell=True, check=True, cwd=self.folder, stderr=subprocess.DEVNULL,
        )
        for name in ("key", "certificate"):
            (self.folder / f"{name}.new").replace(self.folder / f"{name}.pem")

    def make_routes(self):
        routes = self.folder / "routes"
        (routes / "platforms").mkdir(parents=True)
        for data in ("divisions.csv", "streets.csv.gz", "items.csv"):
            shutil.copy(PROJECT / "routes" / data, routes)
        origin = f"https://127.0.0.1:{self.port}"
        command = [
            self.yimen, "sample-platform", "--jwks", f"{origin}/.well-known/jwks.json", "--issuer", origin,
            "--ca", str(self.folder / "certificate.pem"), "--serve", "sample=127.0.0.1:0",
        ]
        # It ends when its stdin does.
        platform = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.started.append(platform)
        address = platform.stdout.readline().split()[-1]
        (routes / "platforms/sample.toml").write_text(FILING.replace("UPSTREAM", address))

    def __enter__(self):
        self.process = subprocess.Popen([self.yimen, "serve", "--config", str(self.config)], stdout=self.log, stderr=self.log)
        self.started.append(self.process)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/ready", timeout=1).close()
                return self
            time.sleep(0.05)
        self.end()
        sys.exit(f"the gateway is not ready:\n{self.said()}")

    def __exit__(self, *_):
        self.end()

    def end(self):
        for process in reversed(self.started):
            process.terminate()
            process.wait(20)

    def said(self):
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def metrics(self):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5).read().decode()

    def resident_kib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        return 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
