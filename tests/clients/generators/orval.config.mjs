// Where the server is: orval writes it into every function.
export default {
  baton: {
    input: process.env.DOCUMENT,
    output: { target: "made/orval.ts", client: "fetch", mode: "single", baseUrl: process.env.SERVER },
  },
};
