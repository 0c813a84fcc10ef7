// One run of a real Baton with real agents: a scratch folder, a stub LLM, a config file that names the
// agents, and the server's process. Ends everything that it started, and says if something is left.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Client } from "./lib/client.mjs";
import { opencodeAgent } from "./lib/opencode.mjs";
import { RUN_MARKER, eventually, kill, killLeftovers, processesOf } from "./lib/processes.mjs";
import { startStubLLM } from "./stub-llm.mjs";

const BUILT = fileURLToPath(new URL("../../target/debug/baton", import.meta.url));
// Not the developer's own: Baton would find his agents there and start them, and they are not on loopback.
const SYSTEM_PATH = "/usr/bin:/bin";
const START_TIMEOUT_MS = 30_000;
const SHUTDOWN_TIMEOUT_MS = 10_000;
const LEFTOVER_TIMEOUT_MS = 10_000;
const REAP_TIMEOUT_MS = 10_000;
const LOG_MAX_CHARS = 8_000;

/**
 * A stub LLM, a Baton whose config file has the agents, and a client of it.
 * `agents` makes the entries of `[agents.*]`, given `{home, stub}`; opencode alone unless said otherwise.
 * `config` stands in the file above them. With a `password`, clients have to send it. The second built-in mock agent is there for who wants it (`mock2`).
 */
export async function startRun({ agents = { opencode: opencodeAgent }, password, mock2 = false, config = "" } = {}) {
  const run = new Run(agents, password, mock2, config);
  try {
    run.stub = await startStubLLM();
    run.writeConfig();
    await run.startBaton();
  } catch (error) {
    await run.discard();
    throw error;
  }
  return run;
}

class Run {
  id = randomUUID();
  folder = mkdtempSync(path.join(tmpdir(), "baton-agents-"));
  /** The folder that the agents work in. */
  work = path.join(this.folder, "work");
  #home = path.join(this.folder, "home");
  #configFile = path.join(this.folder, "baton.toml");
  #agents;
  #password;
  #mock2;
  #config;
  #baton = null;
  #log = "";
  #events = [];
  // Also when the test runner is stopped in the middle, nothing may outlive it.
  #lastResort = () => killLeftovers(this.id);

