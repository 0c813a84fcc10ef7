// A reverse proxy that shows what passes to a recorder and changes nothing.

import http from "node:http";
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";

const BODY_MAX_BYTES = 32 * 1024 * 1024;
const DECODERS = { gzip: gunzipSync, br: brotliDecompressSync, deflate: inflateSync };
/** What is between two neighbours only, and not for the one behind them (RFC 9110, section 7.6.1). */
const HOP_BY_HOP = ["connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"];

/**
 * A handler of requests that passes them to `target`.
 * @param {string} target e.g. http://127.0.0.1:4000
 * @param {{answer: (exchange: object) => void, event: (path: string, data: string) => void}} recorder
 */
export function proxyTo(target, recorder) {
  const { hostname, port } = new URL(target);
  const agent = new http.Agent({ keepAlive: true });
  return (req, res) => {
    res.sendDate = false;
    // The name that the client used stays: the server compares it with the page that a request comes from.
    const request = { agent, hostname, port, method: req.method, path: req.url, headers: endToEnd(req.rawHeaders) };
    const upstream = http.request(request, (answer) => {
      res.writeHead(answer.statusCode, answer.statusMessage, endToEnd(answer.rawHeaders));
      res.flushHeaders();
      record(req, answer, recorder);
      answer.pipe(res);
      answer.once("error", () => res.destroy());
      answer.once("aborted", () => res.destroy());
    });
    upstream.once("error", () => res.destroy());
    // Whoever hangs up here hangs up there: an agent must not go on for a client that has left.
    res.once("close", () => upstream.destroy());
    req.once("error", () => upstream.destroy());
    req.pipe(upstream);
  };
}

function record(req, answer, recorder) {
  const { pathname } = new URL(req.url, "http://proxy");
  const type = answer.headers["content-type"] ?? "";
  const exchange = { method: req.method, path: pathname, status: answer.statusCode, type };
  if (type.startsWith("text/event-stream")) {
    recorder.called(exchange);
    recordEvents(answer, (data) => recorder.event(pathname, data));
    return;
  }
  const chunks = [];
  let size_bytes = 0;
  answer.on("data", (chunk) => {
    size_bytes += chunk.length;
    if (size_bytes <= BODY_MAX_BYTES) chunks.push(chunk);
  });
  answer.once("end", () => {
    recorder.called(exchange);
    if (size_bytes > BODY_MAX_BYTES) return;
    const decode = DECODERS[answer.headers["content-encoding"]] ?? ((bytes) => bytes);
    const bytes = size_bytes === 0 ? Buffer.alloc(0) : decode(Buffer.concat(chunks));
    recorder.answer({ ...exchange, text: bytes.toString("utf8") });
  });
}

/** As https://html.spec.whatwg.org/#event-stream-interpretation has it. */
function recordEvents(answer, take) {
  const decoder = new TextDecoder();
  let buffered = "";
  answer.on("data", (chunk) => {
    buffered += decoder.decode(chunk, { stream: true });
    const blocks = buffered.split(/\r?\n\r?\n/);
    buffered = blocks.pop();
    for (const block of blocks) {
      const lines = block.split(/\r?\n/).filter((line) => line.startsWith("data:"));
      if (lines.length > 0) take(lines.map((line) => line.slice("data:".length).replace(/^ /, "")).join("\n"));
    }
  });
}

/** Headers as they were written, without those of the connection. */
function endToEnd(raw) {
  const kept = [];
  for (let at = 0; at < raw.length; at += 2) {
    if (!HOP_BY_HOP.includes(raw[at].toLowerCase())) kept.push(raw[at], raw[at + 1]);
  }
  return kept;
}
