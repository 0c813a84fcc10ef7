// What is left of an answer or an event when everything is taken away that differs from one run to the next:
// which fields there are, of which type, and the words that have a meaning.

/** Fields whose value is one of a few words that clients act on. */
const WORDS = new Set([
  ...["type", "role", "name", "status", "finish", "reason", "permission", "action", "reply", "agent", "mode", "tool"],
  ...["field", "_tag", "kind", "variant", "effective", "source"],
]);
/** What a tool takes and tells is its own affair; clients look at what is listed here. */
const OF_TOOLS = new Set(["input", "metadata"]);

/**
 * The lines of a value, such as `.parts[text].time.start: number`, sorted.
 * @param {number} [depth] how many levels count; below that only the type is looked at
 */
export function outline(value, depth = Infinity) {
  const lines = new Set();
  describe(value, "", lines, depth);
  return [...lines].sort();
}

function describe(value, path, lines, depth) {
  const add = (type) => lines.add(`${path || "."}: ${type}`);
  const key = path.split(".").at(-1);
  if (value === null) add("null");
  else if (Array.isArray(value)) {
    add("list");
    for (const item of value) describe(item, `${path}[${item?.type ?? item?.info?.role ?? ""}]`, lines, depth);
  } else if (typeof value === "object") {
    add("object");
    if (depth === 0 || (OF_TOOLS.has(key) && path.includes(".state."))) return;
    for (const [name, inner] of Object.entries(value)) describe(inner, `${path}.${idOf(name) ?? name}`, lines, depth - 1);
  } else if (typeof value === "string") add(WORDS.has(key) && depth > 0 ? JSON.stringify(value) : (idOf(value) ?? "string"));
  else if (typeof value === "boolean") add("boolean");
  else add(typeof value);
}

/** `lacks` what only the first outline has, `has` what only the second has; not also what is inside of that. */
export function outlineChanges(expected, given) {
  return [
    ...missing(expected, given).map((line) => `lacks ${line}`),
    ...missing(given, expected).map((line) => `has ${line}`),
  ];
}

function missing(lines, from) {
  const known = new Set(from);
  const paths = new Set(from.map(pathOf));
  const gone = lines.filter((line) => !known.has(line));
  const whole = new Set(gone.map(pathOf).filter((path) => !paths.has(path)));
  return gone.filter((line) => !parentsOf(pathOf(line)).some((parent) => whole.has(parent)));
}

function pathOf(line) {
  return line.slice(0, line.indexOf(": "));
}

function parentsOf(path) {
  const ends = [...path.matchAll(/[.[]/g)].map(({ index }) => index).filter((at) => at > 0);
  return ends.map((at) => path.slice(0, at));
}

/** The kind of an id, such as `ses_…`. */
function idOf(text) {
  const kind = /^(ses|msg|prt|per|que|evt|err)_[0-9A-Za-z]+$/.exec(text)?.[1];
  return kind && `${kind}_…`;
}
