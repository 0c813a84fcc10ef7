// Collects a server-sent event stream and lets a test await the event that it needs.

const DEFAULT_UNTIL_MS = 20_000;
const DESCRIBED_EVENTS = 15;

/**
 * @typedef {{id: string, type: string, properties: any}} BatonEvent
 */

/** Opens the stream and resolves once it is open; the events that follow are all kept, in order. */
export async function collectEvents(url, headers = {}) {
  const hangUp = new AbortController();
  const response = await fetch(url, { headers: { accept: "text/event-stream", ...headers }, signal: hangUp.signal });
  if (response.status !== 200) throw new Error(`GET ${url}: ${response.status} ${await response.text()}`);
  const collector = new EventCollector(hangUp);
  collector.read(response.body);
  return collector;
}

class EventCollector {
  /** @type {BatonEvent[]} */
  events = [];
  #hangUp;
  #waiting = new Set();
  #ended = null;

  constructor(hangUp) {
    this.#hangUp = hangUp;
  }

  /** Where the stream is now: give it to `until` and `since` to look at later events only. */
  position() {
    return this.events.length;
  }

  /** The events from a position on, of one session if it is named. */
  since(position, sessionID) {
    const later = this.events.slice(position);
    return sessionID ? later.filter((event) => event.properties?.sessionID === sessionID) : later;
  }

  /**
   * The first event, from position `from` on, that the predicate accepts; waits for it if need be.
   * @param {(event: BatonEvent) => boolean} predicate
   * @returns {Promise<BatonEvent>}
   */
  until(predicate, timeout_ms = DEFAULT_UNTIL_MS, { from = 0 } = {}) {
    const found = this.events.slice(from).find(predicate);
    if (found) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const waiter = {
        offer: (event) => predicate(event) && settle(() => resolve(event)),
        fail: (reason) => settle(() => reject(new Error(`${reason}; since then: ${this.#describe(from)}`))),
      };
      const timer = setTimeout(() => waiter.fail(`no such event within ${timeout_ms} ms`), timeout_ms);
      const settle = (done) => {
        clearTimeout(timer);
        this.#waiting.delete(waiter);
        done();
      };
      if (this.#ended) waiter.fail(this.#ended);
      else this.#waiting.add(waiter);
    });
  }

  close() {
    this.#hangUp.abort();
  }

  async read(body) {
    try {
      for await (const data of dataOf(body)) this.#take(JSON.parse(data));
      this.#end("the event stream has ended");
    } catch (error) {
      this.#end(`the event stream broke: ${error.message}`);
    }
  }

  #take(event) {
    this.events.push(event);
    for (const waiter of [...this.#waiting]) waiter.offer(event);
  }

  #end(reason) {
    this.#ended = reason;
    for (const waiter of [...this.#waiting]) waiter.fail(reason);
  }

  #describe(from) {
    const types = this.events.slice(from).map((event) => event.type);
    return types.slice(-DESCRIBED_EVENTS).join(", ") || "nothing";
  }
}

/** The data of each event of a stream, as https://html.spec.whatwg.org/#event-stream-interpretation has it. */
export async function* dataOf(body) {
  let buffered = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    buffered += text;
    // A line break may fall between two chunks; only what a blank line has ended is an event.
    const blocks = buffered.split(/\r?\n\r?\n/);
    buffered = blocks.pop();
    for (const block of blocks) {
      const lines = block.split(/\r?\n/).filter((line) => line.startsWith("data:"));
      if (lines.length > 0) yield lines.map((line) => line.slice("data:".length).replace(/^ /, "")).join("\n");
    }
  }
}
