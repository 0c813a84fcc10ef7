// What nobody needs any more does not stay among the conversations that an agent keeps for its user: the native sessions of
// probes, and of sessions that were deleted.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { startRun } from "./harness.mjs";
import { AGENTS, isTriedWhole } from "./lib/agents.mjs";
import { eventually } from "./lib/processes.mjs";

const SCENARIO = { timeout: 300_000 };
// Each is a start of its program, one after the other.
const REMOVED_TIMEOUT_MS = 90_000;
const LIST_TIMEOUT_MS = 30_000;

for (const id of ["opencode", "kilo"]) {
  if (!AGENTS[id] || !isTriedWhole(id)) continue;
  describe(`what is left in ${id}`, () => {
    test("nothing of a probe, and nothing of a deleted session", SCENARIO, async (t) => {
      let entry;
      const run = await startRun({ agents: { [id]: (given) => (entry = AGENTS[id].entry(given)) } });
      try {
        const { client } = run;
        await client.connected(id);
        const [{ id: modelID }] = AGENTS[id].models;
        const [kept, deleted] = [await client.createSession(), await client.createSession()];
        for (const session of [kept, deleted]) {
          await client.prompt(session, "SAY hi", { model: { providerID: id, modelID } });
        }
        await eventually(
          async () => (await listed(entry)).length === 2,
          REMOVED_TIMEOUT_MS,
          () => "it has other sessions than the two that were prompted",
        );
        await client.ok("DELETE", `/session/${deleted}`);
        await eventually(async () => (await listed(entry)).length === 1, REMOVED_TIMEOUT_MS, () => "both are there");
        await client.ok("DELETE", `/session/${kept}`);
        await eventually(async () => (await listed(entry)).length === 0, REMOVED_TIMEOUT_MS, () => "one is there");
      } catch (error) {
        t.diagnostic(run.log());
        throw error;
      } finally {
        await run.end();
      }
    });
  });
}

/** The ids of all its sessions, of whatever directory. */
async function listed({ command: [program], env }) {
  const folder = mkdtempSync(path.join(tmpdir(), "baton-list-"));
  try {
    const query = ["db", "SELECT id FROM session", "--format", "json"];
    const options = { cwd: folder, env: { PATH: "/usr/bin:/bin", ...env }, timeout: LIST_TIMEOUT_MS };
    const { stdout } = await promisify(execFile)(program, query, options);
    return JSON.parse(stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
