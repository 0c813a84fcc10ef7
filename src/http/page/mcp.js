// The MCP servers that agents of all backends are given: what there is, on and off, and one more.

import { change, get, Refusal } from "./api.js";
import { announce, byId, h, icon } from "./dom.js";
import { failure, sheet, sheetForm } from "./sheet.js";
import { ofDirectory } from "./state.js";

/** @import {McpStatus} from "./types.js" */

/** @typedef {Record<string, McpStatus>} Servers */

const STATES = /** @type {const} */ ({ connected: "connected", disabled: "off", failed: "does not answer" });

export function startMcp() {
  byId("open-mcp", HTMLButtonElement).addEventListener("click", () => void openMcp());
}

async function openMcp() {
  const list = h("div", { "aria-live": "polite" }, h("p.hint", null, "Looking whether they answer …"));
  const hint = "Agents of all backends are given these, before and after a switch. What a project brings along is off until you connect it; what an agent has in its own configuration is not listed.";
  sheet("MCP servers", h("section", null, h("p.hint", null, hint), list), h("section", null, h("h3", null, "Add a server"), form(list)));
  await read(list);
}

/** @param {HTMLElement} list */
async function read(list) {
  try {
    show(list, await get(`/mcp${ofDirectory()}`));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    list.replaceChildren(failure(error.message));
  }
}

/** @param {HTMLElement} list @param {Servers} servers */
function show(list, servers) {
  // What is used is drawn anew, too.
  const used = list.contains(document.activeElement) ? document.activeElement?.getAttribute("data-server") : null;
  const all = Object.entries(servers);
  list.replaceChildren(all.length === 0 ? h("p.empty", null, "There are none yet.") : h("ul.servers", null, ...all.map(([name, status]) => row(list, name, status))));
  if (used) /** @type {HTMLElement | null} */ (list.querySelector(`[data-server="${used}"]`))?.focus();
}

/** @param {HTMLElement} list @param {string} name @param {McpStatus} status */
function row(list, name, status) {
  const isOff = status.status === "disabled";
  const verb = isOff ? "connect" : "disconnect";
  const turn = async () => {
    try {
      await change("POST", `/mcp/${name}/${verb}${ofDirectory()}`);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      announce(error.message);
    }
    await read(list);
  };
  return h(
    `li.${status.status}`,
    null,
    h("strong", null, name),
    h("span.badge", null, STATES[status.status]),
    h("button", { type: "button", "aria-label": `${isOff ? "Connect" : "Disconnect"} ${name}`, "data-server": name, onclick: () => void turn() }, isOff ? "Connect" : "Disconnect"),
    status.status === "failed" && h("p.failure", null, icon("alert"), status.error),
  );
}

/** @param {HTMLElement} list */
function form(list) {
  const name = h("input", { type: "text", maxlength: 64, autocomplete: "off", spellcheck: "false" });
  const command = h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "npx -y @modelcontextprotocol/server-everything" });
  const url = h("input", { type: "text", inputmode: "url", autocomplete: "off", spellcheck: "false", placeholder: "an address of MCP's streamable HTTP" });
  const kind = h("select", null, new Option("a program", "local"), new Option("an address", "remote"));
  const [byCommand, byUrl] = [h("label", null, "Command", command), h("label", { hidden: true }, "Address", url)];
  kind.addEventListener("change", () => {
    byCommand.hidden = kind.value !== "local";
    byUrl.hidden = kind.value === "local";
  });
  const fields = h("div.fields", null, h("label", null, "Name", name), h("label", null, "It is", kind), byCommand, byUrl);
  const hint = h("p.hint", null, "It is forgotten when the server ends. One that is kept, or needs keys, belongs into the config file: [mcp.NAME].");
  return sheetForm([fields, hint], "Add", async () => {
    const config = kind.value === "local" ? { type: "local", command: words(command.value) } : { type: "remote", url: url.value.trim() };
    show(list, await change("POST", `/mcp${ofDirectory()}`, { name: name.value.trim(), config }));
    announce(`${name.value.trim()} is added.`);
    for (const field of [name, command, url]) field.value = "";
  });
}

/** Program and arguments of a command line; what is in quotes stays together. @param {string} line */
function words(line) {
  const found = line.matchAll(/"([^"]*)"|'([^']*)'|\S+/g);
  return [...found].map(([word, double, single]) => double ?? single ?? word);
}
