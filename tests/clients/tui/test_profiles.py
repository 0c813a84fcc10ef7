"""Agents with a model of their own: Tab goes from a build profile on one backend to a plan profile on another."""

import json

import pytest

from baton_clients.backends import ALPHA, BETA, MOCK_STRONG, Model, unique
from baton_clients.baton import Baton
from baton_clients.fixtures import THINK_MS
from baton_clients.tui import Tui

MOCK2 = Model("mock2", "mock2", "Mock2")
# In the order in which Tab goes through them.
AGENTS = {
    "build": {"model": "mock2/mock2"},
    "plan": {"model": "mock/mock-strong", "variant": "high"},
    "careful": {"mode": "primary", "model": "opencode/stub/beta", "permission": {"edit": "deny"}},
}


@pytest.fixture(scope="module")
def baton():
    """A Baton with the real opencode and both mocks, in a folder whose opencode.json has agents with models."""
    running = Baton("opencode", think_ms=THINK_MS, mock2=True)
    (running.work / "opencode.json").write_text(json.dumps({"agent": AGENTS}))
    yield running
    running.end()


@pytest.fixture(scope="module")
def terminal(baton):
    tui = Tui(baton)
    try:
        yield tui.wait_start()
    finally:
        tui.close()


def test_tab_changes_between_profiles_on_several_backends(tui, baton):
    fig, kiwi, plum = unique("fig"), unique("kiwi"), unique("plum")
    # The model of the first agent is shown before anything is sent.
    tui.wait(MOCK2.label)
    tui.send(f"echo {fig}")
    tui.answered(fig, MOCK2)
    session = baton.session_named(f"echo {fig}")["id"]
    agree(baton, session, "build", MOCK2)

    tui.change_agent("Plan")
    tui.wait(MOCK_STRONG.label)
    tui.send(f"echo {kiwi}")
    tui.answered(kiwi, MOCK_STRONG, "Plan")
    agree(baton, session, "plan", MOCK_STRONG, "high")

    tui.change_agent("Careful")
    tui.send(f"SAY {plum}")
    tui.answered(f"beta {plum}", BETA, "Careful")
    assert baton.last_turn()["model"] == "beta"
    agree(baton, session, "careful", BETA)

    lime = unique("lime")
    tui.change_agent("Build")
    tui.send(f"echo {lime}")
    tui.answered(lime, MOCK2)
    agree(baton, session, "build", MOCK2)
    # The whole conversation is there.
    history = {"agent": "build", "parts": [{"type": "text", "text": "history"}]}
    baton.call("POST", f"/session/{session}/message", history)
    agree(baton, session, "build", MOCK2)
    told = baton.last_text(session)
    assert all(word in told for word in (fig, kiwi, plum)), told


def test_a_model_that_is_picked_stays_with_its_agent(tui, baton):
    word = unique("pear")
    tui.change_agent("Plan")
    tui.pick_model(ALPHA)
    tui.send(f"SAY {word}")
    tui.answered(f"alpha {word}", ALPHA, "Plan")
    session = baton.session_named(f"SAY {word}")["id"]
    agree(baton, session, "plan", ALPHA)


def agree(baton, session, agent, model, variant="default"):
    """The session has selected what the terminal UI shows, and that has answered."""
    answer = baton.call("GET", f"/session/{session}/message")[-1]["info"]
    assert (answer["agent"], answer["providerID"], answer["modelID"]) == (agent, model.provider, model.id)
    now = baton.call("GET", f"/session/{session}")
    assert now["agent"] == agent
    assert now["model"] == {"providerID": model.provider, "id": model.id, "variant": variant}
