// Plays the scenario on one server.

import { Recording } from "./recording.mjs";
import { SCENARIO } from "./scenario.mjs";

/** @returns {Promise<import("./recording.mjs").Step[]>} */
export async function play(server) {
  const recording = await Recording.begin(server);
  try {
    for (const [name, act, { not = [], depth } = {}] of SCENARIO) {
      if (not.includes(server.name)) recording.skip(name);
      else await recording.step(name, act, { depth });
    }
    return recording.steps;
  } catch (error) {
    if (server.log) error.message += `\n${server.log()}`;
    throw error;
  } finally {
    recording.end();
  }
}
