// The HTTP half of the stub LLM: receives requests, records them, and lets the adapter of the wire API
// write the answer that the script decides on.

import { EventEmitter, once } from "node:events";
import http from "node:http";
import { refusal } from "./refusals.mjs";
import { decide } from "./script.mjs";
import { sendJson, tokensOf } from "./stream.mjs";

const MAX_BODY_BYTES = 64 * 1024 * 1024;
const DEFAULT_WAIT_MS = 15_000;
const DESCRIBED_REQUESTS = 10;

/**
 * @typedef {object} RecordedMessage
 * @property {"user" | "assistant" | "tool"} role
 * @property {string} text
 * @property {{id: string, name: string, arguments: object}[]} toolCalls
 * @property {string} [toolCallID] of a tool's result
 */

/**
 * One request that the stub was asked, in words common to every wire API.
 * @typedef {object} Recorded
 * @property {number} index position in `requests`
 * @property {number} time_ms epoch milliseconds of its arrival
 * @property {string} path the URL's path; a prefix before `/v1` tells two providers on one stub apart
 * @property {string} api the adapter's name
 * @property {string} model the model id as sent
 * @property {string} system the system prompt
 * @property {RecordedMessage[]} messages everything but the system prompt, in order
 * @property {string[]} tools names of the tools offered
 * @property {Object<string, string[]>} parameters the names of each tool's parameters
 * @property {boolean} stream
 * @property {string | undefined} effort the reasoning effort asked for
 * @property {boolean} [isForm] the answer is asked for in a form that a program reads
 * @property {"title" | "summary" | "form" | "suggestion" | null} auxiliary not null when the agent asks on its own account (a title
 *   for the session, a summary): tests of the conversation skip those
 * @property {object} body the body as sent
 * @property {number} tokens what the answer says it has taken, in and out
 * @property {string | null} refused how it was refused
 * @property {"running" | "finished" | "aborted"} state `aborted`: the client hung up before the end
 */

/**
 * @typedef {object} Stub
 * @property {string} url e.g. http://127.0.0.1:4000, without /v1
 * @property {number} port
 * @property {Recorded[]} requests in order of arrival
 * @property {{method: string, path: string}[]} unexpected requests that no adapter knew
 * @property {() => Recorded[]} turns the requests that are not auxiliary
 * @property {(predicate: (r: Recorded) => boolean, timeout_ms?: number) => Promise<Recorded>} waitFor the
 *   first recorded request that matches, now or later; looked at again when a request changes its state
 * @property {((r: Recorded) => import("./refusals.mjs").Kind | null) | null} refuses what is refused from now on, whatever its
 *   prompt says; such a request has `refused`
 * @property {() => Promise<void>} close
 */

/** @returns {Promise<Stub>} */
export async function serveStub({ port, adapters }) {
  const changes = new EventEmitter().setMaxListeners(0);
  const requests = [];
  const unexpected = [];

  const server = http.createServer((req, res) => {
    answer(req, res).catch((error) => {
      // A bug in the stub must fail the test that meets it, visibly, and not look like a slow model.
      console.error("stub LLM:", error);
      if (!res.headersSent) res.writeHead(500, { "content-type": "application/json" });
      res.end(JSON.stringify({ error: { message: `stub LLM broke: ${error.message}` } }));
    });
  });

  let refuses = null;

  async function answer(req, res) {
    const { pathname } = new URL(req.url, "http://stub");
    const adapter = adapters.find((candidate) => candidate.matches(req.method, pathname));
    if (!adapter) {
      const known = adapters.map((candidate) => candidate.aside?.(req.method, pathname)).find(Boolean);
      if (known) return sendJson(res, 200, known);
      unexpected.push({ method: req.method, path: pathname });
      return sendJson(res, 404, { error: { message: `stub LLM does not serve ${req.method} ${pathname}` } });
    }
    const body = await readJson(req);
    const request = {
      index: requests.length,
      time_ms: Date.now(),
      path: pathname,
      api: adapter.api,
      auxiliary: null,
      ...adapter.parse(body, pathname),
      body,
      state: "running",
    };
    const reply = decide(request);
    request.tokens = tokensOf(conversationOf(body)) + tokensOf(reply);
    request.auxiliary = reply.auxiliary ?? null;
    requests.push(request);
    res.once("close", () => {
      request.state = res.writableFinished ? "finished" : "aborted";
      changes.emit("change");
    });
    request.refused = refuses?.(request) ?? null;
    changes.emit("change");
    if (request.refused) {
      const { status, headers, body } = refusal(adapter.api, request.refused);
      return sendJson(res, status, body, headers);
    }
    if (reply.error) adapter.sendError(res, reply.error);
    else await adapter.send(res, request, reply);
  }

  function waitFor(predicate, timeout_ms = DEFAULT_WAIT_MS) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = requests.find(predicate);
        if (!found) return;
        stop();
        resolve(found);
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`stub LLM: no such request within ${timeout_ms} ms; it has ${describe(requests)}`));
      }, timeout_ms);
      const stop = () => {
        clearTimeout(timer);
        changes.off("change", look);
      };
      changes.on("change", look);
      look();
    });
  }

  async function close() {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address().port;
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    requests,
    unexpected,
    turns: () => requests.filter((request) => !request.auxiliary),
    waitFor,
    set refuses(how) {
      refuses = how;
    },
    close,
  };
}

/** The part of a body that is counted, whichever API it is of. */
function conversationOf({ messages, input, contents }) {
  return messages ?? input ?? contents;
}

async function readJson(req) {
  const chunks = [];
  let size_bytes = 0;
  for await (const chunk of req) {
    size_bytes += chunk.length;
    if (size_bytes > MAX_BODY_BYTES) throw new Error(`body larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

/** A short list for failure messages: what came instead of what was waited for. */
function describe(requests) {
  if (requests.length === 0) return "no request at all";
  return requests
    .slice(-DESCRIBED_REQUESTS)
    .map((r) => `#${r.index} ${r.model}${r.auxiliary ? ` (${r.auxiliary})` : ""} ${r.state}: ${lastText(r).slice(-60)}`)
    .join("; ");
}

function lastText(request) {
  return (request.messages.at(-1)?.text ?? "").replace(/\s+/g, " ");
}
