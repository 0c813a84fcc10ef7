"""The conversation changed afterwards: undone, redone, compacted, forked."""

from baton_clients.backends import MOCK, unique
from baton_clients.tui import ANSWER_S, composer

REVERTED = "message reverted"


def test_undo_takes_the_last_prompt_back_and_redo_restores_it(tui, backend, baton):
    kept, undone = unique("kept"), unique("undone")
    tui.ask(backend, kept)
    tui.ask(backend, undone)
    tui.command("Undo previous message")
    screen = tui.wait(REVERTED)
    # The prompt is in the composer again; its answer is gone.
    assert backend.says(undone) in composer(screen), screen
    assert screen.count("▣  Build ·") == 1, screen
    tui.clear()
    tui.command("Redo")
    tui.wait_gone(REVERTED)
    tui.wait(lambda screen: screen.count("▣  Build ·") == 2)

    tui.command("Undo previous message")
    tui.wait(REVERTED)
    tui.clear()
    told = history_of(tui, baton, backend)
    assert kept in told and undone not in told, told


def test_undo_takes_the_files_back(tui, backend, baton):
    name = f"{unique('undone')}.txt"
    tui.ask(backend, unique("kept"))
    tui.send(backend.writes(name))
    tui.answered(backend.wrote, backend.model)
    file = baton.work / name
    content = file.read_text()
    tui.command("Undo previous message")
    tui.wait(REVERTED)
    assert not file.exists()
    tui.clear()
    tui.command("Redo")
    tui.wait_gone(REVERTED)
    assert file.read_text() == content


def test_a_compacted_session_goes_on(tui, backend):
    tui.ask(backend, unique("long"))
    tui.command("Compact session")
    tui.wait("Compaction", ANSWER_S)
    tui.idle()
    tui.ask(backend, unique("short"))


def test_a_fork_has_the_conversation_and_leaves_the_original_alone(tui, backend, baton):
    first, forked = unique("first"), unique("forked")
    tui.ask(backend, first)
    original = baton.session_named(backend.says(first))
    tui.command("Fork session")
    tui.choose("Fork session", "Full session", "Full session")
    tui.wait("(fork #1)")
    tui.wait(backend.answers(backend.model, first))
    tui.ask(backend, forked)
    assert first in history_of(tui, baton, backend)
    messages = baton.call("GET", f"/session/{original['id']}/message")
    assert forked not in str(messages)


def history_of(tui, baton, backend):
    """What the model knows of the conversation: what it says that it was given, or what it was really asked."""
    before = len(baton.turns())
    if backend is MOCK:
        tui.send("history")
        tui.answered("model: mock-fast", backend.model)
        session = baton.sessions()[0]["id"]
        return baton.last_text(session)
    word = unique("then")
    tui.ask(backend, word)
    assert len(baton.turns()) == before + 1
    return "\n".join(message["text"] for message in baton.last_turn()["messages"])
