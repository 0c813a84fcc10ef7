// Deep Agents Code, whose two models have two wire APIs: the stub's OpenAI chat completions and Anthropic Messages.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, pythonProgram } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const deepagents = {
  name: "Deep Agents Code (deepagents-code 0.1.88)",
  packages: ["deepagents"],
  models: [
    { id: "chat:maple", wire: "maple" },
    { id: "messages:larch", wire: "larch" },
  ],
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".deepagents");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "config.toml"), configuration(stub));
    return {
      command: [pythonProgram("deepagents", "dcode"), "--acp"],
      env: { ...homeOf(home), DEEPAGENTS_CODE_AUTO_UPDATE: "0", STUB_KEY: "a stub needs no key" },
    };
  },
  isProcess: ({ command }) => command.includes("/dcode --acp") && !command.includes(" supervise "),
};

/** Those that it knows of vendors whose packages it brings; without them its list has what is tested. */
const OTHERS = ["anthropic", "openai", "google_genai"];

function configuration(stub) {
  return `[models]
default = "chat:maple"

[models.providers.chat]
class_path = "langchain_openai:ChatOpenAI"
base_url = "${stub.url}/deepagents/v1"
api_key_env = "STUB_KEY"
models = ["maple"]

[models.providers.messages]
class_path = "langchain_anthropic:ChatAnthropic"
base_url = "${stub.url}/deepagents"
api_key_env = "STUB_KEY"
models = ["larch"]
${OTHERS.map((id) => `\n[models.providers.${id}]\nenabled = false\n`).join("")}`;
}
