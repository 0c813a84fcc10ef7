// The stub LLM's adapter for OpenAI Responses: POST …/responses, streamed or not.
// https://platform.openai.com/docs/api-reference/responses

import { eventStream, parametersOf, sendJson, tokensOf, writePieces } from "./stream.mjs";

export const api = "openai-responses";

export function matches(method, path) {
  return method === "POST" && path.endsWith("/responses");
}

/** The request in the words of `Recorded` (server.mjs). */
export function parse(body) {
  const items = typeof body.input === "string" ? [{ role: "user", content: body.input }] : body.input;
  const isSystem = (item) => item.role === "system" || item.role === "developer";
  const tools = [...(body.tools ?? []), ...items.flatMap((item) => item.tools ?? [])].flatMap(toolsOf);
  return {
    model: body.model,
    system: [body.instructions ?? "", ...items.filter(isSystem).map((item) => plainText(item.content))].join("\n"),
    messages: items.filter((item) => !isSystem(item)).flatMap(parseItem),
    isForm: body.text?.format?.type === "json_schema",
    tools: tools.map((tool) => tool.name),
    parameters: Object.fromEntries(tools.map((tool) => [tool.name, parametersOf(tool.parameters)])),
    stream: body.stream === true,
    effort: body.reasoning?.effort,
  };
}

export async function send(res, request, reply) {
  const done = { ...envelope(request), status: "completed", output: items(request, reply), usage: usage(request, reply) };
  if (!request.stream) return sendJson(res, 200, done);
  const write = eventStream(res);
  let sequence_number = 0;
  const event = (type, fields) => write({ type, sequence_number: sequence_number++, ...fields }, type);
  await event("response.created", { response: { ...envelope(request), status: "in_progress", output: [] } });
  for (const [output_index, item] of done.output.entries()) {
    const of = { item_id: item.id, output_index };
    await event("response.output_item.added", { output_index, item: { ...item, ...EMPTY[item.type] } });
    if (item.type === "reasoning") {
      const [part] = item.summary;
      await event("response.reasoning_summary_part.added", { ...of, summary_index: 0, part: { ...part, text: "" } });
      await event("response.reasoning_summary_text.delta", { ...of, summary_index: 0, delta: part.text });
      await event("response.reasoning_summary_text.done", { ...of, summary_index: 0, text: part.text });
    }
    if (item.type === "message") {
      const place = { ...of, content_index: 0 };
      await event("response.content_part.added", { ...place, part: { ...item.content[0], text: "" } });
      await writePieces(res, reply, (delta) => event("response.output_text.delta", { ...place, delta }));
      await event("response.output_text.done", { ...place, text: item.content[0].text });
    }
    if (item.type === "custom_tool_call") {
      await event("response.custom_tool_call_input.delta", { ...of, delta: item.input });
      await event("response.custom_tool_call_input.done", { ...of, input: item.input });
    }
    if (item.type === "function_call") {
      await event("response.function_call_arguments.delta", { ...of, delta: item.arguments });
      await event("response.function_call_arguments.done", { ...of, arguments: item.arguments });
    }
    await event("response.output_item.done", { output_index, item });
  }
  await event("response.completed", { response: done });
  res.end();
}

export function sendError(res, { status, message, code = null }) {
  const type = status < 500 ? "invalid_request_error" : "server_error";
  sendJson(res, status, { error: { message, type, param: null, code } });
}

/** How an item looks before its deltas have come. */
const EMPTY = {
  reasoning: { summary: [] },
  message: { content: [], status: "in_progress" },
  function_call: { arguments: "", status: "in_progress" },
  custom_tool_call: { input: "", status: "in_progress" },
};

/** The tools of a group one by one; one without a name is run by the vendor, and the stub does not have it. */
function toolsOf(tool) {
  if (tool.type === "namespace") return tool.tools.map((each) => ({ ...each, namespace: tool.name }));
  return tool.name ? [tool] : [];
}

function parseItem(item) {
  switch (item.type ?? "message") {
    case "message":
      return [{ role: item.role, text: plainText(item.content), toolCalls: [] }];
    case "function_call": {
      const call = { id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments || "{}") };
      return [{ role: "assistant", text: "", toolCalls: [call] }];
    }
    case "custom_tool_call":
      return [
        { role: "assistant", text: "", toolCalls: [{ id: item.call_id, name: item.name, arguments: item.input }] },
      ];
    case "custom_tool_call_output":
    case "function_call_output":
      return [{ role: "tool", text: plainText(item.output), toolCalls: [], toolCallID: item.call_id }];
    default:
      // Reasoning goes back to its own vendor as it came; it is none of the conversation's words.
      return [];
  }
}

function plainText(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? `[${part.type}]`).join("\n");
}

function envelope(request) {
  const created_at = Math.floor(request.time_ms / 1000);
  return { id: `resp_stub_${request.index}`, object: "response", created_at, model: request.model, error: null };
}

function items(request, { reasoning, text, toolCall }) {
  const id = (kind) => `${kind}_stub_${request.index}`;
  const called = toolCall && { call_id: id("call"), name: toolCall.name, status: "completed" };
  // A custom tool takes a text as it is; the others take JSON.
  const call =
    typeof toolCall?.arguments === "string"
      ? { type: "custom_tool_call", id: id("ctc"), ...called, input: toolCall.arguments }
      : toolCall && { type: "function_call", id: id("fc"), ...called, arguments: JSON.stringify(toolCall.arguments) };
  const message = text && {
    type: "message",
    id: id("msg"),
    role: "assistant",
    status: "completed",
    content: [{ type: "output_text", text: text.join(""), annotations: [] }],
  };
  const thought = reasoning && {
    type: "reasoning",
    id: id("rs"),
    summary: [{ type: "summary_text", text: reasoning }],
  };
  return [thought, message, call].filter(Boolean);
}

function usage(request, reply) {
  const [input_tokens, output_tokens] = [tokensOf(request.body.input), tokensOf(reply)];
  return {
    input_tokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: input_tokens + output_tokens,
  };
}
