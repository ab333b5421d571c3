/**
 * Schedules, as whoever set them saw them, and the runs that were stored. C1: a run is sent once. C2: never early, nor at
 * another time than the expression says, nor for a schedule that is gone. C3: none is left out but by the rule that the
 * schedule has for it, or because it was paused. C4: none is of a time at which it was paused. C5: in a calm run none is late.
 */
import type { Report } from "./check.ts";

/** Where `skip` leaves out what is not begun a minute after its time. */
const LATE_MS_MAX = 60_000;
const CALM_LATE_MS_MAX = 1_000;

/** Instants of the wall clock: before something was asked for, and when it was answered. */
interface Asked {
  readonly from: number;
  readonly to: number;
}

/** From before a pause was asked for until after it was lifted; and inside of that, surely paused. */
interface Pause extends Asked {
  readonly surelyFrom: number;
  readonly surelyTo: number;
}

/** A schedule from when it was set until it was set anew or deleted. */
export interface SeenSchedule {
  readonly name: string;
  readonly stepMs: number;
  readonly missed: "skip" | "once";
  readonly pauses: readonly Pause[];
  readonly set: Asked;
  readonly ended?: Asked;
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

export interface Calendar {
  readonly schedules: readonly SeenSchedule[];
  readonly runs: readonly SeenRun[];
  /** Of those that had not ended. */
  readonly rests: readonly CalendarRest[];
}

/** What the platform did meanwhile. */
interface Weather {
  /** The wall clock went on as it should. */
  readonly isSteady: boolean;
  /** Nothing was struck, and nothing was slow. */
  readonly isCalm: boolean;
}

export function checkCalendar(
  { schedules, runs, rests }: Calendar,
  weather: Weather,
  report: Report,
): void {
  const known = new Set(schedules.map(({ name }) => name));
  for (const { schedule, slot } of runs)
    if (!known.has(schedule)) report("C2", `${schedule} is no schedule, and has a run at ${slot}`);
  for (const seen of schedules) {
    const rest = rests.find(({ name }) => name === seen.name);
    const judge = new Judge(seen, rest, weather, report);
    for (const run of runs) if (run.schedule === seen.name) judge.run(run);
    if (rest === undefined && seen.ended === undefined)
      report("C3", `${seen.name} is not known any more`);
    else if (weather.isSteady) judge.gaps();
  }
}

/** Of one schedule. */
class Judge {
  readonly #seen: SeenSchedule;
  readonly #rest: CalendarRest | undefined;
  readonly #weather: Weather;
  readonly #report: Report;
  /** When which run was stored. */
  readonly #stored = new Map<number, number>();

  constructor(
    seen: SeenSchedule,
    rest: CalendarRest | undefined,
    weather: Weather,
    report: Report,
  ) {
    this.#seen = seen;
    this.#rest = rest;
    this.#weather = weather;
    this.#report = report;
  }

  run({ slot, storedAt }: SeenRun): void {
    const { name, stepMs, pauses } = this.#seen;
    // By a clock that steps, a schedule that was paused may come to a time again.
    if (this.#stored.has(slot) && (this.#weather.isSteady || pauses.length === 0))
      this.#report("C1", `${name} sent the run of ${slot} twice`);
    this.#stored.set(slot, storedAt);
    if (slot % stepMs !== 0) this.#report("C2", `${name} has no run at ${slot}`);
    if (this.#weather.isSteady) this.#time(slot, storedAt);
  }

  #time(slot: number, storedAt: number): void {
    const { name, set, ended, pauses } = this.#seen;
    if (slot <= set.from || (ended !== undefined && slot > ended.to))
      this.#report("C2", `${name} was not there at ${slot}`);
    if (storedAt < slot) this.#report("C2", `${name} stored at ${storedAt} the run of ${slot}`);
    if (this.#weather.isCalm && storedAt - slot > CALM_LATE_MS_MAX)
      this.#report("C5", `${name} stored at ${storedAt} the run of ${slot}`);
    if (pauses.some(({ surelyFrom, surelyTo }) => slot > surelyFrom && slot < surelyTo))
      this.#report("C4", `${name} was paused at ${slot}`);
  }

  /** When all runs are known. */
  gaps(): void {
    const { name, stepMs, set } = this.#seen;
    const slots = [...this.#stored.keys()].toSorted((a, b) => a - b);
    const pending = this.#rest?.pending;
    const end = this.#endOf(slots);
    const first = (Math.floor(set.to / stepMs) + 1) * stepMs;
    for (let slot = first; slot < end; slot += stepMs) {
      if (this.#stored.has(slot) || slot === pending) continue;
      const next = slots.find((other) => other > slot) ?? pending;
      if (!this.#mayLeaveOut(slot, next))
        this.#report("C3", `${name} left out the run of ${slot}; the next is ${next}`);
    }
  }

  /** What a schedule had not come to when it ended never comes; nobody knows how far it was. */
  #endOf(slots: readonly number[]): number {
    const { ended } = this.#seen;
    if (this.#rest !== undefined) return this.#rest.nextRunAt;
    if (this.#weather.isCalm && ended !== undefined) return ended.from - CALM_LATE_MS_MAX;
    return slots.at(-1) ?? 0;
  }

  /** `next`: the first later run that was sent, if any. */
  #mayLeaveOut(slot: number, next: number | undefined): boolean {
    const { missed, pauses } = this.#seen;
    // What was due and not begun when it was paused is left out, too.
    if (pauses.some(({ from, to }) => slot <= to && (next === undefined || next >= from)))
      return true;
    if (next === undefined || this.#weather.isCalm) return false;
    if (missed === "once") return true;
    const storedAt = this.#stored.get(next) ?? this.#rest?.wall;
    return storedAt !== undefined && storedAt - slot > LATE_MS_MAX;
  }
}
