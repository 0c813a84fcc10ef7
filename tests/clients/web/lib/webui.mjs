// OpenCode's web UI as a user sees it: what is on the page, and what can be done there. It finds things by the
// names that are shown, and by the attributes that the UI marks its parts with where nothing is shown.

import { eventually } from "../../../agents/lib/processes.mjs";
import { CONDITION_TIMEOUT_MS } from "./browser.mjs";

/** How long a menu may take to open, or a dialog to close, before the user tries again. */
const OPENING_TIMEOUT_MS = 5_000;

const WHEEL_PX = 600;

/** The name under which Baton is added. */
export const SERVER_NAME = "Baton";
const SERVERS_KEY = "opencode.global.dat:server";
const DEFAULT_SERVER_KEY = "opencode.settings.dat:defaultServerUrl";

export class WebUI {
  /** @param {string} url where the UI is served */
  constructor(page, url) {
    this.page = page;
    this.url = url;
  }

  open() {
    return this.page.goto(this.url);
  }

  // ---- servers and projects

  /** Adds a server in the settings, as a user does. Returns the dialog, which stays if the server cannot be used. */
  async addServer({ url, username, password }) {
    await this.openServers();
    await this.page.getByRole("button", { name: "Add server" }).click();
    const dialog = this.page.getByRole("dialog").filter({ hasText: "Server address" });
    await dialog.getByPlaceholder("http://localhost:4096").fill(url);
    await dialog.getByPlaceholder("Localhost", { exact: true }).fill(SERVER_NAME);
    if (username !== undefined) await dialog.getByPlaceholder("username", { exact: true }).fill(username);
    if (password !== undefined) await dialog.getByPlaceholder("password", { exact: true }).fill(password);
    await dialog.getByRole("button", { name: "Add server" }).click();
    return dialog;
  }

  async openServers() {
    await this.page.getByRole("button", { name: "Settings" }).first().click();
    await this.page.getByRole("tab", { name: "Servers" }).click();
  }

  async closeSettings() {
    const dialog = this.page.getByRole("dialog").first();
    // A key that comes while another dialog closes is lost; a person presses it again.
    const closed = async () => {
      await this.page.keyboard.press("Escape");
      return dialog.waitFor({ state: "detached", timeout: OPENING_TIMEOUT_MS }).then(() => true, () => false);
    };
    await eventually(closed, CONDITION_TIMEOUT_MS, () => "the settings do not close");
  }

  /** Adds a server and a project of it by what the UI keeps in its storage; before the page is opened. */
  rememberServer({ url, work }) {
    const list = [{ type: "http", http: { url }, displayName: SERVER_NAME }];
    return this.#remember({ [SERVERS_KEY]: servers(list, url, work), [DEFAULT_SERVER_KEY]: url });
  }

  /** The same of a server that is yet to be added. */
  rememberProject({ url, work }) {
    return this.#remember({ [SERVERS_KEY]: servers([], url, work) });
  }

