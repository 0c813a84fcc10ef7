"""Sessions in the list: renamed, reopened, deleted, forked."""

from baton_clients.backends import MOCK_FAST, unique
from baton_clients.tui import place_of


def begin(tui, backend):
    """A session with one answer; returns its title and the answer."""
    word = unique("session")
    tui.ask(backend, word)
    return backend.says(word), backend.answers(backend.model, word)


def test_a_session_is_renamed(tui, backend, baton):
    begin(tui, backend)
    name = unique("Renamed ")
    tui.command("Rename session")
    tui.wait("Rename Session")
    tui.press("ctrl+u")
    tui.write(name)
    tui.wait(lambda screen: screen.count(name) == 1)
    tui.press("enter")
    tui.wait(lambda screen: place_of(screen, "Rename Session") is None and name in screen)
    assert baton.session_named(name)


def test_a_session_is_reopened_with_its_conversation_and_model(tui, backend):
    title, answer = begin(tui, backend)
    tui.new_session()
    tui.use(MOCK_FAST if backend.model != MOCK_FAST else backend.other)
    tui.command("Switch session")
    tui.choose("Sessions", title, title)
    screen = tui.wait(answer)
    assert f"Build · {backend.model.label}" in screen, screen
    tui.ask(backend, unique("reopened"))


def test_a_session_is_deleted(tui, backend, baton):
    title, _ = begin(tui, backend)
    tui.new_session()
    tui.command("Switch session")
    # The newest one is the first of the list.
    tui.highlighted("Sessions", title)
    tui.press("ctrl+d")
    tui.wait("again to confirm")
    tui.press("ctrl+d")
    tui.wait(lambda screen: "again to confirm" not in screen and title not in screen)
    tui.press("escape")
    assert title not in [session["title"] for session in baton.sessions()]
