#!/usr/bin/env node
// A stand-in for a language model on loopback: the coding agents under test are pointed at it, and it
// remembers what it was asked. Import `startStubLLM`, or run this file: it prints its URL and serves until
// it gets SIGINT or SIGTERM. What it answers is scripted by the prompt itself (see stub/script.mjs).

import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as anthropicMessages from "./stub/anthropic-messages.mjs";
import * as gemini from "./stub/gemini.mjs";
import * as openaiChat from "./stub/openai-chat.mjs";
import * as openaiResponses from "./stub/openai-responses.mjs";
import { serveStub } from "./stub/server.mjs";

/** The wire APIs that the stub speaks. A further one is a module with `api`, `matches`, `parse`, `send` and
 * `sendError`, listed here; `aside` answers what agents ask beside the conversation, such as a count of tokens. */
const ADAPTERS = [openaiChat, openaiResponses, anthropicMessages, gemini];

/**
 * Starts the stub on loopback.
 * @param {{port?: number}} options port 0, the default, takes a free one.
 * @returns {Promise<import("./stub/server.mjs").Stub>}
 */
export function startStubLLM({ port = 0 } = {}) {
  return serveStub({ port, adapters: ADAPTERS });
}

function isMainProgram() {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
}

if (isMainProgram()) {
  const stub = await startStubLLM({ port: Number(process.env.STUB_LLM_PORT ?? 0) });
  console.log(stub.url);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stub.close());
}
