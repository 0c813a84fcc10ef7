"""Fixtures of pytest for the clients in a pseudo-terminal."""

import pytest

from .backends import BACKENDS
from .baton import Baton
from .tui import Tui

LOG_CHARS = 4000
# `opencode run` asks for events and sends its prompt at the same time: an answer that is there at once is over
# before it hears of it.
THINK_MS = 300


@pytest.fixture(scope="session")
def baton():
    """A Baton with the real opencode and the real Claude Code behind it, and the mock."""
    running = Baton("opencode", "claude", think_ms=THINK_MS)
    yield running
    running.end()


@pytest.fixture(scope="module")
def terminal(baton):
    """One terminal UI for all scenarios of a file: each costs seconds of both processors at its start."""
    tui = Tui(baton)
    try:
        yield tui.wait_start()
    finally:
        tui.close()


@pytest.fixture
def tui(terminal):
    """The terminal UI on its home screen, whatever the scenario before has left there."""
    if terminal.ended_by_itself:
        pytest.fail(f"the terminal UI has ended. Its last screen:\n{terminal.framed()}")
    terminal.to_home()
    return terminal


@pytest.fixture(params=BACKENDS, ids=str)
def backend(request, tui):
    """Each of the backends, picked in the terminal UI."""
    tui.use(request.param.model)
    return request.param


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A scenario that has failed shows the end of the server's log."""
    report = yield
    running = getattr(item, "funcargs", {}).get("baton")
    if report.failed and running:
        report.sections.append(("the server's log", running.log()[-LOG_CHARS:]))
    return report
