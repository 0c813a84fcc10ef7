// The last click as a command line: the page teaches the API.

import { byId, copy } from "./dom.js";
import { on, state } from "./state.js";

export function startCurl() {
  const line = byId("curl-line", HTMLElement);
  const button = byId("curl-copy", HTMLButtonElement);
  button.addEventListener("click", () => void copy(button, state.curl));
  on(["curl"], () => {
    line.textContent = state.curl;
    line.title = state.curl;
    button.hidden = state.curl === "";
  });
}
