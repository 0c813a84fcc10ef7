// What the tests ask of the stub's record, of the event stream, and of names that must not collide.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

const UNASKED_TIMEOUT_MS = 90_000;

/** A word that occurs nowhere else: found in a request, it can only have come from this test. */
export function unique(word) {
  return `${word}-${randomBytes(4).toString("hex")}`;
}

/** Whether a text has such a word in it. */
export function isUnique(text) {
  return /-[0-9a-f]{8}\b/.test(text);
}

/** The words of a request in the order in which the model reads them, tool calls and results included. */
export function wordsOf(request) {
  const calls = ({ toolCalls }) => toolCalls.map((call) => `${call.name} ${JSON.stringify(call.arguments)}`);
  return request.messages.flatMap((message) => [message.text, ...calls(message)]).join("\n");
}

/** How often a text occurs in another. */
export function count(text, needle) {
  return text.split(needle).length - 1;
}

/** The last request that a model was asked by a conversation. */
export function lastTurn(stub) {
  return stub.turns().at(-1);
}

/** Accepts the events of one type of one session. */
export function ofSession(sessionID, type) {
  return (event) => event.type === type && event.properties.sessionID === sessionID;
}

/** Accepts the event with which a session's answer has got as far as `text`. */
export function streamedText(sessionID, text) {
  return ({ type, properties }) =>
    (type === "message.part.delta" && properties.sessionID === sessionID && properties.delta.includes(text)) ||
    (type === "message.part.updated" && properties.sessionID === sessionID && properties.part.text?.includes(text));
}

/** Sends a prompt that needs no permission of the user's; fails at once, not by a timeout, if one is asked. */
export function promptUnasked({ client, events }, sessionID, text) {
  const from = events.position();
  const asked = events
    .until(ofSession(sessionID, "permission.asked"), UNASKED_TIMEOUT_MS, { from })
    .then(({ properties }) => assert.fail(`asked for a permission: ${JSON.stringify(properties)}`));
  // It is left behind when the answer comes, and ends with the event stream.
  asked.catch(() => {});
  return Promise.race([client.prompt(sessionID, text), asked]);
}
