/**
 * B: at rest the bucket has exactly what messages, or blocks of old segments, refer to. B1: nothing is there that no queue answers for, so that it would
 * stay for ever; B2: nothing that a message refers to is gone; B3: one queue answers for each.
 */
import type { History } from "../history.ts";
import type { Report } from "./check.ts";

/** States of src/queue/bodies/bodies.ts in which a message, or a block, refers to the object. */
const REFERRED: ReadonlySet<number> = new Set([1, 2, 3, 4, 6]);

/** An upload is expected for so long. A clock that leaps over that gives one up that is on its way. */
const EXPECTED_MS = 3_600_000;

function leapt({ events }: History): boolean {
  let least = Infinity;
  for (const { at, wall } of events) {
    least = Math.min(least, wall - at);
    if (wall - at >= least + EXPECTED_MS) return true;
  }
  return false;
}

export function checkBodies(history: History, report: Report): void {
  const { rest } = history;
  if (!rest.isDrained) return;
  const there = new Set(rest.bucket);
  const owners = new Map<string, string>();
  for (const { queue, key, state } of rest.answered) {
    const other = owners.get(key);
    if (other !== undefined) report("B3", `${other} and ${queue} both answer for ${key}`);
    owners.set(key, queue);
    if (!REFERRED.has(state)) report("B1", `${queue} still has ${key} in state ${state}`);
    else if (!there.has(key)) report("B2", `${queue} refers to ${key} (${state}), which is gone`);
  }
  if (leapt(history)) return;
  for (const key of there) if (!owners.has(key)) report("B1", `nobody answers for ${key}`);
}
