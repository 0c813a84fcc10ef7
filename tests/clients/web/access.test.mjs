// Who may use Baton from a web page: OpenCode's web UI with a password, after a restart of the server, and from
// the origins that OpenCode allows; and nobody else's page.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { unique } from "../../agents/lib/assertions.mjs";
import { STRANGER } from "./lib/browser.mjs";
import { stepsOf } from "./lib/report.mjs";
import { Stage, begin, end } from "./lib/stage.mjs";

const SUITE_TIMEOUT_MS = 300_000;
const PATCH_SHOWS_WITHIN_MS = 1_000;
const PREFLIGHT_MAX_AGE_S = "86400";
const MOCK_FAST = { providerID: "mock", modelID: "mock-fast" };

const stage = new Stage();
before(() => stage.open());
after(() => stage.close());

describe("the web UI with a password", { timeout: SUITE_TIMEOUT_MS }, () => {
  const at = {};
  const step = stepsOf(it, at);
  const password = unique("password");
  before(() => begin(at, stage, { agents: {}, password }));
  after(() => end(at));

  step("a server is not added with a wrong password", async ({ ui, run }) => {
    await ui.rememberProject({ url: run.client.base, work: run.work });
    await ui.open();
    const dialog = await ui.addServer({ url: run.client.base, username: "opencode", password: `${password}-wrong` });
    await dialog.getByText("Could not connect to server").waitFor();
    at.dialog = dialog;
  });

  step("with the right one it is healthy and answers", async ({ ui, dialog }) => {
    await dialog.getByPlaceholder("password", { exact: true }).fill(password);
    await dialog.getByRole("button", { name: "Add server" }).click();
    await dialog.waitFor({ state: "detached" });
    await ui.closeSettings();
    await ui.serverIsHealthy();
    await ui.newSession();
    await ui.chooseModel("Mock Fast");
    const word = unique("word");
    await ui.send(`echo ${word}`);
    await ui.answered(word);
  });

  step("the password stands in no address", async ({ record }) => {
    assert.deepEqual(record.addresses.filter((address) => address.includes(password)), []);
  });
});

describe("the web UI at the address that Baton prints, without a path", { timeout: SUITE_TIMEOUT_MS }, () => {
  const at = {};
  const step = stepsOf(it, at);
  before(async () => {
    await begin(at, stage, { agents: {} });
    at.root = new URL(at.run.client.base).origin;
  });
  after(() => end(at));

  step("it is added, is healthy, and a session answers", async ({ ui, run, root }) => {
    await ui.rememberProject({ url: root, work: run.work });
    await ui.open();
    const dialog = await ui.addServer({ url: root });
    await dialog.waitFor({ state: "detached" });
    await ui.closeSettings();
    await ui.serverIsHealthy();
    await ui.newSession();
    await ui.chooseModel("Mock Fast");
    const word = unique("root");
    await ui.send(`echo ${word}`);
    await ui.answered(word);
    at.id = await ui.sessionID();
  });

  step("a PATCH from outside shows, and so does what others say", async ({ ui, run }) => {
    await run.client.ok("PATCH", `/session/${at.id}`, { providerID: "mock", modelID: "mock-strong" });
    await ui.said("Model: Mock Fast (Mock) → Mock Strong (Mock)").waitFor({ timeout: PATCH_SHOWS_WITHIN_MS });
    const word = unique("outside");
    await run.client.prompt(at.id, `echo ${word}`);
    await ui.answered(word);
  });

  step("nothing was asked below a path of Baton's own", async ({ record }) => {
    assert.deepEqual(record.addresses.filter((address) => address.includes("/opencode/")), []);
  });
});

describe("the web UI and a server that is started again", { timeout: SUITE_TIMEOUT_MS }, () => {
  const at = {};
  const step = stepsOf(it, at);
  before(() => begin(at, stage, { agents: {} }));
  after(() => end(at));

  step("a session is open", async ({ ui, run }) => {
    await ui.rememberServer({ url: run.client.base, work: run.work });
    await ui.open();
    await ui.newSession();
    await ui.chooseModel("Mock Fast");
    at.word = unique("before");
    await ui.send(`echo ${at.word}`);
    await ui.answered(at.word);
    at.id = await ui.sessionID();
  });

  step("after the restart the page hears of what others do", async ({ ui, run }) => {
    const { port } = new URL(run.client.base);
    await run.killBaton();
    const subscribed = ui.subscription(run.client.base);
    await run.startBaton({ port: Number(port) });
    await subscribed;
    const word = unique("outside");
    await run.client.prompt(at.id, `echo ${word}`);
    await ui.answered(word);
  });

  step("the page goes on with the conversation", async ({ ui }) => {
    const word = unique("after");
    await ui.send("history");
    await ui.answered(at.word);
    await ui.send(`echo ${word}`);
    await ui.answered(word);
  });
});

