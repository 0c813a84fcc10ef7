"""scenario.py URL SCRIPT: the generated client against a running server. What it prints, the driver compares.

The script is JSON: the backend, its models, and what is said to them.
"""

import json
import sys
from collections.abc import Iterator

from baton_client import Client
from baton_client.api.agent import app_agents
from baton_client.api.config import mcp_add, mcp_connect, mcp_disconnect, mcp_status
from baton_client.api.message import session_prompt
from baton_client.api.provider import backend_session_list
from baton_client.api.session import session_create, session_handoff, session_update
from baton_client.models import (
    AssistantMessage,
    EventSessionModelApplied,
    FallbackModelInput,
    HandoffMode,
    HandoffPreview,
    McpAddInput,
    McpAddMap,
    McpRemoteInput,
    McpStatusMap,
    MessageWithParts,
    PromptInput,
    PromptModel,
    ProviderModelNotFoundError,
    Session,
    SessionCreateInput,
    SessionExistsError,
    SessionImportInput,
    SessionUpdateInput,
    SpendingLimit,
    SpendingLimitError,
    TextPart,
    TextPartInput,
)


def main(url: str, script: dict[str, str]) -> None:
    client = Client(base_url=url)
    with client.get_httpx_client().stream("GET", "/opencode/event") as stream:
        frames = stream.iter_lines()
        next(frames)

        session = session_create.sync(client=client, body=SessionCreateInput(title="Generated"))
        assert isinstance(session, Session)

        provider_id = script["providerID"]
        first = PromptModel(provider_id=provider_id, model_id=script["first"])
        print(f"first answer by {prompt(client, session.id, script['say'], first)}")

        second = SessionUpdateInput(provider_id=provider_id, model_id=script["second"], variant="high")
        updated = session_update.sync(session.id, client=client, body=second, wait=True)
        assert isinstance(updated, Session) and updated.model
        print(f"selected {updated.model.id} ({updated.model.variant}), {updated.runtime.status}")
        print(f"applied {applied(frames, script['second']).properties.current.model_id}")

    model, _, history = prompt(client, session.id, script["recall"]).partition(": ")
    knows = "knows" if script["known"] in history else "does not know"
    print(f"second answer by {model}, which {knows} the first")

    chain = [FallbackModelInput(provider_id=provider_id, model_id=script["first"])]
    chained = session_update.sync(session.id, client=client, body=SessionUpdateInput(fallback=chain))
    assert isinstance(chained, Session) and chained.fallback
    print(f"falls back to {', '.join(model.model_id for model in chained.fallback)}")

    wrong = SessionUpdateInput(provider_id=provider_id, model_id=script["misspelt"])
    error = session_update.sync(session.id, client=client, body=wrong)
    # The type of the answer tells which of the errors it is, and with that what its data has.
    assert isinstance(error, ProviderModelNotFoundError)
    print(f"refused: {error.name}, instead of {error.data.model_id}: {', '.join(error.data.suggestions)}")

    natives = backend_session_list.sync(provider_id, client=client)
    assert isinstance(natives, list)
    [own] = [native for native in natives if native.session_id == session.id]
    again = SessionImportInput(provider_id=provider_id, native_id=own.native_id)
    taken = session_create.sync(client=client, body=SessionCreateInput(import_=again))
    assert isinstance(taken, SessionExistsError) and taken.data.session_id == session.id
    print(f"its agent lists it, and it cannot be imported: {taken.name}")

    agents = app_agents.sync(client=client)
    assert isinstance(agents, list)
    [profile] = [agent for agent in agents if agent.name == script["agent"]]
    profiled = session_update.sync(session.id, client=client, body=SessionUpdateInput(agent=profile.name))
    assert isinstance(profiled, Session) and profiled.model and profile.model
    assert profiled.model.id == profile.model.model_id
    print(f"agent {profiled.agent} selects {profiled.model.id}")

    other, model_id = script["other"], script["otherModel"]
    whole = HandoffMode.HANDOFF_MODE_TRANSCRIPT
    preview = session_handoff.sync(session.id, client=client, provider_id=other, model_id=model_id, handoff=whole)
    assert isinstance(preview, HandoffPreview) and preview.text and "one" in preview.text
    summary = HandoffMode.HANDOFF_MODE_SUMMARY
    hand = SessionUpdateInput(provider_id=other, model_id=model_id, handoff=summary, note="Be short.")
    handed = session_update.sync(session.id, client=client, body=hand)
    assert isinstance(handed, Session) and handed.handoff
    print(f"{other} would be given {preview.messages} messages, and is to be given: {handed.handoff.mode}")

    name = "generated"
    remote = McpRemoteInput(type_="remote", url=url, enabled=False)
    added = mcp_add.sync(client=client, body=McpAddInput(name=name, config=remote))
    assert isinstance(added, McpAddMap)
    states: list[str] = [added[name].status]
    for turn in (mcp_connect.sync, mcp_disconnect.sync):
        assert turn(name, client=client) is True
        servers = mcp_status.sync(client=client)
        assert isinstance(servers, McpStatusMap)
        states.append(servers[name].status)
    print(f"MCP server: {', '.join(states)}")

    session_update.sync(session.id, client=client, body=SessionUpdateInput(limit=SpendingLimit(tokens=1)))
    more = PromptInput(parts=[TextPartInput(type_="text", text=script["say"])])
    spent = session_prompt.sync(session.id, client=client, body=more)
    assert isinstance(spent, SpendingLimitError)
    allowed = spent.data.allowed.tokens
    print(f"refused: {spent.name}, of the {spent.data.scope}, which may use {allowed} token")


def prompt(client: Client, session_id: str, text: str, model: PromptModel | None = None) -> str:
    body = PromptInput(parts=[TextPartInput(type_="text", text=text)])
    if model:
        body.model = model
    answer = session_prompt.sync(session_id, client=client, body=body)
    assert isinstance(answer, MessageWithParts) and isinstance(answer.info, AssistantMessage)
    said = "".join(part.text for part in answer.parts if isinstance(part, TextPart))
    return f"{answer.info.model_id}: {said}"


def applied(frames: Iterator[str], model_id: str) -> EventSessionModelApplied:
    for line in frames:
        if not line.startswith("data:"):
            continue
        data = json.loads(line.removeprefix("data:"))
        if data["type"] == "session.model_applied":
            event = EventSessionModelApplied.from_dict(data)
            if event.properties.current.model_id == model_id:
                return event
    raise AssertionError("the event stream has ended")


main(sys.argv[1], json.loads(sys.argv[2]))
