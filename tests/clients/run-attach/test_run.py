"""What `opencode run --attach` prints: sessions, agents, permissions, errors, JSON."""

import pytest
from baton_clients.backends import ALPHA, BACKENDS, MOCK, MOCK_FAST, unique
from baton_clients.run import Runner


def test_an_unknown_session_is_an_error(run):
    ran = run("-s", "ses_00000000000000000000000000", "echo", "lost")
    assert ran.status == 1 and "Session not found" in ran.err, ran


@pytest.mark.parametrize("backend", BACKENDS, ids=str)
def test_the_agent_that_is_named_works(run, baton, backend):
    word = unique("agent")
    ran = run("--agent", "plan", "-m", backend.model.argument, *backend.says(word).split())
    assert ran.status == 0 and backend.prints(backend.model, word) == ran.out.strip(), ran
    assert f"> plan · {backend.model.id}" in ran.err, ran
    assert baton.sessions()[0]["agent"] == "plan"
    if backend is not MOCK:
        assert "plan mode" in baton.last_turn()["messages"][-1]["text"].lower()


@pytest.mark.parametrize("place", ["", "/opencode"])
def test_it_works_at_the_address_that_baton_prints_and_below_it(baton, place):
    word = unique("address")
    url = baton.url.removesuffix("/opencode") + place
    assert Runner(baton, url).answer("-m", MOCK_FAST.argument, "echo", word) == word
    assert word in baton.sessions()[0]["title"]


def test_an_unknown_agent_is_said_and_the_default_one_works(run):
    word = unique("agent")
    ran = run("--agent", "nobody", "-m", MOCK_FAST.argument, "echo", word)
    assert ran.status == 0 and ran.out.strip() == word, ran
    assert 'agent "nobody" not found' in ran.err, ran


@pytest.mark.parametrize("backend", BACKENDS, ids=str)
def test_a_permission_is_rejected_unless_all_are_given(run, baton, backend):
    name = unique("given")
    command = f"touch {name}"
    ran = run("-m", backend.model.argument, *backend.runs(command).split())
    assert ran.status == 0, ran
    assert f"permission requested: bash ({command}); auto-rejecting" in ran.err, ran
    assert not (baton.work / name).exists()

    ran = run("--auto", "-m", backend.model.argument, *backend.runs(command).split())
    assert ran.status == 0 and "auto-rejecting" not in ran.err, ran
    if backend is not MOCK:  # The mock only pretends to run commands.
        assert (baton.work / name).exists(), ran
        assert f"$ \x1b[0m{command}" in ran.err, ran


@pytest.mark.parametrize("backend", BACKENDS, ids=str)
def test_the_models_error_is_printed(run, backend):
    ran = run("-m", backend.model.argument, *backend.fails.split())
    # OpenCode's own server is answered with 0 here, too.
    assert ran.status == 0, ran
    assert "Error: " in ran.err and backend.failure in ran.err, ran


@pytest.mark.parametrize("backend", BACKENDS, ids=str)
def test_events_are_printed_as_json(run, baton, backend):
    name = f"{unique('note')}.txt"
    ran = run("--format", "json", "-m", backend.model.argument, *backend.writes(name).split())
    assert ran.status == 0, ran
    events = ran.events
    types = [event["type"] for event in events]
    assert types[0] == "step_start" and types[-1] == "step_finish", types
    assert {event["sessionID"] for event in events} == {baton.sessions()[0]["id"]}
    tool = next(event["part"] for event in events if event["type"] == "tool_use")
    assert tool["state"]["status"] == "completed" and name in str(tool["state"]["input"]), tool
    text = "".join(event["part"]["text"] for event in events if event["type"] == "text")
    assert backend.wrote in text or name in text, text
    assert events[-1]["part"]["tokens"]["output"] > 0
    assert (baton.work / name).exists()


def test_a_title_names_the_session(run, baton):
    title = unique("A title ")
    run.answer("--title", title, "-m", MOCK_FAST.argument, "echo", "x")
    assert baton.session_named(title)


def test_a_file_is_attached(run, baton):
    name, content = f"{unique('attached')}.txt", unique("content")
    (baton.work / name).write_text(f"{content}\n")
    run.answer("-m", ALPHA.argument, "-f", name, "--", "SAY", "x")
    asked = "\n".join(message["text"] for message in baton.last_turn()["messages"])
    assert content in asked, asked


def test_a_command_of_the_agent_is_run(run):
    word = unique("loud")
    ran = run("-m", MOCK_FAST.argument, "--command", "shout", word)
    assert ran.status == 0 and word.upper() in ran.out, ran


def test_a_command_of_baton_reaches_the_model(run, baton):
    word = unique("focus")
    ran = run("-m", ALPHA.argument, "--command", "init", word)
    assert ran.status == 0 and "[alpha]" in ran.out, ran
    asked = baton.last_turn()["messages"][-1]["text"]
    assert "AGENTS.md" in asked and word in asked, asked
