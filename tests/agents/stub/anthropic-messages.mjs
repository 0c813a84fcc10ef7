// The stub LLM's adapter for Anthropic Messages: POST …/v1/messages, streamed or not.
// https://docs.anthropic.com/en/api/messages

import { eventStream, parametersOf, sendJson, tokensOf, writePieces } from "./stream.mjs";

export const api = "anthropic-messages";

export function matches(method, path) {
  return method === "POST" && path.endsWith("/v1/messages");
}

/** What agents ask beside the conversation. */
export function aside(method, path) {
  if (method === "POST" && path.endsWith("/v1/messages/count_tokens")) return { input_tokens: 1000 };
  return undefined;
}

/** The request in the words of `Recorded` (server.mjs). */
export function parse(body) {
  return {
    model: body.model,
    system: [plainText(body.system), ...body.messages.filter(isSystem).map(({ content }) => plainText(content))].join("\n"),
    messages: body.messages.filter((message) => !isSystem(message)).flatMap(parseMessage),
    tools: (body.tools ?? []).map((tool) => tool.name),
    parameters: Object.fromEntries((body.tools ?? []).map((tool) => [tool.name, parametersOf(tool.input_schema)])),
    stream: body.stream === true,
    effort: body.output_config?.effort,
  };
}

export async function send(res, request, reply) {
  if (!request.stream) return sendJson(res, 200, { ...envelope(request), ...ending(reply), content: blocks(request, reply) });
  const write = eventStream(res);
  const event = (type, fields = {}) => write({ type, ...fields }, type);
  await event("message_start", { message: { ...envelope(request), content: [], stop_reason: null } });
  for (const [index, block] of blocks(request, reply).entries()) {
    const delta = (type, field, text) => event("content_block_delta", { index, delta: { type, [field]: text } });
    await event("content_block_start", { index, content_block: { ...block, ...EMPTY[block.type] } });
    if (block.type === "thinking") {
      await delta("thinking_delta", "thinking", block.thinking);
      await delta("signature_delta", "signature", block.signature);
    }
    if (block.type === "tool_use") await delta("input_json_delta", "partial_json", JSON.stringify(block.input));
    if (block.type === "text") await writePieces(res, reply, (piece) => delta("text_delta", "text", piece));
    await event("content_block_stop", { index });
  }
  await event("message_delta", { delta: ending(reply), usage: { output_tokens: tokensOf(reply) } });
  await event("message_stop");
  res.end();
}

export function sendError(res, { status, message }) {
  const type = ERROR_TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
  sendJson(res, status, { type: "error", error: { type, message } });
}

const ERROR_TYPES = { 401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error" };

/** How a block looks before its deltas have come. */
const EMPTY = {
  thinking: { thinking: "", signature: "" },
  tool_use: { input: {} },
  text: { text: "" },
};

/** A newer model takes its instructions also between two messages. */
function isSystem({ role }) {
  return role === "system";
}

/** Results of tools are parts of a user's message here, and messages of their own in `Recorded`. */
function parseMessage({ role, content }) {
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : content;
  const results = parts
    .filter((part) => part.type === "tool_result")
    .map((part) => ({ role: "tool", text: plainText(part.content), toolCalls: [], toolCallID: part.tool_use_id }));
  const rest = parts.filter((part) => !["tool_result", "tool_use", "thinking", "redacted_thinking"].includes(part.type));
  const toolCalls = parts
    .filter((part) => part.type === "tool_use")
    .map((part) => ({ id: part.id, name: part.name, arguments: part.input }));
  if (rest.length === 0 && toolCalls.length === 0) return results;
  return [...results, { role, text: plainText(rest), toolCalls }];
}

function plainText(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? `[${part.type}]`).join("\n");
}

function envelope(request) {
  const usage = { input_tokens: tokensOf(request.body.messages), output_tokens: 1 };
  return { id: `msg_stub_${request.index}`, type: "message", role: "assistant", model: request.model, usage };
}

function blocks(request, { reasoning, toolCall, text }) {
  return [
    reasoning && { type: "thinking", thinking: reasoning, signature: "stub" },
    text && { type: "text", text: text.join("") },
    toolCall && { type: "tool_use", id: `toolu_stub_${request.index}`, name: toolCall.name, input: toolCall.arguments },
  ].filter(Boolean);
}

function ending({ toolCall }) {
  return { stop_reason: toolCall ? "tool_use" : "end_turn", stop_sequence: null };
}
