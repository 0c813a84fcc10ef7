import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed } from "./packages.mjs";
export const goose = {
  isProcess: ({ command }) => /\/goose acp\b/.test(command),
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".config", "goose");
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "config.yaml"), "GOOSE_PROVIDER: openai\nGOOSE_MODEL: gpt-4o\nGOOSE_TELEMETRY_ENABLED: false\n");
    return {
      command: [installed("goose", "@aaif/goose-binary-linux-x64/bin/goose"), "acp", "--with-builtin", "developer"],
      env: { ...homeOf(home), OPENAI_HOST: `${stub.url}/goose`, OPENAI_API_KEY: "none", GOOSE_DISABLE_KEYRING: "1" },
    };
  },
};
