// goose, on the stub's OpenAI chat completions.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const goose = {
  name: "goose (@aaif/goose-binary-linux-x64 1.52.0)",
  packages: ["goose"],
  models: [
    { id: "gpt-4o", wire: "gpt-4o" },
    { id: "gpt-4.1", wire: "gpt-4.1" },
  ],
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".config", "goose");
    mkdirSync(folder, { recursive: true });
    const text = "GOOSE_PROVIDER: openai\nGOOSE_MODEL: gpt-4o\nGOOSE_TELEMETRY_ENABLED: false\n";
    writeFileSync(path.join(folder, "config.yaml"), text);
    return {
      command: [installed("goose", "@aaif/goose-binary-linux-x64/bin/goose"), "acp", "--with-builtin", "developer"],
      env: {
        ...homeOf(home),
        OPENAI_HOST: `${stub.url}/goose`,
        OPENAI_API_KEY: "a stub needs no key",
        GOOSE_DISABLE_KEYRING: "1",
      },
    };
  },
  isProcess: ({ command }) => /\/goose acp\b/.test(command),
};
