// What is set of a session and of the server on Baton's own page: who goes on when a model cannot answer, what may be spent,
// agents with a model of their own, and MCP servers.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { stepsOf } from "../web/lib/report.mjs";
import { begin, end, mock } from "./lib/stage.mjs";

const SCENARIO_TIMEOUT_MS = 300_000;
/** A program that answers MCP's handshake. */
const ANSWERS = `read -r line; echo '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"x","version":"1"}}}'; sleep 5`;
const CONFIG = `
[profiles.plan]
model = "mock/mock-strong"
variant = "high"
description = "Thinks hard"

[profiles.quick]
model = "mock2/mock2"

[mcp.files]
command = ["sh", "-c", ${JSON.stringify(ANSWERS)}]

[mcp.gone]
command = ["no-such-program"]
`;

describe("the settings on the page", { timeout: SCENARIO_TIMEOUT_MS }, () => {
  const at = {};
  const step = stepsOf(it, at);
  const info = () => at.run.client.ok("GET", `/session/${at.session}`);

  before(async () => {
    await begin(at, { limited: mock("Limited", ["--models", "only", "--fault", "rate-limited"]) }, CONFIG);
    for (const name of ["mock", "mock2", "limited"]) await at.run.client.connected(name);
    await at.ui.open();
    at.session = await at.ui.newSession();
  });
  after(() => end(at));

  step("an agent says which model it selects, and what it is for", async ({ ui, page, run, session }) => {
    const agent = page.locator("#agent");
    // A model has its id until its backend has told its name.
    await agent.locator("option", { hasText: "quick · Mock2" }).waitFor({ state: "attached" });
    assert.deepEqual(await agent.locator("option").allInnerTexts(), ["build", "plan · Mock Strong, high (Mock) · Thinks hard", "quick · Mock2 (Mock 2)"]);
    await agent.selectOption("plan");
    await ui.switched("Mock Strong, high");
    assert.equal(await page.locator("#curl-line").textContent(), `curl -X PATCH ${run.client.base}/session/${session} --json '{"agent":"plan"}'`);
    assert.equal(await agent.getAttribute("title"), "Thinks hard");
    const { switches } = await run.client.ok("GET", `/session/${session}/model`);
    assert.equal(switches.length, 1);
    await ui.isForEverybody("a profile");
    await agent.selectOption("build");
    await ui.pick("limited only");
    await page.locator("#open-picker").getByText("Limited").waitFor();
  });

  step("a chain is put together, and the prompt goes on with it", async ({ ui, page }) => {
    const open = ui.button("Change the chain");
    await page.locator("#chain", { hasText: "The server's own chain." }).waitFor();
    await open.click();
    const sheet = ui.sheet("If the model cannot answer");
    await sheet.getByLabel("these models go on").check();
    await sheet.getByRole("button", { name: "Save" }).click();
    await sheet.getByRole("alert").getByText("Add a model").waitFor();
    const add = sheet.getByRole("button", { name: "Add a model" });
    for (const words of ["mock2 mock2", "mock mock-strong", "mock mock-fast", "mock mock-strong"]) {
      await add.click();
      const picker = ui.sheet("Add a model to the chain");
      await picker.getByLabel("Search models").fill(words);
      assert.equal(await picker.getByLabel("Hand over").isVisible(), false);
      await page.keyboard.press("Enter");
      await picker.waitFor({ state: "hidden" });
      await ui.hasFocus(add);
    }
    const names = () => sheet.locator(".chain .name").allInnerTexts();
    assert.deepEqual(await names(), ["Mock2 (Mock 2)", "Mock Strong (Mock)", "Mock Fast (Mock)"]);
    await sheet.getByLabel("Effort: Mock Strong (Mock)").selectOption("high");
    await sheet.getByRole("button", { name: "Later: Mock2 (Mock 2)" }).focus();
    await page.keyboard.press("Enter");
    await ui.hasFocus(sheet.getByRole("button", { name: "Later: Mock2 (Mock 2)" }));
    await page.keyboard.press("Enter");
    await ui.hasFocus(sheet.getByRole("button", { name: "Earlier: Mock2 (Mock 2)" }));
    await sheet.getByRole("button", { name: "Take out: Mock Fast (Mock)" }).click();
    await ui.hasFocus(sheet.getByRole("button", { name: "Take out: Mock2 (Mock 2)" }));
    assert.deepEqual(await names(), ["Mock Strong (Mock)", "Mock2 (Mock 2)"]);
    await ui.pictures("chain");
    await sheet.getByRole("button", { name: "Save" }).click();
    await sheet.waitFor({ state: "detached" });
    await ui.hasFocus(open);
    await page.locator("#chain", { hasText: "Mock Strong, high (Mock), then Mock2 (Mock 2)" }).waitFor();
    const chain = [{ providerID: "mock", modelID: "mock-strong", variant: "high" }, { providerID: "mock2", modelID: "mock2" }];
    assert.deepEqual((await info()).fallback, chain);
    await ui.send("echo plum");
    await ui.answered("Mock Strong", "plum");
    const line = await ui.switched("Mock Strong, high");
    await line.getByText("by the chain, as the other's rate limit was reached").waitFor();
    // A choice: the session does not go back to its first one.
    await ui.pick("mock fast");
    await ui.switched("Mock Fast");
  });

  step("no chain and the server's own are two things", async ({ ui, page }) => {
    for (const [label, told, stored] of [
      ["nobody goes on", "Nobody goes on.", []],
      ["the server's own chain", "The server's own chain.", undefined],
    ]) {
      await ui.button("Change the chain").click();
      const sheet = ui.sheet("If the model cannot answer");
      await sheet.getByLabel(label).check();
      await sheet.getByRole("list", { name: "Chain" }).waitFor({ state: "hidden" });
      await sheet.getByRole("button", { name: "Save" }).click();
      await page.locator("#chain", { hasText: told }).waitFor();
      assert.deepEqual((await info()).fallback, stored);
    }
    // What somebody else sets shows, too.
    await at.run.client.ok("PATCH", `/session/${at.session}`, { fallback: [] });
    await page.locator("#chain", { hasText: "Nobody goes on." }).waitFor();
  });

  step("what was spent is told, and a limit is set", async ({ ui, page }) => {
    const open = ui.button("What was spent, and the limit");
    await page.locator("#limit", { hasText: "the server's own limit" }).waitFor();
    await open.click();
    const sheet = ui.sheet("Spending");
    const row = sheet.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "Mock Strong (Mock)" }) });
    const [answers, tokens, cost] = await row.getByRole("cell").allInnerTexts();
    assert.equal(answers, "1");
    assert.match(tokens, /^\d+$/);
    assert.match(cost, /^\$0\.\d+$|^< \$/);
    // It has refused everything, and so reported nothing.
    await sheet.getByText("Limited has reported no cost and no tokens: what it used does not count.").waitFor();
    await sheet.getByLabel("at most").check();
    await sheet.getByRole("button", { name: "Save" }).click();
    await sheet.getByRole("alert").getByText("Give dollars, tokens or both.").waitFor();
    await sheet.getByLabel("US dollars").fill("-1");
    await sheet.getByRole("button", { name: "Save" }).click();
    await sheet.getByRole("alert").getByText("The dollars are no amount.").waitFor();
    await sheet.getByLabel("US dollars").fill("0.0000001");
    await sheet.getByLabel("Tokens").fill("9000");
    await sheet.getByLabel("Stop an answer").check();
    await ui.pictures("limit");
    await sheet.getByRole("button", { name: "Save" }).click();
    await sheet.waitFor({ state: "detached" });
    await ui.hasFocus(open);
    assert.deepEqual((await info()).limit, { cost: 1e-7, tokens: 9000, hard: true });
    await page.locator("#limit", { hasText: /of < \$0\.0001, \d+ of 9K tokens; an answer is stopped there\./ }).waitFor();
  });

  step("a prompt that is refused leads to the limit", async ({ ui, page }) => {
    await ui.send("echo pear");
    const refused = page.locator("#conversation .switch.failed").filter({ hasText: "Refused: This session has spent" });
    await refused.waitFor();
    // What was written is still there.
    assert.equal(await page.locator("#prompt").inputValue(), "echo pear");
    await refused.getByRole("button", { name: "Spending limit" }).click();
    const sheet = ui.sheet("Spending");
    await sheet.getByText("This session has spent").waitFor();
    await ui.pictures("refused");
    await ui.closesTo(sheet, refused.getByRole("button", { name: "Spending limit" }));
    await refused.getByRole("button", { name: "Spending limit" }).click();
    await sheet.getByLabel("as much as it wants").check();
    await sheet.getByRole("button", { name: "Save" }).click();
    await page.locator("#limit", { hasText: "no limit" }).waitFor();
    assert.deepEqual((await info()).limit, { hard: false });
    await page.locator("#prompt").press("Enter");
    await ui.answered("Mock Fast", "pear");
    await ui.button("What was spent, and the limit").click();
    await sheet.getByLabel("what the server's own limit says").check();
    await sheet.getByRole("button", { name: "Save" }).click();
    await page.locator("#limit", { hasText: "the server's own limit" }).waitFor();
    assert.equal((await info()).limit, undefined);
  });

  step("MCP servers are listed, taken away, given again and added", async ({ ui, page, run }) => {
    const open = ui.button("MCP servers");
    await open.click();
    const sheet = ui.sheet("MCP servers");
    const row = (name) => sheet.getByRole("listitem").filter({ has: page.locator("strong", { hasText: name }) });
    await row("gone").getByText("does not answer").waitFor();
    await row("gone").getByText("no-such-program").waitFor();
    await row("files").getByText("connected", { exact: true }).waitFor();
    await ui.pictures("mcp");
    await sheet.getByRole("button", { name: "Disconnect files" }).press("Enter");
    await row("files").getByText("off", { exact: true }).waitFor();
    assert.equal((await run.client.ok("GET", "/mcp")).files.status, "disabled");
    const connect = sheet.getByRole("button", { name: "Connect files" });
    await ui.hasFocus(connect);
    await connect.press("Enter");
    await row("files").getByText("connected", { exact: true }).waitFor();

    await sheet.getByLabel("Name").fill("two words");
    await sheet.getByLabel("Command").fill(`sh -c "exit 3"`);
    await sheet.getByRole("button", { name: "Add" }).click();
    await sheet.getByRole("alert").getByText("Expected a name").waitFor();
    await sheet.getByLabel("Name").fill("ends");
    await sheet.getByRole("button", { name: "Add" }).click();
    await row("ends").getByText("does not answer").waitFor();
    assert.equal(await page.locator("#curl-line").textContent(), `curl '${run.client.base}/mcp?directory=${encodeURIComponent(run.work)}' --json '{"name":"ends","config":{"type":"local","command":["sh","-c","exit 3"]}}'`);
    await sheet.getByLabel("It is").selectOption("an address");
    await sheet.getByLabel("Name").fill("far");
    await sheet.getByRole("textbox", { name: "Address" }).fill(`${new URL(run.client.base).origin}/mcp`);
    await sheet.getByRole("button", { name: "Add" }).click();
    await row("far").getByText("connected", { exact: true }).waitFor();
    await ui.closesTo(sheet, open);

    writeFileSync(path.join(run.work, "opencode.json"), JSON.stringify({ mcp: { own: { type: "local", command: ["no-such-program"] } } }));
    await open.click();
    await row("own").getByText("off", { exact: true }).waitFor();
    await sheet.getByRole("button", { name: "Connect own" }).click();
    await row("own").getByText("does not answer").waitFor();
    await ui.closesTo(sheet, open);
  });

  step("on a phone the chain is behind the figures, and the focus stays there", async ({ ui, page }) => {
    await page.setViewportSize({ width: 390, height: 844 });
    await ui.button("Models and switches").click();
    const open = ui.button("Change the chain");
    await open.click();
    await ui.closesTo(ui.sheet("If the model cannot answer"), open);
    assert.equal(await open.isVisible(), true);
    await page.emulateMedia({ reducedMotion: "reduce" });
    await ui.isForEverybody("the figures on a phone");
    await page.keyboard.press("Escape");
    await open.waitFor({ state: "hidden" });
    await ui.doesNotOverflow();
  });

  step("nothing was asked of any other machine", async ({ record }) => {
    assert.deepEqual(record.left, []);
    assert.deepEqual(record.errors, []);
  });
});
