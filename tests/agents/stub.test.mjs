// The stub LLM itself: what the other tests conclude from it is only as good as this.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startStubLLM } from "./stub-llm.mjs";

const TIMEOUT = { timeout: 20_000 };

const WRITE = { type: "function", function: { name: "write", parameters: { type: "object" } } };
const BASH = { type: "function", function: { name: "bash", parameters: { type: "object" } } };

let stub;
before(async () => {
  stub = await startStubLLM();
});
after(() => stub.close());

const user = (content) => ({ role: "user", content });

function post(body, options = {}) {
  return fetch(`${stub.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "alpha", ...body }),
    ...options,
  });
}

async function whole(messages, extra = {}) {
  const response = await post({ messages, ...extra });
  assert.equal(response.status, 200);
  return (await response.json()).choices[0];
}

const answerTo = async (text) => (await whole([user(text)])).message.content;

/** Puts a streamed answer together again. */
async function streamed(messages, extra = {}) {
  const response = await post({ messages, stream: true, ...extra });
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  const lines = (await response.text()).split("\n\n").filter(Boolean);
  assert.equal(lines.pop(), "data: [DONE]");
  const chunks = lines.map((line) => JSON.parse(line.replace(/^data: /, "")));
  const deltas = chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta));
  return {
    text: deltas.map((delta) => delta.content ?? "").join(""),
    reasoning: deltas.map((delta) => delta.reasoning_content ?? "").join(""),
    toolCalls: deltas.flatMap((delta) => delta.tool_calls ?? []),
    finish: chunks.flatMap((chunk) => chunk.choices).findLast((choice) => choice.finish_reason)?.finish_reason,
    usage: chunks.at(-1).usage,
  };
}

test("SAY answers the text with the model's name, whole and streamed", TIMEOUT, async () => {
  assert.equal(await answerTo("SAY good morning"), "[alpha] good morning");
  const answer = await streamed([user("SAY good morning")], { model: "beta" });
  assert.equal(answer.text, "[beta] good morning");
  assert.equal(answer.finish, "stop");
  assert.ok(answer.usage.prompt_tokens > 0);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("the last command of the last user message decides", TIMEOUT, async () => {
  assert.equal(await answerTo("a transcript:\n  SAY old\nand now\nSAY new"), "[alpha] new");
  const history = [user("SAY first"), { role: "assistant", content: "[alpha] first" }, user("hello there")];
  assert.equal((await whole(history)).message.content, "[alpha] heard: hello there");
});

test("a command inside an agent's reminder is not the user's", TIMEOUT, async () => {
  const text = "SAY mine\n<system-reminder>\nSAY not mine\n</system-reminder>\n";
  assert.equal(await answerTo(text), "[alpha] mine");
});

test("content given as parts is read in order", TIMEOUT, async () => {
  const parts = [
    { type: "text", text: "SAY one" },
    { type: "text", text: "SAY two" },
  ];
  assert.equal(await answerTo(parts), "[alpha] two");
});

test("HISTORY counts what it was given, without the system prompt", TIMEOUT, async () => {
  const messages = [
    { role: "system", content: "You code." },
    user("SAY a"),
    { role: "assistant", content: "[alpha] a" },
    user("HISTORY"),
  ];
  assert.equal((await whole(messages)).message.content, "[alpha] history: 3 messages");
  const recorded = stub.requests.at(-1);
  assert.equal(recorded.system, "You code.");
  assert.deepEqual(recorded.messages.map((message) => message.text), ["SAY a", "[alpha] a", "HISTORY"]);
});

test("TOOLWRITE calls the write tool, and the result is repeated", TIMEOUT, async () => {
  const question = user("TOOLWRITE a.txt some words");
  const first = await streamed([question], { tools: [BASH, WRITE] });
  assert.equal(first.finish, "tool_calls");
  const [call] = first.toolCalls;
  assert.equal(call.function.name, "write");
  assert.deepEqual(JSON.parse(call.function.arguments), { filePath: "a.txt", content: "some words" });

  const assistant = { role: "assistant", content: null, tool_calls: [{ ...call, index: undefined }] };
  const result = { role: "tool", tool_call_id: call.id, content: "Wrote it." };
  const second = await streamed([question, assistant, result], { tools: [BASH, WRITE] });
  assert.equal(second.text, "[alpha] tool said: Wrote it.");
  const recorded = stub.requests.at(-1);
  assert.deepEqual(recorded.tools, ["bash", "write"]);
  assert.deepEqual(recorded.messages[1].toolCalls, [
    { id: call.id, name: "write", arguments: { filePath: "a.txt", content: "some words" } },
  ]);
  assert.equal(recorded.messages[2].toolCallID, call.id);
});

test("TOOLBASH calls the shell; without one the answer says so", TIMEOUT, async () => {
  const choice = await whole([user("TOOLBASH echo hi")], { tools: [BASH] });
  assert.equal(choice.finish_reason, "tool_calls");
  assert.equal(JSON.parse(choice.message.tool_calls[0].function.arguments).command, "echo hi");
  assert.equal(await answerTo("TOOLBASH echo hi"), "[alpha] no such tool; offered: ");
});

test("REASON thinks before it speaks", TIMEOUT, async () => {
  const answer = await streamed([user("REASON about cats")]);
  assert.equal(answer.reasoning, "[alpha] thinking about: about cats");
  assert.equal(answer.text, "[alpha] about cats");
});

test("ERROR fails with the status asked for", TIMEOUT, async () => {
  for (const status of [400, 401, 429, 500]) {
    const response = await post({ messages: [user(`ERROR ${status}`)], stream: true });
    assert.equal(response.status, status);
    assert.equal((await response.json()).error.message, `[alpha] stub error ${status}`);
  }
});

test("TOOLONG fails once, and then answers", TIMEOUT, async () => {
  const response = await post({ messages: [user("TOOLONG once")], stream: true });
  assert.equal(response.status, 400);
  const { error } = await response.json();
  assert.equal(error.code, "context_length_exceeded");
  assert.match(error.message, /too long: \d+ tokens > \d+ maximum/);
  assert.equal(await answerTo("TOOLONG once"), "[alpha] once");
});

test("HALF has an emoji in two pieces, and one half", TIMEOUT, async () => {
  const { text } = await streamed([user("HALF word")]);
  assert.equal(text, "[alpha] word \u{1f600} cut:\ud83d word end");
});

test("a summary keeps the marks, and what was told as used is recorded", TIMEOUT, async () => {
  const asked = "mark-0123abcd and more. Please create a detailed summary of the conversation so far.";
  assert.equal(await answerTo(asked), "[alpha] summary mark-0123abcd");
  const { auxiliary, tokens } = stub.requests.at(-1);
  assert.deepEqual([auxiliary, tokens > 0], ["summary", true]);
});

test("SLOW streams in pieces, and a client that hangs up is recorded", TIMEOUT, async () => {
  const answer = await streamed([user("SLOW 0.3")]);
  assert.equal(answer.text, "[alpha] tick-1 tick-2 tick-3 done");

  const hangUp = new AbortController();
  const response = await post({ messages: [user("SLOW 60")], stream: true }, { signal: hangUp.signal });
  await response.body.getReader().read();
  hangUp.abort();
  const recorded = await stub.waitFor((request) => request.state === "aborted");
  assert.equal(recorded.messages.at(-1).text, "SLOW 60");
});

test("a request for a title is marked and stays out of the turns", TIMEOUT, async () => {
  const before = stub.turns().length;
  await whole([{ role: "system", content: "You are a title generator." }, user("SAY hello")]);
  assert.equal(stub.requests.at(-1).auxiliary, "title");
  assert.equal(stub.turns().length, before);
});

test("model, effort and path of a request are recorded", TIMEOUT, async () => {
  const response = await fetch(`${stub.url}/other/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "beta", reasoning_effort: "high", messages: [user("SAY x")] }),
  });
  assert.equal(response.status, 200);
  const { model, effort, path, stream, api } = stub.requests.at(-1);
  assert.deepEqual(
    { model, effort, path, stream, api },
    { model: "beta", effort: "high", path: "/other/v1/chat/completions", stream: false, api: "openai-chat" },
  );
});

test("waitFor sees a later request, and says what came when none does", TIMEOUT, async () => {
  const waiting = stub.waitFor((request) => request.messages.at(-1)?.text === "SAY later");
  await answerTo("SAY later");
  assert.equal((await waiting).model, "alpha");
  await assert.rejects(stub.waitFor(() => false, 10), /no such request within 10 ms.*SAY later/);
});

test("an unknown path is 404 and remembered", TIMEOUT, async () => {
  const response = await fetch(`${stub.url}/v1/nowhere`);
  assert.equal(response.status, 404);
  assert.deepEqual(stub.unexpected.at(-1), { method: "GET", path: "/v1/nowhere" });
});
