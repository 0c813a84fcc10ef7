// What the tests use of the programs in plain JavaScript beside them.

declare module "*/agents/harness.mjs" {
  export interface StubRequest {
    model: string;
    messages: { role: string; text: string; toolCalls: { name: string; arguments: object }[] }[];
  }
  export interface Run {
    /** The folder that the agents work in. */
    work: string;
    client: { base: string; connected(providerID: string): Promise<void> };
    stub: { turns(): StubRequest[] };
    log(): string;
    end(): Promise<void>;
  }
  export function startRun(): Promise<Run>;
}

declare module "*/lib/assertions.mjs" {
  import type { StubRequest } from "*/agents/harness.mjs";
  export function unique(word: string): string;
  export function wordsOf(request: StubRequest): string;
}
