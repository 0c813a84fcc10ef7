// A PostgreSQL of the tests' own, in a scratch folder, run by somebody who is not root.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { eventually } from "./processes.mjs";

const INSTALLED = "/usr/lib/postgresql";
const OLDEST = 15;
const READY_TIMEOUT_MS = 30_000;

/** Where its programs are; null where none is installed that is new enough. */
function programs() {
  const versions = existsSync(INSTALLED) ? readdirSync(INSTALLED).map(Number) : [];
  const newest = Math.max(...versions.filter((version) => version >= OLDEST));
  return Number.isFinite(newest) ? path.join(INSTALLED, String(newest), "bin") : null;
}

/** Starts one with an empty database; null where none is installed. `url` is for the server's administrator. */
export async function startPostgres() {
  const bin = programs();
  if (bin === null) return null;
  const folder = mkdtempSync(path.join(tmpdir(), "baton-postgres-"));
  const as = process.getuid() === 0 ? ["--reuid=postgres", "--regid=postgres", "--clear-groups"] : [];
  if (as.length > 0) chownSync(folder, ...["-u", "-g"].map((flag) => Number(execFileSync("id", [flag, "postgres"]))));
  const data = path.join(folder, "data");
  const run = (program, args) => [...as, "--", path.join(bin, program), ...args];
  const options = { cwd: folder, stdio: "ignore" };
  execFileSync("setpriv", run("initdb", ["--no-sync", "--encoding=UTF8", "--username=admin", "--auth=trust", "-D", data]), options);
  const port = await freePort();
  const settings = ["fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories="].flatMap((setting) => ["-c", setting]);
  // It ends with the tests, whatever happens to them.
  const server = spawn("setpriv", ["--pdeathsig", "QUIT", ...run("postgres", ["-D", data, "-p", String(port), ...settings])], options);
  const isReady = () => {
    try {
      execFileSync(path.join(bin, "pg_isready"), ["-h", "127.0.0.1", "-p", String(port)], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  };
  await eventually(isReady, READY_TIMEOUT_MS, () => "PostgreSQL is not ready");
  const end = async () => {
    const exited = once(server, "exit");
    server.kill("SIGQUIT");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  return { url: `postgres://admin@127.0.0.1:${port}/postgres`, end };
}

async function freePort() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  await new Promise((closed) => listener.close(closed));
  return port;
}
