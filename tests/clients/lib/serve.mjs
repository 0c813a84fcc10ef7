#!/usr/bin/env node
// A Baton with agents and a stub LLM behind them, for clients that are not written in JavaScript:
//
//   serve.mjs [--password WORD] [--git] [--think-ms N] [--mock2] [agent …]
//
// Agents are opencode, claude … (tests/agents/lib/agents.mjs). The mock is always there; with --think-ms it takes
// some time to answer, as a model does, for clients that are not ready for an answer within a millisecond. With --mock2
// the second mock is there, too.
//
// Starts the run, waits until each agent can be used, and prints one line of JSON:
//
//   {"url", "work", "home", "folder"}    the server's URL with its /opencode, the folder to work in, an empty
//                                        home for the client, and the run's folder, which goes at the end
//
// Then it answers each line of JSON on its stdin with one on its stdout:
//
//   {"get": "turns"}    what the stub LLM was asked, without titles and summaries: {model, path, effort, messages}
//   {"get": "asked"}    the same with them; `auxiliary` says what it was
//   {"get": "log"}      the end of the server's log
//
// When its stdin closes it ends the server, and fails if the server does not end or leaves a process behind.

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { batonProgram, startRun } from "../../agents/harness.mjs";
import { AGENTS } from "../../agents/lib/agents.mjs";

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    password: { type: "string" },
    git: { type: "boolean", default: false },
    "think-ms": { type: "string" },
    mock2: { type: "boolean", default: false },
  },
});

const ANSWERS = {
  turns: (run) => run.stub.turns().map(told),
  asked: (run) => run.stub.requests.map(told),
  log: (run) => run.log(),
};

const agents = Object.fromEntries(names.map((name) => [name, entryOf(name)]));
if (Number(options["think-ms"]) > 0) {
  agents.mock = () => ({ command: [batonProgram(), "mock-agent", "--think-ms", options["think-ms"]], env: {} });
}
const run = await startRun({
  agents,
  password: options.password,
  mock2: options.mock2,
});
try {
  const home = path.join(run.folder, "client");
  mkdirSync(home);
  if (options.git) makeRepository(run.work, home);
  for (const name of ["mock", ...names]) await run.client.connected(name);
  say({ url: run.client.base, work: run.work, home, folder: run.folder });
  for await (const line of createInterface({ input: process.stdin })) say(answer(line));
} finally {
  await run.end();
}

function entryOf(name) {
  const agent = AGENTS[name];
  if (!agent) throw new Error(`there is no agent ${name}; there are ${Object.keys(AGENTS).join(" ")}`);
  return agent.entry;
}

/** A question that is not understood is answered with that, so that the one who asks does not wait. */
function answer(line) {
  const { get } = JSON.parse(line);
  if (!Object.hasOwn(ANSWERS, get)) return { error: `there is no "${get}"; there are ${Object.keys(ANSWERS)}` };
  return { [get]: ANSWERS[get](run) };
}

function told({ model, path: address, effort, auxiliary, messages }) {
  return { model, path: address, effort, auxiliary, messages: messages.map(({ role, text }) => ({ role, text })) };
}

/** A repository with one commit, with nothing of the developer's own configuration in it. */
function makeRepository(folder, home) {
  const git = (...args) =>
    execFileSync("git", ["-c", "user.name=Test", "-c", "user.email=test@localhost", ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: home, GIT_CONFIG_NOSYSTEM: "1" },
      stdio: ["ignore", "ignore", "inherit"],
    });
  git("init", "--quiet", "--initial-branch=main");
  git("commit", "--quiet", "--allow-empty", "--message=Empty");
}

function say(message) {
  console.log(JSON.stringify(message));
}
