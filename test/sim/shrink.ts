/** Makes a failing run smaller as long as the same promise is broken, and tells its history around the place. */
import { check, type Violation } from "./checker/check.ts";
import type { Event } from "./history.ts";
import { simulate, type Ran, type Run } from "./simulate.ts";

/** What a run may do without, most telling first. */
const PARTS = [
  "crash",
  "evict",
  "disk",
  "clock",
  "lostCalls",
  "lostAnswers",
  "stalls",
  "lateAlarms",
  "lostAlarms",
  "doubledAlarms",
  "broadcast",
  "push",
  "stream",
  "schedules",
  "pacedRedrives",
  "ttl",
  "retention",
  "transactors",
  "delayed",
  "deduped",
  "seeks",
  "hostileEndpoints",
] as const;
const TRIES_MAX = 60;
const LINES_MAX = 60;

export async function shrink(run: Run, violations: readonly Violation[]): Promise<Run> {
  const broken = violations[0]?.invariant;
  let tries = 0;
  const fails = async (candidate: Run): Promise<boolean> => {
    if (++tries > TRIES_MAX) return false;
    const ran = await simulate(candidate);
    return check(ran).some(({ invariant }) => invariant === broken);
  };
  let smallest = run;
  for (const part of PARTS) {
    const candidate = { ...smallest, without: [...(smallest.without ?? []), part] };
    if (await fails(candidate)) smallest = candidate;
  }
  let cut = Math.floor(smallest.steps / 2);
  while (cut >= 5) {
    const candidate = { ...smallest, steps: smallest.steps - cut };
    if (candidate.steps > 0 && (await fails(candidate))) smallest = candidate;
    else cut = Math.floor(cut / 2);
  }
  return smallest;
}

export function commandOf({ seed, steps, without = [] }: Run): string {
  const left = without.length === 0 ? "" : ` --without ${without.join(",")}`;
  return `npm run sim -- --seed ${seed} --steps ${steps}${left}`;
}

/** What is broken, and what happened to the message or transaction that it is about, with the strikes in between. */
export function tell(ran: Ran, violations: readonly Violation[]): string {
  const lines = violations
    .slice(0, 10)
    .map(
      ({ invariant, what, mark }) =>
        `${invariant}: ${what}${mark === undefined ? "" : ` (${mark})`}`,
    );
  const first = violations[0];
  const about = first?.mark ?? /\btx_\w+/u.exec(first?.what ?? "")?.[0];
  if (about === undefined) return lines.join("\n");
  lines.push(`history of ${about}:`);
  const ops = new Set<number>();
  for (const event of ran.events) {
    const isAbout = JSON.stringify(event).includes(`"${about}"`);
    if (isAbout && "op" in event) ops.add(event.op);
    const isPart = isAbout || event.is === "fault" || ("op" in event && ops.has(event.op));
    if (isPart) lines.push(lineOf(event));
  }
  return lines.slice(0, LINES_MAX).join("\n");
}

function lineOf({ at, wall, ...event }: Event): string {
  const text = JSON.stringify(event);
  return `${at} (wall ${wall}) ${text.length > 400 ? `${text.slice(0, 400)}…` : text}`;
}
