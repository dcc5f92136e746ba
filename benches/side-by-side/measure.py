"""CPU per request and memory of proxies in front of the same origin, in one run.

Method: the origin (nginx, 1 KiB from memory), Redis and the load (wrk, keep-alive) share core 1; each proxy has core 0 to
itself while it is loaded. The figure is user + system time of the proxy's whole process tree, divided by the requests that
wrk counted; rounds are interleaved so that a slow minute of the machine hits all alike, and the median of the rounds counts.
Absolute figures move with the machine; ratios of one run hold. Standard library only.
"""

import argparse
import html
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

PROXY_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = 32
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
BODY = "." * 1024
SESSION = "bench-session-0123456789abcdef0123456789abcdef"
PROJECT = pathlib.Path(__file__).resolve().parents[2]


def main():
    options = arguments()
    for tool in ("nginx", "wrk", "redis-server", "taskset", "openssl"):
        if not which(tool):
            sys.exit(f"{tool} is missing; run benches/side-by-side/run.sh, which installs it")
    with tempfile.TemporaryDirectory(prefix="yimen-bench-") as folder, Processes() as processes:
        bench = Bench(pathlib.Path(folder), processes, options)
        results = bench.measure()
    report(results, options)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 rounds of 3 s and 500 idle connections: a first look, no result")
    parser.add_argument("--rounds", type=int, help="rounds (5)")
    parser.add_argument("--seconds", type=int, help="seconds of load in a round (8)")
    parser.add_argument("--idle", type=int, help="idle TLS connections (5000)")
    parser.add_argument("--yimen", default=str(PROJECT / "target/release/yimen"), help="the binary to measure")
    parser.add_argument("--without-yimen", action="store_true", help="nginx alone, to see the machine")
    parser.add_argument("--tls", action="store_true", help="TLS keep-alive load too")
    parser.add_argument("--json", metavar="FILE", help="write every round's figures there")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (3 if options.quick else 8)
    options.idle = options.idle or (500 if options.quick else 5000)
    return options


def which(tool):
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin")


# --- processes ------------------------------------------------------------------------------------------------------


class Processes:
    """Everything that was started, ended on the way out."""

    def __enter__(self):
        self.started = []
        return self

    def __exit__(self, *_):
        for process in reversed(self.started):
            process.terminate()
        for process in self.started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def start(self, core, command, log, **more):
        with open(log, "ab") as output:
            process = subprocess.Popen(["taskset", "-c", core, *command], stdout=output, stderr=output, **more)
        self.started.append(process)
        return process


def tree(pid):
    """`pid` and all processes below it."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it ended in between
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, open_ends = [], [pid]
    while open_ends:
        found.append(open_ends.pop())
        open_ends += children.get(found[-1], [])
    return found


def cpu_seconds(pid):
    """User + system time so far of the tree, with children that ended."""
    total = 0
    for member in tree(pid):
        fields = pathlib.Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(fields[place]) for place in (11, 12, 13, 14))
    return total / TICKS


def resident_kib(pid):
    """Memory of the tree: each process's own pages and its share of common ones."""
    total = 0
    for member in tree(pid):
        for line in pathlib.Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, log, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens at port {port}:\n{pathlib.Path(log).read_text(errors='replace')[-2000:]}")


# --- the bench ------------------------------------------------------------------------------------------------------


class Contender:
    def __init__(self, name, process, url, headers=()):
        self.name, self.pid, self.url, self.headers = name, process.pid, url, list(headers)
        self.rounds = []


