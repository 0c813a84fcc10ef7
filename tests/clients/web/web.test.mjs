// OpenCode's web UI with Baton as an added server: a whole conversation, with the mock and with the real
// OpenCode behind Baton. The UI comes from the real `opencode serve`, in a home in which it knows nothing.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { lastTurn, unique, wordsOf } from "../../agents/lib/assertions.mjs";
import { modelOf, textOf } from "../../agents/lib/client.mjs";
import { stepsOf } from "./lib/report.mjs";
import { Stage, begin, end } from "./lib/stage.mjs";
import { answering } from "./lib/webui.mjs";

const SCENARIO_TIMEOUT_MS = 300_000;
/** From the answer to a PATCH on; OpenCode is running then, or was lately. */
const PATCH_SHOWS_WITHIN_MS = 1_000;

/** What the two backends are called in the picker, and what they have to be told. */
const MOCK = {
  name: "Mock",
  model: "Mock Fast",
  id: "mock mock-fast",
  say: (word) => `echo ${word}`,
  said: (word) => word,
  slow: (seconds) => `slow ${seconds}`,
  tick: (n) => `tick ${n} `,
  tool: (file) => `tool ${file}`,
  permission: { prompt: "permission touch it", asks: "touch it", answer: "permission granted: once" },
  question: { prompt: "question", option: "Blue", answer: "you chose Blue" },
};
const OPENCODE = {
  name: "OpenCode",
  model: "stub/Alpha",
  id: "opencode stub/alpha",
  say: (word) => `SAY ${word}`,
  said: (word) => `[alpha] ${word}`,
  slow: (seconds) => `SLOW ${seconds}`,
  tick: (n) => `tick-${n} `,
  tool: (file) => `TOOLWRITE ${file} written`,
  permission: { prompt: "TOOLBASH echo allowed", asks: "echo allowed", answer: "tool said: allowed" },
  // Its question tool never reaches a client over ACP.
  question: null,
};

const stage = new Stage();
before(() => stage.open());
after(() => stage.close());

for (const [backend, other] of [
  [MOCK, OPENCODE],
  [OPENCODE, MOCK],
]) {
  describe(`the web UI with ${backend.name}`, { timeout: SCENARIO_TIMEOUT_MS }, () => scenario(backend, other));
}

