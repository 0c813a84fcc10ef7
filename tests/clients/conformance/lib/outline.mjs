// What is left of an answer or an event when everything is taken away that differs from one run to the next:
// which fields there are, of which type, and the words that have a meaning.

/** Fields whose value is one of a few words that clients act on. */
const WORDS = new Set([
  ...["type", "role", "name", "status", "finish", "reason", "permission", "action", "reply", "agent", "mode", "tool"],
  ...["field", "_tag", "kind", "variant", "effective", "source"],
]);
/** What a tool takes and tells is its own affair; clients look at what is listed here. */
const OF_TOOLS = new Set(["input", "metadata"]);

/** The lines of a value, such as `parts[text].time.start: number`, sorted. */
export function outline(value) {
  const lines = new Set();
  describe(value, "", lines);
  return [...lines].sort();
}

function describe(value, path, lines) {
  const add = (type) => lines.add(`${path || "."}: ${type}`);
  const key = path.split(".").at(-1);
  if (value === null) add("null");
  else if (Array.isArray(value)) describeList(value, path, lines, add);
  else if (typeof value === "object") {
    if (OF_TOOLS.has(key) && path.includes("state.")) return add("object");
    add("object");
    for (const [name, inner] of Object.entries(value)) describe(inner, `${path}.${name}`, lines);
  } else if (typeof value === "string") add(WORDS.has(key) ? JSON.stringify(value) : (idOf(value) ?? "string"));
  else if (typeof value === "boolean") add(String(value));
  else add(typeof value);
}

function describeList(list, path, lines, add) {
  add("list");
  for (const item of list) describe(item, `${path}[${item?.type ?? item?.info?.role ?? ""}]`, lines);
}

/** The kind of an id, such as `ses_…`. */
function idOf(text) {
  const kind = /^(ses|msg|prt|per|que|evt|err)_?[0-9A-Za-z]+$/.exec(text)?.[1];
  return kind && `${kind}_…`;
}
