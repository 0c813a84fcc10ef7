"""A running Baton, with a stub LLM behind its agents."""

import json
import os
import subprocess
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

SERVE = Path(__file__).parents[2] / "serve.mjs"
START_TIMEOUT_S = 90
END_TIMEOUT_S = 30
ANSWER_TIMEOUT_S = 60


class Baton:
    """Starts the server and waits until its agents can be used; see serve.mjs."""

    def __init__(self, *agents, password=None, think_ms=0, mock2=False):
        options = ["--git", f"--think-ms={think_ms}", *(["--password", password] if password else [])]
        options += ["--mock2"] if mock2 else []
        self.password = password
        self._process = subprocess.Popen(
            ["node", str(SERVE), *options, *agents], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started = self._line(START_TIMEOUT_S)
        self.url = started["url"]
        self.work = Path(started["work"])
        self._home = Path(started["home"])
        self._homes = 0

    def new_home(self):
        """An empty home folder, so that a client finds nothing of another one's."""
        self._homes += 1
        home = self._home / str(self._homes)
        home.mkdir()
        return home

    def turns(self):
        """What the models were asked, oldest first: model, path, effort, messages (role, text)."""
        return self._ask("turns")

    def last_turn(self):
        return self.turns()[-1]

    def log(self):
        """The end of the server's log."""
        return self._ask("log")

    def call(self, method, path, body=None):
        """The body of an answer that has to be a success."""
        headers = {"x-opencode-directory": quote(str(self.work), safe="")}
        if body is not None:
            headers["content-type"] = "application/json"
        if self.password:
            headers["authorization"] = "Basic " + b64encode(f"opencode:{self.password}".encode()).decode()
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return json.loads(text) if text else None

    def select(self, session, **selection):
        """Changes a session's selection from outside, and waits until the agent has confirmed it."""
        return self.call("PATCH", f"/session/{session}?wait=true", selection)

    def sessions(self):
        """All sessions, the newest first."""
        return self.call("GET", "/session")

    def session_named(self, title):
        """The one session with this title."""
        found = [session for session in self.sessions() if session["title"] == title]
        titles = [session["title"] for session in self.sessions()]
        assert len(found) == 1, f"{len(found)} sessions are named {title!r}; there are {titles}"
        return found[0]

    def last_text(self, session):
        """What the newest message of a session says."""
        parts = self.call("GET", f"/session/{session}/message")[-1]["parts"]
        return "".join(part["text"] for part in parts if part["type"] == "text")

    def end(self):
        """Ends the server; fails if it does not end, or leaves a process behind."""
        self._process.stdin.close()
        try:
            status = self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"Baton does not end within {END_TIMEOUT_S} s") from None
        assert status == 0, f"serve.mjs ended with {status}"

    def _ask(self, what):
        self._process.stdin.write(json.dumps({"get": what}) + "\n")
        self._process.stdin.flush()
        return self._line(ANSWER_TIMEOUT_S)[what]

    def _line(self, timeout_s):
        timer = threading.Timer(timeout_s, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            raise AssertionError(f"serve.mjs has ended, or said nothing for {timeout_s} s: its errors are above")
        return json.loads(line)


def opencode_program():
    """`OPENCODE_BIN`, or the one that tests/agents/install brings."""
    packages = Path(__file__).parents[4] / "agents" / "packages"
    brought = packages / "opencode/node_modules/opencode-linux-x64/bin/opencode"
    return os.environ.get("OPENCODE_BIN", str(brought))


def environment(home):
    """What opencode's client finds: a home of its own, and no network."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    }
