// Version 2 of the SDK, typed by its own definitions.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import {
  createOpencodeClient,
  type AssistantMessage,
  type Event,
  type OpencodeClient,
  type Part,
  type Session,
} from "@opencode-ai/sdk/v2";
import { BACKENDS, Events, MOCK, SCENARIO, START_TIMEOUT_MS, ok, refused, start, unique } from "./support.ts";
import type { Model, Run } from "./support.ts";

let run: Run;
let client: OpencodeClient;
let events: Events<Event>;
const streams = new AbortController();

before(
  async () => {
    run = await start();
    client = createOpencodeClient({ baseUrl: run.client.base, directory: run.work });
    const { stream } = await client.event.subscribe({}, { signal: streams.signal });
    events = new Events<Event>(stream);
    await events.until("server.connected");
  },
  { timeout: START_TIMEOUT_MS },
);
after(
  async () => {
    streams.abort();
    await run?.end();
  },
  { timeout: START_TIMEOUT_MS },
);

async function newSession(): Promise<Session> {
  return ok(await client.session.create());
}

async function prompt(session: Session, text: string, model?: Model): Promise<{ info: AssistantMessage; text: string }> {
  const result = await client.session.prompt({ sessionID: session.id, model, parts: [{ type: "text", text }] });
  const { info, parts } = ok(result);
  return { info, text: textOf(parts) };
}

async function switchModel(session: Session, { providerID, modelID }: Model) {
  return client.v2.session.switchModel({ sessionID: session.id, model: { providerID, id: modelID } });
}

