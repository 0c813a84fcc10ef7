// Baton's own page: a conversation that goes from one backend to another, by the page and by curl, with everything that
// can come between.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { opencodeAgent } from "../../agents/lib/opencode.mjs";
import { eventually } from "../../agents/lib/processes.mjs";
import { stepsOf } from "../web/lib/report.mjs";
import { begin, end, mock } from "./lib/stage.mjs";

const SCENARIO_TIMEOUT_MS = 400_000;
const CONDITION_TIMEOUT_MS = 30_000;

/** A command line of a user's, with what it prints. */
function curl(...args) {
  return execFileSync("curl", ["-sS", "--fail-with-body", ...args], { encoding: "utf8" });
}

describe("the page", { timeout: SCENARIO_TIMEOUT_MS }, () => {
  const at = {};
  const step = stepsOf(it, at);

  before(async () => {
    await begin(at, {
      opencode: opencodeAgent,
      faulty: mock("Faulty", ["--models", "good,bad", "--fault", "set-model-error"]),
      slow: mock("Slow", ["--models", "slow-one", "--fault", "slow-start", "--delay-ms", "2500"]),
    });
    for (const name of ["mock", "mock2", "faulty", "slow", "opencode"]) await at.run.client.connected(name);
  });
  after(() => end(at));

  step("begins with what there is: backends with what to do, and a tour", async ({ ui, page }) => {
    await ui.open();
    const row = (name) => page.locator("#backends tr").filter({ has: page.getByRole("rowheader", { name, exact: true }) });
    await row("Mock 2").getByText("ready").waitFor();
    await row("Claude Code").getByText("not installed").waitFor();
    await row("Claude Code").getByText("baton install claude").waitFor();
    await ui.pictures("welcome");
  });

  step("the tour hands a conversation over, and back", async ({ ui, page }) => {
    await ui.button("Take the two-minute tour").click();
    await ui.answered("Mock Fast", "plum");
    for (const [button, done] of [
      ["Have it read a long file", () => ui.answered("Mock Fast", "read 4 KB")],
      ["Switch to Mock Strong, high", () => ui.switched("Mock Strong, high")],
      ["Hand over to Mock 2", () => ui.switched("Mock2 Strong, thorough")],
      ["Ask it what it knows", () => ui.answered("Mock2 Strong", "earlier conversation")],
      ["Back to Mock Fast", () => ui.answered("Mock Fast", "I am back")],
    ]) {
      await ui.button(button).click();
      await done();
    }
    await ui.button("Copy the command").waitFor();
    // The session began with the same model: its line is another one.
    const back = page.locator("#conversation .switch.applied").filter({ hasText: "what it missed" });
    assert.match(await back.innerText(), /by the picker · only what it missed: 2 messages, [\d.]+ KB · [\d.]+ m?s/);
    await page.locator("#usage").getByText("Mock2 Strong").waitFor();
    await ui.pictures("tour");
  });

  step("a switch line opens the very text that the model was given, and what was left out", async ({ ui, page, run }) => {
    const line = page.locator("#conversation .switch").filter({ hasText: "the whole conversation" });
    await ui.toTheBeginning();
    await line.getByText("1 left out or shortened").waitFor();
    await line.getByRole("button", { name: "what it was given" }).click();
    const sheet = page.getByRole("dialog", { name: "What Mock2 Strong, thorough was given" });
    await sheet.getByText(/^\d+ bytes of the result left out/).waitFor();
    const { switches } = await run.client.ok("GET", `/session/${await ui.sessionID()}/model`);
    const { revision } = switches.find(({ transfer }) => transfer?.kind === "transcript");
    const { given } = await run.client.ok("GET", `/session/${await ui.sessionID()}/model/${revision}`);
    assert.equal(await sheet.locator(".handover").textContent(), given[0].text);
    await ui.pictures("handover");
    await page.keyboard.press("Escape");
    await sheet.waitFor({ state: "detached" });
  });

  step("a PATCH of curl shows as one, and the page teaches the command", async ({ ui, page, run }) => {
    const id = await ui.newSession();
    await ui.pick("mock fast");
    await ui.switched("Mock Fast");
    const shown = await page.locator("#curl-line").textContent();
    assert.equal(shown, `curl -X PATCH ${run.client.base}/session/${id} --json '{"providerID":"mock","modelID":"mock-fast"}'`);
    await ui.send("echo first");
    await ui.answered("Mock Fast", "first");
    curl("-X", "PATCH", `${run.client.base}/session/${id}`, "--json", '{"providerID": "mock2", "modelID": "mock2"}');
    const line = await ui.switched("Mock2");
    assert.match(await line.innerText(), /by curl · the whole conversation: 2 messages/);
    await page.locator("#open-picker").getByText("Mock2").waitFor();
    await ui.send("echo second");
    await ui.answered("Mock2", "second");
  });

  step("the picker hands a summary over, with a note, and says so", async ({ ui, page, run }) => {
    const id = await ui.newSession();
    await ui.pick("mock fast");
    await ui.switched("Mock Fast");
    await ui.send("echo plum");
    await ui.answered("Mock Fast", "plum");
    await ui.pick("mock2 strong", { handoff: "a summary of it", note: "keep it short" });
    const line = await ui.switched("Mock2 Strong");
    await ui.send("echo second");
    await ui.answered("Mock2 Strong", "second");
    await line.getByText(/a summary: [\d.]+ (B|KB)/).waitFor();
    await line.getByRole("button", { name: "what it was given" }).click();
    const sheet = page.getByRole("dialog", { name: /^What Mock2 Strong.* was given$/ });
    await sheet.getByText("| keep it short").waitFor();
    assert.ok(!(await sheet.locator(".handover").textContent()).includes("| plum"));
    await page.keyboard.press("Escape");
    const { switches } = await run.client.ok("GET", `/session/${id}/model`);
    assert.deepEqual(switches.at(-1).handoff, { mode: "summary", note: "keep it short" });
  });

  step("a switch during an answer says when it comes", async ({ ui, page }) => {
    await ui.send("slow 6");
    await page.locator("#stop").waitFor();
    await ui.row("answer", "tick 2").waitFor();
    await page.locator(".markdown.growing").waitFor();
    await ui.pick("mock mock-strong");
    await page.locator("#status").getByText("Mock Strong after this answer").waitFor();
    await page.locator("#effort").selectOption("high");
    await page.locator("#status").getByText("Mock Strong, high after this answer").waitFor();
    await ui.pictures("pending");
    await ui.answered("Mock2", "tick 60");
    await ui.switched("Mock Strong, high");
    await page.locator("#status").waitFor({ state: "hidden" });
  });

  step("the start of an agent is told", async ({ ui, page }) => {
    await ui.pick("slow one");
    await page.locator("#status").getByText(/Starting Slow for Slow One … \d+ s/).waitFor();
    await ui.switched("Slow One");
  });

  step("a switch that fails says why, and can be tried again or left", async ({ ui, page }) => {
    await ui.pick("faulty good");
    await ui.switched("Good");
    await ui.pick("faulty bad");
    const line = await ui.switched("Bad", "failed");
    assert.match(await line.innerText(), /cannot switch the model.*The session is back on Good \(Faulty\)/s);
    const alert = page.locator("#status").getByRole("alert");
    await alert.getByText(/Bad \(Faulty\) could not take over/).waitFor();
    await ui.pictures("failed");
    await alert.getByRole("button", { name: "Try again" }).click();
    await page.locator("#conversation .switch.failed").nth(1).waitFor();
    await alert.getByRole("button", { name: "Stay on Good" }).click();
    await alert.waitFor({ state: "detached" });
    await page.locator("#open-picker").getByText("Good").waitFor();
  });

  step("permissions and questions are answered where they stand", async ({ ui, page }) => {
    await ui.pick("mock fast");
    await ui.switched("Mock Fast");
    await ui.send("permission touch it");
    const ask = page.getByRole("region", { name: "Permission", exact: true });
    await ask.getByText("touch it").waitFor();
    await ui.pictures("permission");
    // Whoever reads further up is told, and led there.
    await ui.toTheBeginning();
    await ask.waitFor({ state: "detached" });
    await page.locator("#status").getByRole("button", { name: "Show" }).click();
    await ask.getByRole("button", { name: "Allow once" }).click();
    await ui.answered("Mock Fast", "permission granted: once");
    await ask.waitFor({ state: "detached" });
    await ui.send("question");
    const question = page.getByRole("region", { name: "Question", exact: true });
    await question.getByLabel("Blue").check();
    await ui.isForEverybody("a question");
    await question.getByRole("button", { name: "Answer" }).click();
    await ui.answered("Mock Fast", "Blue");
  });

  step("tools are folded, and a changed file shows its change", async ({ ui, page }) => {
    await ui.send("tool notes.txt");
    const call = page.locator("details.tool").filter({ hasText: "notes.txt" }).last();
    await call.waitFor();
    await call.locator("summary").click();
    await call.locator(".diff .added").first().waitFor();
    await ui.pictures("tool");
  });

  step("HTML in a message shows as text, and Markdown as Markdown", async ({ ui, page }) => {
    const hostile = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>";
    await ui.send(`echo ${hostile} and **bold** ![far](https://evil.example/p.png)`);
    const answer = await ui.answered("Mock Fast", "<img src=x");
    await answer.locator(".markdown strong", { hasText: "bold" }).waitFor();
    assert.match(await answer.innerText(), /<script>/);
    await ui.row("prompt", "<img src=x").waitFor();
    assert.equal(await page.locator("#conversation :is(img, script, iframe)").count(), 0);
    assert.doesNotMatch(await page.title(), /taken/);
  });

  step("an answer can be stopped, and files go with a prompt", async ({ ui, page }) => {
    await page.locator("#files").setInputFiles({ name: "notes.md", mimeType: "text/markdown", buffer: Buffer.from("# Notes") });
    await page.locator("#attached").getByText("notes.md").waitFor();
    await ui.send("slow 60");
    await ui.row("answer", "tick 1").waitFor();
    await ui.row("prompt", "slow 60").getByText("notes.md").waitFor();
    await page.locator("#stop").click();
    await page.locator("#stop").waitFor({ state: "hidden" });
    await page.locator("#conversation .answer .failure").last().waitFor();
  });

  step("what an agent has already goes on here", async ({ ui, page, run }) => {
    // As the agent's own program would have left it.
    const kept = path.join(run.folder, "data", "mock");
    const one = readdirSync(kept).find((name) => name.endsWith(".json"));
    const stored = JSON.parse(readFileSync(path.join(kept, one), "utf8"));
    const history = [{ role: "user", text: "said elsewhere" }, { role: "assistant", model: "mock", text: "heard" }];
    writeFileSync(path.join(kept, "mock-elsewhere.json"), JSON.stringify({ ...stored, sessionId: "mock-elsewhere", history, shown: [] }));
    const before = await ui.sessionID();
    await page.locator("#home").click();
    const row = page.locator("#backends tr").filter({ has: page.getByRole("rowheader", { name: "Mock", exact: true }) });
    await row.getByRole("button", { name: "its sessions" }).click();
    await page.locator(".sheet .hint").getByText("is here").first().waitFor();
    await ui.pictures("import");
    await page.locator(".sheet").getByRole("button", { name: "said elsewhere" }).click();
    await ui.row("answer", "heard").waitFor();
    await ui.row("told", "was imported from mock").waitFor();
    await page.locator(`#sessions a.session[href="#${before}"]`).click();
    await page.locator("#usage").getByText("Mock Fast").first().waitFor();
  });

  step("a backend that cannot run is in the picker, with what to do", async ({ ui, page }) => {
    await page.locator("#open-picker").click();
    await page.locator("#picker-search").fill("codex");
    const codex = page.locator("#picker .choice").filter({ hasText: "Codex" });
    await codex.getByText("baton install codex").waitFor();
    assert.equal(await codex.getAttribute("aria-disabled"), "true");
    await page.locator("#picker-search").fill("");
    await ui.pictures("picker");
    await page.keyboard.press("Escape");
  });

  step("a reload shows the same", async ({ ui, page }) => {
    // The end of it, which is in view. What was unfolded further up is folded again.
    const shown = async () => (await page.locator("#conversation .row").allInnerTexts()).slice(-4);
    const before = await shown();
    await page.reload();
    await ui.isLive();
    let now;
    const same = async () => {
      now = await shown();
      return JSON.stringify(now) === JSON.stringify(before);
    };
    await eventually(same, CONDITION_TIMEOUT_MS, () => `the conversation was ${before.join("\n")}\n--- and is now ${now.join("\n")}`);
  });

  step("the page goes on when the server was gone for a while", async ({ ui, page, run, url }) => {
    await run.killBaton();
    await page.locator("#connection[data-state=lost]").waitFor();
    await page.locator("#status").getByText("The server does not answer").waitFor();
    await run.startBaton({ port: Number(new URL(url).port) });
    await ui.isLive();
    await page.locator("#status").waitFor({ state: "hidden" });
    await run.client.prompt(await ui.sessionID(), "echo while you were away");
    await ui.answered("Mock Fast", "while you were away");
  });

  step("the real OpenCode takes over, and what it answers is headed by its model", async ({ ui, run }) => {
    await run.client.connected("opencode");
    await ui.pick("opencode alpha");
    const line = await ui.switched("stub/Alpha");
    assert.match(await line.innerText(), /the whole conversation: \d+ messages/);
    await ui.send("SAY hello from the other side");
    await ui.answered("stub/Alpha", "[alpha] hello from the other side");
    await ui.pictures("opencode");
  });

  step("sessions are found by their title", async ({ ui, page, run }) => {
    await run.client.ok("POST", "/session", { title: "Needle in the hay" });
    await page.locator("#search").fill("needle");
    const found = page.locator("#sessions a.session");
    await found.filter({ hasText: "Needle in the hay" }).click();
    await page.locator("h1", { hasText: "Needle in the hay" }).waitFor();
    assert.equal(await found.count(), 1);
    await ui.isForEverybody("a search");
  });

  step("on a phone the sessions and the figures lie over the conversation", async ({ ui, page }) => {
    await page.setViewportSize({ width: 390, height: 844 });
    await ui.button("Sessions").click();
    await page.locator("#search").fill("tour");
    await page.locator("#sessions a.session", { hasText: "A two-minute tour" }).click();
    await ui.button("Models and switches").click();
    await page.locator("#timeline").getByText("Mock Strong, high").waitFor();
    await ui.isForEverybody("the figures on a phone");
    await page.keyboard.press("Escape");
    await ui.doesNotOverflow();
  });

  step("nothing was asked of any other machine, and nothing was refused", async ({ record }) => {
    assert.deepEqual(record.left, []);
    assert.deepEqual(record.errors, []);
    const refused = record.failed.filter((line) => !/net::ERR_(ABORTED|CONNECTION|INCOMPLETE|EMPTY)/.test(line));
    assert.deepEqual(refused, []);
  });
});
