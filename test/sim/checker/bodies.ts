/**
 * B: at rest the bucket has exactly what messages, or blocks of old segments, refer to. B1: nothing is there that no queue answers for, so that it would
 * stay for ever; B2: nothing that a message refers to is gone; B3: one queue answers for each.
 */
import type { History, Uploaded } from "../history.ts";
import type { Report } from "./check.ts";

/** States of src/queue/bodies/bodies.ts in which a message, or a block, refers to the object. */
const REFERRED: ReadonlySet<number> = new Set([1, 2, 3, 4, 6]);

/** An upload is expected for so long, and what is given up is deleted this much later. */
const EXPECTED_MS = 3_600_000;
const GRACE_MS = 60_000;

/**
 * Did the clock leap over all the time that the upload was expected for? Then it was given up while it was on its way, and
 * came after its deletion. No queue can know of that one.
 */
function cameTooLate({ events }: History, upload: Uploaded): boolean {
  const { namedAt, namedWall, landedAt } = upload;
  // What the clock was ahead at the least so far; it changes by a step only, and each of those is an event.
  let least = namedWall - namedAt;
  for (const { at, wall } of events) {
    if (at < namedAt || at > landedAt) continue;
    least = Math.min(least, wall - at);
    if (wall - at - least + (landedAt - namedAt) >= EXPECTED_MS + GRACE_MS) return true;
  }
  return false;
}

export function checkBodies(history: History, report: Report): void {
  const { rest } = history;
  if (!rest.isDrained) return;
  const there = new Set(rest.bucket.map(({ key }) => key));
  const owners = new Map<string, string>();
  for (const { queue, key, state } of rest.answered) {
    const other = owners.get(key);
    if (other !== undefined) report("B3", `${other} and ${queue} both answer for ${key}`);
    owners.set(key, queue);
    if (!REFERRED.has(state)) report("B1", `${queue} still has ${key} in state ${state}`);
    else if (!there.has(key)) report("B2", `${queue} refers to ${key} (${state}), which is gone`);
  }
  for (const upload of rest.bucket)
    if (!owners.has(upload.key) && !cameTooLate(history, upload))
      report("B1", `nobody answers for ${upload.key}`);
}