describe("pages and their origins", { timeout: SUITE_TIMEOUT_MS }, () => {
  const at = {};
  const step = stepsOf(it, at);
  before(() => begin(at, stage, { agents: {} }));
  after(async () => {
    at.site?.closeAllConnections();
    at.site?.close();
    await end(at);
  });

  step("pages of this machine and OpenCode's own may ask for everything", async ({ run }) => {
    const roots = ["/global/health", "/api/health", "/opencode/session", "/opencode/provider"];
    for (const origin of ["http://localhost:3000", "http://127.0.0.1:8080", "https://app.opencode.ai"]) {
      for (const address of roots) {
        const answer = await fetch(new URL(address, run.client.base), { headers: { origin } });
        assert.equal(answer.status, 200, address);
        assert.match(answer.headers.get("content-type"), /^application\/json/);
        assert.equal(answer.headers.get("access-control-allow-origin"), origin, address);
      }
      const wanted = "content-type,x-opencode-directory,authorization,if-match";
      const preflight = await fetch(`${run.client.base}/session/ses_1`, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "PATCH", "access-control-request-headers": wanted },
      });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get("access-control-allow-origin"), origin);
      assert.equal(preflight.headers.get("access-control-allow-headers"), wanted);
      assert.match(preflight.headers.get("access-control-allow-methods"), /PATCH/);
      assert.equal(preflight.headers.get("access-control-max-age"), PREFLIGHT_MAX_AGE_S);
    }
  });

  step("the health at the root is what the web UI looks for", async ({ run }) => {
    const root = await (await fetch(new URL("/global/health", run.client.base))).json();
    assert.equal(root.healthy, true);
    assert.equal(typeof root.version, "string");
    assert.deepEqual(await (await fetch(new URL("/api/health", run.client.base))).json(), { healthy: true });
  });

  step("a stranger's page can neither read nor change anything", async ({ run, page }) => {
    at.site = createServer((_, response) => response.setHeader("content-type", "text/html").end("<p>A stranger's page"));
    at.site.listen(0, "127.0.0.1");
    await once(at.site, "listening");
    await page.goto(`http://${STRANGER}:${at.site.address().port}/`);
    const id = await run.client.createSession();
    const before = await run.client.ok("GET", "/session");
    const tried = await page.evaluate(tryEverything, { base: run.client.base, id, model: MOCK_FAST });
    assert.deepEqual(tried, { read: "refused", simple: "refused", json: "refused", events: "refused" });
    assert.deepEqual(await run.client.ok("GET", "/session"), before, "a stranger's page has changed something");
    assert.deepEqual(await run.client.messages(id), []);
  });

  step("a stranger's name for this machine does not make his page Baton's own", async ({ run, page }) => {
    // After DNS rebinding the page and the server are of one origin, and the browser lets everything pass.
    const { port } = new URL(run.client.base);
    const answer = await page.goto(`http://${STRANGER}:${port}/opencode/session`);
    assert.equal(answer.status(), 403);
    assert.equal((await answer.json()).name, "ForbiddenError");
    const status = await page.evaluate(async () => (await fetch("/opencode/session", { method: "POST" })).status);
    assert.equal(status, 403);
  });
});

/** Runs in the page: what of Baton can it reach? */
async function tryEverything({ base, id, model }) {
  const outcome = (request) => request.then((response) => response.text()).then(String, () => "refused");
  const body = JSON.stringify({ model, parts: [{ type: "text", text: "echo intruder" }] });
  const address = `${base}/session/${id}/prompt_async`;
  return {
    read: await outcome(fetch(`${base}/session`)),
    // Needs no preflight: it is sent, and only the answer is withheld.
    simple: await outcome(fetch(address, { method: "POST", body, headers: { "content-type": "text/plain" } })),
    json: await outcome(fetch(address, { method: "POST", body, headers: { "content-type": "application/json" } })),
    events: await outcome(fetch(`${base}/event`)),
  };
}
