// Validates answers and events against the schemas of the real OpenCode. What Baton adds on purpose is in
// the lists below, with the reason; everything else has to fit.

import { createRequire } from "node:module";
import { installed } from "./packages.mjs";

/** What stands in Baton's shapes and not in OpenCode's, and why. */
export const ADDED = {
  "Session.revision": "the ETag of compare-and-set: two pickers on one session must not overwrite each other unseen",
  "Session.pinned": "a model that others hand a session over to stays, whatever an open UI sends with its messages",
  "Session.fallback": "models that go on in this order when the selected one cannot answer for now",
  "Session.handoff": "what was wished for the next handover: what its model is given of the conversation, and a note",
  "Session.limit": "what the session may spend before the next prompt is refused",
  "UserMessage.handoff": "a summary that was written for one handover alone: whoever knows the conversation goes on without it",
  "UserMessage.overrides": "what a message's own model takes back of what somebody else has selected is told, not silent",
  "UserMessage.pinnedOver": "the model that a message names and that does not answer it, in a session that is pinned",
  "AssistantMessage.overrides": "the same, on the answer",
  "AssistantMessage.pinnedOver": "the same, on the answer",
  "AssistantMessage.revision": "which change of the selection an answer was given with: the page puts its switch lines by it",
  "Session.runtime": "tells what the agent has confirmed; OpenCode has no agent process that could lag behind",
};

/** Events that OpenCode does not know, and why Baton sends them. */
export const ADDED_EVENTS = {
  "session.model_changed": "who changed the selection, from what, and when it takes effect",
  "session.model_applied": "the agent has confirmed it; how the conversation was handed over",
  "session.model_failed": "the agent could not apply it, and the selection goes back",
  "session.model_mismatch": "another model has answered than the one that was selected",
  "session.silent": "the agent of a running turn says nothing any more",
  "server.resync": "a subscriber was too late for the ring; OpenCode replays nothing at all",
};

/** Events that the real server sends, seen by running it, and its document lacks. */
export const UNDOCUMENTED_EVENTS = ["server.heartbeat"];

/** Routes that OpenCode does not have, and why Baton does. */
export const ADDED_ROUTES = {
  "GET /session/{sessionID}/model": "tokens and cost per model, and who changed the selection when",
  "GET /session/{sessionID}/model/{revision}": "the text that a model was given of the conversation, and what was left out of it",
  "GET /session/{sessionID}/handoff": "what a model would be given of the conversation, before it is",
  "GET /api/model/default": "OpenCode's web UI asks for it when it takes a server for OpenCode 2; the document of 1.18.33 lacks it",
  "GET /backend": "every backend, also those that cannot run, with the reason, and how to install it and to sign in",
  "POST /backend/{backendID}/authenticate": "ACP's authenticate, for ways to sign in that need no terminal",
  "GET /backend/{backendID}/session": "what an agent keeps for its user, to go on with: OpenCode has only sessions of its own",
  "GET /node": "the servers that share the sessions in one PostgreSQL: OpenCode is one process",
  "GET /node/ready": "whether whoever distributes requests may send it some",
  "POST /node/drain": "it takes no new work, and others go on with its sessions",
  "GET /metrics": "what an operator watches, in Prometheus' text format; at the root only",
};

/** Errors that OpenCode's document does not have (for the route, or at all), and why Baton sends them. */
export const ADDED_ERRORS = {
  "400 BadRequest": "real OpenCode sends it on nearly every route; its document names another body on half of them",
  "400 InvalidRequestError": "the same in OpenCode 2's shape",
  "400 ProviderModelNotFoundError": "a model that does not exist is refused before anything is stored; OpenCode answers 500 afterwards",
  "400 ProviderNotConnectedError": "a backend can be known and not able to run; OpenCode's providers are always there",
  "400 AgentNotFoundError": "an agent that does not exist is refused before anything is stored; OpenCode answers 500 afterwards",
  "400 CommandNotFoundError": "a command that does not exist is refused with what is alike; OpenCode answers 500 and names nothing",
  "401 UnauthorizedError": "any route may be asked without the password; the document says so only for OpenCode 2's",
  "402 SpendingLimitError": "a limit of what may be spent is reached, and nobody is asked to spend more",
  "403 ForbiddenError": "a page of a stranger's web site may not drive the agents; OpenCode lets it",
  "404 NotFoundError": "a route that is not there answers with JSON: the web page that OpenCode sends instead ends its terminal UI",
  "405 MethodNotAllowedError": "the same for a method",
  "408 BadRequest": "a body that does not arrive is not waited for for ever",
  "408 InvalidRequestError": "a body that does not arrive is not waited for for ever",
  "409 MessageExistsError": "a prompt that is sent again with its messageID is not run twice",
  "409 SessionExistsError": "a native session that is imported already names the session that goes on in it",
  "409 SessionBusyError": "what cannot be done beside a running turn says so, on routes where OpenCode's document forgets it",
  "412 RevisionConflictError": "If-Match of compare-and-set",
  "413 BadRequest": "every body has a limit",
  "413 InvalidRequestError": "every body has a limit",
  "415 BadRequest": "OpenCode sends it as text, and its document lacks it",
  "415 InvalidRequestError": "OpenCode sends it as text, and its document lacks it",
  "429 QueueFullError": "the queue of prompts has a limit",
  "500 UnknownError": "real OpenCode sends it on every route; its document has it on a few",
  "502 ModelNotAppliedError": "PATCH …?wait=true tells when the agent could not apply the selection",
  "503 ServiceUnavailableError": "the server is shutting down",
};

