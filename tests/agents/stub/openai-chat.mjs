// The stub LLM's adapter for OpenAI chat completions: POST …/chat/completions, streamed or not.
// https://platform.openai.com/docs/api-reference/chat

import { eventStream, parametersOf, sendJson, tokensOf, writePieces } from "./stream.mjs";

export const api = "openai-chat";

export function matches(method, path) {
  return method === "POST" && path.endsWith("/chat/completions");
}

/** What agents ask beside the conversation. */
export function aside(method, path) {
  if (method !== "GET" || !path.endsWith("/models")) return undefined;
  return { object: "list", data: modelsOf(path).map((id) => ({ id, object: "model", created: 0, owned_by: "stub" })) };
}

/** For agents that only offer what their provider lists. */
const MODELS = ["gpt-4o", "gpt-4.1"];
/** For those that believe to know the vendor of a name. */
const STRANGE = { "/hermes/v1/models": ["heron", "egret"] };

function modelsOf(path) {
  return STRANGE[path] ?? MODELS;
}

/** The request in the words of `Recorded` (server.mjs). */
export function parse(body) {
  const isSystem = (message) => message.role === "system" || message.role === "developer";
  return {
    model: body.model,
    system: body.messages.filter(isSystem).map((message) => plainText(message.content)).join("\n"),
    messages: body.messages.filter((message) => !isSystem(message)).map(parseMessage),
    tools: (body.tools ?? []).map((tool) => tool.function.name),
    parameters: Object.fromEntries(
      (body.tools ?? []).map((tool) => [tool.function.name, parametersOf(tool.function.parameters)]),
    ),
    stream: body.stream === true,
    effort: body.reasoning_effort,
  };
}

export async function send(res, request, reply) {
  if (request.stream) await stream(res, request, reply);
  else sendWhole(res, request, reply);
}

export function sendError(res, { status, message, code = null }) {
  const type = status < 500 ? "invalid_request_error" : "server_error";
  sendJson(res, status, { error: { message, type, param: null, code } });
}

function parseMessage({ role, content, tool_calls, tool_call_id }) {
  const toolCalls = (tool_calls ?? []).map((call) => ({
    id: call.id,
    name: call.function.name,
    arguments: JSON.parse(call.function.arguments || "{}"),
  }));
  return { role, text: plainText(content), toolCalls, ...(tool_call_id && { toolCallID: tool_call_id }) };
}

/** `content` is a string, a list of parts, or null beside tool calls. */
function plainText(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? `[${part.type}]`).join("\n");
}

async function stream(res, request, reply) {
  const write = eventStream(res);
  const chunk = (choices, extra = {}) =>
    write({ ...envelope("chat.completion.chunk", request), choices, ...extra });
  const delta = (fields, finish_reason = null) => chunk([{ index: 0, delta: fields, finish_reason }]);

  await delta({ role: "assistant", content: "" });
  if (reply.reasoning) await delta({ reasoning_content: reply.reasoning });
  if (reply.toolCall) await delta({ tool_calls: [{ index: 0, ...toolCall(request, reply) }] });
  await writePieces(res, reply, (content) => delta({ content }));
  await delta({}, finishReason(reply));
  await chunk([], { usage: usage(request, reply) });
  await write("[DONE]");
  res.end();
}

function sendWhole(res, request, reply) {
  const message = { role: "assistant", content: reply.text?.join("") ?? null };
  if (reply.reasoning) message.reasoning_content = reply.reasoning;
  if (reply.toolCall) message.tool_calls = [toolCall(request, reply)];
  const choices = [{ index: 0, message, finish_reason: finishReason(reply) }];
  sendJson(res, 200, { ...envelope("chat.completion", request), choices, usage: usage(request, reply) });
}

function envelope(object, request) {
  const created = Math.floor(request.time_ms / 1000);
  return { id: `chatcmpl-stub-${request.index}`, object, created, model: request.model };
}

function toolCall(request, { toolCall: call }) {
  const body = { name: call.name, arguments: JSON.stringify(call.arguments) };
  return { id: `call_stub_${request.index}`, type: "function", function: body };
}

function finishReason(reply) {
  return reply.toolCall ? "tool_calls" : "stop";
}

function usage(request, reply) {
  const prompt_tokens = tokensOf(request.body.messages);
  const completion_tokens = tokensOf(reply);
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}
