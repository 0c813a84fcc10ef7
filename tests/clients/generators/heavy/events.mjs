// The first events of the stream, for tools whose requests end.

import assert from "node:assert/strict";

const EVENTS = 5;

/** Counts them, and lets go of the stream. */
export async function firstEvents(url) {
  const { body } = await fetch(`${url}/opencode/event`);
  let text = "";
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.match(/^data: .*\n/gm)?.length >= EVENTS) return EVENTS;
  }
  assert.fail("the stream has ended");
}
