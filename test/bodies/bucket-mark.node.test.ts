/** A bucket's name: asked for by each request itself, until one has it. */
import { expect, test } from "vitest";
import { BucketMark } from "../../src/bodies/bucket-mark.ts";
import type { Bucket } from "../../src/protocol/rpc.ts";

const NAME = "00000000000000ff";

/** A bucket with that name; reads wait for `before`, and are counted. */
function world() {
  const state = { reads: 0, before: (): Promise<void> => Promise.resolve() };
  const object = { arrayBuffer: async () => new TextEncoder().encode(`${NAME}\n`).buffer };
  const bucket = {
    get: async () => {
      state.reads++;
      await state.before();
      return object;
    },
    put: async () => null,
  } as unknown as Pick<Bucket, "get" | "put">;
  return { state, mark: new BucketMark(bucket) };
}

test("a request that is gone while it asks takes no other with it", async () => {
  const { state, mark } = world();
  state.before = () => new Promise(() => {});
  void mark.own();
  state.before = () => Promise.resolve();
  expect(await mark.own()).toBe(NAME);
});

test("it is read once when nobody comes at the same time, and again after it could not be", async () => {
  const { state, mark } = world();
  state.before = () => Promise.reject(new Error("away"));
  await expect(mark.own()).rejects.toThrow("away");
  state.before = () => Promise.resolve();
  expect([await mark.own(), await mark.own()]).toEqual([NAME, NAME]);
  expect(state.reads).toBe(2);
});
