// What the stub LLM answers. The prompt itself is the script: the last line of the last user message that is
// one of these commands decides.
//
//   SAY text                 answers the text
//   JSON value               answers the value and nothing else
//   REASON text              thinks first, then answers the text
//   HISTORY                  answers how many messages it was given
//   SLOW seconds …           streams for that long; what follows makes the prompt another one
//   HALF text                answers the text with an emoji in two pieces, and one that has lost its other half
//   TOOLWRITE name content   calls the agent's tool that writes a file, then says what the tool returned
//   TOOLBASH command         the same with the agent's shell
//   TOOLMCP text             calls the tool of an MCP server that says the text again, whatever the agent calls it
//   TOOLASK question         the same with the agent's tool that asks its user
//   ERROR status …           fails with that HTTP status
//   TOOLONG text             fails once, as a prompt does that is longer than the model's context; then answers the text
//
// Anything else is answered with what was heard. Every answer but JSON begins with the model's name in brackets, so
// that a transcript shows who really said what.

const HEARD_MAX_CHARS = 80;
const TOOL_RESULT_MAX_CHARS = 400;
/** An emoji, as JavaScript cuts it. */
const HALF = "\ud83d";
const OTHER_HALF = "\ude00";
const SLOW_TICK_MS = 100;
const SLOW_MAX_SECONDS = 120;

/**
 * The answer to one request.
 * @typedef {object} Reply
 * @property {"title" | "summary" | "form" | "suggestion"} [auxiliary]
 * @property {{status: number, message: string, code?: string}} [error]
 * @property {string} [reasoning]
 * @property {string[]} [text] pieces to stream
 * @property {number} [pause_ms] between two pieces
 * @property {{name: string, arguments: object}} [toolCall]
 */

/** @returns {Reply} */
export function decide(request) {
  const auxiliary = auxiliaryKind(request);
  if (auxiliary) return { auxiliary, text: [`[${request.model}] ${auxiliary}${auxiliary === "summary" ? marksOf(request) : ""}`] };
  const { prompt, toolResults } = currentTurn(request.messages);
  if (toolResults.length > 0) {
    return say(request, `tool said: ${toolResults.at(-1).slice(0, TOOL_RESULT_MAX_CHARS).toWellFormed()}`);
  }
  return obey(request, prompt);
}

/** What a good summary would not leave out. */
function marksOf({ system, messages }) {
  const words = [system, ...messages.map(({ text }) => text)].join("\n").match(/\bmark-[0-9a-f]{8}\b/g);
  return ["", ...new Set(words)].join(" ");
}

const COMMANDS = {
  SAY: (request, text) => say(request, text),
  JSON: (request, value) => ({ text: [value] }),
  REASON: (request, text) => ({ ...say(request, text), reasoning: `[${request.model}] thinking about: ${text}` }),
  HISTORY: (request) => say(request, `history: ${request.messages.length} messages`),
  SLOW: (request, rest) => slow(request, Number.parseFloat(rest) || 1),
  HALF: (request, text) => ({ text: [`[${request.model}] ${text} ${HALF}`, `${OTHER_HALF} cut:${HALF}`, ` ${text} end`] }),
  TOOLWRITE: (request, rest) => {
    const [, name, content] = /^(\S*)\s*(.*)$/.exec(rest);
    return callTool(request, WRITE_TOOLS, { name, content });
  },
  TOOLBASH: (request, command) => callTool(request, SHELL_TOOLS, { command }),
  TOOLMCP: (request, message) => {
    const offered = request.tools.find((name) => /[^a-z]echo$/.test(name));
    if (offered) return { toolCall: { name: offered, arguments: { message } } };
    return callTool(request, HIDDEN_TOOLS, { message });
  },
  TOOLASK: (request, question) => callTool(request, ASK_TOOLS, { question }),
  ERROR: (request, rest) => {
    const status = Number.parseInt(rest) || 500;
    return { error: { status, message: `[${request.model}] stub error ${status}` } };
  },
  TOOLONG: (request, text) => {
    if (TOLD_TOO_LONG.has(text)) return say(request, text);
    TOLD_TOO_LONG.add(text);
    const message = "prompt is too long: 210000 tokens > 200000 maximum";
    return { error: { status: 400, code: "context_length_exceeded", message } };
  },
};
const TOLD_TOO_LONG = new Set();
// Some agents put the mode in front of what the user says.
const COMMAND_LINE = new RegExp(`^\\s*(?:\\[\\[PLAN\\]\\] )?(${Object.keys(COMMANDS).join("|")})\\b[ \\t]*(.*)$`, "gm");

/** The command that a request is about; undefined when its prompt has none. */
export function commandOf({ messages }) {
  const [, command, rest] = lastCommand(currentTurn(messages).prompt) ?? [];
  return command && `${command} ${rest}`.trim();
}

function lastCommand(prompt) {
  return [...prompt.matchAll(COMMAND_LINE)].at(-1);
}

/** The end of what Baton asks for a summary with. */
const SUMMARISES = 'Write "nothing" below a heading that has nothing to say.';
/** What Baton tells a model that goes on where another one was broken off. */
const GOES_ON = "do not run them again";

function obey(request, prompt) {
  if (prompt.includes(SUMMARISES)) return { text: [`[${request.model}] summary${marksOf(request)}`] };
  if (prompt.includes(GOES_ON)) return say(request, "goes on");
  const last = lastCommand(prompt);
  if (!last) return say(request, `heard: ${prompt.trim().slice(0, HEARD_MAX_CHARS)}`);
  const [, command, rest] = last;
  return COMMANDS[command](request, rest.trim());
}

