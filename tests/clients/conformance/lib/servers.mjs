// The servers of the comparison. All of them are given the same scenario; each says in its own words which
// model is meant, and what a prompt has to say so that the model behind it does what the scenario wants.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { startRun } from "../../../agents/harness.mjs";
import { startOpencode } from "../../../agents/lib/opencode-server.mjs";
import { opencodeAgent } from "../../../agents/lib/opencode.mjs";
import { startStubLLM } from "../../../agents/stub-llm.mjs";

/**
 * @typedef {object} Server
 * @property {"opencode" | "acp" | "mock"} name
 * @property {string} base the URL that OpenCode's routes are below
 * @property {string} work the folder that its sessions work in
 * @property {(name: "first" | "second" | "other") => {providerID: string, modelID: string}} model `second` has variants
 * @property {(want: string, text: string) => string} prompt
 * @property {Object<string, string>} [tools] names of its tools, and what the real server's are called
 * @property {() => Promise<void>} [end]
 */

const STUB_MODELS = { first: "stub/alpha", second: "stub/beta", other: "stub2/gamma" };
const MOCK_MODELS = { first: "mock", second: "mock-strong", other: "mock-fast" };

/** What the stub LLM understands (tests/agents/stub/script.mjs). */
const STUB_COMMANDS = {
  say: (text) => `SAY ${text}`,
  think: (text) => `REASON ${text}`,
  write: (text) => `TOOLWRITE ${text}`,
  run: (text) => `TOOLBASH ${text}`,
  ask: (text) => `TOOLASK ${text}`,
  slow: (text) => `SLOW ${text}`,
  fail: (text) => `ERROR ${text}`,
};

/** What the built-in mock agent understands (`baton mock-agent --help`). */
const MOCK_COMMANDS = {
  say: (text) => `echo ${text}`,
  write: (text) => `tool ${text.split(" ")[0]}`,
  run: (text) => `permission ${text}`,
  ask: () => "question",
  slow: (text) => `slow ${text}`,
};

/** Its tools have other names than opencode's. */
const MOCK_TOOLS = { edit: "write", tool: "question" };

/** The real `opencode serve` in a folder of the run's. */
export async function realOpencode(folder) {
  const stub = await startStubLLM();
  const work = path.join(folder, "work");
  mkdirSync(work);
  const env = { OPENCODE_ENABLE_QUESTION_TOOL: "1" };
  const server = await startOpencode({ home: path.join(folder, "home"), work, stub, env }).catch(async (error) => {
    await stub.close();
    throw error;
  });
  const end = async () => {
    await server.stop();
    await stub.close();
  };
  const model = (name) => {
    const [providerID, modelID] = STUB_MODELS[name].split("/");
    return { providerID, modelID };
  };
  return { name: "opencode", base: server.url, work, model, prompt: (want, text) => STUB_COMMANDS[want](text), end };
}

/** A Baton with the real `opencode acp` behind it, and with the mock; two servers that are one process. */
export async function batons() {
  const run = await startRun({ agents: { opencode: opencodeAgent } });
  await run.client.connected("opencode").catch(async (error) => {
    await run.discard();
    throw error;
  });
  const shared = (name) => {
    const work = path.join(run.work, name);
    mkdirSync(work);
    return { name, base: run.client.base, work, log: () => run.log() };
  };
  return {
    acp: {
      ...shared("acp"),
      model: (name) => ({ providerID: "opencode", modelID: STUB_MODELS[name] }),
      prompt: (want, text) => STUB_COMMANDS[want](text),
    },
    mock: {
      ...shared("mock"),
      tools: MOCK_TOOLS,
      model: (name) => ({ providerID: "mock", modelID: MOCK_MODELS[name] }),
      prompt: (want, text) => MOCK_COMMANDS[want](text),
    },
    end: () => run.end(),
  };
}
