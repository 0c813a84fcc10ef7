// A real MCP server that every real agent is given: its tool works before and after a switch, also where it was added while
// the session lived.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startRun } from "./harness.mjs";
import { AGENTS, IS_WHOLE, SKIPPED } from "./lib/agents.mjs";
import { unique } from "./lib/assertions.mjs";
import { textOf, toolParts } from "./lib/client.mjs";
import { installed, node } from "./lib/packages.mjs";
import { eventually } from "./lib/processes.mjs";
import { Talk, selection } from "./lib/talk.mjs";

const START_TIMEOUT_MS = 120_000;
const CONNECTED_TIMEOUT_MS = 20_000;
const CHECK = { timeout: 120_000 };
/** The agents that a run which tries only some tries this with. */
const FEW = ["opencode", "claude", "codex", "qwen"];
/** Claude Code looks for the tools of servers before it offers them, unless it is told otherwise. */
const OFFERS = { ENABLE_TOOL_SEARCH: "false" };
const NAME = "everything";
const SERVER = [node(), installed("everything", "@modelcontextprotocol/server-everything/dist/index.js"), "stdio"];
const KEY = unique("key");

const isTried = (id) => IS_WHOLE || FEW.includes(id) || SKIPPED.length > 0;
const tried = Object.entries(AGENTS).filter(([id]) => isTried(id));

describe("an MCP server", { concurrency: 1 }, () => {
  let run, client, talk;
  before(
    async () => {
      const config = `[mcp.${NAME}]\ncommand = ${JSON.stringify(SERVER)}\nenv = { EVERYTHING_KEY = "${KEY}" }\n`;
      const offering = (agent) => (run) => {
        const entry = agent.entry(run);
        return { ...entry, env: { ...entry.env, ...OFFERS } };
      };
      run = await startRun({ agents: Object.fromEntries(tried.map(([id, agent]) => [id, offering(agent)])), config });
      client = run.client;
      talk = new Talk({ client, stub: run.stub, events: await run.events() });
      for (const [id] of tried) await client.connected(id);
    },
    { timeout: START_TIMEOUT_MS },
  );
  after(() => run?.end(), { timeout: START_TIMEOUT_MS });

  /** The agent's model calls the server's tool, which says a word again. */
  async function callsItsTool(session) {
    const word = unique("said");
    let answer;
    // Qwen Code connects to a server only after it has opened a native session.
    const isThere = async () => {
      answer = await talk.prompt(session, `TOOLMCP ${word}`);
      return !textOf(answer).includes("is not registered in this session");
    };
    await eventually(isThere, CONNECTED_TIMEOUT_MS, () => textOf(answer));
    assert.equal(answer.info.error, undefined);
    assert.match(textOf(answer), new RegExp(`tool said: [^]*echo:? ?${word}`, "i"));
    const called = toolParts(await client.messages(session)).at(-1);
    assert.equal(called?.state.status, "completed", JSON.stringify(called));
  }

  test("it answers, and its environment is not shown", CHECK, async () => {
    const servers = await client.ok("GET", "/mcp");
    assert.deepEqual(servers, { [NAME]: { status: "connected" } });
    assert.ok(!run.log().includes(KEY));
  });

  tried.forEach(([id, agent], at) => {
    const [next, nextAgent] = tried[(at + 1) % tried.length];

    test(`${id}, and ${next} after a switch`, CHECK, async () => {
      const session = await client.createSession();
      await talk.switchTo(session, selection(id, agent.models[0]));
      await callsItsTool(session);
      await talk.switchTo(session, selection(next, nextAgent.models[0]));
      await callsItsTool(session);
    });

    test(`${id}: taken away, and given again`, CHECK, async () => {
      const session = await client.createSession();
      await talk.switchTo(session, selection(id, agent.models[0]));
      const mark = unique("mark");
      await client.prompt(session, `SAY ${mark}`);
      try {
        await client.ok("POST", `/mcp/${NAME}/disconnect`);
        const without = await talk.prompt(session, "TOOLMCP gone");
        assert.ok(!/echo: ?gone/i.test(textOf(without)), textOf(without));
      } finally {
        await client.ok("POST", `/mcp/${NAME}/connect`);
      }
      await callsItsTool(session);
      const word = unique("knows");
      await client.prompt(session, `SAY ${word}`);
      assert.ok(JSON.stringify(talk.requestWith(word)).includes(mark));
    });
  });
});