/** Answers that the real server gives, seen by running it, and its document lacks: the schemas of their fields. */
export const UNDOCUMENTED_ANSWERS = {
  // With `noReply` there is no answer to return, and the prompt's own message is.
  "POST /session/{sessionID}/message 200": { info: "UserMessage", parts: ["Part"] },
};

/** What `format` says of numbers and addresses, in Baton's own documents. */
const FORMATS = {
  int32: { type: "number", validate: (number) => Number.isInteger(number) && Math.abs(number) <= 2 ** 31 },
  int64: { type: "number", validate: Number.isSafeInteger },
  double: { type: "number", validate: Number.isFinite },
  binary: true,
  uri: URL.canParse,
};

const ADDED_FIELDS = Object.keys(ADDED).map((name) => name.split(".")[1]);
const METHODS = ["get", "post", "put", "patch", "delete"];

export class Shapes {
  #ajv;
  #name;
  #document;
  #events;
  #unions = new Map();
  #routes;

  /** `name` tells the documents of several servers apart. */
  constructor(document, name = "opencode") {
    const require = createRequire(installed("schema", "ajv/package.json"));
    // OpenAPI 3.0 is an older JSON Schema, with `nullable`, which Ajv knows: only beside a type, and beside an enum only with
    // null in it, as 3.0.3 has it.
    const Ajv = require(document.openapi.startsWith("3.0.") ? "ajv" : "ajv/dist/2020.js");
    const formats = name === "opencode" ? { validateFormats: false } : { formats: FORMATS };
    this.#ajv = new Ajv({ strict: false, allErrors: true, ...formats });
    this.#name = name;
    this.#document = document;
    this.#ajv.addSchema(document, name);
    // Every event schema that has a literal type, by that type.
    const schemas = Object.entries(document.components.schemas);
    const typed = schemas.filter(([name, schema]) => name.startsWith("Event") && schema.properties?.type?.enum);
    this.#events = new Map(typed.map(([name, schema]) => [schema.properties.type.enum[0], name]));
    this.#routes = routesOf(document);
  }

  /** All routes of the document, as `METHOD /path/{as}/written`. */
  routes() {
    return this.#routes.map(({ method, template }) => `${method} ${template}`);
  }

  /** The path of the document that serves this request; undefined if there is none. */
  template(method, path) {
    const segments = path.split("/");
    const fitting = this.#routes.filter((route) => fits(route.segments, segments));
    // `/session/status` is not the session called "status", whatever the method.
    const [best] = fitting.sort((a, b) => a.variables - b.variables);
    return fitting.find((route) => route.method === method && route.variables === best.variables)?.template;
  }

  /** The types of an answer's body, as the document has them; none where it has no body or no such answer. */
  mediaTypes(method, path, status) {
    const content = this.#response(method, path, status)?.response.content ?? {};
    return Object.keys(content).map((type) => type.split(";")[0].trim());
  }

  /** What is wrong with an answer of `METHOD /path`, path as in the document; an empty list if nothing is. */
  answer(method, path, status, body) {
    const found = this.#response(method, path, status);
    if (!found) return [`OpenCode's document has no ${status} for ${method} ${path}`];
    const content = Object.keys(found.response.content ?? {})[0];
    if (!content) return body === undefined ? [] : ["OpenCode sends no body here"];
    const pointer = [...found.pointer, "content", content, "schema"];
    const wrong = this.#check(`${this.#name}#/${pointer.map(escape).join("/")}`, body);
    const also = this.#name === "opencode" && UNDOCUMENTED_ANSWERS[`${method.toUpperCase()} ${path} ${status}`];
    return wrong.length > 0 && also && this.#fits(also, body) ? [] : wrong;
  }

