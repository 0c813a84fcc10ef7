import { test } from "node:test";

/** Defines tests whose failure shows what Baton has logged; `current` returns the run that they use. */
export function scenarios(current, options) {
  return (name, body) =>
    test(name, options, async (t) => {
      try {
        await body(t);
      } catch (error) {
        t.diagnostic(current().log());
        throw error;
      }
    });
}
