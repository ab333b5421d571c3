/**
 * Schedules of a run: set before the strikes, paused and resumed meanwhile, and read at the end. C1: a run is sent once. C2: never
 * early, nor at another time than the expression says. C3: none is left out but by the rule that the schedule has for it, or
 * because the schedule was paused. C4: none is of a time at which it was paused. The judging is pure.
 */
import type { Report } from "../sim/checker/check.ts";
import { http } from "./clients/caller.ts";
import type { Scene } from "./scene.ts";

export const CALENDAR_TOPIC = "calendar";
/** Where `skip` leaves out what is not begun a minute after its time. */
const LATE_MS_MAX = 60_000;

export interface SeenSchedule {
  readonly name: string;
  readonly stepMs: number;
  readonly missed: "skip" | "once";
  readonly isPaused: boolean;
  /** Wall clock: from before a pause was asked for until after it was lifted; and inside of that, surely paused. */
  readonly pauses: { from: number; to: number; surelyFrom: number; surelyTo: number }[];
  createdAt: number;
}

const schedule = (name: string, seconds: number, own: Partial<SeenSchedule>): SeenSchedule => ({
  name,
  stepMs: seconds * 1_000,
  missed: "skip",
  isPaused: false,
  pauses: [],
  createdAt: 0,
  ...own,
});

export const drawSchedules = (): SeenSchedule[] => [
  schedule("each", 1, {}),
  schedule("once", 2, { missed: "once" }),
  schedule("paused", 1, { isPaused: true }),
];

export async function setSchedules(scene: Scene): Promise<void> {
  for (const seen of scene.schedules) {
    const { name, stepMs, missed } = seen;
    const path = `/v1/schedules/${name}`;
    const body = {
      topic: CALENDAR_TOPIC,
      cron: `*/${stepMs / 1_000} * * * * *`,
      message: { body: { of: name } },
      missed,
    };
    const { createdAt } = await http<{ createdAt: number }>(scene, "PUT", path, { body });
    seen.createdAt = createdAt;
  }
}

/** A run as the log shows it. */
export interface SeenRun {
  readonly schedule: string;
  readonly slot: number;
  readonly storedAt: number;
}

/** How far a schedule had come when it was asked. */
export interface CalendarRest {
  readonly name: string;
  readonly nextRunAt: number;
  readonly pending?: number;
  /** Of the answer. */
  readonly wall: number;
}

export function checkCalendar(
  schedules: readonly SeenSchedule[],
  runs: readonly SeenRun[],
  rests: readonly CalendarRest[],
  report: Report,
): void {
  for (const seen of schedules) {
    const own = runs.filter((run) => run.schedule === seen.name);
    const rest = rests.find(({ name }) => name === seen.name);
    if (rest === undefined) report("C3", `${seen.name} is not known any more`);
    else checkRuns(seen, own, rest, report);
  }
}

function checkRuns(
  seen: SeenSchedule,
  runs: readonly SeenRun[],
  rest: CalendarRest,
  report: Report,
): void {
  const { name, stepMs, createdAt, pauses } = seen;
  const stored = new Map<number, number>();
  for (const { slot, storedAt } of runs) {
    if (stored.has(slot)) report("C1", `${name} sent the run of ${slot} twice`);
    stored.set(slot, storedAt);
    if (slot % stepMs !== 0 || slot <= createdAt) report("C2", `${name} has no run at ${slot}`);
    if (storedAt < slot) report("C2", `${name} stored at ${storedAt} the run of ${slot}`);
    if (pauses.some(({ surelyFrom, surelyTo }) => slot > surelyFrom && slot < surelyTo))
      report("C4", `${name} was paused at ${slot}`);
  }
  const slots = [...stored.keys()].toSorted((a, b) => a - b);
  const first = (Math.floor(createdAt / stepMs) + 1) * stepMs;
  for (let slot = first; slot < rest.nextRunAt; slot += stepMs) {
    if (stored.has(slot) || slot === rest.pending) continue;
    const next = slots.find((other) => other > slot) ?? rest.pending;
    if (
      !mayBeLeftOut(
        seen,
        slot,
        next,
        next === undefined ? undefined : (stored.get(next) ?? rest.wall),
      )
    )
      report("C3", `${name} left out the run of ${slot}; the next is ${next}`);
  }
}

/** `next`: the first later run that was sent, if any, and when that was stored. */
function mayBeLeftOut(
  { missed, pauses }: SeenSchedule,
  slot: number,
  next: number | undefined,
  nextStoredAt: number | undefined,
): boolean {
  // What was due and not begun when it was paused is left out, too.
  if (pauses.some(({ from, to }) => slot <= to && (next === undefined || next >= from)))
    return true;
  if (missed === "once") return next !== undefined;
  return nextStoredAt !== undefined && nextStoredAt - slot > LATE_MS_MAX;
}
