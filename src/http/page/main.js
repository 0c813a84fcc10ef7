// The page: a client of OpenCode's API like any other, for whoever wants to see how a session is handed on.

import { get } from "./api.js";
import { startAside } from "./aside.js";
import { startChain } from "./chain.js";
import { startConversation } from "./conversation.js";
import { startCurl } from "./curl.js";
import { byId } from "./dom.js";
import { follow } from "./events.js";
import { startLimit } from "./limit.js";
import { startMcp } from "./mcp.js";
import { startPanels } from "./panels.js";
import { startPicker } from "./picker.js";
import { startPrompt } from "./prompt.js";
import { closeSession, openSession, readAgents, reopen, takeEvent, takeInfo } from "./session.js";
import { readSessions, startSessions, takeSessionEvent } from "./sessions.js";
import { on, state, touch } from "./state.js";
import { startStatus } from "./status.js";
import { startTour } from "./tour.js";

/** @import {Event} from "./types.js" */

/** While a backend is being asked for its models, the list is read again. */
const STARTING_AGAIN_MS = 1_000;

async function readBackends() {
  const [backends] = await Promise.all([get("/backend"), readAgents()]);
  state.backends = backends;
  touch("backends");
  // It waits while backends are probed for the first time.
  const { all, connected, default: defaults } = await get("/provider");
  Object.assign(state, { backends: await get("/backend"), providers: all, connected: new Set(connected), defaults });
  touch("backends");
  const isStarting = state.backends.some((backend) => backend.status === "starting");
  if (isStarting) setTimeout(() => void readBackends().catch(() => {}), STARTING_AGAIN_MS);
}

async function readAll() {
  await Promise.all([readBackends(), readSessions(), reopen()]);
}

/** @param {Event} event */
function take(event) {
  takeSessionEvent(event);
  if (event.type === "session.updated") takeInfo(event.properties.info);
  if (event.type === "session.deleted" && event.properties.sessionID === state.view?.info.id) closeSession();
  if (event.type === "server.instance.disposed" || event.type === "global.disposed") void readBackends().catch(() => {});
  takeEvent(event);
}

/** The session in the address. */
function addressed() {
  return /^#(ses_\w+)$/.exec(location.hash)?.[1];
}

function start() {
  startPanels();
  startSessions();
  startPicker();
  startConversation();
  startStatus();
  startAside();
  startChain();
  startLimit();
  startMcp();
  startPrompt();
  startTour();
  startCurl();
  on(["connection"], () => {
    byId("connection", HTMLElement).dataset.state = state.connection;
    byId("connection", HTMLElement).textContent = state.connection;
  });
  addEventListener("hashchange", () => {
    const id = addressed();
    if (id && id !== state.view?.info.id) void openSession(id);
  });
  byId("home", HTMLAnchorElement).addEventListener("click", (event) => {
    event.preventDefault();
    closeSession();
  });
  touch("view", "sessions", "backends", "connection");
  follow(take, () => void readAll().catch(() => {}));
  const id = addressed();
  void Promise.all([readBackends(), readSessions(), id ? openSession(id) : null]).catch((error) => console.error(error));
}

start();
