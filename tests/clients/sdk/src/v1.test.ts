// Version 1 of the SDK, typed by its own definitions.

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
  type SessionUpdateData,
} from "@opencode-ai/sdk";
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
    const { stream } = await client.event.subscribe({ signal: streams.signal });
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

/** The body of `session.update` in the SDK's type, with what Baton takes besides. */
type UpdateBody = NonNullable<SessionUpdateData["body"]> & Partial<Model> & { variant?: string; agent?: string };
/** The session in the SDK's type, with its selection. */
type SelectedSession = Session & { model: { providerID: string; id: string } };

async function newSession(title?: string): Promise<Session> {
  return ok(await client.session.create({ body: { title } }));
}

async function update(session: Session, body: UpdateBody): Promise<SelectedSession> {
  return ok(await client.session.update({ path: { id: session.id }, body })) as SelectedSession;
}

async function prompt(session: Session, text: string, model?: Model): Promise<{ info: AssistantMessage; text: string }> {
  const body = { model, parts: [{ type: "text" as const, text }] };
  const { info, parts } = ok(await client.session.prompt({ path: { id: session.id }, body }));
  return { info, text: textOf(parts) };
}

function textOf(parts: Part[]): string {
  return parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

function modelOf(info: AssistantMessage): Model {
  return { providerID: info.providerID, modelID: info.modelID };
}

test("sessions are made, read, renamed and deleted", SCENARIO, async () => {
  const session = await newSession("First");
  assert.equal(session.title, "First");
  assert.equal(session.directory, run.work);
  const child = ok(await client.session.create({ body: { parentID: session.id } }));
  const children = ok(await client.session.children({ path: { id: session.id } }));
  assert.deepEqual(children.map((one) => one.id), [child.id]);
  const renamed = ok(await client.session.update({ path: { id: session.id }, body: { title: "Second" } }));
  assert.equal(renamed.title, "Second");
  const listed = ok(await client.session.list());
  assert.ok(listed.some((one) => one.id === session.id && one.title === "Second"));
  assert.equal(ok(await client.session.delete({ path: { id: session.id } })), true);
  const error = refused(await client.session.get({ path: { id: session.id } }));
  assert.equal(error.name, "NotFoundError");
  assert.match((error.data as { message: string }).message, new RegExp(session.id));
});

for (const backend of BACKENDS) {
  test(`${backend.name}: session.update hands the session to another model`, SCENARIO, async () => {
    const session = await newSession();
    const word = unique("apple");
    const first = await prompt(session, backend.say(word), backend.first);
    assert.deepEqual(modelOf(first.info), backend.first);
    assert.ok(first.text.includes(word));

    const from = events.all.length;
    const updated = await update(session, backend.second);
    assert.deepEqual([updated.model.providerID, updated.model.id], [backend.second.providerID, backend.second.modelID]);
    const { properties } = await events.untilOther("session.model_changed", session.id, from);
    assert.equal(properties["source"], "patch");
    const isSwitched = (info: Session) =>
      info.id === session.id && (info as SelectedSession).model.id === backend.second.modelID;
    await events.until("session.updated", (event) => isSwitched(event.properties.info), from);
    await events.untilOther("session.model_applied", session.id, from);

    const second = await prompt(session, backend.recall);
    assert.deepEqual(modelOf(second.info), backend.second);
    assert.ok(backend.knew(run, second.text).includes(word), "the new model knows the first turn");
  });

  test(`${backend.name}: promptAsync answers through the event stream`, SCENARIO, async () => {
    const session = await newSession();
    const word = unique("pear");
    const from = events.all.length;
    const body = { model: backend.first, parts: [{ type: "text" as const, text: backend.say(word) }] };
    const { response, error } = await client.session.promptAsync({ path: { id: session.id }, body });
    assert.deepEqual([response.status, error], [204, undefined]);
    await events.until("session.idle", (event) => event.properties.sessionID === session.id, from);
    const messages = ok(await client.session.messages({ path: { id: session.id } }));
    const answer = messages.find(({ info }) => info.role === "assistant");
    assert.ok(answer && textOf(answer.parts).includes(word));
    const part = await events.until(
      "message.part.updated",
      (event) => event.properties.part.messageID === answer.info.id,
      from,
    );
    assert.equal(part.properties.part.sessionID, session.id);
  });

  test(`${backend.name}: abort ends the turn`, SCENARIO, async () => {
    const session = await newSession();
    const from = events.all.length;
    const answer = prompt(session, backend.slow, backend.first);
    // Version 1 has no type for this event, either.
    await events.untilOther("message.part.delta", session.id, from);
    const statuses = ok(await client.session.status());
    assert.equal(statuses[session.id]?.type, "busy");
    assert.equal(ok(await client.session.abort({ path: { id: session.id } })), true);
    const { info } = await answer;
    assert.equal(info.error?.name, "MessageAbortedError");
  });

  test(`${backend.name}: a permission is asked for and given`, SCENARIO, async () => {
    const session = await newSession();
    const from = events.all.length;
    const answer = prompt(session, backend.permission, backend.first);
    // Version 1 has no type for the event that servers send today.
    const { properties } = await events.untilOther("permission.asked", session.id, from);
    const path = { id: session.id, permissionID: String(properties["id"]) };
    const given = await client.postSessionIdPermissionsPermissionId({ path, body: { response: "once" } });
    assert.equal(ok(given), true);
    assert.equal((await answer).info.error, undefined);
    const replied = await events.until("permission.replied", (event) => event.properties.sessionID === session.id, from);
    assert.equal(replied.properties.sessionID, session.id);
  });
}

test("a wrong model is refused with a message that says what there is, and changes nothing", SCENARIO, async () => {
  const session = await newSession();
  await update(session, MOCK.first);
  const wrong: UpdateBody = { providerID: "mock", modelID: "mock-stong" };
  const result = await client.session.update({ path: { id: session.id }, body: wrong });
  assert.equal(result.response.status, 400);
  const error = refused(result);
  assert.match(error.data.message, /"mock-stong" is not known .* Did you mean mock-strong/);
  const body = { model: { providerID: "nope", modelID: "x" }, parts: [{ type: "text" as const, text: "hello" }] };
  const prompted = refused(await client.session.prompt({ path: { id: session.id }, body }));
  assert.match(prompted.data.message, /nope/);
  const now = ok(await client.session.get({ path: { id: session.id } })) as SelectedSession;
  assert.equal(now.model.id, MOCK.first.modelID);
  assert.deepEqual(ok(await client.session.messages({ path: { id: session.id } })), []);
  await assert.rejects(
    client.session.update({ path: { id: session.id }, body: wrong, throwOnError: true }),
    /Did you mean mock-strong/,
  );
});

test("a session is forked, reverted and taken back", SCENARIO, async () => {
  const session = await newSession();
  const [kept, dropped] = [unique("plum"), unique("fig")];
  await prompt(session, MOCK.say(kept), MOCK.first);
  const second = await prompt(session, MOCK.say(dropped));
  const messageID = second.info.parentID;
  const fork = ok(await client.session.fork({ path: { id: session.id }, body: { messageID } }));
  assert.notEqual(fork.id, session.id);
  const recalled = await prompt(fork, MOCK.recall, MOCK.second);
  assert.ok(recalled.text.includes(kept) && !recalled.text.includes(dropped));

  const reverted = ok(await client.session.revert({ path: { id: session.id }, body: { messageID } }));
  assert.equal(reverted.revert?.messageID, messageID);
  const back = ok(await client.session.unrevert({ path: { id: session.id } }));
  assert.equal(back.revert, undefined);
  assert.ok((await prompt(session, MOCK.recall)).text.includes(dropped));
});

test("files are listed, read and found", SCENARIO, async () => {
  const needle = unique("needle");
  writeFileSync(path.join(run.work, "haystack.txt"), `hay\n${needle}\n`);
  const files = ok(await client.file.list({ query: { path: "." } }));
  assert.ok(files.some(({ name, type }) => name === "haystack.txt" && type === "file"));
  assert.ok(ok(await client.file.read({ query: { path: "haystack.txt" } })).content.includes(needle));
  assert.deepEqual(ok(await client.find.files({ query: { query: "haystack" } })), ["haystack.txt"]);
  const [match] = ok(await client.find.text({ query: { pattern: needle } }));
  assert.deepEqual([match?.path.text, match?.line_number], ["haystack.txt", 2]);
});

test("providers, agents, configuration, paths", SCENARIO, async () => {
  const { all, connected, default: defaults } = ok(await client.provider.list());
  assert.deepEqual(connected.toSorted(), ["mock", "opencode"]);
  const models = all.find(({ id }) => id === "opencode")?.models ?? {};
  assert.ok(models["stub/beta"] && models["stub2/gamma"]);
  assert.ok(defaults["mock"]);
  const { providers } = ok(await client.config.providers());
  assert.ok(providers.some(({ id }) => id === "mock"));
  const agents = ok(await client.app.agents());
  assert.ok(agents.some(({ name, mode }) => name === "build" && mode === "primary"));
  ok(await client.config.get());
  assert.equal(ok(await client.path.get()).directory, run.work);
  // Outside of a repository there is one project for everything.
  assert.equal(ok(await client.project.current()).worktree, "/");
});
