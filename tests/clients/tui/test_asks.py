"""Tools, and what an agent asks its user: permissions and questions."""

from baton_clients.backends import MOCK_FAST, unique
from baton_clients.tui import ANSWER_S

DIALOG = "Permission required"


def test_a_tool_call_is_shown_with_its_result(tui, backend, baton):
    name = f"{unique('note')}.txt"
    tui.send(backend.writes(name))
    tui.answered(backend.wrote, backend.model)
    screen = tui.screen()
    assert screen.count(name) >= 2, f"the tool call names no file:\n{screen}"
    assert (baton.work / name).exists()


def test_a_permission_is_given_once_then_always(tui, backend):
    command = f"echo {unique('given')}"
    for answer, confirm in (("Allow once", ()), ("Allow always", ("enter",))):
        ask(tui, backend, command)
        tui.take(answer)
        if confirm:
            tui.wait("Always allow")
            tui.press(*confirm)
        tui.wait_gone(answer)
        tui.ended(backend.model)
        tui.idle()
    # Now it is not asked any more: the dialog would stand in the way of the end.
    before = tui.screen().count("▣")
    tui.send(backend.runs(command))
    tui.wait(lambda screen: DIALOG not in screen and screen.count("▣") > before, ANSWER_S)
    tui.idle()


def test_a_rejected_permission_ends_the_tool_call_and_nothing_else(tui, backend, baton):
    name = f"{unique('never')}.txt"
    ask(tui, backend, f"touch {name}")
    tui.take("Reject")
    tui.wait_gone(DIALOG)
    if tui.stands("Reject permission", 1):
        tui.press("enter")
    tui.ended(backend.model)
    tui.idle()
    assert not (baton.work / name).exists()
    tui.ask(backend, unique("after"))


def test_a_question_is_answered(tui):
    tui.use(MOCK_FAST)
    tui.send("question")
    tui.wait("Which color?", ANSWER_S)
    tui.wait("2. Blue")
    tui.press("down", "enter")
    tui.wait_gone("Which color?")
    tui.answered("you chose Blue", MOCK_FAST)


def test_a_question_is_dismissed(tui):
    tui.use(MOCK_FAST)
    tui.send("question")
    tui.wait("Which color?", ANSWER_S)
    tui.press("escape")
    tui.wait_gone("Which color?")
    tui.idle()
    word = unique("after")
    tui.send(f"echo {word}")
    tui.answered(word, MOCK_FAST)


def ask(tui, backend, command):
    """Lets the agent ask for a permission to run the command."""
    tui.send(backend.runs(command))
    screen = tui.wait(DIALOG, ANSWER_S)
    # What is asked for stands in the dialog itself.
    assert command in screen[screen.index(DIALOG) :], screen

