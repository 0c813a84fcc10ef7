// Asks the server. Whatever changes something is shown at the bottom of the page as a command line.

import { PAGE_CLIENT } from "./format.js";
import { state, touch } from "./state.js";

/** Where OpenCode's API is. */
const BASE = "/opencode";

/** An answer that is no success. */
export class Refusal extends Error {
  /** @param {number} status @param {string} message @param {Record<string, unknown>} data */
  constructor(status, message, data) {
    super(message);
    this.status = status;
    this.data = data;
  }
}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function get(path) {
  return (await ask("GET", path)).json();
}

/** The same, with the headers. @param {string} path @returns {Promise<{body: any, headers: Headers}>} */
export async function getWithHeaders(path) {
  const response = await ask("GET", path);
  return { body: await response.json(), headers: response.headers };
}

/**
 * Changes something, and shows how.
 * @param {"POST" | "PATCH" | "DELETE"} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function change(method, path, body) {
  state.curl = curlOf(method, path, body);
  touch("curl");
  const response = await ask(method, path, body);
  return response.status === 204 ? null : response.json();
}

/**
 * What the page asks of its own server beside OpenCode's API.
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<any>}
 */
export async function own(path, body) {
  return (await ask("POST", path, body, "")).json();
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {string} [base]
 */
async function ask(method, path, body, base = BASE) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json", "x-client-id": PAGE_CLIENT };
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(base + path, { method, headers, body: body === undefined ? null : JSON.stringify(body) }).catch(() => {
    throw new Refusal(0, "The server does not answer. It may have been stopped; the page goes on when it is there again.", {});
  });
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  const data = answer.data ?? answer;
  throw new Refusal(response.status, data.message ?? `${response.status} ${response.statusText}`, data);
}

/** @param {string} method @param {string} path @param {unknown} body */
export function curlOf(method, path, body) {
  const url = location.origin + BASE + path;
  const quoted = /[?&]/.test(url) ? quote(url) : url;
  const json = body === undefined ? "" : ` --json ${quote(JSON.stringify(shortened(body)))}`;
  const verb = method === "POST" && json ? "" : ` -X ${method}`;
  return `curl${verb} ${quoted}${json}`;
}

/** Files are too long for a line that is read. @param {unknown} body */
function shortened(body) {
  return JSON.parse(JSON.stringify(body), (_key, value) =>
    typeof value === "string" && value.startsWith("data:") ? `${value.slice(0, 40)}…` : value,
  );
}

/** @param {string} text */
function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
