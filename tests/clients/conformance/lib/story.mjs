// The order in which things happen in a session, told by its events: what is the same on two servers that do the
// same, however a model's answer falls into pieces.

/**
 * The story of some events of one session.
 *
 * In the order of the events: the turn's status, its messages and their parts, what it asks, its errors. Said
 * once, however often it is sent: a part while it grows, a message between its beginning and its end, a status.
 *
 * Beside it, sorted, without an order: what the real server does at the side, at a time of its own (it sums up
 * what a turn has changed while the answer already runs), and what it repeats at its pleasure.
 */
export function storyOf(events) {
  const teller = new Teller();
  for (const event of events) teller.take(event);
  return { inOrder: teller.inOrder, beside: [...teller.beside].sort() };
}

/** `session.status` says both busy and idle; the real server says them several times. */
class Teller {
  inOrder = [];
  beside = new Set();
  #status = null;
  #said = new Set();

  take({ type, properties }) {
    switch (type) {
      case "message.updated":
        return this.#message(properties.info);
      case "message.part.updated":
        return this.#part(properties.part);
      case "message.part.delta":
        return this.#once(`${properties.partID} delta`, `${properties.field} grows`);
      case "session.status":
        return this.#turn(properties.status.type);
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
        return this.inOrder.push(type);
      default:
        return this.beside.add(type);
    }
  }

  #message(info) {
    const who = `${info.role} message${info.summary === true ? " (summary)" : ""}`;
    this.#once(info.id, who);
    if (info.time.completed) this.#once(`${info.id} end`, `${who} ends${info.error ? ` with ${info.error.name}` : ""}`);
  }

  #part(part) {
    const what = part.type === "tool" ? `tool ${part.tool} ${part.state.status}` : part.type;
    const state = part.time?.end ? "end" : part.type === "tool" ? part.state.status : "";
    this.#once(`${part.id} ${state}`, state === "end" ? `${what} ends` : `${what}`);
  }

  #turn(status) {
    if (status === this.#status) return;
    this.#status = status;
    this.inOrder.push(`status ${status}`);
  }

  #once(key, words) {
    if (this.#said.has(key)) return;
    this.#said.add(key);
    this.inOrder.push(words);
  }
}
