// What an agent waits for: permissions and questions, answered where they stand in the conversation.

import { change, Refusal } from "./api.js";
import { announce, h, icon } from "./dom.js";
import { state, touch } from "./state.js";

/** @import {Ask, PermissionRequest, QuestionRequest} from "./types.js" */

/** @param {Ask} ask */
export function askRow(ask) {
  return ask.kind === "permission" ? permission(ask.request) : question(ask.request);
}

/** Sends an answer; the request goes from the page with the event that tells of it. @param {string} path @param {unknown} [body] */
async function answer(path, body) {
  try {
    await change("POST", path, body);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    announce(error.message);
    const id = path.split("/")[2];
    // Somebody else has answered it.
    if (error.status === 404 && state.view) {
      state.view.asks = state.view.asks.filter((ask) => ask.request.id !== id);
      touch("asks", "rows");
    }
  }
}

/** @param {PermissionRequest} request */
function permission(request) {
  const reply = (/** @type {string} */ word) => () => void answer(`/permission/${request.id}/reply`, { reply: word });
  const always = request.always.length > 0 ? `Always allow ${request.always.join(", ")}` : "Always allow";
  return h(
    "section.ask",
    { "aria-label": "Permission" },
    h(
      "div.card",
      null,
      h("header", null, icon("shield"), h("strong", null, "May it do this?"), h("span.badge", null, request.permission)),
      ...request.patterns.map((pattern) => h("pre", { tabindex: 0, role: "region", "aria-label": "What it wants to do" }, pattern)),
      h(
        "div.buttons",
        null,
        h("button.primary", { type: "button", onclick: reply("once") }, "Allow once"),
        h("button", { type: "button", onclick: reply("always"), title: always }, "Always"),
        h("button.danger", { type: "button", onclick: reply("reject") }, "Reject"),
      ),
    ),
  );
}

/** @param {QuestionRequest} request */
function question(request) {
  const groups = request.questions.map((info, at) => {
    const name = `${request.id}-${at}`;
    const kind = info.multiple ? "checkbox" : "radio";
    const options = info.options.map(({ label, description }) =>
      h("label.option", null, h("input", { type: kind, name, value: label }), h("span", null, label), description && h("span.hint", null, description)),
    );
    const isFree = info.options.length === 0 || info.custom === true;
    const free = isFree ? h("input.free", { type: "text", name: `${name}-free`, "aria-label": info.question, placeholder: "Your own answer" }) : null;
    return { name, free, element: h("fieldset", null, h("legend", null, info.question), ...options, free) };
  });
  /** @param {SubmitEvent} event */
  const send = (event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const answers = groups.map(({ name, free }) => [...data.getAll(name).map(String), ...(free && free.value.trim() ? [free.value.trim()] : [])]);
    void answer(`/question/${request.id}/reply`, { answers });
  };
  return h(
    "section.ask",
    { "aria-label": "Question" },
    h(
      "div.card",
      null,
      h("header", null, icon("question"), h("strong", null, "The agent asks")),
      h(
        "form",
        { onsubmit: send },
        ...groups.map(({ element }) => element),
        h(
          "div.buttons",
          null,
          h("button.primary", { type: "submit" }, "Answer"),
          h("button", { type: "button", onclick: () => void answer(`/question/${request.id}/reject`) }, "Dismiss"),
        ),
      ),
    ),
  );
}
