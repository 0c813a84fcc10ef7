// orval, with its fetch client. Its functions take no address: `orval.config.mjs` writes the server's into them.

import assert from "node:assert/strict";
import { getEventSubscribeUrl, sessionCreate, sessionPrompt, sessionUpdate } from "../made/orval.ts";
import { first, kindsOf, print, provider, says, second, wrong } from "./common.ts";

const stop = new AbortController();
// Its function reads the answer to its end: the stream is fetch's, at the address that orval knows.
const stream = await fetch(getEventSubscribeUrl(), { signal: stop.signal });
const kinds = kindsOf(stream.body ?? assert.fail("no body"));

const session = await sessionCreate({ title: "Generated" });
assert(session.status === 200);
const { id } = session.data;
const model = { providerID: provider, modelID: first };
const one = await sessionPrompt(id, { model, parts: says("echo one") });
assert(one.status === 200 && one.data.info.role === "assistant");
print("first", one.data.info.modelID);
const switched = await sessionUpdate(id, { providerID: provider, modelID: second }, { wait: true });
assert(switched.status === 200);
print("switched", switched.data.model?.id);
const two = await sessionPrompt(id, { parts: says("echo two") });
assert(two.status === 200 && two.data.info.role === "assistant");
print("second", two.data.info.modelID);
const refused = await sessionUpdate(id, { providerID: provider, modelID: wrong });
assert(refused.status === 400 && refused.data.name === "ProviderModelNotFoundError");
print("refused", refused.data.name, refused.data.data.suggestions.join(" "));
print("events", (await kinds).length);
stop.abort();
