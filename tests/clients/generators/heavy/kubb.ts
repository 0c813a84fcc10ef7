// kubb, with its fetch client. An error is no exception there: the answer's status tells.

import assert from "node:assert/strict";
import { setConfig } from "@kubb/plugin-client/clients/fetch";
import { first, kindsOf, print, provider, says, second, url, wrong } from "../scenarios/common.ts";
import { sessionCreate } from "./made/kubb/clients/session/create.ts";
import { sessionPrompt } from "./made/kubb/clients/session/prompt.ts";
import { sessionUpdate } from "./made/kubb/clients/session/update.ts";
import type { SessionUpdate400 } from "./made/kubb/types/session/Update.ts";

// It leaves JSON's type to fetch, which takes a text for a text.
setConfig({ baseURL: url, headers: { "Content-Type": "application/json" } });
const stop = new AbortController();
// Its function reads the answer to its end: the stream is fetch's.
const stream = await fetch(`${url}/opencode/event`, { signal: stop.signal });
const kinds = kindsOf(stream.body ?? assert.fail("no body"));

const { data: session } = await sessionCreate({ title: "Generated" });
const model = { providerID: provider, modelID: first };
const one = await sessionPrompt(session.id, { model, parts: says("echo one") });
assert(one.data.info.role === "assistant");
print("first", one.data.info.modelID);
const switched = await sessionUpdate(session.id, { providerID: provider, modelID: second }, { wait: true });
print("switched", switched.data.model?.id);
const two = await sessionPrompt(session.id, { parts: says("echo two") });
assert(two.data.info.role === "assistant");
print("second", two.data.info.modelID);
const refused = await sessionUpdate(session.id, { providerID: provider, modelID: wrong });
assert.equal(refused.status, 400);
// Its types know the answers of 200 only.
const error = refused.data as unknown as SessionUpdate400;
assert(error.name === "ProviderModelNotFoundError");
print("refused", error.name, error.data.suggestions.join(" "));
print("events", (await kinds).length);
stop.abort();
