#!/usr/bin/env node
// A Baton whose every answer and every event is checked on its way to the client:
//
//   node checked.mjs BATON RECORD serve …
//
// runs `BATON serve …` with a proxy on loopback in front of it, and says with Baton's own first line where the
// proxy listens, so that whoever starts it sees no difference. What does not have the shape that it should
// have goes into the folder RECORD (see record.mjs), as do the routes that were called; `verdict.mjs` reads
// them. Other commands than `serve` are passed on.
//
// The port is `--port` or BATON_PORT, else 2468; a port in a config file is not seen.

import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { createInterface } from "node:readline";
import { proxyTo } from "./proxy.mjs";
import { Recorder } from "./record.mjs";

const DEFAULT_PORT = 2468;
const LISTENING = /^baton listening on (http:\/\/\S+)$/;

const [program, folder, ...args] = process.argv.slice(2);
if (!program || !folder) {
  console.error("usage: checked.mjs BATON RECORD serve …");
  process.exit(2);
}
if (args[0] === "serve") await serve();
else await pass(start(args, "inherit"));

async function serve() {
  const recorder = new Recorder(folder, program);
  const { port, rest } = withoutPort(args);
  const baton = start([...rest, "--port", "0"], ["ignore", "pipe", "inherit"]);
  const ended = pass(baton);
  const lines = createInterface({ input: baton.stdout });
  let server = null;
  lines.on("line", async (line) => {
    const url = server === null && LISTENING.exec(line)?.[1];
    if (!url) return console.log(line);
    server = http.createServer(proxyTo(url, recorder));
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    console.log(`baton listening on http://127.0.0.1:${server.address().port}`);
  });
  await ended;
}

/** Starts it so that it does not outlive this process, however that ends. */
function start(args, stdio) {
  return spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], { stdio });
}

/** Hands on the signals, and ends as it ends. */
async function pass(child) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  const [code, signal] = await once(child, "exit");
  if (signal === null) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

function withoutPort(args) {
  let port = process.env.BATON_PORT ?? DEFAULT_PORT;
  const rest = [];
  for (let at = 0; at < args.length; at += 1) {
    if (args[at] === "--port") port = args[(at += 1)];
    else if (args[at].startsWith("--port=")) port = args[at].slice("--port=".length);
    else rest.push(args[at]);
  }
  return { port: Number(port), rest };
}
