// Going back with the real `opencode acp` behind Baton: what its model is asked decides whether the agent has
// really forgotten, and the files whether the working directory is as it was.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { startRun } from "./harness.mjs";
import { lastTurn, unique } from "./lib/assertions.mjs";
import { textOf } from "./lib/client.mjs";

const START_TIMEOUT_MS = 120_000;
const SCENARIO = { timeout: 120_000 };
const ALPHA = { providerID: "opencode", modelID: "stub/alpha" };
const MOCK = { providerID: "mock", modelID: "mock" };

describe("going back with opencode", () => {
  let run, client, stub;
  before(
    async () => {
      run = await startRun();
      ({ client, stub } = run);
      execFileSync("git", ["init", "--quiet"], { cwd: run.work });
      writeFileSync(path.join(run.work, "kept.txt"), "as it was\n");
      await client.connected("opencode");
    },
    { timeout: START_TIMEOUT_MS },
  );
  after(() => run?.end(), { timeout: START_TIMEOUT_MS });

  const file = (name) => path.join(run.work, name);
  const asked = () => lastTurn(stub).messages.map(({ text }) => text).join("\n");

  test("neither the model nor the files know what was reverted", SCENARIO, async () => {
    const [apple, pear, plum] = ["apple", "pear", "plum"].map(unique);
    const id = await client.createSession();
    await client.prompt(id, `SAY ${apple}`, { model: ALPHA });
    const made = await client.prompt(id, `TOOLWRITE ${pear}.txt ${pear}`);
    await client.prompt(id, "TOOLWRITE kept.txt overwritten");
    assert.ok(existsSync(file(`${pear}.txt`)));
    assert.equal(readFileSync(file("kept.txt"), "utf8"), "overwritten");
    assert.equal((await client.ok("GET", `/session/${id}/diff`)).length, 2);

    const back = { messageID: made.info.parentID };
    const reverted = await client.ok("POST", `/session/${id}/revert`, back);
    assert.equal(reverted.revert.messageID, made.info.parentID);
    assert.ok(!existsSync(file(`${pear}.txt`)));
    assert.equal(readFileSync(file("kept.txt"), "utf8"), "as it was\n");
    await client.ok("POST", `/session/${id}/unrevert`);
    assert.ok(existsSync(file(`${pear}.txt`)));
    assert.equal(readFileSync(file("kept.txt"), "utf8"), "overwritten");

    await client.ok("POST", `/session/${id}/revert`, back);
    const answer = await client.prompt(id, `SAY ${plum}`);
    assert.equal(textOf(answer), `[alpha] ${plum}`);
    const text = asked();
    assert.ok(text.includes(apple) && text.includes(plum), text);
    assert.ok(!text.includes(pear) && !text.includes("overwritten"), text);
    assert.ok(!existsSync(file(`${pear}.txt`)));
    assert.equal((await client.messages(id)).length, 4);
  });

  test("a fork goes on with another backend and knows everything before it", SCENARIO, async () => {
    const [fig, kiwi] = ["fig", "kiwi"].map(unique);
    const id = await client.createSession();
    await client.prompt(id, `echo ${fig}`, { model: MOCK });
    const last = await client.prompt(id, `echo ${kiwi}`);
    const fork = await client.ok("POST", `/session/${id}/fork`, { messageID: last.info.parentID });
    await client.prompt(fork.id, "SAY hello", { model: ALPHA });
    const text = asked();
    assert.ok(text.includes(fig) && !text.includes(kiwi), text);
    assert.equal((await client.messages(id)).length, 4, "the original is left alone");
  });

  test("an edited answer is what the model is given", SCENARIO, async () => {
    const [wrong, right] = ["wrong", "right"].map(unique);
    const id = await client.createSession();
    const answer = await client.prompt(id, `SAY ${wrong}`, { model: ALPHA });
    const prompt = (await client.messages(id))[0];
    for (const { info, parts } of [prompt, answer]) {
      const part = parts.find(({ type }) => type === "text");
      const edited = { ...part, text: part.text.replace(wrong, right) };
      await client.ok("PATCH", `/session/${id}/message/${info.id}/part/${part.id}`, edited);
    }
    await client.prompt(id, "SAY on");
    const text = asked();
    assert.ok(text.includes(`SAY ${right}`) && text.includes(`[alpha] ${right}`), text);
    assert.ok(!text.includes(wrong), text);
  });
});
