// Judges what a Baton sends to its clients: every answer and every event has to have the shape that the real
// OpenCode's document gives it, except for the additions in tests/agents/lib/shapes.mjs, and the one that
// Baton's own document promises, in both of its forms.

import { ADDED_ERRORS, ADDED_ROUTES, Shapes } from "../../agents/lib/shapes.mjs";

export const PREFIX = "/opencode";
const JSON_TYPE = "application/json";
/** At the root, beside OpenCode's API. */
const BESIDE = /^\/((docs|ui)(\/.*)?|metrics|openapi(-3\.0)?\.json)?$/;

/**
 * One answer, complete.
 * @typedef {{method: string, path: string, status: number, type: string, text: string}} Exchange `path` without query
 */

export class Traffic {
  #opencode;
  #baton;
  /** Each form of Baton's document, by what a complaint calls it. */
  #forms;

  /** The documents of the real OpenCode and of Baton, and Baton's in the form of OpenAPI 3.0. */
  constructor({ opencode, baton, older }) {
    this.#opencode = new Shapes(opencode, "opencode");
    this.#baton = new Shapes(baton, "baton");
    this.#forms = { "openapi.json": this.#baton, "the 3.0 form": new Shapes(older, "older") };
  }

  /** The route that a request goes to, as the documents write it; null for what is no part of the API. */
  route(method, path) {
    const inner = innerPath(path);
    if (inner === null) return null;
    const template = this.#opencode.template(method, inner) ?? this.#own(method, PREFIX + inner)?.slice(PREFIX.length) ?? inner;
    return `${method} ${template}`;
  }

  /** What is wrong with an answer; an empty list if nothing is. */
  answer(exchange) {
    const { method, path, status, type, text } = exchange;
    const inner = innerPath(path);
    // A preflight, or the answer to it, is between the browser and the server.
    if (inner === null || method === "OPTIONS" || method === "HEAD") return [];
    // Such as the bytes of a file: there is no schema to check them against.
    if (this.#isNoJson(method, inner, status)) return [];
    const read = bodyOf(type, text);
    if (read.wrong) return [read.wrong];
    return [...this.#asOpencode(method, inner, status, read.body), ...this.#asDocumented(method, path, status, read.body)];
  }

  /** What is wrong with an event of the stream at `path`; an empty list if nothing is. */
  event(path, data) {
    let event;
    try {
      event = JSON.parse(data);
    } catch {
      return [`an event that is no JSON: ${data.slice(0, 80)}`];
    }
    switch (this.#opencode.template("GET", innerPath(path) ?? path)) {
      case "/event":
        return [...this.#opencode.event(event), ...this.#told("ServerEvent", event)];
      case "/global/event":
        return [...this.#globalEvent(event), ...this.#told("ServerEvent", event.payload), ...this.#named("GlobalEvent", event)];
      case "/api/event":
        return [...this.#opencode.eventOf("V2Event", event), ...this.#told("V2Event", event)];
      case "/api/session/{sessionID}/event":
        return [...this.#opencode.eventOf("SessionDurableEvent", event), ...this.#told("V2Event", event)];
      default:
        return [`OpenCode has no event stream at ${path}`];
    }
  }

  /** What is wrong with an event by Baton's own document, in each form. */
  #told(union, event) {
    return this.#byForm((shapes) => shapes.told(union, event));
  }

  #named(schema, value) {
    return this.#byForm((shapes) => shapes.named(schema, value));
  }

  #byForm(judge) {
    return Object.entries(this.#forms).flatMap(([name, shapes]) => judge(shapes).map((text) => `${name}: ${text}`));
  }

  #isNoJson(method, inner, status) {
    const template = this.#opencode.template(method, inner);
    const types = template ? this.#opencode.mediaTypes(method, template, status) : [];
    return types.length > 0 && !types.includes(JSON_TYPE);
  }

  #asOpencode(method, inner, status, body) {
    const template = this.#opencode.template(method, inner);
    const error = status >= 400 && `${status} ${body?.name ?? body?._tag}`;
    if (!template) {
      const own = this.#own(method, PREFIX + inner);
      if (own && `${method} ${own.slice(PREFIX.length)}` in ADDED_ROUTES) return [];
      if (error in ADDED_ERRORS) return [];
      return [`OpenCode has no such route, and ADDED_ROUTES neither; a route that is absent answers 404`];
    }
    const wrong = this.#opencode.answer(method, template, status, body);
    if (wrong.length === 0 || error in ADDED_ERRORS) return [];
    return wrong.map((text) => `OpenCode's document: ${text}`);
  }

  #asDocumented(method, path, status, body) {
    const template = this.#own(method, path);
    // What is no route is nobody's promise.
    if (!template) return [404, 405].includes(status) ? [] : [`openapi.json does not have this route, which answers ${status}`];
    return this.#byForm((shapes) => {
      const types = shapes.mediaTypes(method, template, status);
      if (types.length > 0 && !types.includes(JSON_TYPE)) return [`it says ${types} for ${status} of ${method} ${template}`];
      return shapes.answer(method, template, status, body).map((text) => text.replace("OpenCode's document", "it"));
    });
  }

  /** Two envelopes, and the payload of one of them is an event of `/event`. */
  #globalEvent(event) {
    if (event.payload?.type === "sync") return this.#opencode.named("GlobalEvent", event);
    const unknown = Object.keys(event).filter((key) => !["directory", "project", "workspace", "payload"].includes(key));
    const wrong = unknown.map((key) => `the envelope has no ${key}`);
    if (!event.payload) return [...wrong, "the envelope has no payload"];
    return [...wrong, ...this.#opencode.event(event.payload)];
  }

  /** The document has the API below the prefix only; it is the same at the root. */
  #own(method, path) {
    return this.#baton.template(method, path) ?? (path.startsWith(`${PREFIX}/`) ? undefined : this.#baton.template(method, PREFIX + path));
  }
}

/** The path in OpenCode's API, which is at the root and below `/opencode`; null for what is not in it, such as `/docs`. */
function innerPath(path) {
  if (path.startsWith(`${PREFIX}/`)) return path.slice(PREFIX.length);
  return BESIDE.test(path) ? null : path;
}

function bodyOf(type, text) {
  if (text === "") return { body: undefined };
  if (!/^application\/json\b/.test(type)) return { wrong: `a body of type ${type || "(none)"}, where JSON is expected: ${text.slice(0, 80)}` };
  try {
    return { body: JSON.parse(text) };
  } catch {
    return { wrong: `a body that is no JSON: ${text.slice(0, 80)}` };
  }
}
