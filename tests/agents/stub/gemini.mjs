// The stub LLM's adapter for Gemini: POST …/models/{model}:generateContent and :streamGenerateContent.
// https://ai.google.dev/api/generate-content

import { eventStream, parametersOf, sendJson, tokensOf, writePieces } from "./stream.mjs";

export const api = "gemini";

const PATH = /\/models\/([^/:]+):(generateContent|streamGenerateContent)$/;

export function matches(method, path) {
  return method === "POST" && PATH.test(path);
}

/** What agents ask beside the conversation. */
export function aside(method, path) {
  if (method === "POST" && path.endsWith(":countTokens")) return { totalTokens: 1000 };
  return undefined;
}

/** The request in the words of `Recorded` (server.mjs). */
export function parse(body, path) {
  const [, model, call] = PATH.exec(path);
  const tools = (body.tools ?? []).flatMap((tool) => tool.functionDeclarations ?? []);
  return {
    model: decodeURIComponent(model),
    system: plainText(body.systemInstruction?.parts),
    messages: body.contents.flatMap(parseContent),
    tools: tools.map((tool) => tool.name),
    parameters: Object.fromEntries(
      tools.map((tool) => [tool.name, parametersOf(tool.parametersJsonSchema ?? tool.parameters)]),
    ),
    stream: call === "streamGenerateContent",
    effort: body.generationConfig?.thinkingConfig?.thinkingLevel,
    // An answer in a form that a program reads is none that the user does.
    isForm: body.generationConfig?.responseMimeType === "application/json",
  };
}

export async function send(res, request, reply) {
  if (!request.stream) {
    const parts = [...thoughts(reply), ...(reply.text ? [{ text: reply.text.join("") }] : []), ...calls(request, reply)];
    return sendJson(res, 200, { ...chunk(request, parts, "STOP"), usageMetadata: usage(request, reply) });
  }
  const write = eventStream(res);
  if (reply.reasoning) await write(chunk(request, thoughts(reply)));
  await writePieces(res, reply, (text) => write(chunk(request, [{ text }])));
  const last = reply.toolCall ? calls(request, reply) : [{ text: "" }];
  await write({ ...chunk(request, last, "STOP"), usageMetadata: usage(request, reply) });
  res.end();
}

export function sendError(res, { status, message }) {
  const name = { 400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED" }[status] ?? "INTERNAL";
  sendJson(res, status, { error: { code: status, message, status: name } });
}

/** Results of tools are parts of a user's content here, and messages of their own in `Recorded`. */
function parseContent({ role, parts }) {
  const results = parts
    .filter((part) => part.functionResponse)
    .map(({ functionResponse: { id, response } }) => ({
      role: "tool",
      text: response.output ?? response.error ?? JSON.stringify(response),
      toolCalls: [],
      toolCallID: id,
    }));
  const toolCalls = parts
    .filter((part) => part.functionCall)
    .map(({ functionCall: { id, name, args } }) => ({ id, name, arguments: args ?? {} }));
  const rest = parts.filter((part) => !part.functionResponse && !part.functionCall && !part.thought);
  if (rest.length === 0 && toolCalls.length === 0) return results;
  return [...results, { role: role === "model" ? "assistant" : "user", text: plainText(rest), toolCalls }];
}

function plainText(parts) {
  return (parts ?? []).map((part) => part.text ?? `[${Object.keys(part)[0]}]`).join("\n");
}

function chunk(request, parts, finishReason) {
  const candidate = { index: 0, content: { role: "model", parts }, ...(finishReason && { finishReason }) };
  return { candidates: [candidate], modelVersion: request.model, responseId: `stub-${request.index}` };
}

function thoughts({ reasoning }) {
  return reasoning ? [{ text: reasoning, thought: true }] : [];
}

function calls(request, { toolCall }) {
  if (!toolCall) return [];
  return [{ functionCall: { id: `call_stub_${request.index}`, name: toolCall.name, args: toolCall.arguments } }];
}

function usage(request, reply) {
  const [promptTokenCount, candidatesTokenCount] = [tokensOf(request.body.contents), tokensOf(reply)];
  return { promptTokenCount, candidatesTokenCount, totalTokenCount: promptTokenCount + candidatesTokenCount };
}
