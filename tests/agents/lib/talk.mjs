// A conversation with Baton in a test: switches that are awaited, prompts whose permissions are answered, and
// what the stub LLM was asked in the end.

import assert from "node:assert/strict";
import { ofSession } from "./assertions.mjs";

const PERMISSION_TIMEOUT_MS = 90_000;

export class Talk {
  constructor({ client, stub, events }) {
    Object.assign(this, { client, stub, events });
  }

  /** Changes the selection; returns the session and the event that says it is applied. */
  async switchTo(id, selection) {
    const from = this.events.position();
    const session = await this.client.select(id, selection);
    const applied = await this.events.until(ofSession(id, "session.model_applied"), undefined, { from });
    return { session, applied: applied.properties };
  }

  /** Sends a prompt and gives each request for a permission the same answer. */
  async prompt(id, text, options = {}, reply = "once") {
    let from = this.events.position();
    const answer = this.client.begin(id, text, options);
    for (;;) {
      const asked = this.events.until(ofSession(id, "permission.asked"), PERMISSION_TIMEOUT_MS, { from });
      // The one that loses the race must not become an unhandled rejection when its time is up.
      asked.catch(() => {});
      const request = await Promise.race([answer.then(() => null), asked]);
      if (request === null) return answer;
      from = this.events.events.indexOf(request) + 1;
      await this.client.ok("POST", `/permission/${request.properties.id}/reply`, { reply });
    }
  }

  /** The first request of a conversation in which a word occurs: the one that its prompt has caused. */
  requestWith(word) {
    const found = this.stub.turns().find((request) => request.messages.some(({ text }) => text.includes(word)));
    assert.ok(found, `the model was never given "${word}"`);
    return found;
  }
}

/** A selection in the words of PATCH. */
export function selection(providerID, model) {
  return { providerID, modelID: model.id };
}
