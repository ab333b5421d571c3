/** The Worker answers inside the Workers runtime. */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";

test("health answers ok without a key", async () => {
  const answer = await exports.default.fetch(new Request("http://halfmq.test/v1/health"));
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ status: "ok" });
});
