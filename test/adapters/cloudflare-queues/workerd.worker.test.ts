/**
 * The Cloudflare Queues door inside the Workers runtime, through the unmodified client as it runs there. Nothing listens in
 * the isolate, so the client's `fetch` leads to the Worker itself.
 */
import { env, exports } from "cloudflare:workers";
import { cloudflareQueuesSuite } from "./suite.ts";

cloudflareQueuesSuite(() => ({
  url: "http://halfmq.test",
  key: (env as { HALFMQ_ROOT_KEY: string }).HALFMQ_ROOT_KEY,
  fetch: (input, init) => exports.default.fetch(new Request(input, init)),
}));
