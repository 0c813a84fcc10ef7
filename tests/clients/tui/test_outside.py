"""A change from outside while the terminal UI is open."""

import re

from baton_clients.backends import ALPHA, MOCK_FAST, MOCK_STRONG, unique
from baton_clients.run import Runner
from baton_clients.tui import ANSWER_S, status

WITHIN_S = 1
CHANGE = "Model: Mock Fast (Mock) → Mock Strong (Mock)"


def begin(tui, baton):
    """A session with one answer by the picked model; returns its id."""
    word = unique("begun")
    tui.use(MOCK_FAST)
    tui.send(f"echo {word}")
    tui.answered(word, MOCK_FAST)
    return baton.session_named(f"echo {word}")["id"]


def toast(text):
    """A text that a notification breaks into lines, beside whatever stands on the left of it."""
    return re.compile(r"\s(?:.*\n.*┃\s+)?".join(map(re.escape, text.split(" "))))


def test_a_patch_is_seen_within_a_second_as_a_line_and_a_notification(tui, baton):
    session = begin(tui, baton)
    baton.call("PATCH", f"/session/{session}", MOCK_STRONG.selection)
    tui.wait(lambda screen: screen.count(CHANGE) == 2, WITHIN_S)
    tui.wait(lambda screen: screen.count(CHANGE) == 1)


def test_a_pinned_session_answers_what_is_typed_with_the_pinned_model(tui, baton):
    session = begin(tui, baton)
    baton.select(session, **MOCK_STRONG.selection, pin=True)
    tui.wait(CHANGE)
    for _ in range(2):
        # The picker stays where it was, and is sent along.
        assert f"· {MOCK_FAST.label}" in status(tui.screen())
        word = unique("pinned")
        tui.send(f"echo {word}")
        tui.answered(word, MOCK_STRONG)
        tui.wait(toast("pinned to Mock Strong (Mock)"))
    assert baton.call("GET", f"/session/{session}")["model"]["id"] == MOCK_STRONG.id


def test_a_message_that_takes_a_patch_back_is_told(tui, baton):
    session = begin(tui, baton)
    baton.select(session, **MOCK_STRONG.selection)
    tui.wait(CHANGE)
    word = unique("back")
    tui.send(f"echo {word}")
    tui.answered(word, MOCK_FAST)
    # In a notification, and in a line of the conversation.
    tui.wait(toast("as the message names it. It takes back what"))
    tui.wait("the next message names this itself. It takes back what")
    assert baton.call("GET", f"/session/{session}")["model"]["id"] == MOCK_FAST.id


def test_a_session_that_is_left_and_opened_again_has_the_patched_model_in_the_picker(tui, baton):
    session = begin(tui, baton)
    baton.select(session, **MOCK_STRONG.selection)
    tui.wait(CHANGE)
    other = baton.call("POST", "/session", {})["id"]
    # Opening the session that is open does nothing.
    for shown in (session, other, session):
        assert f"· {MOCK_FAST.label}" in status(tui.screen())
        baton.call("POST", "/tui/select-session", {"sessionID": shown})
        if shown == other:
            tui.wait_gone(CHANGE)
    tui.wait(lambda screen: CHANGE in screen and f"· {MOCK_STRONG.label}" in status(screen))
    word = unique("picked")
    tui.send(f"echo {word}")
    tui.answered(word, MOCK_STRONG)


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
