"""A running answer: aborted, followed by another prompt, or failed."""

import re

from baton_clients.backends import unique
from baton_clients.tui import ANSWER_S, BUSY


def test_escape_twice_aborts(tui, backend):
    tui.send(backend.streams(60))
    tui.wait(backend.tick(3), ANSWER_S)
    tui.press("escape")
    tui.wait("esc again to interrupt")
    tui.press("escape")
    tui.wait(re.compile(rf"▣\s+Build · {re.escape(backend.model.label)} · [\d.]+m?s · interrupted"))
    tui.idle()
    tui.ask(backend, unique("after"))


def test_a_prompt_during_an_answer_waits_for_its_end(tui, backend):
    word = unique("queued")
    tui.send(backend.streams(3))
    tui.wait(backend.tick(3), ANSWER_S)
    tui.send(backend.says(word))
    screen = tui.wait("QUEUED")
    assert BUSY in screen, screen
    tui.answered(backend.answers(backend.model, word))
    tui.wait_gone("QUEUED")


def test_the_models_error_is_shown_and_the_session_goes_on(tui, backend):
    tui.send(backend.fails)
    tui.wait(backend.failure, ANSWER_S)
    tui.idle()
    tui.ask(backend, unique("after"))
