// Rules that forbid tools hold with the real agents, whatever these would ask by themselves; an agent that has no way to
// keep them refuses them, and so does a switch to it.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { after, before, describe } from "node:test";
import { startRun } from "./harness.mjs";
import { AGENTS, isTriedWhole } from "./lib/agents.mjs";
import { unique } from "./lib/assertions.mjs";
import { textOf } from "./lib/client.mjs";
import { scenarios } from "./lib/scenario.mjs";

const START_TIMEOUT_MS = 120_000;
// Each set of rules is a start of the agent.
const SCENARIO = { timeout: 240_000 };
/** Those that keep all rules; the others refuse them. */
const KEEPERS = ["opencode", "claude", "kilo"];
/** Those that can only do without commands, or without changing files. */
const DENIERS = ["copilot"];

const rule = (permission, pattern, action) => ({ permission, pattern, action });
const MOCK = { providerID: "mock", modelID: "mock" };

for (const [id, agent] of Object.entries(AGENTS).filter(([id]) => isTriedWhole(id))) {
  describe(`what is denied to ${id}`, () => {
    let run, client;
    const [first, second] = agent.models.map((model) => ({ providerID: id, modelID: model.id }));

    before(
      async () => {
        run = await startRun({ agents: { [id]: agent.entry } });
        client = run.client;
        await client.connected(id);
      },
      { timeout: START_TIMEOUT_MS },
    );
    after(() => run?.end(), { timeout: START_TIMEOUT_MS });

    const scenario = scenarios(() => run, SCENARIO);

    async function sessionWith(permission) {
      const { id: session } = await client.ok("POST", "/session", { permission });
      client.created.push(session);
      return session;
    }

    const isThere = (file) => existsSync(path.join(run.work, file));

    /** Has the model call a tool that makes a file; whether it is there afterwards, and what was said. */
    async function tries(session, tool, more) {
      const file = `${unique("made").toLowerCase()}.txt`;
      const text = tool === "bash" ? `TOOLBASH touch ${file}` : `TOOLWRITE ${path.join(run.work, file)} content`;
      const answer = await client.prompt(session, text, more);
      return { made: isThere(file), said: textOf(answer), answer };
    }

    if (DENIERS.includes(id)) {
      scenario("a denied tool does not run, before and after a switch; what it cannot keep is refused", async () => {
        const session = await sessionWith([rule("bash", "*", "deny")]);
        await client.prompt(session, "echo hi", { model: MOCK });
        for (const model of [first, second]) {
          const command = await tries(session, "bash", { model });
          assert.equal(command.made, false, command.said);
        }
        await client.ok("PATCH", `/session/${session}`, { permission: [rule("bash", "*", "allow")] });
        const edit = await tries(session, "edit", { tools: { edit: false, write: false } });
        assert.equal(edit.made, false, edit.said);
        const allowed = await tries(await sessionWith([rule("*", "*", "allow")]), "bash", { model: first });
        assert.equal(allowed.made, true, allowed.said);
        for (const kept of ["read", "*"]) {
          const permission = [rule(kept, "*", "deny")];
          const body = { permission, model: { providerID: id, id: first.modelID } };
          const made = await client.call("POST", "/session", body);
          assert.equal(made.status, 400, JSON.stringify(made.body));
        }
      });
      return;
    }

    if (!KEEPERS.includes(id)) {
      scenario("a rule is refused, and so is a switch to it", async () => {
        const body = { permission: [rule("bash", "*", "deny")], model: { providerID: id, id: first.modelID } };
        const made = await client.call("POST", "/session", body);
        assert.equal(made.status, 400, JSON.stringify(made.body));
        assert.match(JSON.stringify(made.body), /cannot keep/);
        const session = await sessionWith(body.permission);
        await client.prompt(session, "echo hi", { model: MOCK });
        const switched = await client.call("PATCH", `/session/${session}`, first);
        assert.equal(switched.status, 400, JSON.stringify(switched.body));
        assert.equal((await client.getSession(session)).model.providerID, "mock");
      });
      return;
    }

    scenario("a denied tool does not run, before and after a switch, and runs without the rule", async () => {
      const session = await sessionWith([rule("bash", "*", "deny"), rule("edit", "*", "allow")]);
      await client.prompt(session, "echo hi", { model: MOCK });
      for (const model of [first, second]) {
        const command = await tries(session, "bash", { model });
        assert.equal(command.made, false, command.said);
        assert.ok(!command.answer.info.error, JSON.stringify(command.answer.info.error));
        const edit = await tries(session, "edit");
        assert.equal(edit.made, true, edit.said);
      }
      await client.ok("PATCH", `/session/${session}`, { permission: [rule("*", "*", "allow")] });
      const allowed = await tries(session, "bash");
      assert.equal(allowed.made, true, allowed.said);
      const forbidden = await tries(session, "edit", { tools: { write: false } });
      assert.equal(forbidden.made, false, forbidden.said);
      assert.match(textOf(await client.prompt(session, "HISTORY")), /history: \d+ messages/);
    });

    scenario("with everything denied, nothing runs", async () => {
      const session = await sessionWith([rule("*", "*", "deny")]);
      for (const tool of ["bash", "edit"]) {
        const tried = await tries(session, tool, { model: first });
        assert.equal(tried.made, false, tried.said);
        assert.ok(!tried.answer.info.error, JSON.stringify(tried.answer.info.error));
      }
    });

    scenario("a rule about some commands has it ask, and answers it", async () => {
      const rules = [rule("*", "*", "allow"), rule("bash", "touch made*", "deny"), rule("edit", "*", "deny")];
      const session = await sessionWith(rules);
      const denied = await tries(session, "bash", { model: first });
      assert.equal(denied.made, false, denied.said);
      const other = `${unique("other")}.txt`;
      await client.prompt(session, `TOOLBASH touch ${other}`);
      assert.equal(isThere(other), true);
      const edit = await tries(session, "edit");
      assert.equal(edit.made, false, edit.said);
    });
  });
}
