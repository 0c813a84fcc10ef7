// A handover that its user chooses, from and to real agents: the summary is written by the agent that knows the
// conversation, in a native session of its own, and it alone is what the next model is given.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startRun } from "./harness.mjs";
import { AGENTS, IS_WHOLE, SKIPPED } from "./lib/agents.mjs";
import { unique, wordsOf } from "./lib/assertions.mjs";
import { textOf } from "./lib/client.mjs";
import { Talk, selection } from "./lib/talk.mjs";

const START_TIMEOUT_MS = 120_000;
const CHECK = { timeout: 120_000 };
/** The agents that a run which tries only some tries this with. */
const FEW = ["opencode", "claude", "codex", "qwen"];
const MOCK = { providerID: "mock", modelID: "mock" };

const isTried = (id) => IS_WHOLE || FEW.includes(id) || SKIPPED.length > 0;
const tried = Object.entries(AGENTS).filter(([id]) => isTried(id));

describe("a handover that is chosen", { concurrency: 1 }, () => {
  let run, client, stub, talk;
  before(
    async () => {
      run = await startRun({ agents: Object.fromEntries(tried.map(([id, agent]) => [id, agent.entry])) });
      ({ client, stub } = run);
      talk = new Talk({ client, stub, events: await run.events() });
      for (const [id] of tried) await client.connected(id);
    },
    { timeout: START_TIMEOUT_MS },
  );
  after(() => run?.end(), { timeout: START_TIMEOUT_MS });

  const hand = (session, to, more) => client.ok("PATCH", `/session/${session}?wait=true`, { ...to, ...more });

  tried.forEach(([id, agent], at) => {
    const [next, nextAgent] = tried[(at + 1) % tried.length];
    const [from, to] = [selection(id, agent.models[0]), selection(next, nextAgent.models[0])];

    test(`${id} summarises for ${next}`, CHECK, async () => {
      const session = await client.createSession();
      await hand(session, from);
      const [mark, said] = [unique("mark"), unique("said")];
      await client.prompt(session, `SAY ${said} ${mark}`);
      const preview = await client.ok("GET", `/session/${session}/handoff?providerID=${next}&modelID=${encodeURIComponent(to.modelID)}&handoff=summary`);
      assert.deepEqual([preview.handoff, preview.summary.by.providerID], ["summary", id]);
      await hand(session, to, { handoff: "summary", note: `note ${unique("note")}` });
      const word = unique("next");
      const answer = await client.prompt(session, `SAY ${word}`);
      assert.equal(textOf(answer), `[${nextAgent.models[0].wire}] ${word}`);
      const given = wordsOf(talk.requestWith(word));
      // A good summary has what was marked, and not everything that was said.
      assert.ok(given.includes(mark) && !given.includes(said), given);
      assert.ok(given.includes("note-"), given);
      const messages = await client.messages(session);
      const summary = messages.find(({ info }) => info.summary === true);
      assert.equal(summary.info.error, undefined);
      assert.deepEqual([summary.info.providerID, summary.info.modelID], [id, from.modelID]);
      assert.ok(textOf(summary).includes(mark), textOf(summary));
      const { switches } = await client.ok("GET", `/session/${session}/model`);
      assert.equal(switches.at(-1).transfer.kind, "summary");
      // Back to who knows: natively, with what was missed and without the summary.
      await hand(session, from);
      const back = unique("back");
      await client.prompt(session, `SAY ${back}`);
      const known = wordsOf(talk.requestWith(back));
      assert.ok(known.includes(said) && known.includes(word), known);
    });

    test(`${next} is given nothing`, CHECK, async () => {
      const session = await client.createSession();
      await hand(session, MOCK);
      const mark = unique("mark");
      await client.prompt(session, `echo ${mark}`);
      await hand(session, to, { handoff: "none" });
      const word = unique("next");
      await client.prompt(session, `SAY ${word}`);
      assert.ok(!wordsOf(talk.requestWith(word)).includes(mark));
    });
  });
});
