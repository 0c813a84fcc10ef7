// Compares two recordings of the same scenario. Each difference is one line, which says what Baton does otherwise.

import { ADDED_EVENTS, withoutAdded } from "../../../agents/lib/shapes.mjs";
import { outline, outlineChanges } from "./outline.mjs";
import { Teller } from "./story.mjs";

/**
 * The differences of a recording from the real server's, without repetition.
 * @param {Object<string, string>} [tools] names of Baton's tools, and what the real server's are called
 * @returns {string[]}
 */
export function differences(real, recorded, tools = {}) {
  const baton = renamed(recorded, tools);
  const lines = new Set();
  const tellers = [new Teller(), new Teller()];
  for (const [at, expected] of real.entries()) {
    const actual = baton[at];
    const stories = [expected, actual].map(({ events = [] }, which) => storiesOf(events, tellers[which]));
    if (actual.skipped) continue;
    compareAnswers(expected, actual, lines);
    compareStories(expected.step, stories, lines);
  }
  compareEvents(real.filter((_, at) => !baton[at].skipped), baton, lines);
  return [...lines];
}

function compareAnswers({ step, depth, answers }, actual, lines) {
  for (const [at, expected] of answers.entries()) {
    const given = actual.answers[at];
    if (!given) {
      lines.add(`${step}: ${expected.request} is not sent`);
      continue;
    }
    const what = `${step}: ${expected.request}`;
    if (given.status !== expected.status) {
      lines.add(`${what}: ${given.status}${nameOf(given)} instead of ${expected.status}${nameOf(expected)}`);
      continue;
    }
    if (given.type !== expected.type) lines.add(`${what}: ${given.type || "no type"} instead of ${expected.type || "no type"}`);
    for (const line of outlineChanges(outline(expected.body, depth), outline(withoutAdded(given.body), depth))) lines.add(`${what} ${given.status} ${line}`);
  }
}

function nameOf({ body, type }) {
  const name = body?.name ?? body?._tag;
  return name ? ` ${name}` : type === "text/html" ? " (HTML)" : "";
}

function compareStories(step, [expected, given], lines) {
  const nothing = { inOrder: [], beside: [] };
  for (let at = 0; at < Math.max(expected.length, given.length); at += 1) {
    const [a, b] = [expected[at] ?? nothing, given[at] ?? nothing];
    const where = at === 0 ? step : `${step} (session ${at + 1})`;
    for (const line of sequenceChanges(a.inOrder, b.inOrder)) lines.add(`${where}: story ${line}`);
    for (const line of changes(a.beside, b.beside)) lines.add(`${where}: beside ${line}`);
  }
}

/** A story for each session, in the order in which the sessions first occur. */
function storiesOf(events, teller) {
  const known = events.filter(({ type }) => !(type in ADDED_EVENTS));
  return bySession(known).map((ofOne) => teller.story(ofOne));
}

/** The events of each session, in the order in which the sessions first occur; those of no session are left out. */
function bySession(events) {
  const sessions = new Map();
  for (const event of events) {
    const id = event.properties?.sessionID ?? event.properties?.info?.sessionID;
    if (!id) continue;
    if (!sessions.has(id)) sessions.set(id, []);
    sessions.get(id).push(event);
  }
  return [...sessions.values()];
}

/** The fields of each kind of event over the whole scenario: a field that is sent only sometimes is no difference. */
function compareEvents(real, baton, lines) {
  const [expected, given] = [eventOutlines(real), eventOutlines(baton)];
  for (const [kind, fields] of expected) {
    if (!given.has(kind)) continue;
    for (const line of outlineChanges([...fields].sort(), [...given.get(kind)].sort())) lines.add(`event ${kind} ${line}`);
  }
}

function eventOutlines(steps) {
  const outlines = new Map();
  for (const event of steps.flatMap(({ events = [] }) => events)) {
    const { part, info, status } = event.properties ?? {};
    const kind = [event.type, info?.role, part?.type, part?.tool && part.state.status, status?.type].filter(Boolean).join(" ");
    if (!outlines.has(kind)) outlines.set(kind, new Set());
    // Whether a call is seen while it runs is chance (see story.mjs), and with it which tools are.
    const lines = outline(withoutAdded(event.properties)).filter((line) => !/ running$/.test(kind) || !line.startsWith(".part.tool:"));
    for (const line of lines) outlines.get(kind).add(line);
  }
  return outlines;
}

/** `lacks` what only the first has, `has` what only the second has. */
function changes(expected, given) {
  const lacks = expected.filter((line) => !given.includes(line)).map((line) => `lacks ${line}`);
  const has = given.filter((line) => !expected.includes(line)).map((line) => `has ${line}`);
  return [...lacks, ...has];
}

/** The same for lists whose order counts: what is not in the longest common sequence. */
function sequenceChanges(expected, given) {
  const lengths = Array.from({ length: expected.length + 1 }, () => new Array(given.length + 1).fill(0));
  for (let i = expected.length - 1; i >= 0; i -= 1) {
    for (let j = given.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = expected[i] === given[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < expected.length || j < given.length) {
    if (i < expected.length && j < given.length && expected[i] === given[j]) [i, j] = [i + 1, j + 1];
    else if (j >= given.length || (i < expected.length && lengths[i + 1][j] >= lengths[i][j + 1])) lines.push(`lacks "${expected[i++]}"${after(expected, i - 1)}`);
    else lines.push(`has "${given[j++]}"${after(given, j - 1)}`);
  }
  return lines;
}

function after(list, at) {
  return at === 0 ? " at the beginning" : ` after "${list[at - 1]}"`;
}

function renamed(value, tools) {
  const rename = (key, inner) => (key === "tool" && Object.hasOwn(tools, inner) ? tools[inner] : inner);
  return JSON.parse(JSON.stringify(value), rename);
}
