"""opencode-client-python: everything that it reads goes through models of its own."""

import opencode_client
import pytest
from baton_clients.backends import MOCK_FAST, unique
from opencode_client import OpenCodeClient

TIMEOUT_S = 90


@pytest.fixture
def client(root):
    with OpenCodeClient(root, timeout=TIMEOUT_S) as client:
        yield client


def selection(model):
    return {"providerID": model.provider, "modelID": model.id}


def by(message):
    return message.info.provider_id, message.info.model_id


def text_of(message):
    return "".join(part.text for part in message.parts if part.type == "text")


def test_a_session_is_switched_and_goes_on(client, backend, baton):
    session = client.sessions.create().id
    word = unique("plum")
    first = client.sessions.prompt(session, backend.says(word), model=selection(backend.model))
    assert word in text_of(first)
    assert by(first) == (backend.model.provider, backend.model.id)

    baton.select(session, **backend.other.selection)
    assert client.sessions.get(session).model.id == backend.other.id
    second = client.sessions.prompt(session, backend.says(word))
    assert by(second) == (backend.other.provider, backend.other.id)
    roles = [message.info.role for message in client.sessions.list_messages(session)]
    # The line that tells of the switch is a message, too.
    assert roles == ["user", "assistant", "user", "user", "assistant"]
    assert client.sessions.delete(session) is True


def test_a_permission_is_answered(client, backend):
    session = client.sessions.create().id
    with client.server.stream_events() as events:
        client.sessions.prompt_async(session, backend.runs("echo permitted"), model=selection(backend.model))
        for event in events.iter_events():
            if properties_of(event).get("sessionID") != session:
                continue
            if event.type == "permission.asked":
                assert client.sessions.respond_permission(session, properties_of(event)["id"], "once") is True
            if event.type == "session.idle":
                break
    assert client.sessions.list_messages(session)[-1].info.error is None


def test_tools_that_a_prompt_leaves_out_do_not_run(client, backend, baton):
    session = client.sessions.create().id
    name = f"{unique('never')}.txt"
    path = baton.work / name
    prompt = backend.writes(name if backend.name == "mock" else str(path))
    client.sessions.prompt(session, prompt, model=selection(backend.model), tools={"write": False, "edit": False})
    assert not path.exists()
    # As in OpenCode, that holds until another prompt says otherwise.
    client.sessions.prompt(session, prompt, tools={"write": True, "edit": True})
    assert path.exists()


def test_an_abort_and_an_error_are_typed(client, backend):
    session = client.sessions.create().id
    with client.server.stream_events() as events:
        client.sessions.prompt_async(session, backend.streams(60), model=selection(backend.model))
        for event in events.iter_events():
            if event.type == "message.part.delta":
                assert client.sessions.abort(session) is True
            if event.type == "session.idle":
                break
    assert client.sessions.list_messages(session)[-1].info.error["name"] == "MessageAbortedError"
    failed = client.sessions.prompt(session, backend.fails)
    assert backend.failure in failed.info.error["data"]["message"]


def test_what_does_not_exist_is_its_own_error(client):
    session = client.sessions.create().id
    with pytest.raises(opencode_client.OpenCodeApiError, match="mock-srtong") as refused:
        client.sessions.prompt(session, "echo hi", model={"providerID": MOCK_FAST.provider, "modelID": "mock-srtong"})
    assert refused.value.status_code == 400
    with pytest.raises(opencode_client.OpenCodeNotFoundError):
        client.sessions.get("ses_000000000000aaaaaaaaaaaaaa")


def properties_of(event):
    properties = event.properties
    return properties if isinstance(properties, dict) else properties.model_dump(by_alias=True)
