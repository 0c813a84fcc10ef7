"""What the composer knows beside plain text: files, shell commands, slash commands."""

from baton_clients.backends import ALPHA, unique
from baton_clients.tui import composer


def test_a_file_is_found_and_attached(tui, baton):
    tui.use(ALPHA)
    name, content = f"{unique('recipe')}.txt", unique("content")
    (baton.work / name).write_text(f"{content}\n")
    tui.write("@reci")
    tui.wait(lambda screen: name in screen and name not in composer(screen))
    tui.press("enter")
    tui.wait(lambda screen: f"@{name}" in composer(screen))
    tui.write(" SAY read")
    tui.wait(lambda screen: "SAY read" in composer(screen))
    tui.press("enter")
    tui.ended(ALPHA)
    asked = "\n".join(message["text"] for message in baton.last_turn()["messages"])
    assert content in asked, asked


def test_a_shell_command_runs_and_the_next_model_sees_it(tui, backend, baton):
    word = unique("shell")
    tui.ask(backend, unique("before"))
    tui.press("!")
    tui.wait("exit shell mode")
    tui.type(f"echo {word} > {word}.txt; echo said-{word}")
    tui.press("enter")
    tui.wait(lambda screen: f"said-{word}" in screen and "exit shell mode" not in screen)
    tui.idle()
    assert (baton.work / f"{word}.txt").read_text() == f"{word}\n"
    tui.ask(backend, unique("after"))
    if backend.model == ALPHA:
        asked = "\n".join(message["text"] for message in baton.last_turn()["messages"])
        assert f"said-{word}" in asked, asked


def test_a_slash_command_is_carried_out(tui, baton):
    tui.use(ALPHA)
    tui.write("/ini")
    tui.wait("/init")
    tui.press("enter")
    tui.wait(lambda screen: "/init" in composer(screen))
    word = unique("focus")
    tui.write(word)
    tui.wait(lambda screen: word in composer(screen))
    tui.press("enter")
    tui.ended(ALPHA)
    asked = baton.last_turn()["messages"][-1]["text"]
    assert "AGENTS.md" in asked and word in asked, asked
