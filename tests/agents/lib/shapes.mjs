// Validates answers and events against the schemas of the real OpenCode. What Baton adds on purpose is in
// ONE list, with the reason; everything else has to fit.

import { createRequire } from "node:module";
import { installed } from "./packages.mjs";

/** What stands in Baton's shapes and not in OpenCode's, and why. */
export const ADDED = {
  "Session.revision": "the ETag of compare-and-set: two pickers on one session must not overwrite each other unseen",
  "Session.runtime": "tells what the agent has confirmed; OpenCode has no agent process that could lag behind",
};

/** Events that OpenCode does not know, and why Baton sends them. */
export const ADDED_EVENTS = {
  "session.model_changed": "who changed the selection, from what, and when it takes effect",
  "session.model_applied": "the agent has confirmed it; how the conversation was handed over",
  "session.model_failed": "the agent could not apply it, and the selection goes back",
  "server.resync": "a subscriber was too late for the ring; OpenCode replays nothing at all",
};

const ADDED_FIELDS = Object.keys(ADDED).map((name) => name.split(".")[1]);

export class Shapes {
  #ajv;
  #document;
  #events;

  constructor(document) {
    const require = createRequire(installed("schema", "ajv/package.json"));
    const Ajv = require("ajv/dist/2020.js");
    this.#ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
    this.#document = document;
    this.#ajv.addSchema(document, "opencode");
    // Every event schema that has a literal type, by that type.
    const schemas = Object.entries(document.components.schemas);
    const typed = schemas.filter(([name, schema]) => name.startsWith("Event") && schema.properties?.type?.enum);
    this.#events = new Map(typed.map(([name, schema]) => [schema.properties.type.enum[0], name]));
  }

  /** What is wrong with an answer of `METHOD /path`, path as in the document; an empty list if nothing is. */
  answer(method, path, status, body) {
    const response = this.#document.paths[path]?.[method.toLowerCase()]?.responses?.[status];
    if (!response) return [`OpenCode's document has no ${status} for ${method} ${path}`];
    const content = Object.keys(response.content ?? {})[0];
    if (!content) return body === undefined ? [] : ["OpenCode sends no body here"];
    const pointer = ["paths", path, method.toLowerCase(), "responses", String(status), "content", content, "schema"];
    return this.#check(`opencode#/${pointer.map(escape).join("/")}`, body);
  }

  /** What is wrong with an event; an empty list if nothing is. */
  event(event) {
    if (event.type in ADDED_EVENTS) return [];
    const name = this.#events.get(event.type);
    if (!name) return [`OpenCode has no event ${event.type}`];
    return this.named(name, event);
  }

  /** What is wrong with a value of a named schema; an empty list if nothing is. */
  named(name, value) {
    return this.#check(`opencode#/components/schemas/${escape(name)}`, value);
  }

  #check(ref, value) {
    const validate = this.#ajv.getSchema(ref) ?? this.#ajv.compile({ $ref: ref });
    if (validate(withoutAdded(value))) return [];
    return validate.errors.map((error) => `${error.instancePath || "/"} ${error.message} ${JSON.stringify(error.params)}`);
  }
}

/** The value as it would be without Baton's additions to a session. */
function withoutAdded(value) {
  if (Array.isArray(value)) return value.map(withoutAdded);
  if (value === null || typeof value !== "object") return value;
  const isSession = typeof value.id === "string" && value.id.startsWith("ses") && "slug" in value;
  const kept = Object.entries(value).filter(([key]) => !(isSession && ADDED_FIELDS.includes(key)));
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutAdded(inner)]));
}

/** A JSON pointer's segment inside a URI fragment. */
function escape(segment) {
  return encodeURIComponent(segment.replaceAll("~", "~0").replaceAll("/", "~1"));
}