class Bench:
    def __init__(self, folder, processes, options):
        self.folder, self.processes, self.options = folder, processes, options
        self.origin = free_port()
        self.certificate()

    def certificate(self):
        subprocess.run(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
            "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out certificate.pem",
            shell=True, check=True, cwd=self.folder, stderr=subprocess.DEVNULL,
        )

    def measure(self):
        self.start_origin()
        plain, lua, tls = self.nginx_plain(), self.nginx_lua(), self.nginx_tls()
        contenders, idlers = [plain, lua], [tls]
        if self.options.tls:
            contenders.append(tls)
        if not self.options.without_yimen:
            yimen = Yimen(self)
            contenders += [yimen.plain, yimen.signed_in]
            idlers.append(yimen.tls)
            if self.options.tls:
                contenders.append(yimen.tls)
        for contender in contenders:
            self.answers(contender)
            self.load(contender, 1)  # connections to the origin open, caches warm
        for number in range(self.options.rounds):
            for contender in contenders:
                figure = self.load(contender, self.options.seconds)
                contender.rounds.append(figure)
                print(f"round {number + 1}: {contender.name:28} {figure['cpu_us']:6.1f} µs  {figure['rate']:8.0f}/s", file=sys.stderr)
        memory = {contender.name: self.idle_memory(contender) for contender in idlers}
        return {"contenders": contenders, "memory": memory}

    def load(self, contender, seconds):
        before = cpu_seconds(contender.pid)
        command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
        for header in contender.headers:
            command += ["-H", header]
        output = subprocess.run([*command, contender.url], check=True, capture_output=True, text=True).stdout
        used = cpu_seconds(contender.pid) - before
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output) or re.search(r"Socket errors:.*", output)
        if bad:
            sys.exit(f"{contender.name}: not every request was answered well: {bad.group(0)}")
        requests = int(re.search(r"(\d+) requests in", output).group(1))
        return {"cpu_us": used / requests * 1e6, "rate": requests / seconds, "requests": requests}

    def answers(self, contender):
        """One request by hand: a bench of error pages would look fast."""
        url = urllib.parse.urlsplit(contender.url)
        if url.scheme == "https":
            connection = http.client.HTTPSConnection(url.netloc, timeout=5, context=trusting_all())
        else:
            connection = http.client.HTTPConnection(url.netloc, timeout=5)
        connection.request("GET", url.path, headers=dict(header.split(": ", 1) for header in contender.headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200 or body != BODY.encode():
            sys.exit(f"{contender.name} answered {answer.status} instead of the origin's page: {body[:300]!r}")

    def idle_memory(self, contender):
        """Resident memory before and with idle TLS connections that have asked once each."""
        count = self.options.idle
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < count + 100:
            sys.exit(f"{count} connections need as many file handles: raise `ulimit -n` (hard limit is {hard})")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 100), hard))
        url = urllib.parse.urlsplit(contender.url)
        before = resident_kib(contender.pid)
        host, port = url.hostname, url.port
        request = f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()
        context, open_ones = trusting_all(), []
        for _ in range(count):
            connection = context.wrap_socket(socket.create_connection((host, port), 5), server_hostname="localhost")
            connection.sendall(request)
            answer = b""
            while not answer.endswith(b"...."):
                piece = connection.recv(65536)
                if not piece:
                    sys.exit(f"{contender.name} closed connection {len(open_ones)} of {count}: {answer[:200]!r}")
                answer += piece
            open_ones.append(connection)
        time.sleep(1)  # buffers that are given back after an answer are given back now
        during = resident_kib(contender.pid)
        for connection in open_ones:
            connection.close()
        return {"idle_kib": before, "loaded_kib": during, "per_connection_kib": (during - before) / count, "connections": count}

    # --- nginx ------------------------------------------------------------------------------------------------------

    def start_origin(self):
        location = f'location / {{ default_type text/plain; return 200 "{BODY}"; }}'
        self.nginx("origin", LOAD_CORE, self.origin, f"access_log off; {location}")

    def proxying(self):
        return """
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;"""

    def log_settings(self, name):
        return f"access_log {self.folder}/{name}.access.log combined buffer=64k flush=5s;"

    def upstream(self):
        return f"upstream origin {{ server 127.0.0.1:{self.origin}; keepalive 64; keepalive_requests 1000000000; }}"

    def nginx_plain(self):
        port, name = free_port(), "nginx"
        server = f"{self.log_settings(name)} location / {{ {self.proxying()} }}"
        process = self.nginx(name, PROXY_CORE, port, server, extra=self.upstream())
        return Contender("nginx", process, f"http://127.0.0.1:{port}/bench/open/")

    def nginx_tls(self):
        port, name = free_port(), "nginx-tls"
        server = (
            f"ssl_certificate {self.folder}/certificate.pem; ssl_certificate_key {self.folder}/key.pem;"
            f"{self.log_settings(name)} location / {{ {self.proxying()} }}"
        )
        process = self.nginx(name, PROXY_CORE, port, server, extra=self.upstream(), tls=True)
        return Contender("nginx, TLS", process, f"https://127.0.0.1:{port}/bench/open/")

    def nginx_lua(self):
        self.redis = free_port()
        log = self.folder / "redis.log"
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.redis), "--save", "", "--dir", str(self.folder)]
        wait_for(self.redis, self.processes.start(LOAD_CORE, command, log), log)
        redis(self.redis, "SET", f"session:{SESSION}", json.dumps({"subject": "0190c2f0-bench", "assurance": "L3"}))
        port, name = free_port(), "nginx-lua"
        script = (pathlib.Path(__file__).parent / "session.lua").read_text().replace("REDIS_PORT", str(self.redis))
        (self.folder / "session.lua").write_text(script)
        server = (
            f"{self.log_settings(name)} location / {{ access_by_lua_file {self.folder}/session.lua; {self.proxying()} }}"
        )
        process = self.nginx(name, PROXY_CORE, port, server, extra=self.upstream(), modules=True)
        return Contender("nginx + Lua + Redis", process, f"http://127.0.0.1:{port}/bench/closed/", [f"Cookie: session={SESSION}"])

    def nginx(self, name, core, port, server, extra="", modules=False, tls=False):
        home = self.folder / name
        home.mkdir()
        load = "\n".join(f"load_module {path};" for path in lua_modules()) if modules else ""
        user = "user root;" if os.getuid() == 0 else ""  # else the workers may not read this folder
        text = f"""
            {load}
            {user}
            worker_processes 1; daemon off; pid {home}/pid; error_log {home}/error.log warn;
            worker_rlimit_nofile 20000;
            events {{ worker_connections 12000; }}
            http {{
                keepalive_timeout 600s; keepalive_requests 1000000000;
                client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home}; uwsgi_temp_path {home}; scgi_temp_path {home};
                {extra}
                server {{ listen 127.0.0.1:{port}{' ssl' if tls else ''}; {server} }}
            }}"""
        (home / "nginx.conf").write_text(text)
        log = home / "output.log"
        process = self.processes.start(core, [which("nginx"), "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")], log)
        wait_for(port, process, log)
        return process


