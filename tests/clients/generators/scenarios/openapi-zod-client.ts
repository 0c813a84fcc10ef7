// openapi-zod-client, from the 3.0 form: of 3.1's constants it makes any text, which its unions refuse.

import assert from "node:assert/strict";
import { createApiClient, schemas } from "../made/openapi-zod-client.ts";
import { first, kindsOf, print, provider, says, second, url, wrong } from "./common.ts";

const client = createApiClient(url);
const stop = new AbortController();
// It reads answers to their end: the stream is fetch's, and the frames are what the schema says.
const stream = await fetch(`${url}/opencode/event`, { signal: stop.signal });
const kinds = kindsOf(stream.body ?? assert.fail("no body"));

const session = schemas.Session.parse(await client["session.create"]({ title: "Generated" }));
const params = { params: { sessionID: session.id } };
const model = { providerID: provider, modelID: first };
const one = await client["session.prompt"]({ model, parts: says("echo one") }, params);
assert(one.info.role === "assistant");
print("first", one.info.modelID);
const switched = await client["session.update"]({ providerID: provider, modelID: second }, { ...params, queries: { wait: true } });
print("switched", switched.model?.id);
const two = await client["session.prompt"]({ parts: says("echo two") }, params);
assert(two.info.role === "assistant");
print("second", two.info.modelID);
const refused = await client["session.update"]({ providerID: provider, modelID: wrong }, params).then(
  () => assert.fail("it was taken"),
  (error: { response?: { data: unknown } }) => schemas.Error.parse(error.response?.data),
);
print("refused", refused.name, refused.data.suggestions?.join(" "));
print("events", (await kinds).length);
stop.abort();
