"""A Baton with the real opencode and the mock behind it, for the Python SDKs."""

import threading

import pytest
from baton_clients.backends import BACKENDS
from baton_clients.baton import Baton

TIMEOUT_S = 90


@pytest.fixture(scope="session")
def baton():
    running = Baton("opencode")
    yield running
    running.end()


@pytest.fixture
def root(baton):
    """The address that Baton prints."""
    return baton.url.removesuffix("/opencode")


@pytest.fixture(params=BACKENDS, ids=str)
def backend(request):
    return request.param


@pytest.fixture
def background():
    """Runs a call beside the test; what comes back waits for its result, and raises what it has raised."""

    def start(call):
        outcome = {}

        def run():
            try:
                outcome["result"] = call()
            except Exception as error:  # It is the test's to judge.
                outcome["error"] = error

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def wait():
            thread.join(TIMEOUT_S)
            assert not thread.is_alive(), f"it does not end within {TIMEOUT_S} s"
            if "error" in outcome:
                raise outcome["error"]
            return outcome["result"]

        return wait

    return start
