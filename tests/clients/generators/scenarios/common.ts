// What every scenario says and expects: `scenario.ts URL` plays it and prints what the driver compares.

import assert from "node:assert/strict";

export const url = process.argv[2] ?? assert.fail("the server's URL is missing");

/** What is switched to in the middle, and what is written wrong. */
export const provider = "mock";
export const [first, second, wrong] = ["mock", "mock-strong", "mock-stong"];
export const EVENTS = 5;

export const says = (text: string) => [{ type: "text" as const, text }];

export function print(what: string, ...words: unknown[]): void {
  console.log(`${what}: ${words.join(" ")}`);
}

/** The types of the first events of a stream, for clients that hand over its bytes. */
export async function kindsOf(bytes: ReadableStream<Uint8Array>): Promise<string[]> {
  const kinds: string[] = [];
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of bytes) {
    text += decoder.decode(piece, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data: ")) kinds.push(JSON.parse(line.slice("data: ".length)).type);
      if (kinds.length === EVENTS) return kinds;
    }
  }
  assert.fail("the stream has ended");
}
