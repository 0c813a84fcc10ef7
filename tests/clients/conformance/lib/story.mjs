// The order in which things happen in a session, told by its events: what is the same on two servers that do the
// same, however a model's answer falls into pieces.

/**
 * Tells the story of one server, step by step. What a session does is told
 *
 * - in the order of the events: the turn's status, its messages and their parts, what it asks, its errors. Said
 *   once, however often it is sent: a part while it grows, a message between its beginning and its end, a status.
 * - beside it, sorted, without an order: what the real server does at the side, at a time of its own (it sums up
 *   what a turn has changed while the answer already runs), and what it repeats at its pleasure.
 */
export class Teller {
  #inOrder = [];
  #beside = new Set();
  #statuses = new Map();
  #said = new Set();

  /** The next events of one session. */
  story(events) {
    this.#inOrder = [];
    this.#beside = new Set();
    // The real server writes an event down when it sends it, and by then its first word of a message may have the
    // message's end in it: a message ends with the last thing that is said of it.
    const last = new Map(events.map(({ type, properties }, at) => [type === "message.updated" ? properties.info.id : null, at]));
    for (const [at, event] of events.entries()) this.#take(event, last.get(event.properties.info?.id) === at);
    return { inOrder: this.#inOrder, beside: [...this.#beside].sort() };
  }

  #take({ type, properties }, isLast) {
    switch (type) {
      case "message.updated":
        return this.#message(properties.info, isLast);
      case "message.part.updated":
        return this.#part(properties.part);
      case "message.part.delta":
        return this.#once(`${properties.partID} delta`, `${properties.field} grows`);
      case "session.status":
        return this.#turn(properties.sessionID, properties.status.type);
      case "session.idle":
      case "session.error":
      case "session.compacted":
      case "permission.asked":
      case "permission.replied":
      case "question.asked":
      case "question.replied":
      case "question.rejected":
      case "message.removed":
      case "message.part.removed":
      case "session.created":
      case "session.deleted":
        return this.#inOrder.push(type);
      default:
        return this.#beside.add(type);
    }
  }

  #message(info, isLast) {
    const who = `${info.role} message${info.summary === true ? " (summary)" : ""}`;
    this.#once(info.id, who);
    if (info.time.completed && isLast) this.#once(`${info.id} end`, `${who} ends${info.error ? ` with ${info.error.name}` : ""}`);
  }

  #part(part) {
    if (part.type === "tool") return this.#tool(part);
    const state = part.time?.end ? "end" : "";
    // A part that is changed when it was complete is worth telling again.
    const text = state === "end" ? part.text : "";
    this.#once(`${part.id} ${state} ${text}`, state === "end" ? `${part.type} ends` : part.type);
  }

  #tool({ id, tool, state: { status } }) {
    // With the same laziness, a tool may run before it waits for permission, or seem never to have waited.
    if (status === "running") this.#beside.add(`tool ${tool} running`);
    else this.#once(`${id} ${status}`, `tool ${tool} ${status}`);
  }

  #turn(sessionID, status) {
    if (status === this.#statuses.get(sessionID)) return;
    this.#statuses.set(sessionID, status);
    this.#inOrder.push(`status ${status}`);
  }

  #once(key, words) {
    if (this.#said.has(key)) return;
    this.#said.add(key);
    this.#inOrder.push(words);
  }
}
