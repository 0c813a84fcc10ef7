// An agent as its own user has it: spoken to over ACP, with no Baton in between.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { RUN_MARKER } from "./processes.mjs";

const END_TIMEOUT_MS = 10_000;
const INITIALIZE = {
  protocolVersion: 1,
  clientCapabilities: { fs: { readTextFile: false, writeTextFile: false }, terminal: false },
  clientInfo: { name: "somebody", version: "1" },
};

/** Starts an agent by its entry of `[agents.*]`, uses it, and ends it. */
export async function withAgent({ command: [program, ...args], env }, { run, cwd }, use) {
  const agent = spawn(program, args, {
    cwd,
    env: { PATH: "/usr/bin:/bin", ...env, [RUN_MARKER]: run },
    stdio: ["pipe", "pipe", "ignore"],
  });
  const ended = once(agent, "exit");
  try {
    const call = caller(agent);
    await call("initialize", INITIALIZE);
    return await use(call);
  } finally {
    agent.stdin.end();
    const timer = setTimeout(() => agent.kill("SIGKILL"), END_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  }
}

/** A function that calls a method. Whatever the agent asks permission for is allowed. */
function caller(agent) {
  const waiting = new Map();
  const send = (message) => agent.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  createInterface({ input: agent.stdout }).on("line", (line) => {
    const message = parsed(line);
    if (message?.method !== undefined && message.id !== undefined) send({ id: message.id, ...answerTo(message) });
    else if (message?.method === undefined) waiting.get(message?.id)?.(message);
  });
  agent.on("exit", () => waiting.forEach((answer) => answer({ error: { message: "the agent has ended" } })));
  let last = 0;
  return async (method, params) => {
    const id = ++last;
    const answer = new Promise((resolve) => waiting.set(id, resolve));
    send({ id, method, params });
    const { result, error } = await answer;
    if (error) throw new Error(`${method}: ${JSON.stringify(error)}`);
    return result;
  };
}

function answerTo({ method, params }) {
  if (method !== "session/request_permission") return { error: { code: -32601, message: `no ${method} here` } };
  const { optionId } = params.options.find(({ kind }) => kind === "allow_once") ?? params.options[0];
  return { result: { outcome: { outcome: "selected", optionId } } };
}

/** Some agents write other lines, too. */
function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
