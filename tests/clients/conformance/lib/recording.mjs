// Plays a scenario on a server and keeps what it answers and what it sends.

import assert from "node:assert/strict";
import { collectEvents } from "../../../agents/lib/sse.mjs";

const REQUEST_TIMEOUT_MS = 90_000;
const EVENT_TIMEOUT_MS = 60_000;

/**
 * @typedef {{request: string, status: number, type: string, body: any}} Answer `request`: method and route
 * @typedef {{step: string, answers: Answer[], events: object[]}} Step
 */

export class Recording {
  /** @type {Step[]} */
  steps = [];
  #server;
  #events;
  #step = null;

  #fence;
  #fences = 0;

  constructor(server, events, fence) {
    this.#server = server;
    this.#events = events;
    this.#fence = fence;
  }

  static async begin(server) {
    const headers = { "x-opencode-directory": encodeURIComponent(server.work) };
    const events = await collectEvents(`${server.base}/event`, headers);
    await events.until((event) => event.type === "server.connected");
    const fence = await fetch(`${server.base}/session`, { method: "POST", headers });
    return new Recording(server, events, (await fence.json()).id);
  }

  get name() {
    return this.#server.name;
  }

  get work() {
    return this.#server.work;
  }

  end() {
    this.#events.close();
  }

  /** Plays one step; what is sent until its end belongs to it. `depth`: how deep its answers are compared. */
  async step(name, play, { depth } = {}) {
    this.#step = { step: name, answers: [], from: this.#events.position() };
    try {
      await play(this);
      await this.#settle();
    } catch (error) {
      throw new Error(`${this.name}, step "${name}": ${error.message}`, { cause: error });
    }
    const { from, answers } = this.#step;
    this.steps.push({ step: name, depth, answers, events: this.#events.since(from).filter((event) => !this.#isFence(event)) });
  }

  /** Events come in order: when one that is caused now has come, all that were caused before are there. */
  async #settle() {
    const title = `fence ${(this.#fences += 1)}`;
    const { from } = this.#step;
    const body = JSON.stringify({ title });
    const headers = { ...this.#headers(), "content-type": "application/json" };
    await fetch(`${this.#server.base}/session/${this.#fence}`, { method: "PATCH", headers, body });
    await this.#events.until((event) => event.properties?.info?.title === title, EVENT_TIMEOUT_MS, { from });
  }

  #isFence({ properties }) {
    return [properties?.sessionID, properties?.info?.id].includes(this.#fence);
  }

  #headers() {
    return { "x-opencode-directory": encodeURIComponent(this.work) };
  }

  /** A step that this server cannot be given. */
  skip(name) {
    this.steps.push({ step: name, skipped: true });
  }

  /** The model of that name on this server. */
  model(name) {
    return this.#server.model(name);
  }

  /** The body of a prompt that makes the model do something. */
  prompt(want, text, more = {}) {
    return { ...more, parts: [{ type: "text", text: this.#server.prompt(want, text) }] };
  }

  /**
   * Sends a request and keeps the answer.
   * @param {string} route as OpenCode's document writes it; `values` are put in
   * @param {{body?: any, raw?: string, type?: string, values?: object, query?: string}} [options] `raw` instead of `body` is sent as it is
   */
  async call(method, route, { body, raw, type = "application/json", values = {}, query = "" } = {}) {
    const url = this.#server.base + route.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name])) + query;
    const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(url, {
      method,
      headers: { ...this.#headers(), ...(sent !== undefined && { "content-type": type }) },
      body: sent,
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const text = await response.text();
    const answer = {
      request: `${method} ${route}`,
      status: response.status,
      type: (response.headers.get("content-type") ?? "").split(";")[0],
      body: parse(text),
    };
    this.#step.answers.push(answer);
    return answer.body;
  }

  /** The event of that type, or of one of those types, that this step brings; of a session, if one is named. */
  async event(types, sessionID, accept = () => true) {
    const wanted = (event) =>
      [types].flat().includes(event.type) && (!sessionID || event.properties.sessionID === sessionID) && accept(event.properties);
    return (await this.#events.until(wanted, EVENT_TIMEOUT_MS, { from: this.#step.from })).properties;
  }

  /** The selection has reached the agent; OpenCode has none that it could have to reach. */
  async applied(sessionID) {
    if (this.name !== "opencode") await this.event("session.model_applied", sessionID);
  }

  /** Waits for what only comes when the last request was a success. */
  async ifDone(wait) {
    if (this.#lastStatus() < 300) await wait();
  }

  #lastStatus() {
    return this.#step.answers.at(-1).status;
  }

  /** The turn that this step has begun is over. */
  async idle(sessionID) {
    assert.ok(this.#lastStatus() < 300, `no turn began: ${JSON.stringify(this.#step.answers.at(-1))}`);
    await this.event("session.idle", sessionID);
    // The real server sums up afterwards what the turn has changed, and is done with the prompt's message.
    if (this.name === "opencode") await this.event("message.updated", sessionID, ({ info }) => info.role === "user" && info.summary);
  }
}

function parse(text) {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