function say(request, text) {
  // Two pieces, so that a client which shows only the first or the last of a stream is found out.
  const whole = `[${request.model}] ${text}`;
  const middle = Math.ceil(whole.length / 2);
  return { text: [whole.slice(0, middle), whole.slice(middle)] };
}

function slow(request, seconds) {
  const ticks = Math.ceil((Math.min(seconds, SLOW_MAX_SECONDS) * 1000) / SLOW_TICK_MS);
  const pieces = Array.from({ length: ticks }, (_, tick) => `tick-${tick + 1} `);
  return { text: [`[${request.model}] `, ...pieces, "done"], pause_ms: SLOW_TICK_MS };
}

// Each agent names its tools and their parameters in its own way. The first one that it offers, with parameters
// of these names, is called: two agents may use one name for tools that take different parameters.
const WRITE_TOOLS = [
  ["write", ({ name, content }) => ({ filePath: name, content })], // opencode
  ["write", ({ name, content }) => ({ path: name, content })], // pi, goose
  ["Write", ({ name, content }) => ({ file_path: name, content })], // claude
  ["write_file", ({ name, content }) => ({ file_path: name, content })], // gemini, deepagents
  ["write_file", ({ name, content }) => ({ path: name, content })], // vibe, hermes
  ["Write", ({ name, content }) => ({ path: name, content })], // kimi
  ["create", ({ name, content }) => ({ path: name, file_text: content })], // copilot
  ["editor", ({ name, content }) => ({ path: name, new_text: content })], // cline
  // codex has no tool that writes a file as a whole; its newer models write programs that call its tools.
  ["exec", ({ name, content }) => program(writing(name, content))],
  ["exec_command", ({ name, content }) => ({ cmd: writing(name, content) })],
];
const SHELL_TOOLS = [
  ["bash", ({ command }) => ({ command, description: "Runs what the test asks for" })], // opencode
  ["bash", ({ command }) => ({ command })], // pi
  ["Bash", ({ command }) => ({ command, description: "Runs what the test asks for" })], // claude
  ["run_shell_command", ({ command }) => ({ command })], // gemini
  ["exec", ({ command }) => program(command)], // codex
  ["exec_command", ({ command }) => ({ cmd: command })], // codex
  ["shell", ({ command }) => ({ command })], // goose
  ["run_commands", ({ command }) => ({ commands: [command] })], // cline
  ["terminal", ({ command }) => ({ command })], // hermes
  ["execute", ({ command }) => ({ command })], // deepagents
];
const ASK_TOOLS = [
  [
    "question", // opencode
    ({ question }) => ({
      questions: [
        {
          question,
          header: "Test",
          options: [
            { label: "Red", description: "The first" },
            { label: "Blue", description: "The second" },
          ],
        },
      ],
    }),
  ],
];

/** Prints something, since a tool that has no result is a poor test of what is handed over. */
function writing(name, content) {
  return `printf %s '${content}' > '${name}' && echo 'wrote ${content.length} characters'`;
}

/** How a tool of an MCP server is called where agents do not list them. A program says so where it has none such. */
const HIDDEN = "mcp__everything__echo";
const HIDDEN_TOOLS = [
  ["exec", ({ message }) => `const echo = tools.${HIDDEN};\nif (!echo) { text("no such tool"); } else { const done = await echo(${JSON.stringify({ message })});\ntext(JSON.stringify(done)); }\n`], // codex
  ["tool_call", ({ message }) => ({ name: HIDDEN, arguments: { message } })], // qwen
];

function program(cmd) {
  return `const done = await tools.exec_command(${JSON.stringify({ cmd })});\ntext(done.output);\n`;
}

function callTool(request, candidates, input) {
  for (const [name, make] of candidates) {
    if (!request.tools.includes(name)) continue;
    const made = make(input);
    const known = request.parameters[name];
    if (typeof made === "string" || known.length === 0 || Object.keys(made).every((parameter) => known.includes(parameter))) {
      return { toolCall: { name, arguments: made } };
    }
  }
  return say(request, `no such tool; offered: ${request.tools.join(" ")}`);
}

/** The last message with words of the user's, and the results of the tools called since. */
function currentTurn(messages) {
  const at = messages.findLastIndex(({ role, text }) => role === "user" && withoutReminders(text).trim() !== "");
  const prompt = at < 0 ? "" : withoutReminders(messages[at].text);
  const toolResults = messages
    .slice(at + 1)
    .filter((message) => message.role === "tool")
    .map((message) => message.text);
  return { prompt, toolResults };
}

/** Agents add notes of their own to what the user said; a command inside one is not the user's. */
function withoutReminders(text) {
  return text.replace(/<system-reminder>[\s\S]*?<\/system-reminder>/g, "");
}

/** How goose, Claude Code, Qwen Code, OpenCode and Deep Agents Code ask for what they go on with when their context is full. */
const SUMMARY = /summarize the conversation history provided in the system prompt|create a detailed summary of the|^First, reason in your|new anchored summary from the|^<role>\nContext Extraction Assistant/;

function auxiliaryKind({ system, tools, isForm, messages }) {
  if (isForm) return "form";
  const asked = messages.at(-1)?.text ?? "";
  if (/^\[SUGGESTION MODE/.test(asked)) return "suggestion";
  if (/^You are performing a CONTEXT CHECKPOINT COMPACTION/.test(asked)) return "summary";
  if (SUMMARY.test(asked)) return "summary";
  if (/^Your task is to generate a very short title/.test(asked)) return "title";
  if (tools.length > 0) return null;
  if (/title generator|naming a coding session|generate a (short, descriptive |short |concise )?title/i.test(system)) return "title";
  if (/tasked with summari[sz]ing|conversation summary|compact(ion|ing)/i.test(system)) return "summary";
  return null;
}