  #remember(items) {
    // The script runs before every page of the context, also after a reload: what the UI has kept is not touched.
    return this.page.context().addInitScript(
      ({ origin, items }) => {
        if (location.origin !== origin) return;
        for (const [key, value] of Object.entries(items)) if (localStorage.getItem(key) === null) localStorage.setItem(key, value);
      },
      { origin: this.url, items },
    );
  }

  /** The row of the server on the home page. */
  serverRow() {
    return this.page.locator("[data-action=home-server-collapse]").locator("xpath=ancestor::button").filter({ hasText: SERVER_NAME });
  }

  /** Resolves when the mark beside the server's name has the colour of one that answers. */
  serverIsHealthy() {
    return this.serverRow().locator(".bg-icon-success-base").waitFor();
  }

  /** Resolves when the page has subscribed to the events of a server, again or for the first time. */
  subscription(url) {
    return this.page.waitForResponse((response) => response.url() === `${url}/global/event` && response.ok(), {
      timeout: CONDITION_TIMEOUT_MS,
    });
  }

  /** Opens a folder of the server's machine with the dialog for it. */
  async openProject(folder) {
    const row = this.page.locator("div").filter({ has: this.serverRow() }).last();
    await row.locator("[data-action=home-add-project]").click();
    const dialog = this.page.getByRole("dialog").filter({ hasText: "Open project" });
    await dialog.getByRole("textbox").fill(folder);
    await dialog.getByText(folder.split("/").at(-1)).first().click();
    await dialog.waitFor({ state: "detached" });
  }

  /** Shows the home page, with the sessions of Baton. */
  async home() {
    await this.page.getByRole("button", { name: "Home", exact: true }).click();
    const isChosen = (await this.serverRow().getAttribute("data-selected")) !== null;
    if (!isChosen) await this.serverRow().click();
  }

  // ---- sessions

  async newSession() {
    await this.page.locator("[data-action=home-new-session]:visible, button[aria-label='New session']:visible").first().click();
    await this.page.waitForURL(/\/new-session/);
  }

  /** The id of the session that is shown. */
  async sessionID() {
    await this.page.waitForURL(/\/session\/ses_/);
    return new URL(this.page.url()).pathname.split("/").at(-1);
  }

  /** The sessions of the home page that have this title. */
  listed(title) {
    return this.page.locator("[data-component=home-session-row]").filter({ hasText: title });
  }

  openListed(title) {
    return this.listed(title).click();
  }

  /** Does one thing of the menu of the session that is shown. */
  async sessionMenu(item) {
    await this.page.getByRole("button", { name: "More options" }).last().click();
    await this.page.getByRole("menuitem", { name: item }).click();
  }

  async rename(title) {
    await this.sessionMenu("Rename");
    const input = this.page.locator("[data-component=inline-input]");
    await input.fill(title);
    await input.press("Enter");
    await input.waitFor({ state: "detached" });
  }

  async deleteSession() {
    await this.sessionMenu("Delete...");
    const dialog = this.page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Delete session" }).click();
    await dialog.waitFor({ state: "detached" });
  }

  // ---- the conversation

  /** Sends a prompt with what is selected on the page. */
  async send(text) {
    // The field is there at once, and takes nothing before the session is.
    await this.#submitNamed("Send");
    await this.page.locator("[data-component=prompt-input]").fill(text);
    await this.page.locator("[data-action=prompt-submit]").click();
  }

  async stop() {
    await this.#submitNamed("Stop");
    await this.page.locator("[data-action=prompt-submit]").click();
  }

  /** The button shows what it would do now: it sends when nothing is under way. */
  #submitNamed(name) {
    return this.page.locator(`[data-action=prompt-submit][aria-label=${name}]`).waitFor();
  }

  /** Resolves when no turn is under way. */
  isIdle() {
    return this.#submitNamed("Send");
  }

  /** Resolves when an answer with this text is shown. */
  async answered(text) {
    await this.page.locator("[data-component=text-part]").filter({ hasText: text }).last().waitFor();
  }

  /** How many answers with this text are shown now. */
  shown(text) {
    return this.page.locator("[data-component=text-part]").filter({ hasText: text }).count();
  }

  /** Scrolls up to something with the wheel, as a user does: the UI draws only what is in view. */
  async scrollUpTo(wanted) {
    await this.page.locator("[data-component=session-turn]").last().hover();
    const isInView = async () => (await wanted.count()) > 0 || (await this.page.mouse.wheel(0, -WHEEL_PX), false);
    await eventually(isInView, CONDITION_TIMEOUT_MS, () => `not there: ${wanted}`);
  }

  /** The prompts and notices on the right side that have this text. */
  said(text) {
    return this.page.locator("[data-component=user-message]").filter({ hasText: text });
  }

  /** The names of the backends and of their models that the picker lists: {backend: [model, …]}. */
  async listedModels() {
    const menu = await this.#openPicker();
    const groups = menu.getByRole("group").filter({ has: this.page.getByRole("group") });
    const listed = {};
    for (const group of await groups.all()) {
      const items = await group.getByRole("menuitemradio").allInnerTexts();
      const [title] = (await group.innerText()).split("\n");
      listed[title] = items;
    }
    await this.page.keyboard.press("Escape");
    await menu.waitFor({ state: "hidden" });
    return listed;
  }

  async chooseModel(name) {
    const menu = await this.#openPicker();
    await menu.getByRole("menuitemradio", { name, exact: true }).click();
    await this.chosenModel(name);
  }

  async #openPicker() {
    const menu = this.page.getByRole("menu");
    const first = menu.getByRole("menuitemradio").first();
    // A page that is still busy with another menu loses a click; a person clicks again.
    const opened = async () => {
      if (await first.isVisible()) return true;
      await this.page.locator("[data-action=prompt-model]").click();
      return first.waitFor({ timeout: OPENING_TIMEOUT_MS }).then(() => true, () => false);
    };
    await eventually(opened, CONDITION_TIMEOUT_MS, () => "the model picker does not open");
    return menu;
  }

  /** Resolves when the picker shows this model. */
  chosenModel(name) {
    return this.page.locator("[data-action=prompt-model]").filter({ hasText: name }).waitFor();
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }

  text(text) {
    return this.page.getByText(text).last();
  }
}

function servers(list, url, work) {
  const projects = { [url]: [{ worktree: work, expanded: true }] };
  return JSON.stringify({ list, projects, lastProject: {}, recentlyClosed: {} });
}

/** Waits for an answer of the server to what the page does meanwhile, and returns it. */
export async function answering(page, method, path, action) {
  const isIt = (response) => response.request().method() === method && path.test(new URL(response.url()).pathname);
  const response = page.waitForResponse(isIt, { timeout: CONDITION_TIMEOUT_MS });
  await action();
  return response;
}
