// `createOpencode()` of OpenCode's own SDK, which starts a program called `opencode` and talks to it: here that is Baton.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { createOpencode } from "@opencode-ai/sdk";
import { batonProgram, tomlTable } from "../../agents/harness.mjs";
import { opencodeAgent } from "../../agents/lib/opencode.mjs";
import { RUN_MARKER, eventually, killLeftovers, processesOf } from "../../agents/lib/processes.mjs";
import { startStubLLM } from "../../agents/stub-llm.mjs";
import { BACKENDS, SCENARIO, START, label, unique } from "./lib.mjs";

const CONNECTED_TIMEOUT_MS = 60_000;
const GONE_TIMEOUT_MS = 15_000;
const EVENT_TIMEOUT_MS = 45_000;

const id = randomUUID();
const folder = mkdtempSync(path.join(tmpdir(), "baton-stand-in-"));
const work = path.join(folder, "work");
let stub;

before(async () => {
  const home = path.join(folder, "home");
  const [bin, config, agentHome] = [path.join(folder, "bin"), path.join(home, ".config", "baton"), path.join(home, "agent")];
  for (const one of [work, bin, config, agentHome]) mkdirSync(one, { recursive: true });
  stub = await startStubLLM();
  const { command, env } = opencodeAgent({ home: agentHome, stub });
  const entry = tomlTable("agents.opencode", { command, env: { ...env, [RUN_MARKER]: id } });
  writeFileSync(path.join(config, "baton.toml"), entry);
  // The program itself, where BATON_BIN is one that checks what a server sends: that has no other name.
  symlinkSync(path.resolve(process.env.BATON_PROGRAM ?? batonProgram()), path.join(bin, "opencode"));
  // What it starts gets this process's environment.
  process.env.PATH = `${bin}:/usr/bin:/bin`;
  process.env.HOME = home;
  process.env.BATON_DATA_DIR = path.join(folder, "data");
  process.env[RUN_MARKER] = id;
  process.chdir(work);
}, START);

after(async () => {
  const left = killLeftovers(id);
  await stub?.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  assert.deepEqual(left, [], "processes are left");
}, START);

/** What it starts: a client and its server, whose backends can be used. */
async function begin(t, config = {}) {
  const opencode = await createOpencode({ port: 0, timeout: CONNECTED_TIMEOUT_MS, config });
  t.after(() => opencode.server.close());
  let last = [];
  const isConnected = async () => {
    last = ok(await opencode.client.provider.list()).connected;
    return BACKENDS.every(({ name }) => last.includes(name));
  };
  await eventually(isConnected, CONNECTED_TIMEOUT_MS, () => `connected are only ${last}`);
  return opencode;
}

function ok({ data, error }) {
  assert.equal(error, undefined, JSON.stringify(error));
  return data;
}

async function prompt({ client }, session, text, model) {
  return ok(await client.session.prompt({ path: { id: session }, body: { model, parts: [{ type: "text", text }] } }));
}

const textOf = ({ parts }) => parts.map((part) => (part.type === "text" ? part.text : "")).join("");
const modelOf = ({ info: { providerID, modelID } }) => ({ providerID, modelID });

/** The servers, without the fronts of clients. */
const servers = () => processesOf(id).filter(({ command }) => command.includes(" --for-fronts"));
const nothingIsLeft = () =>
  eventually(() => servers().length === 0, GONE_TIMEOUT_MS, () => JSON.stringify(processesOf(id)));

for (const backend of BACKENDS) {
  test(`${backend.name}: a session, a switch, a permission and an abort`, SCENARIO, async (t) => {
    const opencode = await begin(t);
    const { client } = opencode;
    const session = ok(await client.session.create({ body: {} })).id;
    const word = unique("plum");
    const first = await prompt(opencode, session, backend.say(word), backend.first);
    assert.ok(textOf(first).includes(word));
    assert.deepEqual(modelOf(first), backend.first);
    // The SDK's types have no model here, and it sends what it is given.
    const switched = ok(await client.session.update({ path: { id: session }, body: backend.second }));
    assert.deepEqual([switched.model.providerID, switched.model.id], Object.values(backend.second));
    assert.deepEqual(modelOf(await prompt(opencode, session, backend.say(word))), backend.second);

    const hangUp = new AbortController();
    t.after(() => hangUp.abort());
    const { stream } = await client.event.subscribe({ signal: hangUp.signal });
    async function until(type) {
      const signal = AbortSignal.timeout(EVENT_TIMEOUT_MS);
      for (;;) {
        const late = new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error(`no ${type}`))));
        const { value } = await Promise.race([stream.next(), late]);
        if (value.type === type && value.properties.sessionID === session) return value;
      }
    }
    const asking = prompt(opencode, session, backend.ask);
    const { properties } = await until("permission.asked");
    const permission = { id: session, permissionID: properties.id };
    ok(await client.postSessionIdPermissionsPermissionId({ path: permission, body: { response: "once" } }));
    await until("session.idle");
    assert.equal((await asking).info.error, undefined);

    const slow = prompt(opencode, session, backend.slow);
    await until("message.part.delta");
    ok(await client.session.abort({ path: { id: session } }));
    assert.equal((await slow).info.error.name, "MessageAbortedError");
    opencode.server.close();
    await nothingIsLeft();
  });
}

test("two share one server, and the one that has started it may end first", SCENARIO, async (t) => {
  const [one, other] = BACKENDS;
  const first = await begin(t, { model: label(one.first) });
  const second = await begin(t, { model: label(other.first) });
  assert.notEqual(first.server.url, second.server.url);
  assert.equal(servers().length, 1);

  const session = ok(await first.client.session.create({ body: {} })).id;
  // Each has the model of its own configuration.
  assert.deepEqual(modelOf(await prompt(first, session, one.say("plum"))), one.first);
  const own = ok(await second.client.session.create({ body: {} })).id;
  assert.deepEqual(modelOf(await prompt(second, own, other.say("pear"))), other.first);

  first.server.close();
  await eventually(
    () => fetch(first.server.url).then(() => false, () => true),
    GONE_TIMEOUT_MS,
    () => "the first one's address still answers",
  );
  assert.equal(servers().length, 1);
  const there = ok(await second.client.session.list()).map((one) => one.id);
  assert.ok(there.includes(session) && there.includes(own));
  const word = unique("after");
  assert.ok(textOf(await prompt(second, session, one.say(word))).includes(word));
  second.server.close();
  await nothingIsLeft();
});
