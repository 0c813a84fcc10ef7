// The stub LLM's further wire APIs: each says the same in its own words, and is understood in the same words.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { dataOf } from "./lib/sse.mjs";
import { startStubLLM } from "./stub-llm.mjs";

const TIMEOUT = { timeout: 20_000 };

let stub;
before(async () => {
  stub = await startStubLLM();
});
after(() => stub.close());

async function post(path, body) {
  const response = await fetch(stub.url + path, { method: "POST", body: JSON.stringify(body) });
  return response;
}

async function events(path, body) {
  const response = await post(path, body);
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  const all = [];
  for await (const data of dataOf(response.body)) all.push(JSON.parse(data));
  return all;
}

/** What the stub has understood of the last request. */
const understood = () => stub.requests.at(-1).messages.map(({ role, text, toolCalls }) => [role, text, toolCalls]);

/** Each API: how a conversation is put, and how an answer is read. `turns` are [role, text] of the wire's plain roles. */
const APIS = {
  "anthropic-messages": {
    path: () => "/x/v1/messages",
    tool: "Write",
    body: (turns, extra = {}) => ({
      model: "alpha",
      stream: true,
      system: [{ type: "text", text: "You code." }],
      messages: turns.map(([role, text]) => ({ role, content: [{ type: "text", text }] })),
      tools: [{ name: "Write", input_schema: { properties: { file_path: {}, content: {} } } }],
      ...extra,
    }),
    read: (all) => {
      const deltas = all.filter(({ type }) => type === "content_block_delta").map(({ delta }) => delta);
      const join = (field) => deltas.map((delta) => delta[field] ?? "").join("");
      const use = all.find(({ content_block: block }) => block?.type === "tool_use")?.content_block;
      return {
        text: join("text"),
        reasoning: join("thinking"),
        call: use && { id: use.id, name: use.name, arguments: JSON.parse(join("partial_json")) },
        finish: all.find(({ type }) => type === "message_delta").delta.stop_reason,
        tokens: all[0].message.usage.input_tokens,
      };
    },
    finishes: ["end_turn", "tool_use"],
    goOn: (body, { id, name, arguments: input }, result) => ({
      ...body,
      messages: [
        ...body.messages,
        { role: "assistant", content: [{ type: "tool_use", id, name, input }] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: id, content: [{ type: "text", text: result }] }] },
      ],
    }),
    errorOf: (body) => body.error.message,
  },
  "openai-responses": {
    path: () => "/x/v1/responses",
    tool: "exec_command",
    body: (turns, extra = {}) => ({
      model: "alpha",
      stream: true,
      instructions: "You code.",
      input: turns.map(([role, text]) => ({ type: "message", role, content: [{ type: "input_text", text }] })),
      tools: [{ type: "function", name: "exec_command", parameters: { properties: { cmd: {} } } }, { type: "web_search" }],
      ...extra,
    }),
    read: (all) => {
      const of = (type) => all.filter((event) => event.type === type);
      const done = of("response.completed")[0].response;
      const call = done.output.find(({ type }) => type === "function_call");
      return {
        text: of("response.output_text.delta").map(({ delta }) => delta).join(""),
        reasoning: of("response.reasoning_summary_text.delta").map(({ delta }) => delta).join(""),
        call: call && { id: call.call_id, name: call.name, arguments: JSON.parse(call.arguments) },
        finish: done.status,
        tokens: done.usage.input_tokens,
      };
    },
    finishes: ["completed", "completed"],
    goOn: (body, { id, name, arguments: input }, output) => ({
      ...body,
      input: [
        ...body.input,
        { type: "function_call", call_id: id, name, arguments: JSON.stringify(input) },
        { type: "function_call_output", call_id: id, output },
      ],
    }),
    errorOf: (body) => body.error.message,
  },
  gemini: {
    path: () => "/x/v1beta/models/alpha:streamGenerateContent",
    tool: "write_file",
    body: (turns, extra = {}) => ({
      systemInstruction: { parts: [{ text: "You code." }] },
      contents: turns.map(([role, text]) => ({ role: role === "assistant" ? "model" : role, parts: [{ text }] })),
      tools: [{ functionDeclarations: [{ name: "write_file", parametersJsonSchema: { properties: { file_path: {}, content: {} } } }] }],
      ...extra,
    }),
    read: (all) => {
      const parts = all.flatMap((chunk) => chunk.candidates[0].content.parts);
      const texts = (thought) => parts.filter((part) => Boolean(part.thought) === thought).map((part) => part.text ?? "");
      const call = parts.find((part) => part.functionCall)?.functionCall;
      return {
        text: texts(false).join(""),
        reasoning: texts(true).join(""),
        call: call && { id: call.id, name: call.name, arguments: call.args },
        finish: all.at(-1).candidates[0].finishReason,
        tokens: all.at(-1).usageMetadata.promptTokenCount,
      };
    },
    finishes: ["STOP", "STOP"],
    goOn: (body, { id, name, arguments: args }, output) => ({
      ...body,
      contents: [
        ...body.contents,
        { role: "model", parts: [{ functionCall: { id, name, args } }] },
        { role: "user", parts: [{ functionResponse: { id, name, response: { output } } }] },
      ],
    }),
    errorOf: (body) => body.error.message,
  },
};

