// pi behind its ACP adapter, on the stub's OpenAI chat completions.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed, node } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const pi = {
  name: "pi (pi-acp 0.0.34, @earendil-works/pi-coding-agent 0.87.1)",
  packages: ["node", "pi"],
  models: [
    { id: "stub/pine", wire: "pine" },
    { id: "stub/oak", wire: "oak" },
  ],
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".pi", "agent");
    mkdirSync(folder, { recursive: true });
    const write = (name, value) => writeFileSync(path.join(folder, name), JSON.stringify(value, null, 2));
    const provider = { baseUrl: `${stub.url}/pi/v1`, api: "openai-completions", apiKey: "a stub needs no key" };
    write("models.json", { providers: { stub: { ...provider, models: ["pine", "oak"].map(model) } } });
    write("settings.json", { defaultProvider: "stub", defaultModel: "pine" });
    return {
      command: [node(), installed("pi", "pi-acp/dist/index.js")],
      env: {
        ...homeOf(home),
        PATH: `${programs(home)}:/usr/bin:/bin`,
        PI_OFFLINE: "1",
        PI_SKIP_VERSION_CHECK: "1",
      },
    };
  },
  isProcess: ({ command }) => command.includes("/pi-acp/dist/index.js"),
};

/** Its adapter has no option for the model of the launch. */
const MODEL = '${PI_LAUNCHED_MODEL:+--model "$PI_LAUNCHED_MODEL"}';

/** A folder with the programs that the adapter takes from the PATH. */
function programs(home) {
  const folder = path.join(home, "bin");
  mkdirSync(folder);
  const write = (name, line) => writeFileSync(path.join(folder, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  write("pi", `exec '${node()}' '${installed("pi", "@earendil-works/pi-coding-agent/dist/bundle/cli.js")}' ${MODEL} "$@"`);
  // With each session it asks npm for a newer pi, whatever the settings say.
  write("npm", "exit 1");
  return folder;
}

function model(id) {
  const cost = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
  return { id, name: id, reasoning: false, input: ["text"], contextWindow: 200_000, maxTokens: 8_000, cost };
}
