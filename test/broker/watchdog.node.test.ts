/** The watchdog's round over namespaces. */
import { expect, test } from "vitest";
import type { Objects } from "../../src/broker/objects.ts";
import { watchdogRound } from "../../src/broker/watchdog.ts";
import { accept, refuse } from "../../src/protocol/errors.ts";
import type { RegistryRpc, SchedulerRpc } from "../../src/protocol/rpc.ts";

const ROUND_MS = 5 * 60_000;

/** Registries of so many namespaces beside `default`, each with two queues; `down` ones do not answer. */
function makeWorld(count: number, down: ReadonlySet<string> = new Set()) {
  const names = Array.from({ length: count }, (_, index) => `n${index}`);
  const poked: string[] = [];
  const scheduled: string[] = [];
  const objects: Pick<Objects, "registry" | "scheduler"> = {
    scheduler: (namespace, call) => {
      const poke = () => Promise.resolve(void scheduled.push(namespace));
      return call({ poke } as unknown as SchedulerRpc);
    },
    registry: (namespace, call) => {
      if (down.has(namespace)) return Promise.resolve(refuse("unavailable", "down"));
      return call({
        namespaces: ({ limit, cursor = "0" }: { limit: number; cursor?: string }) => {
          const end = Number(cursor) + limit;
          const items = names.slice(Number(cursor), end);
          const page = end < names.length ? { items, nextCursor: String(end) } : { items };
          return Promise.resolve(accept(page));
        },
        watchdog: () => {
          poked.push(namespace);
          return Promise.resolve(2);
        },
      } as unknown as RegistryRpc);
    },
  };
  return { poked, scheduled, names, objects: objects as Objects };
}

test("every namespace has its turn, and one that does not answer holds up no other", async () => {
  const { objects, poked, scheduled } = makeWorld(20, new Set(["n3"]));
  expect(await watchdogRound(objects, 0)).toEqual({ namespaces: 20, poked: 40 });
  expect(new Set(poked).size).toBe(20);
  expect(poked).toContain("default");
  expect(poked).not.toContain("n3");
  expect(scheduled).toHaveLength(21);
});

test("more namespaces than a round may call have their turn in the next rounds", async () => {
  const { objects, poked } = makeWorld(2_500);
  for (let round = 0; round < 6; round++) await watchdogRound(objects, round * ROUND_MS);
  expect(new Set(poked).size).toBe(2_501);
});
