// The few calls of Baton's HTTP API that the tests make, over plain fetch: what a client would see, with
// nothing in between that could smooth it over.

import assert from "node:assert/strict";
import { eventually } from "./processes.mjs";
import { collectEvents } from "./sse.mjs";

const REQUEST_TIMEOUT_MS = 90_000;
const PROBE_TIMEOUT_MS = 90_000;

/** @typedef {{status: number, headers: Headers, body: any}} Answer */

export class Client {
  /** The sessions that were made through this client, in their order. */
  created = [];

  constructor(url, directory, password) {
    this.base = `${url}/opencode`;
    this.headers = {
      "x-opencode-directory": encodeURIComponent(directory),
      ...(password && { authorization: `Bearer ${password}` }),
    };
  }

  /** @returns {Promise<Answer>} whatever the status is; the body as JSON, which every answer of Baton's is. */
  async call(method, path, body) {
    const response = await fetch(this.base + path, {
      method,
      headers: { ...this.headers, ...(body !== undefined && { "content-type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
  }

  /** The body of an answer that has to be a success. */
  async ok(method, path, body) {
    const answer = await this.call(method, path, body);
    const ok = answer.status >= 200 && answer.status < 300;
    assert.ok(ok, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** The event stream, open. */
  async events() {
    const events = await collectEvents(`${this.base}/event`, this.headers);
    await events.until((event) => event.type === "server.connected");
    return events;
  }

  /** Resolves when the provider can be used: Baton probes its agents in the background after its start. */
  async connected(providerID) {
    let last;
    const isConnected = async () => {
      last = await this.ok("GET", "/provider");
      return last.connected.includes(providerID);
    };
    const failure = () => `${providerID} is not connected; connected are: ${last.connected.join(" ")}`;
    await eventually(isConnected, PROBE_TIMEOUT_MS, failure);
  }

  /** A new session's id. */
  async createSession() {
    const { id } = await this.ok("POST", "/session", {});
    this.created.push(id);
    return id;
  }

  getSession(id) {
    return this.ok("GET", `/session/${id}`);
  }

  /** All messages of a session, oldest first: `{info, parts}` each. */
  messages(id) {
    return this.ok("GET", `/session/${id}/message`);
  }

  /** Sends a prompt and waits for the whole answer: `{info, parts}`. `options` may name model, agent, variant. */
  prompt(id, text, options = {}) {
    return this.ok("POST", `/session/${id}/message`, { ...options, parts: [{ type: "text", text }] });
  }

  /** The same for a test that does something meanwhile: if that fails, a rejection here is nobody's surprise. */
  begin(id, text, options) {
    const answer = this.prompt(id, text, options);
    answer.catch(() => {});
    return answer;
  }

  /** Changes the selection and waits until the agent has confirmed it. */
  select(id, selection) {
    return this.ok("PATCH", `/session/${id}?wait=true`, selection);
  }
}

/** What an answer says, without its tools and thoughts. */
export function textOf({ parts }) {
  return parts
    .filter((part) => part.type === "text" && !part.synthetic)
    .map((part) => part.text)
    .join("");
}

/** The tool calls among the parts of some messages. */
export function toolParts(messages) {
  return messages.flatMap(({ parts }) => parts).filter((part) => part.type === "tool");
}

/** `providerID modelID` of a message, which users and assistants write differently. */
export function modelOf({ info }) {
  const { providerID, modelID } = info.model ?? info;
  return `${providerID} ${modelID}`;
}
