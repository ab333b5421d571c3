/** The behaviours of the broker through every door, inside the Workers runtime, where `fetch` leads to the Worker itself. */
import { env, exports } from "cloudflare:workers";
import { afterAll, beforeAll } from "vitest";
import { throughEveryDoor } from "./through.ts";

const outside = globalThis.fetch;
const inside: typeof fetch = (input, init) => exports.default.fetch(new Request(input, init));

beforeAll(() => {
  globalThis.fetch = inside;
});

afterAll(() => {
  globalThis.fetch = outside;
});

throughEveryDoor(() => ({
  url: "http://halfmq.test",
  key: (env as { HALFMQ_ROOT_KEY: string }).HALFMQ_ROOT_KEY,
}));
