// openapi-generator, typescript-fetch.

import assert from "node:assert/strict";
import { Configuration, EventApi, MessageApi, ResponseError, SessionApi, UnselectableErrorFromJSON } from "../made/typescript-fetch/index.ts";
import { first, kindsOf, print, provider, says, second, url, wrong } from "./common.ts";

const configuration = new Configuration({ basePath: url });
const [sessions, messages] = [new SessionApi(configuration), new MessageApi(configuration)];
const stop = new AbortController();
const stream = await new EventApi(configuration).eventSubscribeRaw({}, { signal: stop.signal });
const kinds = kindsOf(stream.raw.body ?? assert.fail("no body"));

const session = await sessions.sessionCreate({ sessionCreateInput: { title: "Generated" } });
const sessionID = session.id;
const model = { providerID: provider, modelID: first };
const one = await messages.sessionPrompt({ sessionID, promptInput: { model, parts: says("echo one") } });
assert(one.info.role === "assistant");
print("first", one.info.modelID);
const to = { providerID: provider, modelID: second };
const switched = await sessions.sessionUpdate({ sessionID, sessionUpdateInput: to, wait: true });
print("switched", switched.model?.id);
const two = await messages.sessionPrompt({ sessionID, promptInput: { parts: says("echo two") } });
assert(two.info.role === "assistant");
print("second", two.info.modelID);
const update = { providerID: provider, modelID: wrong };
const refused = await sessions.sessionUpdate({ sessionID, sessionUpdateInput: update }).then(
  () => assert.fail("it was taken"),
  async (error: ResponseError) => UnselectableErrorFromJSON(await error.response.json()),
);
assert(refused.name === "ProviderModelNotFoundError");
print("refused", refused.name, refused.data.suggestions.join(" "));
print("events", (await kinds).length);
stop.abort();