  constructor(agents, password, mock2, config) {
    this.#agents = agents;
    this.#config = config;
    this.#mock2 = mock2;
    this.#password = password;
    mkdirSync(this.work);
    mkdirSync(this.#home);
    process.once("exit", this.#lastResort);
  }

  writeConfig() {
    const entries = Object.entries(this.#agents).map(([id, agent]) => {
      // One home each: what an agent finds there is never another one's.
      const home = this.homeOf(id);
      mkdirSync(home);
      const { command, env, ...more } = agent({ home, work: this.work, stub: this.stub });
      return tomlTable(`agents.${id}`, { command, ...more, env: { ...env, [RUN_MARKER]: this.id } });
    });
    if (!this.#mock2) entries.push(tomlTable("agents.mock2", { enabled: false }));
    writeFileSync(this.#configFile, [this.#config, ...entries].join("\n"));
  }

  /** Starts the server, or starts it again on the same data; at a free port unless one is named. */
  async startBaton({ port = 0 } = {}) {
    const program = batonProgram();
    const data = path.join(this.folder, "data");
    const args = ["serve", "--port", String(port), "--data-dir", data, "--config", this.#configFile];
    this.#baton = spawn(program, args, {
      cwd: this.work,
      env: this.#environment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#baton.stderr.setEncoding("utf8");
    this.#baton.stderr.on("data", (text) => (this.#log = (this.#log + text).slice(-LOG_MAX_CHARS)));
    const url = await this.#firstLine();
    this.client = new Client(url, this.work, this.#password);
  }

  #environment() {
    return {
      PATH: SYSTEM_PATH,
      HOME: this.#home,
      RUST_LOG: process.env.RUST_LOG ?? "info",
      [RUN_MARKER]: this.id,
      ...(this.#password && { BATON_PASSWORD: this.#password }),
    };
  }

  /** The event stream of this server; closed at the end of the run. */
  async events() {
    const events = await this.client.events();
    this.#events.push(events);
    return events;
  }

  /** The living agent processes that `isOne` recognises. */
  agentProcesses(isOne) {
    return processesOf(this.id).filter(isOne);
  }

  /** Kills the agents that `isOne` recognises, as a crash would; resolves when Baton has taken notice. */
  async killAgents(isOne) {
    const victims = this.agentProcesses(isOne).map(({ pid }) => pid);
    assert.notEqual(victims.length, 0, "there is no agent process to kill");
    for (const pid of victims) kill(pid, "SIGKILL");
    // A dead process is a zombie until its parent asks how it ended: only then does Baton know.
    const known = () => victims.filter((pid) => existsSync(`/proc/${pid}`));
    await eventually(() => known().length === 0, REAP_TIMEOUT_MS, () => `killed, but not reaped: ${known().join(" ")}`);
    return victims;
  }

  /** Kills the server as a crash would. */
  async killBaton() {
    const exited = once(this.#baton, "exit");
    this.#baton.kill("SIGKILL");
    await exited;
    this.#baton = null;
  }

  /** Ends the server as an operator would; fails if it does not end by itself or leaves a process behind. */
  async end() {
    try {
      for (const events of this.#events) events.close();
      if (this.#baton) await this.#stopBaton();
      await this.noProcessIsLeft();
    } finally {
      await this.discard();
    }
  }

  async noProcessIsLeft() {
    const left = () => processesOf(this.id);
    await eventually(() => left().length === 0, LEFTOVER_TIMEOUT_MS, () => `processes are left: ${list(left())}`);
  }

  /** Drops everything, without asking how it went. */
  async discard() {
    killLeftovers(this.id);
    process.off("exit", this.#lastResort);
    await this.stub?.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  /** The home of an agent: what it stores lies there. */
  homeOf(id) {
    return path.join(this.#home, id);
  }

  /** The end of the server's log, for the message of a failed test. */
  log() {
    return this.#log;
  }

  async #stopBaton() {
    const baton = this.#baton;
    this.#baton = null;
    if (baton.exitCode === null && baton.signalCode === null) {
      const exited = once(baton, "exit", { signal: AbortSignal.timeout(SHUTDOWN_TIMEOUT_MS) });
      baton.kill("SIGTERM");
      const late = () => assert.fail(`baton does not end within ${SHUTDOWN_TIMEOUT_MS} ms of SIGTERM\n${this.#log}`);
      await exited.catch(late);
    }
    assert.equal(baton.signalCode ?? baton.exitCode, 0, `baton's exit\n${this.#log}`);
  }

  async #firstLine() {
    const lines = createInterface({ input: this.#baton.stdout });
    const signal = AbortSignal.timeout(START_TIMEOUT_MS);
    const exit = once(this.#baton, "exit", { signal }).then(([code, killer]) =>
      assert.fail(`baton ended at its start with ${killer ?? code}\n${this.#log}`),
    );
    const line = once(lines, "line", { signal }).then(([text]) => text);
    const first = await Promise.race([line, exit]).catch((error) => {
      throw signal.aborted ? new Error(`baton says nothing within ${START_TIMEOUT_MS} ms\n${this.#log}`) : error;
    });
    // The one that lost the race must not become an unhandled rejection when its time is up.
    exit.catch(() => {});
    line.catch(() => {});
    const match = /^baton listening on (http:\/\/\S+)$/.exec(first);
    assert.ok(match, `baton's first line is not its address: ${first}`);
    return match[1];
  }
}

/** The server's program: `BATON_BIN`, or the one that `cargo build` makes. */
export function batonProgram() {
  const program = process.env.BATON_BIN ?? BUILT;
  if (!existsSync(program)) throw new Error(`no baton at ${program}: build it (cargo build) or set BATON_BIN`);
  return program;
}

/** A table of strings, booleans, lists of strings and one level of sub-tables; JSON's strings are TOML's, too. */
export function tomlTable(name, fields) {
  const lines = Object.entries(fields).map(([key, value]) => `${key} = ${tomlValue(value)}`);
  return [`[${name}]`, ...lines, ""].join("\n");
}

function tomlValue(value) {
  if (typeof value === "string" || typeof value === "boolean") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(", ")}]`;
  const fields = Object.entries(value).map(([key, field]) => `${key} = ${tomlValue(field)}`);
  return `{ ${fields.join(", ")} }`;
}

function list(processes) {
  return processes.map(({ pid, command }) => `${pid} ${command}`).join("; ");
}