function textOf(parts: Part[]): string {
  return parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

function modelOf(info: AssistantMessage): Model {
  return { providerID: info.providerID, modelID: info.modelID };
}

test("sessions are made, read, renamed, archived and deleted", SCENARIO, async () => {
  const session = ok(await client.session.create({ title: "First", metadata: { ticket: 4 } }));
  assert.deepEqual([session.title, session.metadata], ["First", { ticket: 4 }]);
  const child = ok(await client.session.create({ parentID: session.id }));
  const children = ok(await client.session.children({ sessionID: session.id }));
  assert.deepEqual(children.map((one) => one.id), [child.id]);
  const renamed = ok(await client.session.update({ sessionID: session.id, title: "Second", time: { archived: 5 } }));
  assert.deepEqual([renamed.title, renamed.time.archived], ["Second", 5]);
  const listed = ok(await client.session.list({ roots: true, search: "Second" }));
  assert.deepEqual(listed.map((one) => one.id), [session.id]);
  assert.equal(ok(await client.session.delete({ sessionID: session.id })), true);
  const error = refused(await client.session.get({ sessionID: session.id }));
  assert.ok("name" in error);
  assert.equal(error.name, "NotFoundError");
  assert.match(error.data.message, new RegExp(session.id));
});

test("a session may begin with a model", SCENARIO, async () => {
  const { providerID, modelID } = MOCK.second;
  const session = ok(await client.session.create({ model: { providerID, id: modelID, variant: "high" } }));
  assert.deepEqual(session.model, { providerID, id: modelID, variant: "high" });
  assert.equal((await prompt(session, "model")).info.modelID, modelID);
});

for (const backend of BACKENDS) {
  test(`${backend.name}: v2.session.switchModel hands the session to another model`, SCENARIO, async () => {
    const session = await newSession();
    const word = unique("apple");
    const first = await prompt(session, backend.say(word), backend.first);
    assert.deepEqual(modelOf(first.info), backend.first);
    assert.ok(first.text.includes(word));

    const from = events.all.length;
    const { response, error } = await switchModel(session, backend.second);
    assert.deepEqual([response.status, error], [204, undefined]);
    const switched = await events.until(
      "session.next.model.switched",
      (event) => event.properties.sessionID === session.id,
      from,
    );
    assert.equal(switched.properties.model.id, backend.second.modelID);
    const now = ok(await client.session.get({ sessionID: session.id }));
    assert.equal(now.model?.id, backend.second.modelID);
    await events.untilOther("session.model_applied", session.id, from);

    const second = await prompt(session, backend.recall);
    assert.deepEqual(modelOf(second.info), backend.second);
    assert.ok(backend.knew(run, second.text).includes(word), "the new model knows the first turn");
  });

  test(`${backend.name}: promptAsync answers through the event stream`, SCENARIO, async () => {
    const session = await newSession();
    const word = unique("pear");
    const from = events.all.length;
    const parts = [{ type: "text" as const, text: backend.say(word) }];
    const { response } = await client.session.promptAsync({ sessionID: session.id, model: backend.first, parts });
    assert.equal(response.status, 204);
    await events.until("session.idle", (event) => event.properties.sessionID === session.id, from);
    const messages = ok(await client.session.messages({ sessionID: session.id }));
    const answer = messages.find(({ info }) => info.role === "assistant");
    assert.ok(answer && textOf(answer.parts).includes(word));
    const one = ok(await client.session.message({ sessionID: session.id, messageID: answer.info.id }));
    assert.deepEqual(one, answer);
  });

  test(`${backend.name}: abort ends the turn`, SCENARIO, async () => {
    const session = await newSession();
    const from = events.all.length;
    const answer = prompt(session, backend.slow, backend.first);
    await events.until("message.part.delta", (event) => event.properties.sessionID === session.id, from);
    assert.equal(ok(await client.session.status())[session.id]?.type, "busy");
    assert.equal(ok(await client.session.abort({ sessionID: session.id })), true);
    assert.equal((await answer).info.error?.name, "MessageAbortedError");
  });

  test(`${backend.name}: a permission is listed, refused and given`, SCENARIO, async () => {
    for (const reply of ["reject", "once"] as const) {
      const session = await newSession();
      const from = events.all.length;
      const answer = prompt(session, backend.permission, backend.first);
      const asked = await events.until(
        "permission.asked",
        (event) => event.properties.sessionID === session.id,
        from,
      );
      const requestID = asked.properties.id;
      const waiting = ok(await client.permission.list());
      assert.deepEqual(waiting.filter(({ id }) => id === requestID), [asked.properties]);
      assert.equal(ok(await client.permission.reply({ requestID, reply })), true);
      await answer;
      const replied = await events.until(
        "permission.replied",
        (event) => event.properties.requestID === requestID,
        from,
      );
      assert.equal(replied.properties.reply, reply);
      assert.ok(!ok(await client.permission.list()).some(({ id }) => id === requestID));
    }
  });
}

test("a question is answered and dismissed", SCENARIO, async () => {
  const ask = async (session: Session) => {
    const from = events.all.length;
    const answer = prompt(session, "question", MOCK.first);
    const asked = await events.until(
      "question.asked",
      (event) => event.properties.sessionID === session.id,
      from,
    );
    const waiting = ok(await client.question.list());
    assert.deepEqual(waiting.filter(({ id }) => id === asked.properties.id), [asked.properties]);
    return { answer, request: asked.properties };
  };
  const session = await newSession();
  const { answer, request } = await ask(session);
  const label = request.questions[0]?.options[0]?.label ?? assert.fail("a question has options");
  assert.equal(ok(await client.question.reply({ requestID: request.id, answers: [[label]] })), true);
  assert.ok((await answer).text.toLowerCase().includes(label.toLowerCase()));
  const again = await ask(session);
  assert.equal(ok(await client.question.reject({ requestID: again.request.id })), true);
  assert.ok(!(await again.answer).text.toLowerCase().includes(label.toLowerCase()));
});

test("a wrong model is refused with a message that says what there is, and changes nothing", SCENARIO, async () => {
  const session = await newSession();
  await switchModel(session, MOCK.first);
  const result = await switchModel(session, { providerID: "mock", modelID: "mock-stong" });
  assert.equal(result.response?.status, 400);
  const error = refused(result);
  assert.ok("message" in error);
  assert.match(error.message, /"mock-stong" is not known .* Did you mean mock-strong/);
  const missing = refused(await switchModel({ ...session, id: "ses_missing" }, MOCK.first));
  assert.equal(missing._tag, "SessionNotFoundError");
  const now = ok(await client.session.get({ sessionID: session.id }));
  assert.equal(now.model?.id, MOCK.first.modelID);
  const options = { throwOnError: true } as const;
  const model = { providerID: "nope", modelID: "x" };
  const parts = [{ type: "text" as const, text: "hello" }];
  await assert.rejects(client.session.prompt({ sessionID: session.id, model, parts }, options), /nope/);
  assert.deepEqual(ok(await client.session.messages({ sessionID: session.id })), []);
});

test("the agent is switched, and a wrong one is refused", SCENARIO, async () => {
  const session = await newSession();
  await switchModel(session, MOCK.first);
  const { response } = await client.v2.session.switchAgent({ sessionID: session.id, agent: "plan" });
  assert.equal(response.status, 204);
  assert.equal((await prompt(session, "mode")).info.agent, "plan");
  const error = refused(await client.v2.session.switchAgent({ sessionID: session.id, agent: "nobody" }));
  assert.ok("message" in error);
  assert.match(error.message, /nobody/);
});

test("a session is forked, reverted and taken back", SCENARIO, async () => {
  const session = await newSession();
  const [kept, dropped] = [unique("plum"), unique("fig")];
  await prompt(session, MOCK.say(kept), MOCK.first);
  const second = await prompt(session, MOCK.say(dropped));
  const messageID = second.info.parentID;
  const fork = ok(await client.session.fork({ sessionID: session.id, messageID }));
  assert.notEqual(fork.id, session.id);
  await switchModel(fork, MOCK.second);
  const recalled = await prompt(fork, MOCK.recall);
  assert.deepEqual(modelOf(recalled.info), MOCK.second);
  assert.ok(recalled.text.includes(kept) && !recalled.text.includes(dropped));

  const reverted = ok(await client.session.revert({ sessionID: session.id, messageID }));
  assert.equal(reverted.revert?.messageID, messageID);
  const back = ok(await client.session.unrevert({ sessionID: session.id }));
  assert.equal(back.revert, undefined);
  assert.ok((await prompt(session, MOCK.recall)).text.includes(dropped));
});

test("parts and messages are changed and deleted", SCENARIO, async () => {
  const session = await newSession();
  const { info } = await prompt(session, "echo before", MOCK.first);
  const message = { sessionID: session.id, messageID: info.id };
  const { parts } = ok(await client.session.message(message));
  const text = parts.find((part) => part.type === "text") ?? assert.fail("an answer has a text");
  const changed = ok(await client.part.update({ ...message, partID: text.id, part: { ...text, text: "after" } }));
  assert.equal(changed.type === "text" && changed.text, "after");
  assert.equal(ok(await client.part.delete({ ...message, partID: text.id })), true);
  assert.ok(!ok(await client.session.message(message)).parts.some(({ id }) => id === text.id));
  assert.equal(ok(await client.session.deleteMessage(message)), true);
  assert.ok(!ok(await client.session.messages({ sessionID: session.id })).some((one) => one.info.id === info.id));
});

test("files are listed, read and found", SCENARIO, async () => {
  const needle = unique("needle");
  writeFileSync(path.join(run.work, "haystack.txt"), `hay\n${needle}\n`);
  const files = ok(await client.file.list({ path: "." }));
  assert.ok(files.some(({ name, type }) => name === "haystack.txt" && type === "file"));
  assert.ok(ok(await client.file.read({ path: "haystack.txt" })).content.includes(needle));
  assert.deepEqual(ok(await client.find.files({ query: "haystack" })), ["haystack.txt"]);
  const [match] = ok(await client.find.text({ pattern: needle }));
  assert.deepEqual([match?.path.text, match?.line_number], ["haystack.txt", 2]);
});

test("OpenCode 2's routes list models, agents and the session", SCENARIO, async () => {
  const session = await newSession();
  await switchModel(session, MOCK.second);
  const { data: one } = ok(await client.v2.session.get({ sessionID: session.id }));
  assert.equal(one.model?.id, MOCK.second.modelID);
  const { data: models } = ok(await client.v2.model.list());
  assert.ok(models.some(({ id, providerID }) => providerID === "mock" && id === MOCK.first.modelID));
  ok(await client.v2.agent.list());
});

test("providers, agents, configuration, paths", SCENARIO, async () => {
  const { all, connected } = ok(await client.provider.list());
  assert.deepEqual(connected.toSorted(), ["mock", "opencode"]);
  const models = all.find(({ id }) => id === "opencode")?.models ?? {};
  assert.deepEqual(Object.keys(models["stub/beta"]?.variants ?? {}).toSorted(), ["high", "low", "medium"]);
  assert.ok(ok(await client.config.providers()).providers.some(({ id }) => id === "mock"));
  assert.ok(ok(await client.app.agents()).some(({ name, mode }) => name === "plan" && mode === "primary"));
  ok(await client.config.get());
  assert.equal(ok(await client.path.get()).directory, run.work);
  // Outside of a repository there is one project for everything.
  assert.equal(ok(await client.project.current()).worktree, "/");
});
