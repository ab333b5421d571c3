/**
 * The watchdog's round: the registry of each namespace wakes its queues, and its scheduler wakes. A lost alarm is rare and heals with traffic, too;
 * so a round is bounded, and the next one goes on with the namespaces that had no turn.
 */
import { accept } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import { DEFAULT_NAMESPACE } from "../protocol/rpc.ts";
import type { Objects } from "./objects.ts";
import { pokeScheduler } from "./schedules.ts";

/** Two calls each: what one invocation of a Worker may call, with room for the reading of the list. */
const NAMESPACES_MAX = 450;
/** Connections that a Worker holds open at a time. */
const OPEN_MAX = 6;
/** The cron's spacing (wrangler.toml). */
const ROUND_MS = 5 * 60_000;

/** Wakes queues of every namespace; answers how many in how many. One that fails is left to the next round. */
export async function watchdogRound(
  objects: Objects,
  nowMs: number,
): Promise<{ readonly namespaces: number; readonly poked: number }> {
  const all = [DEFAULT_NAMESPACE, ...(await namespacesOf(objects))];
  const first = (Math.floor(nowMs / ROUND_MS) * NAMESPACES_MAX) % all.length;
  const turn = [...all.slice(first), ...all.slice(0, first)].slice(0, NAMESPACES_MAX).values();
  const done = { namespaces: 0, poked: 0 };
  const walk = async (): Promise<void> => {
    for (const namespace of turn) {
      const outcome = await objects.registry(namespace, async (registry) =>
        accept(await registry.watchdog()),
      );
      await pokeScheduler(objects, namespace);
      if (!outcome.ok) continue;
      done.namespaces++;
      done.poked += outcome.value;
    }
  };
  await Promise.all(Array.from({ length: OPEN_MAX }, walk));
  return done;
}

async function namespacesOf(objects: Objects): Promise<string[]> {
  const names: string[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: LIMITS.listItemsMax, ...(cursor === undefined ? {} : { cursor }) };
    const page = await objects.registry(DEFAULT_NAMESPACE, (registry) =>
      registry.namespaces(query),
    );
    if (!page.ok) break;
    names.push(...page.value.items);
    cursor = page.value.nextCursor;
  } while (cursor !== undefined);
  return names;
}
