// Where Baton is meant to differ from OpenCode, each with the reason. A difference that no line here explains
// fails the run, and so does a line that explains nothing any more.

const BOTH = ["acp", "mock"];
const ACP = ["acp"];
const MOCK = ["mock"];

/**
 * @typedef {object} Intended
 * @property {RegExp} what the differences (see compare.mjs) that it explains
 * @property {string} why
 * @property {("acp" | "mock")[]} on the servers on which it has to occur
 * @property {boolean} [sometimes] it depends on which of two things the real server does first
 */

/** @type {Intended[]} */
export const INTENDED = [
  // One selection: model, provider, agent and variant are changed in one operation.
  {
    what: /: beside has session\.next\.(model|agent)\.switched$/,
    why: "every change of the selection is told, also one that comes with a message; OpenCode tells only its own route's",
    on: BOTH,
  },
  {
    what: /^OpenCode 2: switch the (model|agent): beside has session\.updated$/,
    why: "the session has changed, and clients that know nothing of OpenCode 2 learn it only from this event",
    on: BOTH,
  },
  {
    what: /(lacks .*\[assistant\]\.model\.variant: "default"|session\.next\.model\.switched has \.model\.variant: |has \.(info\.)?model\.variant: "default")/,
    why: "a session with a model names its effort, `default` for none; OpenCode does so after a message, and in an answer of OpenCode 2",
    on: BOTH,
  },
  {
    what: /^event session\.(deleted|updated|next\.agent\.switched) (lacks|has) \.(info\.)?agent: /,
    why: "an agent selected on OpenCode 2's route is the session's agent; OpenCode 1's session keeps the old one",
    on: BOTH,
  },
  {
    what: /^event session\.next\.(model|agent)\.switched (lacks|has) \.timestamp: /,
    why: "a number, as OpenCode's document and its clients' types have it; the real server sends a text here",
    on: BOTH,
  },
  {
    what: /^(revert, and go on from there|a slash command): (story has "(user message|text)" after "(assistant message ends|user message)"|GET \/session\/\{sessionID\}\/message 200 has \[user\]\.parts\[text\]\.ignored: boolean)$/,
    why: "a line in the conversation tells that a message's own model takes back what was selected by another request",
    on: BOTH,
  },
  {
    what: /^what clients ask at their start: GET \/provider\/auth 200 has \.opencode: list$/,
    why: "the ways to sign in that an agent tells of",
    on: BOTH,
  },
  // An answer is what an agent makes of one prompt, over ACP.
  {
    what: /story lacks "(step-finish|assistant message ends|assistant message|step-start)" after "(tool \w+ completed|step-finish|assistant message ends|assistant message)"$/,
    why: "a prompt has one answer, with its tool calls in it; ACP does not tell where one request to the model ends and the next begins",
    on: BOTH,
  },
  {
    what: /^a tool that writes a file: .* has \.parts\[tool\]: object$/,
    why: "the same: OpenCode returns the last of several messages, Baton the one that has all of it",
    on: BOTH,
  },
  {
    what: /lacks .*(finish|reason): "tool-calls"$/,
    why: "the same: no answer ends with a call of a tool",
    on: BOTH,
  },
  {
    what: /(has .*(finish|reason): "(error|aborted)"|^(abort|while a turn runs|an error of the model's provider): .* has \.?.*\[step-(start|finish)\]: object|^(abort|while a turn runs|an error of the model's provider): story has "step-(start|finish)")/,
    why: "an answer that has failed or was stopped has its steps and its tokens, too, and says how it ended",
    on: BOTH,
  },
  {
    what: /^(abort|while a turn runs|an error of the model's provider): story (lacks|has) "(session\.error|status idle|session\.idle|assistant message ends with \w+)"/,
    why: "the answer is complete before the session is idle; OpenCode completes it afterwards",
    on: BOTH,
  },
  {
    what: /lacks \.(info\.)?error\.data\.(metadata|responseBody|responseHeaders|statusCode|isRetryable): /,
    why: "ACP tells a failure as a text; there is no HTTP answer of the provider to show",
    on: ACP,
  },
  {
    what: /(GET \/permission 200 has \[\]|event permission\.asked has )\.metadata\.title: string$/,
    why: "what the agent calls what it asks for; OpenCode's clients show it where there is no better",
    on: BOTH,
  },
  {
    what: /^event message\.part\.updated tool (running|error|completed|pending) has \.part\.state\.(title|metadata): /,
    why: "the agent names the call when it begins",
    on: BOTH,
  },
  // What is configured.
  {
    what: /^what clients ask at their start: GET \/(global\/)?config 200 (lacks|has) \./,
    why: "providers, permissions and the like are each agent's own configuration, which Baton does not read; it has one configuration, not a global and a merged one",
    on: BOTH,
  },
  {
    what: /^what clients ask at their start: GET \/command 200 lacks \[\]\.subtask: boolean$/,
    why: "ACP tells a command's name, description and hint; not whether it runs as a task of its own",
    on: BOTH,
  },
  {
    what: /^what clients ask at their start: GET \/agent 200 lacks \[\]\.(permission\[\]|prompt|temperature): /,
    why: "an agent's prompt, temperature and rules are its own; ACP does not tell them",
    on: BOTH,
  },
  {
    what: /^what clients ask at their start: GET (\/skill 200 lacks \[\]|\/experimental\/tool\/ids 200 lacks \[\]|\/api\/(skill|integration) 200 lacks \.data\[\]): /,
    why: "skills, tools and integrations are each agent's own; ACP does not tell them",
    on: BOTH,
  },
  {
    what: /^what clients ask at their start: GET \/api\/(agent|model|provider|command) 200 (has|lacks) \.data\[\]: object$/,
    why: "OpenCode 2 reads its catalogue in the background, and lists nothing until it is read; Baton waits for it",
    on: BOTH,
    sometimes: true,
  },
  // Prompts.
  {
    what: /has \[user\]\.parts\[text\]\.metadata: object$/,
    why: "what was read from a file for a prompt, and the line that tells of a switch, say what they are, for programs",
    on: BOTH,
  },
  {
    what: /^what clients ask at their start: GET \/vcs 200 lacks \.(branch|default_branch): null$/,
    why: "outside of a repository there is neither; the null that OpenCode sends is none of its own document's types",
    on: BOTH,
  },
  {
    what: /^summarize: story (has "status busy" at the beginning|lacks "status busy" after "compaction")$/,
    why: "the session is busy as soon as it can do nothing else",
    on: BOTH,
  },
  {
    what: /^summarize: GET .* lacks \[user\]\.info\.summary: object$/,
    why: "a summary changes no file; OpenCode tells that it has changed none",
    on: BOTH,
  },
  {
    what: /^event session\.updated has \.info\.time\.compacting: number$/,
    why: "a session that is being summed up says so in the field that OpenCode's document has for it",
    on: BOTH,
  },
  {
    what: /^OpenCode 2: switch the (model|agent): story has "(user message|text)"|^event message\.part\.updated text has \.part\.(ignored: boolean|metadata: object)$/,
    why: "a switch stands in the transcript, as a line that no model is given: clients look at the last message to tell what is selected",
    on: BOTH,
  },
  // OpenCode 2 is another view of the same sessions.
  {
    what: /^OpenCode 2: create a session and prompt: (story has "|beside lacks session\.next\.(prompt|step|text))/,
    why: "there is one history: a turn is told by the events of messages and parts, which all clients read, whichever route has begun it",
    on: BOTH,
  },
  {
    what: /^OpenCode 2: read: GET \/api\/session\/\{sessionID\}\/(message|context) 200 has \.data\[(assistant|user|synthetic|compaction|agent-switched|model-switched)\]/,
    why: "the same: OpenCode 2 does not see the messages and switches that came by OpenCode 1's routes",
    on: BOTH,
  },
  {
    what: /^OpenCode 2: create a session and prompt: GET .*\.content\[text\]\.id: /,
    why: "the same: a text has the id of its part",
    on: BOTH,
  },
  {
    what: /^OpenCode 2: create a session and prompt: POST \/api\/session 200 has \.data\.agent: /,
    why: "a selection has an agent",
    on: BOTH,
  },
  {
    what: /^OpenCode 2: .* 200 lacks \.cursor\.(next|previous): string$/,
    why: "a cursor leads to a page that there is; OpenCode gives one also where nothing follows",
    on: BOTH,
  },
  {
    what: /^OpenCode 2: .* 200 lacks \.data(\[\])?\.subpath: string$/,
    why: "where a session works is its location; OpenCode repeats it below the project's folder",
    on: BOTH,
  },
  // Sessions.
  {
    what: /^(fork|fork at a message): POST .* 200 has \.(agent|model): |^event session\.created has \.info\.(agent|model): /,
    why: "a fork goes on with what is selected; OpenCode's has nothing selected",
    on: BOTH,
  },
  {
    what: /^share: POST .*: 400 BadRequest instead of 500 UnknownError$/,
    why: "says that Baton shares nothing; OpenCode, when it may not, fails",
    on: BOTH,
  },
  {
    what: /has (\[\])?\.(info\.)?summary: object$/,
    why: "a session that has changed no file says so; OpenCode says nothing before the first turn",
    on: BOTH,
  },
  {
    what: /^abort when nothing runs: story lacks "(status idle|session\.idle)"/,
    why: "nothing has happened, so nothing is told",
    on: BOTH,
  },
  // Errors: Baton says what is wrong, and changes nothing.
  {
    what: / 404 has \.data\.(sessionID|requestID): /,
    why: "the id that is not there, for programs",
    on: BOTH,
  },
  {
    what: /^(no such request: .* 404 has \.(data: object|name: "NotFoundError")|while a turn runs: .* 409 has \.(data: object|name: "SessionBusyError"))$/,
    why: "OpenCode writes these in its second shape; Baton writes both shapes, so that one reader of errors is enough",
    on: BOTH,
  },
  {
    what: /^no such session: (GET .*\/diff|POST .*\/abort): 404 NotFoundError instead of 200$|^no such session: story lacks "(status idle|session\.idle)"/,
    why: "a session that is not there is not empty, and not idle",
    on: BOTH,
  },
  {
    what: /^no such message: (DELETE .*: 404 NotFoundError instead of 200|story lacks "message\.removed" at the beginning)$/,
    why: "what is not there cannot be deleted, and nothing is told of it",
    on: BOTH,
  },
  {
    what: /^a malformed session id: GET .*: 400 BadRequest instead of 500 UnknownError$/,
    why: "a client's mistake is no failure of the server",
    on: BOTH,
  },
  {
    what: /^a malformed session id: POST \/api\/.* 400 (lacks \.field: "sessionID"|lacks \.field: string|has \.kind: "Params")$/,
    why: "the message names the field",
    on: BOTH,
  },
  {
    what: /^wrong types: POST \/session 400 (lacks \._tag: "BadRequest"|has \.data: object|has \.name: "BadRequest")$/,
    why: "OpenCode sends no message here; Baton names the field as everywhere else",
    on: BOTH,
  },
  {
    what: /^empty parts: (POST .*: 400 BadRequest instead of 200|story lacks|beside lacks)/,
    why: "a prompt that says nothing is a mistake of the client's; OpenCode asks the model all the same",
    on: BOTH,
  },
  {
    what: /^bad JSON: .*: 400 (BadRequest|InvalidRequestError) instead of 500 UnknownError$/,
    why: "a client's mistake is no failure of the server",
    on: BOTH,
  },
  {
    what: /^wrong content type: .*(application\/json instead of text\/plain| 415 (lacks|has) )/,
    why: "every answer is JSON",
    on: BOTH,
  },
  {
    what: /^event session\.error lacks \.error\.name: "UnknownError"$|^an unknown (model|agent): (POST .*: 400 (ProviderModelNotFoundError|AgentNotFoundError) instead of 500 UnknownError$|story lacks|beside lacks)/,
    why: "a model or an agent that is not there is refused with what there is, and nothing is stored; OpenCode stores the message and fails afterwards",
    on: BOTH,
  },
  {
    what: /^a route that is not there: .*(404 NotFoundError instead of 200 \(HTML\))$/,
    why: "OpenCode sends its web page, which ends its own terminal UI when that asks for what it knows and the server does not",
    on: BOTH,
  },
  // What the servers do at the side, at a time of their own.
  {
    what: /: beside (lacks|has) (session\.(updated|diff)|tool \w+ running)$/,
    why: "the real server sums up what a turn has changed while the next one may already run",
    on: BOTH,
    sometimes: true,
  },
  // The mock agent does other things than the stub LLM behind OpenCode.
  {
    what: /^(a tool that writes a file|read the session after that|fork|fork at a message|revert|revert, and go on from there|OpenCode 2: read): .*("reasoning|\[reasoning\]|after "reasoning)/,
    why: "the mock thinks before it calls its tool",
    on: MOCK,
  },
  {
    what: /^(permission rejected|a question rejected): story has "text|^fork: story has "(text ends" after "tool bash error|step-finish" after "text ends)"$/,
    why: "the mock says a last word after a refusal; OpenCode's turn ends there",
    on: MOCK,
  },
  {
    what: /(GET \/question 200 has|event question\.asked has) .*\.custom: boolean$/,
    why: "says whether an answer of one's own is possible, which ACP tells; left out, OpenCode means yes",
    on: MOCK,
  },
];
