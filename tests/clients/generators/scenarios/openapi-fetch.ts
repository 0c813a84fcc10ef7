// openapi-typescript makes the types, openapi-fetch is the client.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "../made/openapi-typescript.ts";
import { first, kindsOf, print, provider, says, second, url, wrong } from "./common.ts";

const client = createClient<paths>({ baseUrl: url });
const stop = new AbortController();
const { data: stream } = await client.GET("/opencode/event", { parseAs: "stream", signal: stop.signal });
const kinds = kindsOf(stream as ReadableStream<Uint8Array>);

const { data: session } = await client.POST("/opencode/session", { body: { title: "Generated" } });
const params = { path: { sessionID: session?.id ?? assert.fail("no session") } };
const model = { providerID: provider, modelID: first };
const one = await client.POST("/opencode/session/{sessionID}/message", { params, body: { model, parts: says("echo one") } });
assert(one.data?.info.role === "assistant");
print("first", one.data.info.modelID);
const switched = await client.PATCH("/opencode/session/{sessionID}", {
  params: { ...params, query: { wait: true } },
  body: { providerID: provider, modelID: second },
});
print("switched", switched.data?.model?.id);
const two = await client.POST("/opencode/session/{sessionID}/message", { params, body: { parts: says("echo two") } });
assert(two.data?.info.role === "assistant");
print("second", two.data.info.modelID);
const { error } = await client.PATCH("/opencode/session/{sessionID}", {
  params,
  body: { providerID: provider, modelID: wrong },
});
assert(error?.name === "ProviderModelNotFoundError");
print("refused", error.name, error.data.suggestions.join(" "));
print("events", (await kinds).length);
stop.abort();
