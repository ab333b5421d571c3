/** The store over a real bucket: what goes in comes out, and what was changed meanwhile does not. */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { bodyStore, nameOf } from "../../src/bodies/bucket.ts";
import type { BodyRef } from "../../src/core/record.ts";
import type { Bucket } from "../../src/protocol/rpc.ts";

const { BODIES: bucket } = env as unknown as { BODIES: R2Bucket };
const store = bodyStore(bucket);
const bytes = Uint8Array.from({ length: 1_000 }, (_, index) => index % 251);

async function put(): Promise<BodyRef> {
  const stored = await store.put(store.newKey(), bytes);
  if (!stored.ok) throw new Error(stored.code);
  return stored.value;
}

test("a body comes back as it was put, under a name of 128 random bits", async () => {
  const [one, other] = [await put(), await put()];
  expect(await store.get(one)).toEqual(bytes);
  expect([one.bytes, one.digest.length]).toEqual([1_000, 32]);
  expect(nameOf(one.key)).toMatch(/^bodies\/[0-9a-f]{32}$/);
  expect(nameOf(other.key)).not.toBe(nameOf(one.key));
});

test("a body of another length or content is damaged, a deleted one missing", async () => {
  const ref = await put();
  await bucket.put(nameOf(ref.key), bytes.toReversed());
  expect(await store.get(ref)).toBe("body_damaged");
  await bucket.put(nameOf(ref.key), bytes.subarray(1));
  expect(await store.get(ref)).toBe("body_damaged");
  await bucket.delete(nameOf(ref.key));
  expect(await store.get(ref)).toBe("body_missing");
});

test("several are deleted at once, and deleting again does no harm", async () => {
  const refs = [await put(), await put(), await put()];
  const [kept, ...gone] = refs.map(({ key }) => key);
  for (let round = 0; round < 2; round++) expect(await store.delete(gone)).toBe(true);
  const found = await Promise.all(refs.map((ref) => bucket.head(nameOf(ref.key))));
  expect(found.map((object) => object !== null)).toEqual([true, false, false]);
  expect(kept).toBeDefined();
});

test("a bucket that throws is out of reach, never an exception", async () => {
  const broken: Bucket = {
    put: () => Promise.reject(new Error("down")),
    get: () => Promise.reject(new Error("down")),
    delete: () => Promise.reject(new Error("down")),
  };
  const away = bodyStore(broken);
  expect(await away.put(away.newKey(), bytes)).toMatchObject({ code: "body_unavailable" });
  expect(await away.get(await put())).toBe("body_unavailable");
  expect(await away.delete([away.newKey()])).toBe(false);
});
