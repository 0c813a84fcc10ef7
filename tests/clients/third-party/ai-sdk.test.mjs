// ai-sdk-provider-opencode-sdk, with the AI SDK: text, tools, permissions, objects, errors and aborts.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { generateObject, generateText, streamText } from "ai";
import { OpencodeClientManager, createOpencode } from "ai-sdk-provider-opencode-sdk";
import { z } from "zod";
import { BACKENDS, answeredBy, client, label, unique } from "./lib.mjs";

const sessionOf = ({ providerMetadata }) => providerMetadata.opencode.sessionId;

client("ai-sdk-provider-opencode-sdk", (scenario, current) => {
  /** A model of the provider, as its users make it. */
  function model(selection, settings = {}) {
    const { root, work } = current();
    // Its managers of servers are one a process, unless it is told otherwise.
    const clientManager = OpencodeClientManager.createInstance({ baseUrl: root, autoStartServer: false });
    const provider = createOpencode({ clientManager });
    return provider(label(selection), { directory: work, logger: false, ...settings });
  }

  scenario("a text, a switch from outside, and the next text", async (backend) => {
    const run = current();
    const word = unique("plum");
    const first = await generateText({ model: model(backend.first), prompt: backend.say(word) });
    assert.ok(first.text.includes(word), first.text);
    const sessionId = sessionOf(first);
    assert.deepEqual(await answeredBy(run, sessionId), backend.first);

    // It sends its own model with each prompt, which takes a PATCH back, unless that is pinned.
    await run.client.select(sessionId, { ...backend.second, pin: true });
    const second = await generateText({ model: model(backend.first, { sessionId }), prompt: backend.recall });
    assert.equal(sessionOf(second), sessionId);
    assert.deepEqual(await answeredBy(run, sessionId), backend.second);
    await run.client.ok("PATCH", `/session/${sessionId}`, { pin: false });
    await generateText({ model: model(backend.first, { sessionId }), prompt: backend.say(word) });
    assert.deepEqual(await answeredBy(run, sessionId), backend.first);
  });

  scenario("a text is streamed, with the tool that runs", async (backend) => {
    const file = `${unique("made")}.txt`;
    const { fullStream } = streamText({ model: model(backend.first), prompt: backend.tool(file) });
    const parts = await Array.fromAsync(fullStream);
    const types = parts.map(({ type }) => type);
    for (const type of ["tool-call", "tool-result", "text-delta", "finish"]) assert.ok(types.includes(type), `${types}`);
    assert.ok(!types.includes("error"), JSON.stringify(parts));
    assert.ok(existsSync(path.join(current().work, file)));
  });

  scenario("a permission is asked for as an approval, and answered", async (backend) => {
    const run = current();
    const { fullStream } = streamText({ model: model(backend.first), prompt: backend.ask });
    const types = [];
    for await (const part of fullStream) {
      types.push(part.type);
      if (part.type === "tool-approval-request") {
        await run.client.ok("POST", `/permission/${part.approvalId}/reply`, { reply: "once" });
      }
    }
    assert.ok(types.includes("tool-approval-request") && types.includes("tool-result"), `${types}`);
    assert.equal(types.at(-1), "finish");
  });

  scenario("a permission is refused by a rule of its session", async () => {
    const permission = [{ permission: "bash", pattern: "*", action: "deny" }];
    const denied = await generateText({ model: model(BACKENDS[0].first, { permission }), prompt: "bash echo hi" });
    assert.ok(!denied.text.includes("hi\n"), denied.text);
  });

  scenario("an object of a schema", async (backend) => {
    const schema = z.object({ fruit: z.string(), count: z.number() });
    const wanted = { fruit: unique("plum"), count: 3 };
    const { object } = await generateObject({ model: model(backend.first), schema, prompt: backend.json(wanted) });
    assert.deepEqual(object, wanted);
  });

  scenario("an answer that has not the form is an error", async (backend) => {
    const schema = z.object({ fruit: z.string() });
    const settings = { outputFormatRetryCount: 0 };
    const made = generateObject({
      model: model(backend.first, settings),
      schema,
      prompt: backend.say("no object"),
      maxRetries: 0,
    });
    await assert.rejects(made, /object|StructuredOutput/i);
  });

  scenario("a model's error ends the answer as one", async (backend) => {
    const said = await generateText({ model: model(backend.first), prompt: backend.fail, maxRetries: 0 });
    assert.equal(said.finishReason, "error");
    assert.equal(said.rawFinishReason, "APIError");
  });

  scenario("an abort ends the answer, and the session goes on", async (backend) => {
    const run = current();
    const session = await run.client.createSession();
    const settings = { sessionId: session };
    const abort = new AbortController();
    const busy = run.stream.until(
      ({ type, properties }) => type === "message.part.delta" && properties.sessionID === session,
      45_000,
    );
    const slow = generateText({
      model: model(backend.first, settings),
      prompt: backend.slow,
      abortSignal: abort.signal,
      maxRetries: 0,
    });
    slow.catch(() => {});
    await busy;
    abort.abort();
    await assert.rejects(slow, { name: "AbortError" });
    const word = unique("after");
    const after = await generateText({ model: model(backend.first, settings), prompt: backend.say(word) });
    assert.ok(after.text.includes(word), after.text);
    const aborted = (await run.client.messages(session)).find(({ info }) => info.role === "assistant");
    assert.equal(aborted.info.error.name, "MessageAbortedError");
  });
});
