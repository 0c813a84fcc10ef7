// The events of the server, from wherever the last one was: the stream is opened again with its number.

import { state, touch } from "./state.js";

/** @import {Event} from "./types.js" */

const STREAM = "/opencode/global/event";
const AGAIN_MS = 2_000;

/**
 * Follows the events for as long as the page lives.
 * @param {(event: Event) => void} take
 * @param {() => void} readAgain events are missing: everything has to be read anew
 */
export function follow(take, readAgain) {
  let last = "";
  let wasLost = false;
  const open = () => {
    const from = last === "" ? "" : `?lastEventID=${encodeURIComponent(last)}`;
    // It comes back by itself, with Last-Event-ID, unless the server refuses it.
    const source = new EventSource(STREAM + from);
    source.onopen = () => {
      connection("live");
      if (wasLost && last === "") readAgain();
      wasLost = false;
    };
    source.onmessage = (message) => {
      if (message.lastEventId !== "") last = message.lastEventId;
      const { payload } = JSON.parse(message.data);
      if (payload.type === "server.resync") readAgain();
      take(payload);
    };
    source.onerror = () => {
      connection("lost");
      wasLost = true;
      if (source.readyState !== EventSource.CLOSED) return;
      source.close();
      setTimeout(open, AGAIN_MS);
    };
  };
  open();
}

/** @param {import("./state.js").Connection} now */
function connection(now) {
  if (state.connection === now) return;
  state.connection = now;
  touch("connection");
}
