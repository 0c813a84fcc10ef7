"""A change from outside while the terminal UI is open."""

import re

from baton_clients.backends import ALPHA, MOCK_FAST, unique
from baton_clients.run import Runner
from baton_clients.tui import ANSWER_S, status


def test_a_patch_shows_and_the_next_run_uses_it(tui, baton):
    plum, pear, fig = unique("plum"), unique("pear"), unique("fig")
    tui.use(MOCK_FAST)
    tui.send(f"echo {plum}")
    tui.answered(plum, MOCK_FAST)
    session = baton.session_named(f"echo {plum}")["id"]

    baton.select(session, **ALPHA.selection)
    tui.wait(re.compile(r"Mock Fast.* → stub/Alpha"))
    assert baton.call("GET", f"/session/{session}")["model"]["id"] == ALPHA.id

    # A prompt without a model: its answer comes from the new model, and stands in the terminal UI, too.
    assert Runner(baton).answer("-s", session, "SAY", pear) == f"[alpha] {pear}"
    tui.wait(f"alpha {pear}", ANSWER_S)
    tui.ended(ALPHA)
    assert plum in baton.last_turn()["messages"][-1]["text"]

    # The terminal UI itself goes on with its own model, and says so; the session follows it.
    shown = MOCK_FAST if f"· {MOCK_FAST.label}" in status(tui.screen()) else ALPHA
    tui.send(f"echo {fig}" if shown == MOCK_FAST else f"SAY {fig}")
    tui.answered(fig)
    assert baton.call("GET", f"/session/{session}")["model"]["id"] == shown.id


def test_a_title_from_outside_shows(tui, baton):
    word = unique("outside")
    tui.use(MOCK_FAST)
    tui.send(f"echo {word}")
    tui.answered(word, MOCK_FAST)
    name = unique("Named from outside ")
    session = baton.session_named(f"echo {word}")["id"]
    baton.call("PATCH", f"/session/{session}", {"title": name})
    tui.wait(name)
