"""One conversation that goes from model to model, backend to backend, through the picker."""

import re

from baton_clients.backends import ALPHA, BETA, FABLE, MOCK_FAST, MOCK_STRONG, unique
from baton_clients.tui import Tui, status


def test_one_conversation_goes_from_mock_to_opencode_to_claude(tui, baton):
    plum, pear, lime = unique("plum"), unique("pear"), unique("lime")
    tui.use(MOCK_FAST)
    tui.send(f"echo {plum}")
    tui.answered(plum, MOCK_FAST)

    tui.pick_model(ALPHA)
    tui.send(f"SAY {pear}")
    tui.answered(f"alpha {pear}", ALPHA)
    asked = baton.last_turn()
    assert asked["model"] == "alpha"
    in_order(words_of(asked), f"echo {plum}", "[assistant mock/mock-fast]", plum, f"SAY {pear}")

    tui.pick_model(FABLE)
    tui.send(f"SAY {lime}")
    tui.answered(f"claude-fable-5-1 {lime}", FABLE)
    # A notification covers a corner for some seconds.
    screen = tui.wait_gone("is being started")
    asked = baton.last_turn()
    assert asked["model"] == "claude-fable-5-1"
    told = words_of(asked)
    in_order(told, f"echo {plum}", f"SAY {pear}", "[assistant opencode/stub/alpha]", f"[alpha] {pear}", f"SAY {lime}")

    # The whole conversation is on the screen, each answer above the name of its model.
    ends = [f"▣  Build · {model.label} · " for model in (MOCK_FAST, ALPHA, FABLE)]
    in_order(screen, plum, ends[0], f"alpha {pear}", ends[1], f"claude-fable-5-1 {lime}", ends[2])


def test_a_backend_that_is_come_back_to_knows_what_it_missed(tui, baton):
    fig, kiwi = unique("fig"), unique("kiwi")
    tui.use(MOCK_FAST)
    tui.send(f"echo {fig}")
    tui.answered(fig, MOCK_FAST)
    tui.pick_model(ALPHA)
    tui.send(f"SAY {kiwi}")
    tui.answered(f"alpha {kiwi}", ALPHA)
    tui.pick_model(MOCK_STRONG)
    tui.send("history")
    tui.ended(MOCK_STRONG)
    session = baton.session_named(f"echo {fig}")
    told = baton.last_text(session["id"])
    in_order(told, "model: mock-strong", fig, f"SAY {kiwi}", f"[alpha] {kiwi}")


def test_tab_changes_the_agent(tui, backend, baton):
    word = unique("agent")
    tui.change_agent("Plan")
    # The terminal UI remembers a model for each agent.
    tui.use(backend.model)
    tui.send(backend.says(word))
    tui.answered(backend.answers(backend.model, word))
    tui.ended(backend.model, "Plan")
    session = baton.session_named(backend.says(word))
    assert session["agent"] == "plan"
    if backend.model == ALPHA:
        assert "plan mode" in baton.last_turn()["messages"][-1]["text"].lower()
    tui.change_agent("Build")
    tui.ask(backend, unique("agent"))
    assert baton.call("GET", f"/session/{session['id']}")["agent"] == "build"


def test_another_agent_begins_with_the_model_that_was_picked_last(baton):
    """A model in the server's configuration would come first, and Tab would jump to another backend."""
    tui = Tui(baton)
    try:
        tui.wait_start()
        tui.pick_model(MOCK_FAST)
        tui.change_agent("Plan")
        tui.wait(lambda screen: f"Plan · {MOCK_FAST.label}" in status(screen))
    finally:
        tui.close()


def test_the_variant_reaches_the_model(tui, baton):
    tui.use(BETA)
    for variant in ("high", "low"):
        tui.command("Switch model variant")
        tui.choose("Select variant", variant, variant)
        tui.wait(lambda screen: status(screen).split("┃")[1].split("   ")[0].endswith(f"· {variant}"))
        word = unique("variant")
        tui.send(f"SAY {word}")
        tui.answered(f"beta {word}", BETA)
        asked = baton.last_turn()
        assert (asked["model"], asked["effort"]) == ("beta", variant)


def test_no_price_is_shown_that_nobody_knows(tui, backend):
    """Agents bill by themselves: a model is not "Free", and what it costs is no number of many digits."""
    screens = [tui.ask(backend, unique("price"))]
    tui.command("Switch model")
    tui.wait("Select model")
    screens.append(tui.wait(backend.model.label))
    tui.press("escape")
    for screen in screens:
        assert not re.search(r"\bFree\b|\d[eE]-\d|0\.0000", screen), screen
        prices = re.findall(r"\$\S+", screen)
        assert all(re.fullmatch(r"\$\d+\.\d\d", price) for price in prices), screen


def words_of(asked):
    return "\n".join(message["text"] for message in asked["messages"])


def in_order(text, *words):
    at = 0
    for word in words:
        found = text.find(word, at)
        assert found >= 0, f"{word!r} is not there, or not in this order:\n{text}"
        at = found + len(word)
