"""`opencode run --attach`: one prompt, its answer on stdout, an exit status."""

import json
import subprocess
from dataclasses import dataclass

from .baton import environment, opencode_program

RUN_TIMEOUT_S = 120


@dataclass(frozen=True)
class Ran:
    """What `opencode run` has printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def events(self):
        """The lines of `--format json`."""
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    def __str__(self):
        return f"exit status {self.status}\nstdout:\n{self.out}\nstderr:\n{self.err}"


class Runner:
    """Runs `opencode run` against a Baton, always with the same home, as one user does."""

    def __init__(self, baton, url=None):
        self._baton = baton
        self._url = url or baton.url
        self._home = baton.new_home()

    def __call__(self, *arguments, **env):
        program = [opencode_program(), "run", "--attach", self._url, "--dir", str(self._baton.work)]
        ended = subprocess.run(
            [*program, *arguments], env={**environment(self._home), **env}, cwd=self._baton.work,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_TIMEOUT_S,
        )
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    def answer(self, *arguments, **env):
        """What a run that has to succeed has answered."""
        ran = self(*arguments, **env)
        assert ran.status == 0, ran
        return ran.out.strip()