function scenario(backend, other) {
  const at = {};
  const step = stepsOf(it, at);
  const [first, second, third] = ["first", "second", "third"].map(unique);

  before(async () => {
    await begin(at, stage, {});
    await at.run.client.connected("opencode");
  });
  after(() => end(at));

  if (backend === MOCK) {
    step("Baton is added in the settings, is healthy, and opens a folder as a project", async ({ ui, run }) => {
      await ui.open();
      const dialog = await ui.addServer({ url: run.client.base });
      await dialog.waitFor({ state: "detached" });
      await ui.closeSettings();
      await ui.serverIsHealthy();
      await ui.openProject(run.work);
    });
  } else {
    step("Baton is remembered by the browser, and is healthy", async ({ ui, run }) => {
      await ui.rememberServer({ url: run.client.base, work: run.work });
      await ui.open();
      await ui.serverIsHealthy();
    });
  }

  step("a new session has all backends in its picker", async ({ ui }) => {
    await ui.newSession();
    assert.deepEqual(await ui.listedModels(), {
      OpenCode: ["stub/Alpha", "stub/Beta", "stub2/Gamma"],
      Mock: ["Mock", "Mock Fast", "Mock Strong"],
    });
    await ui.chooseModel(backend.model);
  });

  step("the first prompt is answered", async ({ ui, run }) => {
    await ui.send(backend.say(first));
    at.id = await ui.sessionID();
    await ui.answered(backend.said(first));
    const messages = await run.client.messages(at.id);
    assert.deepEqual(messages.map(modelOf), [backend.id, backend.id]);
    assert.equal((await run.client.getSession(at.id)).directory, run.work);
  });

  step("an answer is shown while it is being written", async ({ ui }) => {
    await ui.send(backend.slow(4));
    await ui.answered(backend.tick(3));
    assert.equal(await ui.shown("done"), 0, "the answer was shown at its end only");
    await ui.answered("done");
    await ui.isIdle();
  });

  step("another backend goes on with the conversation", async ({ ui, run }) => {
    await ui.chooseModel(other.model);
    await ui.send(other.say(second));
    await ui.answered(other.said(second));
    await ui.chooseModel(backend.model);
    await ui.send(backend === MOCK ? "history" : backend.say(third));
    // What a model was given stands in the mock's answer, and in what the stub of the other's model was asked.
    if (backend === MOCK) for (const word of [first, second]) await ui.answered(word);
    else await ui.answered(backend.said(third));
    await ui.isIdle();
    const given = backend === MOCK ? textOf((await run.client.messages(at.id)).at(-1)) : wordsOf(lastTurn(run.stub));
    for (const word of [first, second]) assert.ok(given.includes(word), `${word} is not in: ${given}`);
    const answers = (await run.client.messages(at.id)).filter(({ info }) => info.role === "assistant");
    assert.deepEqual(answers.slice(-2).map(modelOf), [other.id, backend.id]);
  });

  step("a permission is given on the page", async ({ ui, page }) => {
    await ui.send(backend.permission.prompt);
    await ui.text("Permission required").waitFor();
    await ui.text(backend.permission.asks).waitFor();
    const answer = await answering(page, "POST", /\/permissions\/per_/, () => ui.button("Allow once").click());
    assert.equal(answer.status(), 200);
    await ui.answered(backend.permission.answer);
  });

  if (backend.question) {
    step("a question is answered on the page", async ({ ui, page }) => {
      await ui.send(backend.question.prompt);
      await page.getByRole("radio", { name: backend.question.option }).click();
      await ui.button("Submit").click();
      await ui.answered(backend.question.answer);
    });
  }

  step("a tool call is shown with what it has changed", async ({ ui, page }) => {
    const file = `${unique("notes")}.txt`;
    await ui.send(backend.tool(file));
    const call = page.locator("[data-component=tool-part-wrapper]").filter({ hasText: file }).last();
    await call.waitFor();
    await ui.isIdle();
    await call.locator("[data-slot=collapsible-trigger]").first().click();
    await call.getByText(backend === MOCK ? "edited by mock-fast" : "written").first().waitFor();
  });

  step("an answer is stopped on the page", async ({ ui }) => {
    await ui.send(backend.slow(60));
    // Further than any answer before it came.
    await ui.answered(backend.tick(45));
    await ui.stop();
    await ui.text("Interrupted").waitFor();
    await ui.isIdle();
    await ui.answered(backend.tick(45));
  });

  step("a PATCH from outside shows on the page, and the next message uses it", async ({ ui, run, page }) => {
    const gamma = { providerID: "opencode", modelID: "stub2/gamma" };
    await run.client.ok("PATCH", `/session/${at.id}`, gamma);
    const line = `Model: ${backend.model} (${backend.name}) → stub2/Gamma (OpenCode)`;
    await ui.said(line).waitFor({ timeout: PATCH_SHOWS_WITHIN_MS });
    const session = await run.client.getSession(at.id);
    assert.deepEqual(session.model, { providerID: gamma.providerID, id: gamma.modelID, variant: "default" });
    const word = unique("outside");
    const answer = await run.client.prompt(at.id, `SAY ${word}`);
    assert.equal(modelOf(answer), "opencode stub2/gamma");
    await ui.answered(`[gamma] ${word}`);
    // A browser that has not chosen for this session takes over what is selected; this one keeps what its user chose,
    // and sends that.
    await ui.chosenModel(backend.model);
    const fresh = await stage.newPage();
    await fresh.ui.rememberServer({ url: run.client.base, work: run.work });
    await fresh.page.goto(page.url());
    await fresh.ui.answered(`[gamma] ${word}`);
    await fresh.ui.chosenModel("stub2/Gamma");
    await fresh.context.close();
  });

  step("what is said with the picker's model is answered by it", async ({ ui, run }) => {
    const word = unique("picked");
    await ui.send(backend.say(word));
    await ui.answered(backend.said(word));
    assert.equal(modelOf((await run.client.messages(at.id)).at(-1)), backend.id);
  });

  step("a pinned session answers with the pinned model, whatever the picker says", async ({ ui, run }) => {
    const gamma = { providerID: "opencode", modelID: "stub2/gamma", pin: true };
    await run.client.ok("PATCH", `/session/${at.id}`, gamma);
    await ui.chosenModel(backend.model);
    const word = unique("pinned");
    await ui.send(`SAY ${word}`);
    await ui.answered(`[gamma] ${word}`);
    await ui.isIdle();
    assert.equal(modelOf((await run.client.messages(at.id)).at(-1)), "opencode stub2/gamma");
    await run.client.ok("PATCH", `/session/${at.id}`, { pin: false });
    // Without it, what the next message takes back is told.
    await ui.send(backend.say(unique("unpinned")));
    await ui.said(/takes back|took back/).last().waitFor();
    await ui.isIdle();
    assert.equal(modelOf((await run.client.messages(at.id)).at(-1)), backend.id);
  });

  step("the session is renamed", async ({ ui, run }) => {
    at.title = unique("Renamed");
    await ui.rename(at.title);
    await ui.text(at.title).waitFor();
    assert.equal((await run.client.getSession(at.id)).title, at.title);
  });

  step("a reload keeps everything", async ({ ui, page, run }) => {
    await page.reload();
    await ui.chosenModel(backend.model);
    await ui.text(at.title).first().waitFor();
    const messages = await run.client.messages(at.id);
    await ui.answered(textOf(messages.at(-1)));
    await ui.scrollUpTo(ui.said(backend.say(first)));
  });

  step("the home page lists the session and opens it", async ({ ui }) => {
    await ui.home();
    await ui.openListed(at.title);
    assert.equal(await ui.sessionID(), at.id);
  });

  step("deleting and archiving sessions leaves the others as they are", async ({ ui, run }) => {
    const [kept, gone] = [unique("kept"), unique("gone")];
    for (const word of [kept, gone]) {
      await ui.newSession();
      await ui.chooseModel("Mock Fast");
      await ui.send(`echo ${word}`);
      await ui.answered(word);
    }
    const doomed = await ui.sessionID();
    await ui.deleteSession();
    assert.equal((await run.client.call("GET", `/session/${doomed}`)).status, 404);
    await ui.answered(kept);
    const archived = await ui.sessionID();
    const patched = await answering(at.page, "PATCH", /\/session\/ses_/, () => ui.sessionMenu("Archive"));
    assert.equal(patched.status(), 200);
    assert.ok((await run.client.getSession(archived)).time.archived > 0);
    await ui.home();
    await ui.listed(at.title).waitFor();
    assert.equal(await ui.listed(kept).count(), 0, "an archived session is listed");
  });

  step("the page has asked nobody else, and nothing went wrong", async ({ record }) => {
    console.log(`# refused requests to elsewhere: ${record.left.join(" ") || "none"}`);
    assert.deepEqual(record.errors, []);
    assert.deepEqual(
      record.failed.filter((request) => !isExpected(request)),
      [],
    );
  });
}

/** What the UI itself gives up when a page is left. */
function isExpected(request) {
  return request.startsWith("net::ERR_ABORTED");
}
