// Hermes Agent, on the stub's OpenAI chat completions. Its models are those that its provider lists.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, pythonProgram } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const hermes = {
  name: "Hermes Agent (hermes-agent 0.19.0)",
  packages: ["hermes"],
  models: [
    { id: "custom:heron", wire: "heron" },
    { id: "custom:egret", wire: "egret" },
  ],
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".hermes");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "config.yaml"), configuration(stub));
    return {
      command: [pythonProgram("hermes", "hermes-acp")],
      env: { ...homeOf(home), HERMES_HOME: folder },
    };
  },
  isProcess: ({ command }) => command.includes("/hermes-acp") && !command.includes(" supervise "),
};

function configuration(stub) {
  return `model:
  provider: custom
  base_url: ${stub.url}/hermes/v1
  api_key: a stub needs no key
  default: heron
  context_length: 200000
`;
}