  /** An answer as the document has it, in place or among its components, and where that is. */
  #response(method, path, status) {
    const responses = this.#document.paths[path]?.[method.toLowerCase()]?.responses ?? {};
    const key = [String(status), `${String(status)[0]}XX`].find((key) => key in responses);
    const response = responses[key];
    if (!response?.$ref) return response && { response, pointer: ["paths", path, method.toLowerCase(), "responses", key] };
    const pointer = response.$ref.split("/").slice(1);
    return { response: pointer.reduce((value, key) => value[key], this.#document), pointer };
  }

  #fits(fields, body) {
    return Object.entries(fields).every(([name, schema]) =>
      [body?.[name]].flat().every((value) => this.named([schema].flat()[0], value).length === 0),
    );
  }

  /** What is wrong with an event of `/event`; an empty list if nothing is. */
  event(event) {
    if (event.type in ADDED_EVENTS || UNDOCUMENTED_EVENTS.includes(event.type)) return [];
    const name = this.#events.get(event.type);
    if (!name) return [`OpenCode has no event ${event.type}`];
    return this.named(name, event);
  }

  /** The same for a stream whose events are the members of a named union, such as `V2Event`. */
  eventOf(union, event) {
    if (event.type in ADDED_EVENTS || UNDOCUMENTED_EVENTS.includes(event.type)) return [];
    const names = this.#membersOf(union).get(event.type);
    if (!names) return [`OpenCode's ${union} has no ${event.type}`];
    // One type may have several versions.
    const wrong = names.map((name) => this.named(name, event));
    return wrong.some((list) => list.length === 0) ? [] : wrong[0];
  }

  /** The same for a union that says by which property its members are told apart. */
  told(union, value) {
    const { propertyName, mapping } = this.#document.components.schemas[union].discriminator;
    const reference = mapping[value?.[propertyName]];
    if (!reference) return [`${union} has no ${value?.[propertyName]}`];
    return this.named(reference.split("/").at(-1), value);
  }

  /** What is wrong with a value of a named schema; an empty list if nothing is. */
  named(name, value) {
    return this.#check(`${this.#name}#/components/schemas/${escape(name)}`, value);
  }

  #membersOf(union) {
    if (!this.#unions.has(union)) {
      const schemas = this.#document.components.schemas;
      const members = schemas[union].anyOf ?? schemas[union].oneOf;
      const byType = new Map();
      for (const name of members.map(({ $ref }) => $ref.split("/").at(-1))) {
        const type = schemas[name].properties.type.enum[0];
        byType.set(type, [...(byType.get(type) ?? []), name]);
      }
      this.#unions.set(union, byType);
    }
    return this.#unions.get(union);
  }

  #check(ref, value) {
    const validate = this.#ajv.getSchema(ref) ?? this.#ajv.compile({ $ref: ref });
    if (validate(this.#name === "opencode" ? withoutAdded(value) : value)) return [];
    return validate.errors.map((error) => `${error.instancePath || "/"} ${error.message} ${JSON.stringify(error.params)}`);
  }
}

function routesOf(document) {
  return Object.entries(document.paths).flatMap(([template, operations]) =>
    METHODS.filter((method) => operations[method]).map((method) => {
      const segments = template.split("/");
      return { method: method.toUpperCase(), template, segments, variables: segments.filter(isVariable).length };
    }),
  );
}

function isVariable(segment) {
  return segment.startsWith("{") || segment === "*";
}

/** How a route ends that takes the rest of the path: OpenCode's document writes it as no OpenAPI document may. */
const REST = ["*", "{path}"];

/** A route as Baton's document writes it. */
export function asDocumented(route) {
  return route.replace(/\*$/, "{path}");
}

function fits(template, path) {
  if (REST.includes(template.at(-1)) && path.length >= template.length) path = path.slice(0, template.length);
  return template.length === path.length && template.every((segment, at) => isVariable(segment) || segment === path[at]);
}

/** The value as it would be without Baton's additions to a session or a message. */
export function withoutAdded(value) {
  if (Array.isArray(value)) return value.map(withoutAdded);
  if (value === null || typeof value !== "object") return value;
  const isSession = typeof value.id === "string" && value.id.startsWith("ses") && "slug" in value;
  const isMessage = typeof value.id === "string" && value.id.startsWith("msg") && "role" in value;
  const kept = Object.entries(value).filter(([key]) => !((isSession || isMessage) && ADDED_FIELDS.includes(key)));
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutAdded(inner)]));
}

/** A JSON pointer's segment inside a URI fragment. */
function escape(segment) {
  return encodeURIComponent(segment.replaceAll("~", "~0").replaceAll("/", "~1"));
}