def lua_modules():
    # Debian names the files that load each module; the development kit comes first, Lua needs it.
    found = []
    for name in ("mod-http-ndk.conf", "mod-http-lua.conf"):
        text = pathlib.Path("/usr/share/nginx/modules-available", name).read_text()
        found += [pathlib.Path("/usr/lib/nginx", module) for module in re.findall(r"load_module\s+([^;]+);", text)]
    return found


def redis(port, *words):
    """One command, spoken by hand."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
        answer = connection.recv(65536)
    if answer[:1] == b"-":
        sys.exit(f"redis refused {words[0]}: {answer!r}")
    return answer


def trusting_all():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


# --- yimen ----------------------------------------------------------------------------------------------------------


class Yimen:
    """Two gateways: one without TLS for the requests' cost, signed-in or not, and one with TLS for the connections'."""

    LOGIN, PASSWORD = "bench", "a bench is no person 2026"

    def __init__(self, bench):
        self.bench = bench
        if not os.access(bench.options.yimen, os.X_OK):
            sys.exit(f"{bench.options.yimen} is missing; build it with `cargo build --release --locked`")
        plain, tls = self.start("yimen", plaintext=True), self.start("yimen-tls", plaintext=False)
        self.plain = Contender("yimen", plain[0], f"http://127.0.0.1:{plain[1]}/bench/open/")
        cookie = self.sign_in(plain[1])
        self.signed_in = Contender("yimen, signed in", plain[0], f"http://127.0.0.1:{plain[1]}/bench/closed/", [f"Cookie: {cookie}"])
        self.tls = Contender("yimen, TLS", tls[0], f"https://127.0.0.1:{tls[1]}/bench/open/")

    def start(self, name, plaintext):
        home, port, log = self.bench.folder / name, free_port(), self.bench.folder / f"{name}.log"
        routes = home / "routes"
        (routes / "platforms").mkdir(parents=True)
        for data in ("divisions.csv", "streets.csv.gz", "items.csv"):
            shutil.copy(PROJECT / "routes" / data, routes)
        filing = (pathlib.Path(__file__).parent / "filing.toml").read_text().replace("ORIGIN", f"127.0.0.1:{self.bench.origin}")
        (routes / "platforms/bench.toml").write_text(filing)
        config = home / "yimen.toml"
        redis_number = 1 if plaintext else 2
        config.write_text(f"""
