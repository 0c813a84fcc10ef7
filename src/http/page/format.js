// Names and figures for people.

import { state } from "./state.js";

/** @import {Tokens, ModelSwitch} from "./types.js" */

/** @typedef {{providerID: string, modelID: string, variant?: string | null | undefined}} Named */

/** @param {string} id */
export function backendName(id) {
  const backend = state.backends.find((backend) => backend.id === id);
  return backend?.name ?? state.providers.find((provider) => provider.id === id)?.name ?? id;
}

/** @param {Named} named */
export function modelName({ providerID, modelID }) {
  const provider = state.providers.find((provider) => provider.id === providerID);
  return provider?.models[modelID]?.name ?? modelID;
}

/** Model and effort. @param {Named} named */
export function shortName(named) {
  return named.variant ? `${modelName(named)}, ${named.variant}` : modelName(named);
}

/** Model, effort and backend. @param {Named} named */
export function fullName(named) {
  return `${shortName(named)} (${backendName(named.providerID)})`;
}

/** What a session has selected; the default effort is none. @param {import("./types.js").Session} session @returns {Named | null} */
export function selectedIn({ model }) {
  if (!model) return null;
  const variant = model.variant === "default" ? null : model.variant;
  return { providerID: model.providerID, modelID: model.id, variant };
}

/** @param {Named} a @param {Named} b */
export function isSame(a, b) {
  return a.providerID === b.providerID && a.modelID === b.modelID && (a.variant ?? null) === (b.variant ?? null);
}

/** The part of the colour wheel that is used, in degrees. */
const HUES_FROM = 25;
const HUES = 310;
const NEAR_HUES = 55;
/** The golden section of them: however many there are, no two are near. */
const APART_HUES = 191;

/** A colour of its own for each model, the same everywhere. @param {Named} named */
export function hueOf({ providerID, modelID }) {
  // Neighbours in the list of backends lie far apart, and the models of one near to each other. Red is what has failed.
  const known = state.backends.findIndex((backend) => backend.id === providerID);
  const backend = known < 0 ? hash(providerID) : known * APART_HUES;
  return HUES_FROM + ((backend + (hash(modelID) % NEAR_HUES)) % HUES);
}

/** @param {string} text */
function hash(text) {
  let value = 2166136261;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 16777619) >>> 0;
  return value ^ (value >>> 13);
}

const WHOLE = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** @param {number} number */
export const whole = (number) => WHOLE.format(number);
/** @param {number} number */
export const compact = (number) => COMPACT.format(number);

/** @param {number} number @param {string} one @param {string} [many] */
export function count(number, one, many = `${one}s`) {
  return `${whole(number)} ${number === 1 ? one : many}`;
}

/** @param {number} dollars */
export function cost(dollars) {
  if (dollars === 0) return "$0";
  if (dollars < 0.0001) return "< $0.0001";
  return `$${dollars.toFixed(dollars < 1 ? 4 : 2)}`;
}

/** @param {number} amount */
export function bytes(amount) {
  if (amount < 1000) return `${amount} B`;
  return amount < 1_000_000 ? `${(amount / 1000).toFixed(1)} KB` : `${(amount / 1_000_000).toFixed(1)} MB`;
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** @param {Tokens} tokens */
export function allTokens({ input, output, reasoning, cache }) {
  return input + output + reasoning + cache.read + cache.write;
}

/** @param {number} ms */
export function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** @param {number} ms */
export function ago(ms) {
  const minutes = Math.floor((Date.now() - ms) / 60_000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h`;
  return new Date(ms).toLocaleDateString([], { month: "short", day: "numeric" });
}

/** The sentence of an error of a message or a switch. @param {{name: string, data?: unknown}} error */
export function sentence(error) {
  const data = /** @type {{message?: string} | undefined} */ (error.data);
  return data?.message ?? error.name.replace(/([a-z])([A-Z])/g, "$1 $2");
}

/** The name under which this page is known to the server. */
export const PAGE_CLIENT = "Baton page";

/** @type {Record<string, string>} */
const BY_PAGE = { message: "by a prompt on the page", create: "chosen with the session" };

/** A program by its `user-agent`. @param {string | undefined} agent */
function programOf(agent) {
  if (agent === undefined) return undefined;
  // All browsers begin with the name of one that is long gone.
  return agent.startsWith("Mozilla/") ? "a browser" : agent.split(/[/\s]/)[0];
}

/** Why a session goes on with another model of its chain. @type {Record<string, string>} */
const CAUSES = {
  rate_limit: "the other's rate limit was reached",
  quota: "the other's usage limit was reached",
  overloaded: "the other's provider was overloaded",
  outage: "the other could not be reached",
  spending_limit: "the other may spend no more",
  signed_out: "the other was not signed in",
  silent: "the other said nothing",
  recovered: "the first choice may answer again",
};

/** Who has made a change, in words. @param {Pick<ModelSwitch, "source" | "client" | "program" | "reason">} entry */
export function author({ source, client, program: agent, reason }) {
  if (client === PAGE_CLIENT) return BY_PAGE[source] ?? "by the picker";
  const program = client ?? programOf(agent);
  const by = program ? ` of ${program}` : "";
  switch (source) {
    case "patch":
      return program ? `by ${program}` : "by a PATCH";
    case "create":
      return `chosen when the session was made${program ? ` by ${program}` : ""}`;
    case "message":
      return `by a message${by}`;
    case "init":
      return `by /init${by}`;
    case "command":
      return `by a command${by}`;
    case "fork":
      return "by a fork";
    case "agent":
      return "by the agent itself";
    case "revert":
      return "back, as the other one failed";
    case "fallback":
      return reason ? `by the chain, as ${CAUSES[reason.cause] ?? reason.cause}` : "by the chain";
    default:
      return source;
  }
}