for (const [api, wire] of Object.entries(APIS)) {
  const ask = async (turns, extra) => wire.read(await events(wire.path(), wire.body(turns, extra)));

  describe(api, () => {
    test("says the text with the model's name, and remembers who said what", TIMEOUT, async () => {
      const turns = [["user", "SAY a"], ["assistant", "[alpha] a"], ["user", "SAY good morning"]];
      const answer = await ask(turns);
      assert.equal(answer.text, "[alpha] good morning");
      assert.equal(answer.finish, wire.finishes[0]);
      assert.ok(answer.tokens > 0);
      const { model, system, tools, auxiliary, api: by } = stub.requests.at(-1);
      assert.deepEqual([model, tools, auxiliary, by], ["alpha", [wire.tool], null, api]);
      assert.match(system, /You code\./);
      assert.deepEqual(understood(), turns.map(([role, text]) => [role, text, []]));
    });

    test("calls the tool that writes a file, and repeats its result", TIMEOUT, async () => {
      const question = [["user", "TOOLWRITE a.txt words"]];
      const { call, finish } = await ask(question);
      assert.equal(finish, wire.finishes[1]);
      assert.equal(call.name, wire.tool);
      assert.match(JSON.stringify(call.arguments), /a\.txt.*words|words.*a\.txt/);
      const second = wire.read(await events(wire.path(), wire.goOn(wire.body(question), call, "Wrote it.")));
      assert.equal(second.text, "[alpha] tool said: Wrote it.");
      assert.deepEqual(understood().slice(1), [["assistant", "", [call]], ["tool", "Wrote it.", []]]);
      assert.equal(stub.requests.at(-1).messages.at(-1).toolCallID, call.id);
    });

    test("thinks before it speaks", TIMEOUT, async () => {
      const answer = await ask([["user", "REASON about cats"]]);
      assert.deepEqual([answer.reasoning, answer.text], ["[alpha] thinking about: about cats", "[alpha] about cats"]);
    });

    test("streams slowly", TIMEOUT, async () => {
      assert.equal((await ask([["user", "SLOW 0.2"]])).text, "[alpha] tick-1 tick-2 done");
    });

    test("fails with the status asked for", TIMEOUT, async () => {
      for (const status of [400, 429, 500]) {
        const response = await post(wire.path(), wire.body([["user", `ERROR ${status}`]]));
        assert.equal(response.status, status);
        assert.equal(wire.errorOf(await response.json()), `[alpha] stub error ${status}`);
      }
    });
  });
}

test("without stream the answer comes whole", TIMEOUT, async () => {
  const turns = [["user", "SAY x"]];
  const whole = async (api, path, extra) => (await post(path, APIS[api].body(turns, extra))).json();
  const claude = await whole("anthropic-messages", "/v1/messages", { stream: false });
  assert.deepEqual(claude.content, [{ type: "text", text: "[alpha] x" }]);
  const codex = await whole("openai-responses", "/v1/responses", { stream: false });
  assert.equal(codex.output[0].content[0].text, "[alpha] x");
  const gemini = await whole("gemini", "/v1beta/models/alpha:generateContent");
  assert.deepEqual(gemini.candidates[0].content.parts, [{ text: "[alpha] x" }]);
});

test("a tool in a group that takes a text is called with a program", TIMEOUT, async () => {
  const exec = { type: "custom", name: "exec" };
  const tools = { type: "additional_tools", role: "developer", tools: [{ type: "namespace", name: "functions", tools: [exec] }] };
  const body = { ...APIS["openai-responses"].body([["user", "TOOLBASH echo hi"]]), tools: [] };
  body.input.unshift(tools);
  const all = await events("/v1/responses", body);
  const item = all.at(-1).response.output[0];
  assert.deepEqual([item.type, item.name], ["custom_tool_call", "exec"]);
  assert.match(item.input, /tools\.exec_command\(\{"cmd":"echo hi"\}\)/);
  body.input.push(item, { type: "custom_tool_call_output", call_id: item.call_id, output: [{ type: "input_text", text: "hi" }] });
  assert.equal(APIS["openai-responses"].read(await events("/v1/responses", body)).text, "[alpha] tool said: hi");
});

test("what an agent asks on its own account stays out of the turns", TIMEOUT, async () => {
  const before = stub.turns().length;
  const say = (text, system = "") => ({ ...APIS["anthropic-messages"].body([["user", text]], { tools: [] }), system });
  await events("/v1/messages", say("x", "You are naming a coding session"));
  await events("/v1/messages", say("[SUGGESTION MODE: what next?]"));
  await events("/v1/responses", APIS["openai-responses"].body([["user", "You are performing a CONTEXT CHECKPOINT COMPACTION."]]));
  const form = { generationConfig: { responseMimeType: "application/json" } };
  await events(APIS.gemini.path(), APIS.gemini.body([["user", "route this"]], form));
  assert.deepEqual(stub.requests.slice(-4).map(({ auxiliary }) => auxiliary), ["title", "suggestion", "summary", "form"]);
  assert.equal(stub.turns().length, before);
});

test("lists of models and counts of tokens are no turns", TIMEOUT, async () => {
  const before = stub.requests.length;
  const list = await (await fetch(`${stub.url}/x/v1/models`)).json();
  assert.ok(list.data.length > 0 && list.data.every(({ id }) => typeof id === "string"));
  assert.ok((await (await post("/v1/messages/count_tokens", {})).json()).input_tokens > 0);
  assert.ok((await (await post("/v1beta/models/alpha:countTokens", {})).json()).totalTokens > 0);
  assert.equal(stub.requests.length, before);
});
