// What the adapters of streaming wire APIs share: server-sent events written no faster than they are read,
// and a count of tokens.

import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";

/** Begins an event stream; the function it returns writes one event, with a name where the API has names. */
export function eventStream(res) {
  res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  return async (data, name) => {
    const text = typeof data === "string" ? data : JSON.stringify(data);
    if (!res.write(`${name ? `event: ${name}\n` : ""}data: ${text}\n\n`) && !res.destroyed) {
      // Whichever comes first: an agent that hung up never drains.
      await Promise.race([once(res, "drain"), once(res, "close")]);
    }
  };
}

/** Writes the pieces of a reply's text, with its pauses; stops when the client has hung up. */
export async function writePieces(res, reply, write) {
  for (const piece of reply.text ?? []) {
    if (res.destroyed) return;
    await write(piece);
    if (reply.pause_ms) await pause(reply.pause_ms);
  }
}

/** Not a tokenizer: four characters are a token, which is enough to see that numbers travel. */
export function tokensOf(value) {
  return Math.ceil(JSON.stringify(value).length / 4);
}

export function sendJson(res, status, body, headers = {}) {
  res.writeHead(status, { "content-type": "application/json", ...headers });
  res.end(JSON.stringify(body));
}

/** The names of a tool's parameters, from its JSON schema. */
export function parametersOf(schema) {
  return Object.keys(schema?.properties ?? {});
}
