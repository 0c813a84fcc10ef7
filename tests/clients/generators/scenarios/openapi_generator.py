"""openapi_generator.py URL: plays the scenario with the client of openapi-generator, python, and prints what the driver compares."""

import json
import sys
import urllib.request

import baton_client as baton

EVENTS = 5
url = sys.argv[1]
client = baton.ApiClient(baton.Configuration(host=url))
sessions, messages = baton.SessionApi(client), baton.MessageApi(client)
# The generated call reads an answer to its end.
stream = urllib.request.urlopen(f"{url}/opencode/event")

session = sessions.session_create(session_create_input=baton.SessionCreateInput(title="Generated"))


def say(text: str, model: baton.PromptModel | None = None) -> str:
    part = baton.PartInput(baton.TextPartInput(type="text", text=text))
    answer = messages.session_prompt(session.id, baton.PromptInput(parts=[part], model=model))
    return answer.info.actual_instance.model_id


def update(model: str) -> baton.Session:
    change = baton.SessionUpdateInput(provider_id="mock", model_id=model)
    return sessions.session_update(session.id, change, wait=True)


print("first:", say("echo one", baton.PromptModel(provider_id="mock", model_id="mock")))
print("switched:", update("mock-strong").model.id)
print("second:", say("echo two"))
try:
    update("mock-stong")
except baton.ApiException as error:
    why = error.data.actual_instance
    assert isinstance(why, baton.ProviderModelNotFoundError)
    print("refused:", why.name, *why.data.suggestions)
kinds: list[str] = []
for line in stream:
    if line.startswith(b"data: "):
        kinds.append(baton.ServerEvent.from_json(line[len(b"data: ") :].decode()).actual_instance.type)
    if len(kinds) == EVENTS:
        break
print("events:", len(kinds))
