/** The store over a real bucket: what goes in comes out, and what was changed meanwhile does not. */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { MARK_NAME } from "../../src/bodies/bucket-mark.ts";
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

test("another bucket, or an emptied one, is out of reach and has lost nothing", async () => {
  const ref = await put();
  const kept = await (await bucket.get(MARK_NAME))?.text();
  await bucket.delete(nameOf(ref.key));
  for (const other of [undefined, "00000000000000ee\n", "what is this?"]) {
    if (other === undefined) await bucket.delete(MARK_NAME);
    else await bucket.put(MARK_NAME, other);
    expect(await store.get(ref), other ?? "none").toBe("body_unavailable");
  }
  // Two buckets were brought together, and each one's name is there.
  await bucket.put(MARK_NAME, `00000000000000ee\n${kept ?? ""}`);
  expect(await store.get(ref)).toBe("body_missing");
  await bucket.put(MARK_NAME, kept ?? "");
});

test("who comes at once for the first time gives a bucket one name", async () => {
  const kept = await (await bucket.get(MARK_NAME))?.text();
  await bucket.delete(MARK_NAME);
  const stores = Array.from({ length: 8 }, () => bodyStore(bucket));
  const stored = await Promise.all(stores.map((one) => one.put(one.newKey(), bytes)));
  const homes = stored.map((outcome) => (outcome.ok ? outcome.value.home : outcome.code));
  expect(new Set(homes).size).toBe(1);
  expect(await (await bucket.get(MARK_NAME))?.text()).toBe(`${homes[0] ?? ""}\n`);
  await bucket.put(MARK_NAME, kept ?? "");
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
