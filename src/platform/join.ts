/**
 * Makes a consumer of a broadcast group known to every queue of its topic, queue 0 first: it says which membership this is,
 * and whether there is room. It keeps nothing; asking again is harmless.
 */
import { accept, type Outcome } from "../protocol/errors.ts";
import type { Joined } from "../protocol/rpc.ts";

/** Asks one queue, with what queue 0 said. */
type AskQueue = (queue: number, membership?: Joined) => Promise<Outcome<Joined>>;

/** Refused as the first queue refused. */
export async function joinEverywhere(queues: number, ask: AskQueue): Promise<Outcome<true>> {
  const home = await ask(0);
  if (!home.ok) return home;
  const others = Array.from({ length: queues - 1 }, (_, index) => ask(index + 1, home.value));
  for (const outcome of await Promise.all(others)) if (!outcome.ok) return outcome;
  return accept(true);
}
