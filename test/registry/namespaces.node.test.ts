/** The list of namespaces at `default`, and how the others get into it. */
import { expect, test } from "vitest";
import { codeOf, DOWN, value, World } from "./kit.node.ts";

test("default lists the others in the order of their entering, each once, page by page", () => {
  const { namespaces } = new World().wake();
  for (const name of ["a", "b", "a", "c"]) value(namespaces.add(name));
  expect(["a", "c", "d", "default"].map((name) => namespaces.knows(name))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  const first = value(namespaces.list({ limit: 2 }));
  expect(first.items).toEqual(["a", "b"]);
  const cursor = first.nextCursor ?? "";
  expect(value(namespaces.list({ limit: 2, cursor }))).toEqual({ items: ["c"] });
});

test("a namespace enters once in its life, and is refused until that is done", async () => {
  const world = new World();
  world.namespace = "shop";
  world.fault = () => DOWN;
  const { namespaces } = world.wake();
  expect(codeOf((await namespaces.enter()) ?? { ok: true, value: undefined })).toBe("unavailable");
  world.fault = () => undefined;
  expect(await namespaces.enter()).toBeUndefined();
  expect(await namespaces.enter()).toBeUndefined();
  expect(await world.wake().namespaces.enter(), "also when it has been asleep").toBeUndefined();
  expect(world.calls.map(({ verb }) => verb)).toEqual(["enter", "enter"]);
});

test("default has nothing to enter", async () => {
  const world = new World();
  expect(await world.wake().namespaces.enter()).toBeUndefined();
  expect(world.calls).toEqual([]);
});
