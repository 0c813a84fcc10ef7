"""opencode-ai, the SDK of an early OpenCode: it names the model at the top of each prompt.

Its models are older than what any server of today sends: answers and new events come as they are.
"""

import opencode_ai
import pytest
from baton_clients.backends import Model, unique

TIMEOUT_S = 90


@pytest.fixture
def client(root):
    with opencode_ai.Opencode(base_url=root, timeout=TIMEOUT_S, max_retries=0) as client:
        yield client


def chat(client, session, model, text):
    """Sends a prompt; returns the answer as it stands in the session then."""
    parts = [{"type": "text", "text": text}]
    client.session.chat(session, model_id=model.id, provider_id=model.provider, parts=parts)
    return client.session.messages(session)[-1]


def text_of(message):
    return "".join(part.text for part in message.parts if part.type == "text")


def by(message):
    return message.info.provider_id, message.info.api_model_id


def of(event, session):
    return event.properties.to_dict().get("sessionID") == session


def test_a_session_is_switched_and_goes_on(client, backend, baton):
    session = client.session.create(extra_body={}).id
    word = unique("plum")
    first = chat(client, session, backend.model, backend.says(word))
    assert by(first) == (backend.model.provider, backend.model.id)
    assert word in text_of(first)

    # Each prompt has to name a model; so what is set from outside holds where it is pinned.
    baton.select(session, **backend.other.selection, pin=True)
    second = chat(client, session, backend.model, backend.says(word))
    assert by(second) == (backend.other.provider, backend.other.id)
    baton.call("PATCH", f"/session/{session}", {"pin": False})
    assert by(chat(client, session, backend.model, backend.says(word))) == by(first)
    assert client.session.delete(session) is True


def test_a_permission_is_answered(client, backend, baton, background):
    session = client.session.create(extra_body={}).id
    with client.event.list() as events:
        answer = background(lambda: chat(client, session, backend.model, backend.runs("echo permitted")))
        asked = next(
            event for event in events if event.type == "permission.asked" and of(event, session)
        )
        baton.call("POST", f"/permission/{asked.properties.to_dict()['id']}/reply", {"reply": "once"})
    assert answer().info.error is None


def test_an_abort_and_an_error_are_typed(client, backend, background):
    session = client.session.create(extra_body={}).id
    with client.event.list() as events:
        answer = background(lambda: chat(client, session, backend.model, backend.streams(60)))
        next(event for event in events if event.type == "message.part.delta" and of(event, session))
        assert client.session.abort(session) is True
    assert answer().info.error.name == "MessageAbortedError"
    failed = chat(client, session, backend.model, backend.fails)
    assert backend.failure in failed.info.error.to_dict()["data"]["message"]


def test_what_does_not_exist_is_its_own_error(client):
    session = client.session.create(extra_body={}).id
    with pytest.raises(opencode_ai.BadRequestError, match="mock-srtong"):
        chat(client, session, Model("mock", "mock-srtong", ""), "echo hi")
    with pytest.raises(opencode_ai.NotFoundError):
        client.session.messages("ses_000000000000aaaaaaaaaaaaaa")
    providers = {provider.id for provider in client.app.providers().providers}
    assert {"mock", "opencode"} <= providers
