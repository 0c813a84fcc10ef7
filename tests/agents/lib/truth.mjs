// What each answer of a conversation says of its model, against what the stub LLM was really asked.

import assert from "node:assert/strict";
import { commandOf } from "../stub/script.mjs";
import { isUnique } from "./assertions.mjs";
import { textOf } from "./client.mjs";

/**
 * Each answer of a session names the model that the stub was asked with for its prompt: it stands in the answer, and in
 * the request. `agents` are those whose answers are looked at, by the backend's id.
 */
export async function namesTheModelThatWasAsked({ client, stub }, agents, session) {
  const messages = await client.messages(session);
  const prompts = new Map(messages.map((message) => [message.info.id, message]));
  for (const answer of messages.filter(({ info }) => Object.hasOwn(agents, info.providerID ?? ""))) {
    const { providerID, modelID, parentID, error } = answer.info;
    const wire = agents[providerID].models.find(({ id }) => id === modelID)?.wire;
    assert.ok(wire, `an answer names ${providerID}'s ${modelID}, which was never selected`);
    const [, said] = /^\[([^\]\s]+)\]/.exec(textOf(answer)) ?? [];
    if (said !== undefined) assert.equal(said, wire, `the answer names ${modelID}, and is by ${said}`);
    const prompt = textOf(prompts.get(parentID));
    assert.ok(isUnique(prompt), `it cannot be told whose model was asked "${prompt}": it has no word of its own`);
    const asked = stub.turns().filter((request) => commandOf(request) === prompt);
    // What was stopped or killed at once may never have come so far.
    if (!error) assert.notEqual(asked.length, 0, `no model was asked "${prompt}"`);
    const models = [...new Set(asked.map(({ model }) => model))];
    assert.ok(models.every((model) => model === wire), `${models} were asked "${prompt}", which ${modelID} is said to have answered`);
  }
}
