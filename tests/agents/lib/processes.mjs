// Finds the processes of a test run. Every process of a run inherits one environment variable, so that
// also the ones that have left their parent are found. Linux only: it reads /proc.

import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

export const RUN_MARKER = "TEST_RUN_OF_BATON";

const POLL_INTERVAL_MS = 50;

/**
 * The living processes whose environment at their start had `TEST_RUN_OF_BATON=<run>`.
 * @returns {{pid: number, command: string}[]}
 */
export function processesOf(run) {
  const marker = `${RUN_MARKER}=${run}`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => readProc(name, "environ").split("\0").includes(marker))
    .map((name) => ({ pid: Number(name), command: readProc(name, "cmdline").split("\0").join(" ").trim() }))
    // A zombie has neither: it is dead and waits for its parent to read its exit code.
    .filter(({ command }) => command !== "");
}

/** Resolves when the condition holds; for what has no event, such as the end of a stranger's child. */
export async function eventually(condition, timeout_ms, failure) {
  const deadline_ms = Date.now() + timeout_ms;
  for (;;) {
    if (await condition()) return;
    if (Date.now() > deadline_ms) throw new Error(`${failure()} (after ${timeout_ms} ms)`);
    await pause(POLL_INTERVAL_MS);
  }
}

/** Kills what is left of a run, by pid; returns what it was. */
export function killLeftovers(run) {
  const left = processesOf(run);
  for (const { pid } of left) kill(pid, "SIGKILL");
  return left;
}

/** Sends a signal; a process that has just ended is no error. */
export function kill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** A process may end between two looks, and other users' environments cannot be read: both are "nothing". */
function readProc(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
