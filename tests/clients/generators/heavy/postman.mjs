// postman.mjs DOCUMENT URL: imports the document as Postman does, and plays the scenario with Newman, Postman's own runner. The
// requests are those of the import, with the bodies that the document's examples give them; what is written into them is
// said at each.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import newman from "newman";
import { convertV2 } from "openapi-to-postmanv2";
import { firstEvents } from "./events.mjs";

const REQUEST_TIMEOUT_MS = 30_000;
/** Parameters that are optional are imported with made-up values; like this they are there and not sent. */
const IMPORT = { folderStrategy: "Tags", parametersResolution: "Example", enableOptionalParameters: false };

const [document, url] = process.argv.slice(2);
const imported = await promisify(convertV2)({ type: "string", data: readFileSync(document, "utf8") }, IMPORT);
assert(imported.result, imported.reason);
const collection = imported.output[0].data;
const requests = requestsOf(collection.item);

const create = request("Create a session");
create.event = [{ listen: "test", script: { exec: "pm.collectionVariables.set('sessionID', pm.response.json().id)" } }];
const prompt = request("Send a message");
const update = request("Switch the model");
const [again, wrong] = [structuredClone(prompt), structuredClone(update)];
change(again, (body) => delete body.model);
change(wrong, (body) => (body.modelID = "mock-stong"));

const { hostname, port } = new URL(url);
const counted = firstEvents(url);
const played = await promisify(newman.run.bind(newman))({
  collection: { ...collection, item: [create, prompt, update, again, wrong] },
  envVar: [
    { key: "host", value: hostname },
    { key: "port", value: port },
  ],
  timeoutRequest: REQUEST_TIMEOUT_MS,
});
const [, first, switched, second, refused] = played.run.executions.map(({ response, requestError }) => {
  assert.ifError(requestError);
  return response.json();
});
console.log("first:", first.info.modelID);
console.log("switched:", switched.model.id);
console.log("second:", second.info.modelID);
console.log("refused:", refused.name, ...refused.data.suggestions);
console.log("events:", await counted);

function requestsOf(items) {
  return items.flatMap((item) => (item.item ? requestsOf(item.item) : [item]));
}

/** A request of the import by its name, for the session that was created. */
function request(name) {
  const found = requests.find((item) => item.name.startsWith(name)) ?? assert.fail(`nothing is called ${name}`);
  for (const variable of found.request.url.variable) variable.value = "{{sessionID}}";
  return structuredClone(found);
}

function change({ request }, how) {
  const body = JSON.parse(request.body.raw);
  how(body);
  request.body.raw = JSON.stringify(body);
}
