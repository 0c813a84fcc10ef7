// The real `opencode serve`, for its own description of what it sends.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { opencodeProgram } from "./opencode.mjs";
import { homeOf } from "./packages.mjs";

const START_TIMEOUT_MS = 60_000;

/** The OpenAPI document of the installed opencode, as its server gives it. */
export async function opencodeDocument(home) {
  mkdirSync(home, { recursive: true });
  const server = spawn(opencodeProgram(), ["serve", "--port", "0", "--hostname", "127.0.0.1"], {
    cwd: home,
    env: {
      PATH: "/usr/bin:/bin",
      ...homeOf(home),
      OPENCODE_DISABLE_AUTOUPDATE: "1",
      OPENCODE_DISABLE_MODELS_FETCH: "1",
      OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
      OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
    },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = once(server, "exit");
  const timer = setTimeout(() => server.kill("SIGKILL"), START_TIMEOUT_MS);
  try {
    for await (const line of createInterface({ input: server.stdout })) {
      const url = /listening on (http:\S+)/.exec(line)?.[1];
      if (url) return await (await fetch(`${url}/doc`)).json();
    }
    throw new Error("opencode serve ended without saying where it listens");
  } finally {
    clearTimeout(timer);
    server.kill("SIGTERM");
    await exited;
  }
}
