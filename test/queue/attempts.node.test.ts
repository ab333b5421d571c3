/** Remembered attempts: bounded, because all of a group's stand in one row. */
import { expect, it } from "vitest";
import { ByteReader, ByteWriter } from "../../src/core/bytes.ts";
import { Attempts } from "../../src/queue/delivery/attempts.ts";

const batch = (first: number, count: number, until = 1_000) => ({
  until,
  items: Array.from({ length: count }, (_, index) => ({ offset: first + index, generation: 1 })),
});

const bytesOf = (attempts: Attempts): Uint8Array => {
  const writer = new ByteWriter();
  attempts.encode(writer);
  return writer.finish();
};

it("keeps a group's attempts within a row, however many receives name one", () => {
  const attempts = new Attempts();
  for (let n = 0; n < 50_000; n++) {
    attempts.tidy(() => true);
    attempts.set(`attempt-${n}`, batch(n * 16, 16));
  }
  expect(bytesOf(attempts).length).toBeLessThan(600_000);
  expect(attempts.get("attempt-49999")).toEqual(batch(49_999 * 16, 16));
  const woken = new Attempts();
  woken.restore(new ByteReader(bytesOf(attempts)));
  expect(bytesOf(woken)).toEqual(bytesOf(attempts));
});

it("forgets what is of no use before what may still be asked for", () => {
  const attempts = new Attempts();
  attempts.set("slow", batch(0, 16));
  for (let n = 1; n < 50_000; n++) {
    attempts.tidy(({ items }) => items[0]?.offset === 0);
    attempts.set(`quick-${n}`, batch(n * 16, 16));
  }
  expect(attempts.get("slow")).toEqual(batch(0, 16));
});

it("keeps the newest one also when it alone is past the bound", () => {
  const attempts = new Attempts();
  for (let n = 0; n < 100; n++) attempts.set(`large-${n}`, batch(n * 1_000, 1_000));
  expect(attempts.get("large-99")).toBeDefined();
  expect(attempts.get("large-0")).toBeUndefined();
});
