"""Ten minutes of everything at once: does memory stay, is every 5xx explained?

Method: one gateway with TLS, sessions in Redis, one sample platform. Eight people ask over connections that stay open: pages open
to everybody, pages for signed-in people, uploads, and one in fifty comes anew. Meanwhile filings and certificates are loaded anew
by SIGHUP every 20 s, Redis is stopped for 3 s every 30 s (a black hole), and the certificate is replaced every 45 s. Printed: answers by
status and reason, resident memory at minute two and at the end. A 5xx is explained when it says `session-store-away` within a
stop of Redis or the 10 s after it; a connection that breaks off is never explained. Standard library only.
"""

import argparse
import collections
import html
import http.client
import pathlib
import random
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from kit import RELEASE, Gateway, free_port

PEOPLE = 8
STOP_S, AFTER_S = 3, 10
LOGIN, PASSWORD = "bench", "a bench is no person 2026"
GROWTH_MAX = 1.10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yimen", default=RELEASE, help="the binary to measure")
    parser.add_argument("--minutes", type=float, default=10, help="how long (10)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="yimen-soak-") as folder:
        port = free_port()
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
        redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            with Gateway(options.yimen, folder, tls=True, sessions=f"redis://127.0.0.1:{port}/0") as gateway:
                sys.exit(Soak(gateway, redis, options.minutes * 60).run())
        finally:
            redis.send_signal(signal.SIGCONT)
            redis.terminate()
            redis.wait(10)


class Soak:
    def __init__(self, gateway, redis, seconds):
        self.gateway, self.redis, self.seconds = gateway, redis, seconds
        self.stop, self.lock, self.counts = threading.Event(), threading.Lock(), collections.Counter()
        self.away_until = 0.0
        self.unexplained = []

    def run(self):
        self.add_account()
        people = [threading.Thread(target=self.person, args=(number,)) for number in range(PEOPLE)]
        for person in people:
            person.start()
        began, at_two, events = time.monotonic(), None, 0
        while (passed := time.monotonic() - began) < self.seconds:
            if at_two is None and passed >= min(120, self.seconds / 3):
                at_two = self.gateway.resident_kib()
            events += 1
            self.event(events)
            time.sleep(1)
        at_end = self.gateway.resident_kib()
        self.stop.set()
        for person in people:
            person.join()
        return self.report(at_two, at_end)

    def event(self, second):
        if second % 20 == 0:
            self.gateway.process.send_signal(signal.SIGHUP)
        if second % 45 == 0:
            self.gateway.make_certificate()
        if second % 30 == 0:
            self.away_until = time.monotonic() + STOP_S + AFTER_S
            self.redis.send_signal(signal.SIGSTOP)
        if second % 30 == STOP_S:
            self.redis.send_signal(signal.SIGCONT)

    def report(self, at_two, at_end):
        print("| answer | how often |\n|---|---|")
        for answer, count in sorted(self.counts.items()):
            print(f"| {answer} | {count} |")
        ratio = at_end / at_two
        print(f"\nresident memory: {at_two} KiB at minute two, {at_end} KiB at the end: {ratio:.3f} (budget {GROWTH_MAX})")
        print(f"unexplained: {len(self.unexplained)} {self.unexplained[:5]}")
        return 0 if ratio <= GROWTH_MAX and not self.unexplained else 1

    # --- people -----------------------------------------------------------------------------------------------------

    def person(self, number):
        choose, connection, cookie = random.Random(number), None, None
        while not self.stop.is_set():
            try:
                connection = connection or self.connect()
                if cookie is None and time.monotonic() > self.away_until:
                    cookie = self.sign_in()
                self.ask(connection, choose, cookie)
                if choose.random() < 0.02:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as fault:
                with self.lock:
                    self.counts[f"broken: {type(fault).__name__}"] += 1
                    self.unexplained.append(repr(fault))
                connection = None
            time.sleep(choose.random() * 0.02)

    def connect(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.gateway.port, timeout=10, context=context)

    def ask(self, connection, choose, cookie):
        headers = {"Accept": "application/json"}
        kind = choose.choice(("open", "closed", "upload"))
        if kind == "closed" and cookie:
            headers["Cookie"] = cookie
        if kind == "upload":
            connection.request("POST", "/sample/upload", b"." * choose.randrange(100_000), headers)
        else:
            connection.request("GET", "/closed/" if kind == "closed" else "/sample/", headers=headers)
        away = time.monotonic() < self.away_until
        answer = connection.getresponse()
        answer.read()
        reason = answer.getheader("Yimen-Error") or ""
        explained = answer.status < 500 or (reason == "session-store-away" and (away or time.monotonic() < self.away_until))
        signed_out = kind == "closed" and cookie and answer.status == 401
        with self.lock:
            self.counts[f"{kind} {answer.status} {reason}"] += 1
            if not explained or signed_out:
                self.unexplained.append(f"{kind} {answer.status} {reason}")

    # --- signing in -------------------------------------------------------------------------------------------------

    def add_account(self):
        password = self.gateway.folder / "password"
        password.write_text(PASSWORD)
        command = [self.gateway.yimen, "account", "add", "--config", str(self.gateway.config), "--password-file", str(password), LOGIN]
        subprocess.run(command, check=True, capture_output=True)

    def sign_in(self):
        page, cookies = self.form("GET", {}, None)
        csrf = re.search(r'name="csrf"[^>]*value="([^"]*)"', page)
        fields = {"login": LOGIN, "password": PASSWORD, "csrf": html.unescape(csrf.group(1)) if csrf else "", "return_to": "/"}
        _, more = self.form("POST", cookies, urllib.parse.urlencode(fields))
        name = "__Host-yimen"
        return f"{name}={more[name]}" if more.get(name) else None

    def form(self, method, cookies, body):
        headers = {"Accept": "text/html", "Origin": f"https://127.0.0.1:{self.gateway.port}"}
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = self.connect()
        connection.request(method, "/sign-in?return_to=/", body, headers)
        answer = connection.getresponse()
        page = answer.read().decode(errors="replace")
        connection.close()
        found = [cookie.split(";")[0].split("=", 1) for cookie in answer.headers.get_all("Set-Cookie", [])]
        return page, dict(found)


if __name__ == "__main__":
    main()
