"""`opencode attach --mini`, the small terminal UI: it names no model, so the session's own one answers."""

import pytest

from baton_clients.backends import ALPHA, GAMMA, MOCK_FAST, MOCK_STRONG, unique
from baton_clients.baton import environment, opencode_program
from baton_clients.terminal import ScreenTimeout, Terminal

START_S = 60
ANSWER_S = 90
ENTER_ATTEMPTS = 3
ENTER_S = 5


@pytest.fixture
def mini(baton):
    """Starts it, with further arguments; ends it."""
    started = []

    def start(*arguments):
        command = [opencode_program(), "attach", "--mini", baton.url, "--dir", str(baton.work), *arguments]
        terminal = Terminal(command, environment(baton.new_home()), str(baton.work))
        started.append(terminal)
        terminal.wait("ctrl+p", START_S)
        return terminal

    yield start
    for terminal in started:
        terminal.close()


def send(terminal, text):
    terminal.write(text)
    terminal.wait(text)
    for _ in range(ENTER_ATTEMPTS):
        terminal.press("enter")
        # It takes no prompt before it has shown the session's messages.
        if terminal.stands(f"› {text}", ENTER_S):
            return
    raise ScreenTimeout(f"{text!r} cannot be sent. The screen:\n{terminal.framed()}")


def test_a_conversation_follows_the_sessions_model(mini, run, baton):
    plum, pear, fig = unique("plum"), unique("pear"), unique("fig")
    run.answer("-m", MOCK_FAST.argument, "echo", plum)
    session = baton.sessions()[0]["id"]
    terminal = mini("--session", session)
    terminal.wait(f"echo {plum}")

    baton.select(session, **GAMMA.selection)
    send(terminal, f"SAY {pear}")
    terminal.wait(f"gamma {pear}", ANSWER_S)
    assert f"echo {plum}" in baton.last_turn()["messages"][-1]["text"]

    baton.select(session, **MOCK_STRONG.selection)
    send(terminal, f"echo {fig}")
    terminal.wait(lambda screen: screen.count(fig) == 2, ANSWER_S)
    told = run.answer("-s", session, "history")
    for words in ("model: mock-strong", f"SAY {pear}", f"[gamma] {pear}", fig):
        assert words in told, told


def test_a_permission_is_given_and_it_ends_when_told_to(mini, run, baton):
    run.answer("-m", ALPHA.argument, "SAY", unique("begin"))
    terminal = mini("--session", baton.sessions()[0]["id"])
    word = unique("allowed")
    send(terminal, f"TOOLBASH echo {word}")
    terminal.wait("Permission required", ANSWER_S)
    terminal.wait("Allow once")
    terminal.press("enter")
    terminal.wait(f"tool said: {word}", ANSWER_S)
    terminal.wait_gone("interrupt")
    terminal.wait_gone("Permission required")
    terminal.write("/exit")
    terminal.wait("close OpenCode")
    terminal.press("enter")
    assert terminal.wait_end() == 0
