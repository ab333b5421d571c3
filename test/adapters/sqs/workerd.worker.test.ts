/**
 * The SQS door inside the Workers runtime, through the unmodified SDK as it runs there. Nothing listens in the isolate, so its
 * `fetch` leads to the Worker itself.
 */
import { env, exports } from "cloudflare:workers";
import { afterAll, beforeAll } from "vitest";
import { sqsSuite } from "./suite.ts";

const URL_OF_WORKER = "http://halfmq.test";
const outside = globalThis.fetch;

const inside: typeof fetch = (input, init) => {
  const request = new Request(input, init);
  if (!request.url.startsWith(URL_OF_WORKER)) throw new TypeError("nobody listens there");
  return exports.default.fetch(request);
};

beforeAll(() => {
  globalThis.fetch = inside;
});

afterAll(() => {
  globalThis.fetch = outside;
});

sqsSuite(
  () => ({
    url: URL_OF_WORKER,
    key: (env as { HALFMQ_ROOT_KEY: string }).HALFMQ_ROOT_KEY,
  }),
  false,
);
