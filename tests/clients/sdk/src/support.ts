// What the tests of both versions of the SDK share: the backends behind Baton, and events that are awaited.

import assert from "node:assert/strict";
import { type Run, startRun } from "../../../agents/harness.mjs";
import { wordsOf } from "../../../agents/lib/assertions.mjs";

export { unique } from "../../../agents/lib/assertions.mjs";
export type { Run };

export const START_TIMEOUT_MS = 75_000;
export const SCENARIO = { timeout: 90_000 };
const EVENT_TIMEOUT_MS = 45_000;

export interface Model {
  providerID: string;
  modelID: string;
}

/** A backend, and how a prompt makes it say something, remember, take its time, and ask for a permission. */
export interface Backend {
  name: string;
  first: Model;
  second: Model;
  say(word: string): string;
  slow: string;
  permission: string;
  recall: string;
  /** All that the model knew when it gave this answer. */
  knew(run: Run, answer: string): string;
}

const mock: Backend = {
  name: "mock",
  first: { providerID: "mock", modelID: "mock" },
  second: { providerID: "mock", modelID: "mock-strong" },
  say: (word) => `echo ${word}`,
  slow: "slow 60",
  permission: "permission rm -rf build",
  recall: "history",
  knew: (_, answer) => answer,
};

const opencode: Backend = {
  name: "opencode",
  first: { providerID: "opencode", modelID: "stub/alpha" },
  second: { providerID: "opencode", modelID: "stub2/gamma" },
  say: (word) => `SAY ${word}`,
  slow: "SLOW 60",
  permission: "TOOLBASH echo permitted",
  recall: "HISTORY",
  knew: (run) => {
    const request = run.stub.turns().at(-1);
    assert.ok(request, "the model was asked");
    return wordsOf(request);
  },
};

export const BACKENDS = [mock, opencode];
export const MOCK = mock;

/** A Baton whose backends can be used. */
export async function start(): Promise<Run> {
  const run = await startRun();
  for (const backend of BACKENDS) await run.client.connected(backend.name);
  return run;
}

/** The answer of a call that has to be a success. */
export function ok<T>(result: { data: T; error: undefined } | { data: undefined; error: unknown }): NonNullable<T> {
  assert.equal(result.error, undefined, JSON.stringify(result.error));
  assert.ok(result.data !== undefined && result.data !== null);
  return result.data;
}

/** The error of a call that has to be refused, in the type that the SDK gives it. */
export function refused<E>(result: { data: unknown; error: E | undefined }): E {
  assert.equal(result.data, undefined);
  assert.ok(result.error !== undefined, "it was not refused");
  return result.error;
}

/** Collects what an event stream brings. */
export class Events<E extends { type: string }> {
  readonly all: E[] = [];
  #arrived = Promise.withResolvers<void>();

  constructor(stream: AsyncIterable<E>) {
    void this.#collect(stream);
  }

  /** The first event of a type, from a position on, that is accepted. */
  async until<T extends E["type"]>(
    type: T,
    accept: (event: Extract<E, { type: T }>) => boolean = () => true,
    from = 0,
  ): Promise<Extract<E, { type: T }>> {
    const isOne = (event: E): event is Extract<E, { type: T }> =>
      event.type === type && accept(event as Extract<E, { type: T }>);
    const late = AbortSignal.timeout(EVENT_TIMEOUT_MS);
    const timeout = new Promise<void>((resolve) => late.addEventListener("abort", () => resolve(), { once: true }));
    for (;;) {
      const arrived = this.#arrived.promise;
      const found = this.all.slice(from).find(isOne);
      if (found) return found;
      assert.ok(!late.aborted, `no such ${type}; there were ${this.all.slice(from).map((event) => event.type)}`);
      await Promise.race([arrived, timeout]);
    }
  }

  /** For an event that the SDK's types do not have, such as Baton's own. */
  async untilOther(type: string, sessionID: string, from = 0): Promise<OtherEvent> {
    const others = this as unknown as Events<OtherEvent>;
    return others.until(type, ({ properties }) => properties["sessionID"] === sessionID, from);
  }

  async #collect(stream: AsyncIterable<E>): Promise<void> {
    for await (const event of stream) {
      this.all.push(event);
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    }
  }
}

interface OtherEvent {
  type: string;
  properties: Record<string, unknown>;
}
