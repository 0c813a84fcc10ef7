// A first look without any account: two built-in mock agents hand a conversation to each other.

import { curlOf } from "./api.js";
import { byId, copy, h, icon } from "./dom.js";
import { importButton } from "./import.js";
import { ordered, reasonOf, remedyOf } from "./picker.js";
import { sendParts } from "./prompt.js";
import { select } from "./session.js";
import { newSession } from "./sessions.js";
import { on, state } from "./state.js";

/** @import {BackendInfo} from "./types.js" */

/** @typedef {{button: string, text: string, does: () => Promise<unknown>}} Step */

const KEY = "baton.tour";
const MOCK = { providerID: "mock", modelID: "mock-fast" };
const MOCK2 = { providerID: "mock2", modelID: "mock2-strong", variant: "thorough" };

/** @param {string} text */
const say = (text) => sendParts([{ type: "text", text }]);

/** @type {Step[]} */
const STEPS = [
  {
    button: "Have it read a long file",
    text: "Mock Fast has answered. Now let it use a tool with a long result.",
    does: () => say("read 4"),
  },
  {
    button: "Switch to Mock Strong, high",
    text: "Another model of the same agent goes on in the same native session: nothing has to be handed over.",
    does: () => select({ providerID: "mock", modelID: "mock-strong", variant: "high" }),
  },
  {
    button: "Hand over to Mock 2",
    text: "Mock 2 is another agent with a small context. It knows nothing of this session, so it gets the conversation as text.",
    does: () => select(MOCK2),
  },
  {
    button: "Ask it what it knows",
    text: "The text goes with the next prompt. Mock 2 answers with everything that it was given; the line above opens the same text.",
    does: () => say("history"),
  },
  {
    button: "Back to Mock Fast",
    text: "Mock Fast has seen the beginning: it is given only what it missed.",
    does: async () => {
      await select(MOCK);
      await say("echo I am back, and know what was said meanwhile.");
    },
  },
];

/** @returns {{session: string, step: number} | null} */
function progress() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  } catch {
    return null;
  }
}

/** @param {{session: string, step: number} | null} to */
function keep(to) {
  if (to) sessionStorage.setItem(KEY, JSON.stringify(to));
  else sessionStorage.removeItem(KEY);
  showStep();
}

export function startTour() {
  on(["view", "runtime"], showStep);
  on(["backends", "connection"], showWelcome);
  byId("start-tour", HTMLButtonElement).addEventListener("click", () => void begin());
}

async function begin() {
  await newSession({ title: "A two-minute tour", model: MOCK });
  if (!state.view) return;
  keep({ session: state.view.info.id, step: 0 });
  await say("echo Hello! Remember the word **plum** for whoever comes after you.");
}

/** What the tour says next, above the prompt. */
function showStep() {
  const bar = byId("tour", HTMLElement);
  const at = progress();
  const isHere = at !== null && state.view?.info.id === at.session;
  bar.hidden = !isHere;
  if (!isHere) return;
  const step = STEPS[at.step];
  const isBusy = state.view?.info.runtime.status !== "idle";
  const next = async () => {
    keep({ session: at.session, step: at.step + 1 });
    await step?.does();
  };
  bar.replaceChildren(
    h("span.badge", null, step ? `Tour ${at.step + 1} of ${STEPS.length}` : "Tour"),
    h("p", null, step ? step.text : "That was it. From a terminal it is one command; paste it and watch this page: "),
    step ? h("button.primary", { type: "button", disabled: isBusy, onclick: () => void next() }, step.button) : copyCurl(at.session),
    h("button.quiet", { type: "button", "aria-label": "End the tour", onclick: () => keep(null) }, icon("close")),
  );
}

/** @param {string} session */
function copyCurl(session) {
  const line = curlOf("PATCH", `/session/${session}`, { providerID: "mock2", modelID: "mock2" });
  const button = h("button.primary", { type: "button" }, "Copy the command");
  button.addEventListener("click", () => void copy(button, line));
  return button;
}

/** The backends, as a table with what to do for each. */
function showWelcome() {
  const isThere = (/** @type {string} */ id) => state.connected.has(id);
  byId("start-tour", HTMLButtonElement).hidden = !(isThere("mock") && isThere("mock2"));
  byId("backends", HTMLElement).replaceChildren(...ordered().map(backend));
}

/** @param {BackendInfo} info */
function backend(info) {
  const remedy = remedyOf(info);
  const models = Object.keys(state.providers.find((provider) => provider.id === info.id)?.models ?? {}).length;
  const isReady = state.connected.has(info.id);
  return h(
    "tr",
    { class: isReady ? "ready" : "off" },
    h("th", { scope: "row" }, info.name),
    h("td", null, isReady ? "ready" : reasonOf(info)),
    isReady
      ? h("td", null, `${models} ${models === 1 ? "model" : "models"} · `, importButton(info))
      : h("td", null, remedy ? h("code", null, remedy.replaceAll("`", "")) : ""),
  );
}
