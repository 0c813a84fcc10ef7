// Mistral Vibe, on the stub's OpenAI chat completions.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, pythonProgram } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const vibe = {
  name: "Mistral Vibe (mistral-vibe 3.0.2)",
  packages: ["vibe"],
  models: [
    { id: "willow", wire: "willow" },
    { id: "poplar", wire: "poplar" },
  ],
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".vibe");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "config.toml"), configuration(stub));
    return {
      command: [pythonProgram("vibe", "vibe-acp")],
      env: { ...homeOf(home), VIBE_HOME: folder, STUB_KEY: "a stub needs no key" },
    };
  },
  isProcess: ({ command }) => command.includes("/vibe-acp"),
};

function configuration(stub) {
  const model = (name) => `
[[models]]
name = "${name}"
provider = "stub"
alias = "${name}"
`;
  return `active_model = "willow"
enable_telemetry = false
enable_update_checks = false
enable_auto_update = false
api_retry_max_elapsed_time = 1.0

[[providers]]
name = "stub"
api_base = "${stub.url}/vibe/v1"
api_key_env_var = "STUB_KEY"
${["willow", "poplar"].map(model).join("")}`;
}