[public]
listen = "127.0.0.1:{port}"
hosts = ["127.0.0.1"]
origin = "https://127.0.0.1:{port}"
{'plaintext = true' if plaintext else f'certificate = "{self.bench.folder}/certificate.pem"{chr(10)}key = "{self.bench.folder}/key.pem"'}
[management]
listen = "127.0.0.1:{free_port()}"
[metrics]
listen = "127.0.0.1:{free_port()}"
[data]
directory = "{home}"
[register]
upstreams_allowed = ["127.0.0.0/8"]
[routes]
directory = "{routes}"
[stores]
sessions = "redis://127.0.0.1:{self.bench.redis}/{redis_number}"
register = "sqlite:{home}/register.db"
[limits]
connections_per_address_max = 100000
[runtime]
threads = 1
[log]
format = "json"
""")
        self.add_account(config)
        process = self.bench.processes.start(PROXY_CORE, [self.bench.options.yimen, "serve", "--config", str(config)], log)
        wait_for(port, process, log)
        return process, port

    def add_account(self, config):
        password = config.with_name("password")
        password.write_text(self.PASSWORD)
        command = [self.bench.options.yimen, "account", "add", "--config", str(config), "--password-file", str(password), self.LOGIN]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"no account for the bench: {done.stderr}")

    def sign_in(self, port):
        """The cookie of a session, got like a person gets it: the form, then its fields."""
        page, cookies = self.ask(port, "GET", {}, None)
        csrf = html.unescape(re.search(r'name="csrf"[^>]*value="([^"]*)"', page).group(1))
        form = urllib.parse.urlencode({"login": self.LOGIN, "password": self.PASSWORD, "csrf": csrf, "return_to": "/"})
        page, more = self.ask(port, "POST", cookies, form)
        if "__Host-yimen" not in more:
            sys.exit(f"the bench could not sign in: {page[:500]}")
        return f"__Host-yimen={more['__Host-yimen']}"

    def ask(self, port, method, cookies, form):
        headers = {"Accept": "text/html", "Origin": f"https://127.0.0.1:{port}"}
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request(method, "/sign-in?return_to=/", form, headers)
        answer = connection.getresponse()
        page = answer.read().decode(errors="replace")
        found = [cookie.split(";")[0].split("=", 1) for cookie in answer.headers.get_all("Set-Cookie", [])]
        connection.close()
        return page, dict(found)


# --- the report -----------------------------------------------------------------------------------------------------


def report(results, options):
    medians = {c.name: statistics.median(r["cpu_us"] for r in c.rounds) for c in results["contenders"]}
    print(f"\n{machine()}; {options.rounds} rounds of {options.seconds} s, {CONNECTIONS} connections, 1 KiB, one proxy core\n")
    print("| proxy | µs CPU a request (median) | lowest – highest | requests a second |")
    print("|---|---|---|---|")
    for contender in results["contenders"]:
        cpu = [r["cpu_us"] for r in contender.rounds]
        rate = statistics.median(r["rate"] for r in contender.rounds)
        print(f"| {contender.name} | {medians[contender.name]:.1f} | {min(cpu):.1f} – {max(cpu):.1f} | {rate:.0f} |")
    print()
    for ours, theirs, budget in (
        ("yimen", "nginx", 1.65),
        ("yimen, signed in", "nginx + Lua + Redis", 1.0),
        ("yimen, signed in", "yimen", 1.10),
        ("yimen, TLS", "nginx, TLS", None),
    ):
        if ours in medians and theirs in medians:
            ratio = medians[ours] / medians[theirs]
            verdict = "" if budget is None else f" (budget {budget}: {'kept' if ratio <= budget else 'MISSED'})"
            print(f"{ours} / {theirs}: {ratio:.2f}{verdict}")
    print("\n| memory, KiB | idle | with idle TLS connections | each connection |")
    print("|---|---|---|---|")
    for name, memory in results["memory"].items():
        print(f"| {name} | {memory['idle_kib']} | {memory['loaded_kib']} ({memory['connections']}) | {memory['per_connection_kib']:.1f} |")
    if options.json:
        rounds = {c.name: c.rounds for c in results["contenders"]}
        pathlib.Path(options.json).write_text(json.dumps({"rounds": rounds, "memory": results["memory"]}, indent=1))


def machine():
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    version = subprocess.run([which("nginx"), "-v"], capture_output=True, text=True).stderr.strip().rpartition("/")[2]
    return f"{model.group(1) if model else 'unknown CPU'}, {os.cpu_count()} cores, kernel {os.uname().release}, nginx {version}"


if __name__ == "__main__":
    main()
