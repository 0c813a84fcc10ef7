// Which differences are explained, and which explanations are needed.

import { INTENDED } from "./intended.mjs";

/** The differences that nothing explains. */
export function unexplained(differences) {
  return differences.filter((line) => !INTENDED.some(({ what }) => what.test(line)));
}

/** The explanations that explain nothing on this server. */
export function needless(server, differences) {
  const needed = INTENDED.filter(({ on, sometimes }) => on.includes(server) && !sometimes);
  return needed.filter(({ what }) => !differences.some((line) => what.test(line))).map(({ what, why }) => `${what}: ${why}`);
}
