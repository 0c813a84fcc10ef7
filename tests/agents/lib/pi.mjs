import { mkdirSync, writeFileSync, symlinkSync, chmodSync } from "node:fs";
import path from "node:path";
import { homeOf, installed, node } from "./packages.mjs";
export const pi = {
  isProcess: ({ command }) => command.includes("pi-acp/dist/index.js"),
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".pi", "agent");
    const bin = path.join(home, "bin");
    mkdirSync(folder, { recursive: true });
    mkdirSync(bin);
    const program = installed("pi", "@earendil-works/pi-coding-agent/dist/bundle/cli.js");
    writeFileSync(path.join(bin, "pi"), `#!/bin/sh\nexec '${node()}' '${program}' "$@"\n`, { mode: 0o755 });
    const model = (id) => ({ id, name: id, reasoning: false, input: ["text"], contextWindow: 200000, maxTokens: 8000, cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 } });
    writeFileSync(path.join(folder, "models.json"), JSON.stringify({ providers: { stub: { baseUrl: `${stub.url}/pi/v1`, api: "openai-completions", apiKey: "none", models: [model("pine"), model("oak")] } } }));
    writeFileSync(path.join(folder, "settings.json"), JSON.stringify({ defaultProvider: "stub", defaultModel: "pine" }));
    return {
      command: [node(), installed("pi", "pi-acp/dist/index.js")],
      env: { ...homeOf(home), PATH: `${bin}:/usr/bin:/bin`, PI_OFFLINE: "1", PI_SKIP_VERSION_CHECK: "1" },
    };
  },
};
