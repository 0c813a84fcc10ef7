"""The start: what is there at once, a first answer, and the password."""

from baton_clients.backends import MOCK_FAST, unique
from baton_clients.baton import Baton
from baton_clients.tui import Tui, status

PASSWORD = "open-sesame"


def test_a_new_session_gets_a_streamed_answer(tui, backend):
    tui.send(backend.streams(2))
    # The beginning stands there while the rest is still being written.
    screen = tui.wait(backend.tick(3))
    assert "esc interrupt" in screen, screen
    assert backend.tick(20) not in screen, screen
    tui.ended(backend.model)
    tui.idle()
    assert backend.tick(20) in tui.screen().replace("\n     ", " ")


def test_the_session_is_named_after_its_first_prompt(tui, baton):
    tui.use(MOCK_FAST)
    word = unique("named")
    tui.send(f"echo {word}")
    tui.answered(word, MOCK_FAST)
    tui.wait(lambda screen: f"echo {word}" in screen.split("\n")[1], 10)
    assert baton.session_named(f"echo {word}")["model"] == {"providerID": "mock", "id": "mock-fast", "variant": "default"}


def test_a_password_is_asked_for():
    baton = Baton(password=PASSWORD)
    try:
        word = unique("secret")
        for arguments, env in ((["--password", PASSWORD], {}), ([], {"OPENCODE_SERVER_PASSWORD": PASSWORD})):
            tui = Tui(baton, *arguments, env=env)
            try:
                tui.wait_start()
                assert "Mock" in status(tui.screen())
                tui.send(f"echo {word}")
                tui.answered(word)
            finally:
                tui.close()
        refused = Tui(baton, "--password", "wrong")
        try:
            assert refused.wait_end(60) != 0
            assert "password" in refused.screen(), refused.framed()
        finally:
            refused.close()
    finally:
        baton.end()
