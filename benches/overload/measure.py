"""Ten times what a platform can take, for a minute: what happens to those who get in, to memory, and how soon all is well again.

Method: a platform that answers after 50 ms, of which the gateway lets five requests through at a time: 100 answers a second. Three
people ask calmly for 10 s; then forty ask without a pause, each the next when the last was answered, which is more than ten times as
much; then the three again. Printed for each phase: requests and answers a second, the 99th percentile of those who got in, refusals
(503 with Retry-After), anything else, and resident memory; and after how long the calm ones were all served again. Standard
library only.
"""

import argparse
import collections
import http.client
import pathlib
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from kit import RELEASE, Gateway

ANSWER_MS, AT_A_TIME = 50, 5
P99_MS_MAX, RECOVERY_S_MAX = 4 * ANSWER_MS, 10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yimen", default=RELEASE, help="the binary to measure")
    parser.add_argument("--seconds", type=int, default=60, help="seconds of overload (60)")
    options = parser.parse_args()
    more = f"[limits]\nplatform_inflight_max = {AT_A_TIME}\n"
    with tempfile.TemporaryDirectory(prefix="yimen-overload-") as folder, Gateway(options.yimen, folder, more=more) as gateway:
        print("| phase | asked a second | answered a second | p99 of the answered | refused | else | resident KiB |")
        print("|---|---|---|---|---|---|---|")
        phase("calm", gateway, 3, 10, 0.05)
        overload = phase("overload", gateway, 40, options.seconds, 0)
        calm = phase("calm again", gateway, 3, 15, 0.05)
    last_refused = max((at for at, _, outcome in calm if outcome != 200), default=0)
    p99 = percentile([took for _, took, outcome in overload if outcome == 200])
    print(f"\np99 of the answered under overload {p99:.0f} ms (budget {P99_MS_MAX}); all served again after {last_refused:.1f} s (budget {RECOVERY_S_MAX})")
    sys.exit(0 if p99 <= P99_MS_MAX and last_refused <= RECOVERY_S_MAX else 1)


def phase(name, gateway, people, seconds, pause):
    all_of, stop = [[] for _ in range(people)], threading.Event()
    began = time.monotonic()
    threads = [threading.Thread(target=person, args=(gateway.port, began, outcomes, stop, pause)) for outcomes in all_of]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    resident = gateway.resident_kib()
    stop.set()
    for thread in threads:
        thread.join()
    outcomes = [outcome for of_one in all_of for outcome in of_one]
    kinds = collections.Counter(outcome for _, _, outcome in outcomes)
    good = [took for _, took, outcome in outcomes if outcome == 200]
    others = {kind: count for kind, count in kinds.items() if kind not in (200, 503)} or "none"
    print(
        f"| {name} | {len(outcomes) / seconds:.0f} | {len(good) / seconds:.0f} | {percentile(good):.0f} ms "
        f"| {kinds[503]} | {others} | {resident} |",
        flush=True,
    )
    return outcomes


def percentile(times):
    return sorted(times)[int(len(times) * 0.99)] * 1000 if times else float("nan")


def person(port, began, outcomes, stop, pause):
    connection = None
    while not stop.is_set():
        at = time.monotonic()
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", f"/sample/slow?ms={ANSWER_MS}", headers={"Accept": "application/json"})
            answer = connection.getresponse()
            answer.read()
            outcome = answer.status
            if outcome == 503 and not answer.getheader("Retry-After"):
                outcome = "503 without Retry-After"
        except (OSError, http.client.HTTPException) as fault:
            outcome, connection = type(fault).__name__, None
        outcomes.append((at - began, time.monotonic() - at, outcome))
        time.sleep(pause)


if __name__ == "__main__":
    main()
