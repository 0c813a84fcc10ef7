// The real `opencode serve`: what Baton is compared with, and its own description of what it sends.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { OFF_THE_NETWORK, opencodeAgent, opencodeProgram } from "./opencode.mjs";
import { homeOf } from "./packages.mjs";

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 5_000;

/**
 * Starts the server on loopback, in a home in which it knows nothing but the stub LLM, if there is one.
 * @param {{home: string, work?: string, stub?: object, env?: object}} options `work`: where its sessions work
 * @returns {Promise<{url: string, stop: () => Promise<void>}>}
 */
export async function startOpencode({ home, work = home, stub, env = {} }) {
  mkdirSync(home, { recursive: true });
  // With a stub, the same configuration that opencode has as a backend of Baton.
  const own = stub ? opencodeAgent({ home, stub }).env : { ...homeOf(home), ...OFF_THE_NETWORK };
  const server = spawn(opencodeProgram(), ["serve", "--port", "0", "--hostname", "127.0.0.1"], {
    cwd: work,
    env: { PATH: "/usr/bin:/bin", ...own, ...env },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = once(server, "exit");
  const stop = async () => {
    server.kill("SIGTERM");
    const timer = setTimeout(() => server.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  };
  const late = setTimeout(() => server.kill("SIGKILL"), START_TIMEOUT_MS);
  const lines = createInterface({ input: server.stdout });
  try {
    for await (const line of lines) {
      const url = /listening on (http:\S+)/.exec(line)?.[1];
      if (url) return { url, stop };
    }
    throw new Error("opencode serve ended without saying where it listens");
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(late);
    // What it prints later must not fill the pipe.
    server.stdout.resume();
  }
}

/** The OpenAPI document of the installed opencode, as its server gives it. */
export async function opencodeDocument(home) {
  const server = await startOpencode({ home });
  try {
    return await (await fetch(`${server.url}/doc`)).json();
  } finally {
    await server.stop();
  }
}
