"""Which model answers `opencode run --attach`."""

import pytest
from baton_clients.backends import ALPHA, BACKENDS, BETA, GAMMA, MOCK_FAST, MOCK_STRONG, unique


@pytest.mark.parametrize("backend", BACKENDS, ids=str)
def test_the_model_that_is_named_answers(run, baton, backend):
    for model in (backend.model, backend.other):
        word = unique("named")
        ran = run("-m", model.argument, *backend.says(word).split())
        assert ran.status == 0, ran
        assert backend.prints(model, word) == ran.out.strip(), ran
        assert f"> build · {model.id}" in ran.err, ran
        assert baton.sessions()[0]["model"]["id"] == model.id


def test_without_a_model_it_is_the_one_of_the_session(run, baton):
    """PATCH between two runs changes the model that answers, across backends, with the conversation kept."""
    plum, pear, fig = unique("plum"), unique("pear"), unique("fig")
    assert run.answer("-m", MOCK_FAST.argument, "echo", plum) == plum
    session = baton.sessions()[0]["id"]

    baton.select(session, **ALPHA.selection)
    assert run.answer("-s", session, "SAY", pear) == f"[alpha] {pear}"
    asked = baton.last_turn()
    assert asked["model"] == "alpha"
    assert f"echo {plum}" in asked["messages"][-1]["text"]

    baton.select(session, **GAMMA.selection)
    assert run.answer("-c", "SAY", fig) == f"[gamma] {fig}"
    texts = [message["text"] for message in baton.last_turn()["messages"]]
    assert any(text.endswith(f"SAY {pear}") for text in texts) and f"[alpha] {pear}" in texts

    baton.select(session, **MOCK_STRONG.selection)
    told = run.answer("-c", "history")
    for words in ("model: mock-strong", plum, f"SAY {pear}", f"[gamma] {fig}"):
        assert words in told, told


def test_a_named_model_stays_the_sessions_model(run, baton):
    word = unique("stays")
    run.answer("-m", MOCK_FAST.argument, "echo", word)
    session = baton.sessions()[0]["id"]
    assert run.answer("-s", session, "-m", BETA.argument, "--variant", "high", "SAY", word) == f"[beta] {word}"
    assert baton.last_turn()["effort"] == "high"
    assert run.answer("-s", session, "SAY", word) == f"[beta] {word}"
    assert baton.call("GET", f"/session/{session}")["model"]["id"] == BETA.id


def test_an_unknown_model_ends_with_an_error_that_helps(run, baton):
    before = len(baton.sessions())
    ran = run("-m", "mock/mock-fst", "echo", "lost")
    assert ran.status == 1, ran
    assert "Model not found: mock/mock-fst" in ran.err, ran
    assert "Did you mean: mock-fast" in ran.err, ran
    ran = run("-m", "nobody/x", "echo", "lost")
    assert ran.status == 1 and "Model not found: nobody/x" in ran.err, ran
    assert all("lost" not in session["title"] for session in baton.sessions()[: len(baton.sessions()) - before])
