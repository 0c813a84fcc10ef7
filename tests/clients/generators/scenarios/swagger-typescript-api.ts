// swagger-typescript-api, with its fetch client.

import assert from "node:assert/strict";
import { Api, type UnselectableError } from "../made/swagger-typescript-api.ts";
import { first, kindsOf, print, provider, says, second, url, wrong } from "./common.ts";

const { opencode } = new Api({ baseUrl: url });
const stop = new AbortController();
const stream = await opencode.eventSubscribe({}, { format: undefined, signal: stop.signal });
const kinds = kindsOf(stream.body ?? assert.fail("no body"));

const { data: session } = await opencode.sessionCreate({ title: "Generated" });
const model = { providerID: provider, modelID: first };
const one = await opencode.sessionPrompt(session.id, { model, parts: says("echo one") });
assert(one.data.info.role === "assistant");
print("first", one.data.info.modelID);
const switched = await opencode.sessionUpdate(session.id, { providerID: provider, modelID: second }, { wait: true });
print("switched", switched.data.model?.id);
const two = await opencode.sessionPrompt(session.id, { parts: says("echo two") });
assert(two.data.info.role === "assistant");
print("second", two.data.info.modelID);
const refused = await opencode.sessionUpdate(session.id, { providerID: provider, modelID: wrong }).then(
  () => assert.fail("it was taken"),
  (response: { error: UnselectableError }) => response.error,
);
assert(refused.name === "ProviderModelNotFoundError");
print("refused", refused.name, refused.data.suggestions.join(" "));
print("events", (await kinds).length);
stop.abort();
