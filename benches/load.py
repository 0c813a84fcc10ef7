#!/usr/bin/env python3
"""What Baton costs over HTTP, as ratios within one run: `benches/load.py target/release/baton [another …]`.

Needs wrk (`apt install wrk`). Each program is started with an empty data directory and the mock agent. Rates are
compared with `GET /global/health` at the same number of connections; what grows with stored sessions is compared with
a store of twenty. Prints a Markdown table with a column for each program. `--sessions N` (100,000 unless set) and
`--seconds S` (a measurement, 3 unless set) make it shorter. Ends by itself; traffic stays on loopback."""

import argparse
import http.client
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

SCRIPT = """
local bodies, paths, n, thread = {}, {}, 0, 0
function setup(t) t:set("number", thread); thread = thread + 1 end
function init()
  for path in os.getenv("LOAD_PATHS"):gmatch("%S+") do paths[#paths + 1] = path end
  for body in (os.getenv("LOAD_BODIES") or ""):gmatch("[^\\n]+") do bodies[#bodies + 1] = body end
  wrk.method, wrk.headers["content-type"], n = os.getenv("LOAD_METHOD"), "application/json", number * 5
end
function request()
  n = n + 1
  return wrk.format(nil, paths[number % #paths + 1], nil, #bodies > 0 and bodies[n % #bodies + 1] or nil)
end
function done(summary, latency)
  print(string.format("RATE %f %f %d", summary.requests / summary.duration * 1e6, latency:percentile(99) / 1e3, summary.errors.status))
end
"""
MODELS = [json.dumps({"providerID": "mock", "modelID": model}) for model in ("mock", "mock-fast", "mock-strong")]


class Server:
    def __init__(self, program, data):
        self.data, begun = data, time.monotonic()
        command = [program, "serve", "--port", "0", "--data-dir", data, "--agents", "mock"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=data)
        self.port = int(re.search(r":(\d+)\s*$", self.process.stdout.readline()).group(1))
        self.call("GET", "/opencode/session?limit=10")
        self.first_list_ms = (time.monotonic() - begun) * 1000

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, body and json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read() or "null")
        if response.status >= 300:
            sys.exit(f"{method} {path}: {response.status} {answer}")
        return answer

    def session(self):
        session = self.call("POST", "/opencode/session", {})["id"]
        self.prompt(session, "echo one", model={"providerID": "mock", "modelID": "mock"})
        return session

    def prompt(self, session, text, **more):
        self.call("POST", f"/opencode/session/{session}/message", {"parts": [{"type": "text", "text": text}], **more})

    def load(self, method, paths, connections, seconds, bodies=()):
        environment = {**os.environ, "LOAD_METHOD": method, "LOAD_PATHS": " ".join(paths), "LOAD_BODIES": "\n".join(bodies)}
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(SCRIPT)
            script.flush()
            command = ["wrk", f"-t{connections}", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name]
            output = subprocess.run([*command, f"http://127.0.0.1:{self.port}"], env=environment, capture_output=True, text=True)
        rate, p99_ms, refused = re.search(r"RATE (\S+) (\S+) (\d+)", output.stdout).groups()
        if int(refused):
            sys.exit(f"{method} {paths[0]}: {refused} requests were refused")
        return float(rate), float(p99_ms)

    def rss_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def switches(server, rows, seconds):
    sessions = [server.session() for _ in range(16)]
    paths = [f"/opencode/session/{session}" for session in sessions]
    rows["idle, RSS in MB"] = server.rss_mb()
    for name, paths, connections in (
        ("one connection", paths[:1], 1),
        ("16 connections, one session", paths[:1], 16),
        ("16 connections, 16 sessions", paths, 16),
    ):
        # Alternating, so that what the machine does meanwhile falls on both.
        ratios, worst = [], 0
        for _ in range(3):
            health, _ = server.load("GET", ["/global/health"], connections, seconds)
            rate, p99_ms = server.load("PATCH", paths, connections, seconds, MODELS)
            ratios.append(rate / health)
            worst = max(worst, p99_ms)
        rows[f"switch, {name}, over health"] = statistics.median(ratios)
        rows[f"switch, {name}, p99 in ms"] = worst


def lists(server, seconds):
    session = server.call("GET", "/opencode/session?limit=1")[0]["id"]
    reads = {
        "list": "/opencode/session?limit=20",
        "v2 list": "/opencode/api/session?limit=20",
        "status": "/opencode/session/status",
        "search": "/opencode/session?limit=20&search=one",
    }
    rates = {name: server.load("GET", [path], 4, seconds)[0] for name, path in reads.items()}
    rates["PATCH"] = server.load("PATCH", [f"/opencode/session/{session}"], 4, seconds, MODELS)[0]
    return rates


def grown(server, rows, sessions, seconds):
    few, made = lists(server, seconds), 0
    titles = [json.dumps({"title": f"title {n}"}) for n in range(50)]
    while made < sessions:
        rate, _ = server.load("POST", ["/opencode/session"], 16, 5, titles)
        made += int(rate * 5)
    rows[f"RSS in MB, {sessions} sessions made"] = server.rss_mb()
    many = lists(server, seconds)
    for name, rate in few.items():
        rows[f"{name} with {sessions} sessions, times slower"] = rate / many[name]


def measure(program, sessions, seconds):
    rows = {}
    with tempfile.TemporaryDirectory() as data:
        server = Server(program, data)
        switches(server, rows, seconds)
        long = server.session()
        for n in range(500):
            server.prompt(long, f"echo {n}")
        path = f"/opencode/session/{long}/message"
        rows["all of 1,000 messages, per second"] = server.load("GET", [path], 1, seconds)[0]
        rows["100 of 1,000 messages, per second"] = server.load("GET", [f"{path}?limit=100"], 1, seconds)[0]
        grown(server, rows, sessions, seconds)
        server.stop()
        starts = []
        for _ in range(3):
            server = Server(program, data)
            starts.append(server.first_list_ms)
            rows["after the start, RSS in MB"] = server.rss_mb()
            server.stop()
        rows["start to the first list, in ms"] = statistics.median(starts)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+")
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=3)
    arguments = parser.parse_args()
    columns = [measure(os.path.abspath(p), arguments.sessions, arguments.seconds) for p in arguments.programs]
    print("| | " + " | ".join(arguments.programs) + " |\n|---" + "|---" * len(columns) + "|")
    for row in columns[0]:
        print(f"| {row} | " + " | ".join(f"{column[row]:.2f}" for column in columns) + " |")


main()
