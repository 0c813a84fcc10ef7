/** @type {import("@hey-api/openapi-ts").UserConfig} */
export default {
  input: "../../../../openapi/openapi.json",
  output: { path: "client", module: { extension: ".ts" } },
};
