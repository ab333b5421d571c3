/**
 * The schedules of one namespace: begins each run when it is due, has its message sent, and writes down what became of it. It
 * never sends early, and never reckons from when a run happened to start: the calendar alone says when the next one is.
 *
 * [K1] A run is on disk before its message leaves; one without an answer is the same message again, so that it is there once.
 * [K2] As long as a run is to come or under way, the alarm is armed, and never later than the next of them.
 * [K3] A schedule has one run under way, the namespace a bounded number; a slow topic holds up only its own schedules.
 */
import { pageOf } from "../core/pages.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { SchedulerRpc, ScheduleRule, ScheduleRun, ScheduleView } from "../protocol/rpc.ts";
import { type Occurrences, parseCron } from "./cron.ts";
import { Dues } from "./dues.ts";
import { firingOf } from "./firing.ts";
import type { Ports, Storage } from "./ports.ts";
import { dueOf, fateOf, isForgotten } from "./runs.ts";
import { type Claim, type Schedule, ScheduleStore, withNext, withoutClaim } from "./store.ts";

const OPEN_MAX = 32;
/** When a scheduler that waits for an answer looks again, whatever happened. */
const WATCH_MS = 60_000;
/**
 * An alarm whose time has come and that did not go off yet is on its way, and would be put off by arming anew: the platform takes
 * it for stale, and tries it again after seconds. After so long it is lost.
 */
const LOST_MS = 10_000;
/** A far alarm is armed in steps: one that is lost does not matter for months. */
const AHEAD_MS_MAX = 24 * 60 * 60_000;

/** A schedule in memory, without its message. */
interface Seat {
  schedule: Schedule;
  /** Made when it is needed. */
  occurrences?: Occurrences;
  /** Its message is on its way. */
  isOut: boolean;
  /** After a bug: not looked at before, so that it holds up nobody. */
  restUntil: number;
}

export class Scheduler implements Omit<SchedulerRpc, "poke"> {
  readonly #ports: Ports;
  readonly #store: ScheduleStore;
  readonly #seats = new Map<string, Seat>();
  readonly #byId = new Map<number, Seat>();
  readonly #dues = new Dues();
  #open = 0;
  #armedAt: number | undefined;

  /** Wakes up: runs without an answer are sent again. */
  constructor(storage: Storage, ports: Ports) {
    this.#ports = ports;
    this.#store = new ScheduleStore(storage);
    this.#armedAt = ports.armedAt;
    for (const schedule of this.#store.all()) this.#sit(seatOf(schedule));
    this.#pump();
  }

  // ------------------------------------------------------------ verbs

  async admits(name: string, rule: ScheduleRule): ReturnType<SchedulerRpc["admits"]> {
    const parsed = this.#parsed(name, rule);
    return parsed.ok ? accept(undefined) : parsed;
  }

  async put(name: string, rule: ScheduleRule, record: Uint8Array): ReturnType<SchedulerRpc["put"]> {
    const nowMs = this.#nowMs;
    const parsed = this.#parsed(name, rule);
    if (!parsed.ok) return parsed;
    const known = this.#seats.get(name);
    const schedule = this.#store.atomically(() => {
      const message = this.#store.putMessage({ topic: rule.topic, record });
      const before = known?.schedule;
      if (before !== undefined && before.claim?.message !== before.message)
        this.#store.removeMessage(before.message);
      const made = before ?? this.#new(name, rule, message);
      const next = { ...made, rule, message };
      const isSameTime = before?.rule.cron === rule.cron && before.rule.timeZone === rule.timeZone;
      const timed = isSameTime ? next : withNext(next, parsed.value.next(nowMs));
      this.#store.put(timed);
      return timed;
    });
    const seat = known ?? seatOf(schedule);
    Object.assign(seat, { schedule, occurrences: parsed.value });
    this.#sit(seat);
    this.#pump();
    return accept({ schedule: this.#viewOf(schedule), created: known === undefined });
  }

  #parsed(name: string, rule: ScheduleRule): Outcome<Occurrences> {
    const parsed = parseCron(rule.cron, rule.timeZone, this.#nowMs);
    const isFull = !this.#seats.has(name) && this.#seats.size >= LIMITS.schedulesMax;
    return parsed.ok && isFull ? FULL : parsed;
  }

  async get(name: string): ReturnType<SchedulerRpc["get"]> {
    const seat = this.#seats.get(name);
    return seat === undefined ? missing(name) : accept(this.#viewOf(seat.schedule));
  }

  async list(query: Parameters<SchedulerRpc["list"]>[0]): ReturnType<SchedulerRpc["list"]> {
    return pageOf("s", query, (after, limit) => this.#viewsAfter(after, limit), bytesOf);
  }

  async pause(name: string, paused: boolean): ReturnType<SchedulerRpc["pause"]> {
    const seat = this.#seats.get(name);
    if (seat === undefined) return missing(name);
    if (seat.schedule.paused !== paused) {
      const schedule = { ...seat.schedule, paused };
      const nextAt = paused ? schedule.nextAt : this.#occurrencesOf(seat).next(this.#nowMs);
      this.#write(seat, withNext(schedule, nextAt));
      this.#pump();
    }
    return accept(this.#viewOf(seat.schedule));
  }

  async delete(name: string): ReturnType<SchedulerRpc["delete"]> {
    const seat = this.#seats.get(name);
    if (seat === undefined) return missing(name);
    this.#store.atomically(() => this.#store.remove(seat.schedule));
    this.#seats.delete(name);
    this.#byId.delete(seat.schedule.id);
    this.#dues.set(seat.schedule.id, Infinity);
    return accept({ deleted: true });
  }

  /** The watchdog's call, with the alarm that the platform knows of. */
  poke(armedAt: number | undefined): void {
    this.#armedAt = armedAt;
    this.#pump();
  }

  /** The platform's alarm went off. It never throws: the platform drops the alarm of an object that does. */
  alarm(): void {
    this.#armedAt = undefined;
    try {
      this.#pump();
    } catch (error) {
      this.#ports.log.error("scheduler.alarm_failed", { message: String(error) });
      this.#armAt(this.#nowMs + WATCH_MS);
    }
  }

  // ------------------------------------------------------------ runs

  /** Begins and sends what is due, as far as there is room, and arms for the rest. Returns at once. [K2] [K3] */
  #pump(): void {
    const nowMs = this.#nowMs;
    while (this.#open < OPEN_MAX) {
      const id = this.#dues.take(nowMs);
      if (id === undefined) break;
      const seat = this.#byId.get(id);
      if (seat === undefined || seat.isOut) continue;
      try {
        const claim = seat.schedule.claim ?? this.#begin(seat, nowMs);
        if (claim !== undefined) this.#send(seat, claim, nowMs);
      } catch (error) {
        this.#rest(seat, error);
      }
      this.#reckon(seat);
    }
    this.#arm();
  }

  /** [K1] */
  #begin(seat: Seat, nowMs: number): Claim | undefined {
    const { schedule } = seat;
    const { rule, nextAt } = schedule;
    if (nextAt === undefined) return undefined;
    const due = dueOf(rule.missed, nextAt, this.#occurrencesOf(seat), nowMs);
    let next = withNext(schedule, due.nextAt);
    if (due.skipped !== undefined) {
      const skipped = { scheduledAt: due.skipped, attempts: 0 };
      next = { ...next, last: this.#ended(schedule, skipped, { outcome: "skipped" }, nowMs) };
    }
    if (due.slot === undefined) {
      this.#write(seat, next);
      return undefined;
    }
    const { message } = schedule;
    const scheduledAt = due.slot;
    const run = schedule.runs + 1;
    const claim = { run, scheduledAt, startedAt: nowMs, attempts: 0, message, retryAt: nowMs };
    this.#write(seat, { ...next, runs: run, claim });
    return claim;
  }

  #send(seat: Seat, claim: Claim, nowMs: number): void {
    if (isForgotten(claim, nowMs)) {
      this.#end(seat, claim, { outcome: "failed", code: claim.code ?? "unavailable" });
      return;
    }
    seat.isOut = true;
    this.#open++;
    void this.#fire(seat, claim)
      .catch((error: unknown) => this.#rest(seat, error))
      .finally(() => {
        seat.isOut = false;
        this.#open--;
        this.#reckon(seat);
        this.#pump();
      });
  }

  async #fire(seat: Seat, before: Claim): Promise<void> {
    const message = this.#store.message(before.message);
    const { namespace } = this.#ports;
    const outcome = await this.#ports.send(firingOf(namespace, seat.schedule, before, message));
    // It was deleted meanwhile; everything else leaves a run that is under way alone.
    if (this.#seats.get(seat.schedule.name) !== seat) return;
    const claim = { ...before, attempts: before.attempts + 1 };
    if (outcome.ok) {
      const { id, queue } = outcome.value;
      const where = id === undefined ? { queue } : { id, queue };
      this.#end(seat, claim, { outcome: "sent", ...where });
      return;
    }
    const code = outcome.code === "stale_route" ? "unavailable" : outcome.code;
    const { rule, nextAt } = seat.schedule;
    const fate = fateOf(claim, outcome, { missed: rule.missed, nextAt }, this.#nowMs);
    if (fate.is === "retried") {
      this.#write(seat, { ...seat.schedule, claim: { ...claim, code, retryAt: fate.atMs } });
    } else if (fate.is === "replaced") {
      this.#release(seat, claim, withoutClaim(seat.schedule));
    } else this.#end(seat, claim, { outcome: fate.is, code });
  }

  #end(
    seat: Seat,
    claim: Claim,
    what: Pick<ScheduleRun, "outcome" | "code" | "id" | "queue">,
  ): void {
    const last = this.#ended(seat.schedule, claim, what, this.#nowMs);
    this.#release(seat, claim, { ...withoutClaim(seat.schedule), last });
  }

  /** The message of a run that is over goes, when the schedule has another one by now. */
  #release(seat: Seat, { message }: Claim, schedule: Schedule): void {
    this.#store.atomically(() => {
      if (message !== schedule.message) this.#store.removeMessage(message);
      this.#write(seat, schedule);
    });
  }

  #ended(
    { name, rule }: Schedule,
    { scheduledAt, attempts }: Pick<Claim, "scheduledAt" | "attempts">,
    what: Pick<ScheduleRun, "outcome" | "code" | "id" | "queue">,
    nowMs: number,
  ): ScheduleRun {
    const { namespace, log } = this.#ports;
    const { outcome, code } = what;
    const fields = { namespace, schedule: name, topic: rule.topic, scheduledAt, code };
    if (outcome !== "sent") log.error(`schedule.${outcome}`, fields);
    return { scheduledAt, endedAt: nowMs, attempts, ...what };
  }

  #rest(seat: Seat, error: unknown): void {
    seat.restUntil = this.#nowMs + WATCH_MS;
    const { name } = seat.schedule;
    this.#ports.log.error("schedule.bug", { schedule: name, message: String(error) });
  }

  // ------------------------------------------------------------ what is known

  get #nowMs(): number {
    return this.#ports.clock.nowMs();
  }

  #new(name: string, rule: ScheduleRule, message: number): Schedule {
    const id = this.#store.nextNumber("schedule");
    const producer = `schedule.${this.#ports.newId()}`;
    return { id, name, producer, rule, message, paused: false, createdAt: this.#nowMs, runs: 0 };
  }

  #write(seat: Seat, schedule: Schedule): void {
    this.#store.put(schedule);
    seat.schedule = schedule;
    this.#reckon(seat);
  }

  /** There is such a schedule. */
  #sit(seat: Seat): void {
    this.#seats.set(seat.schedule.name, seat);
    this.#byId.set(seat.schedule.id, seat);
    this.#reckon(seat);
  }

  /** After each change of it. */
  #reckon(seat: Seat): void {
    const { id } = seat.schedule;
    if (this.#byId.get(id) === seat) this.#dues.set(id, wakeAtOf(seat, this.#nowMs));
  }

  #occurrencesOf(seat: Seat): Occurrences {
    if (seat.occurrences === undefined) {
      const { cron, timeZone } = seat.schedule.rule;
      const parsed = parseCron(cron, timeZone, this.#nowMs);
      if (!parsed.ok) throw new Error(`a schedule that was taken before: ${parsed.detail}`);
      seat.occurrences = parsed.value;
    }
    return seat.occurrences;
  }

  *#viewsAfter(after: number, limit: number): Generator<readonly [number, ScheduleView]> {
    let left = limit;
    for (const { schedule } of this.#seats.values()) {
      if (schedule.id <= after) continue;
      if (left-- === 0) return;
      yield [schedule.id, this.#viewOf(schedule)];
    }
  }

  #viewOf({ name, rule, message, paused, createdAt, nextAt, claim, last }: Schedule): ScheduleView {
    return {
      name,
      ...rule,
      record: this.#store.message(message).record,
      paused,
      createdAt,
      ...(paused || nextAt === undefined ? {} : { nextRunAt: nextAt }),
      ...(claim === undefined ? {} : { pendingRun: pendingOf(claim) }),
      ...(last === undefined ? {} : { lastRun: last }),
    };
  }

  // ------------------------------------------------------------ time

  #arm(): void {
    const nowMs = this.#nowMs;
    const watchAt = nowMs + WATCH_MS;
    if (this.#open === OPEN_MAX) return this.#armAt(watchAt);
    const atMs = Math.min(this.#open > 0 ? watchAt : Infinity, this.#dues.nextAt());
    if (atMs !== Infinity) this.#armAt(Math.min(atMs, nowMs + AHEAD_MS_MAX));
  }

  /** Each alarm that is set is a row. */
  #armAt(atMs: number): void {
    const nowMs = this.#nowMs;
    const armedAt = this.#armedAt ?? Infinity;
    if (armedAt <= atMs && armedAt > nowMs - LOST_MS) return;
    this.#armedAt = Math.max(atMs, nowMs);
    this.#ports.setAlarm(this.#armedAt);
  }
}

const seatOf = (schedule: Schedule): Seat => ({ schedule, isOut: false, restUntil: 0 });

/** When a schedule has to be looked at next. */
function wakeAtOf({ schedule, isOut, restUntil }: Seat, nowMs: number): number {
  const { claim, paused, nextAt = Infinity } = schedule;
  const nextRunAt = paused ? Infinity : nextAt;
  // Its end looks at the next one, too.
  if (isOut) return nextRunAt > nowMs ? nextRunAt : Infinity;
  return Math.max(restUntil, claim?.retryAt ?? nextRunAt);
}

const pendingOf = ({ scheduledAt, startedAt, attempts, code }: Claim) => ({
  scheduledAt,
  startedAt,
  attempts,
  ...(code === undefined ? {} : { code }),
});

/** About what a schedule takes in an answer. */
const bytesOf = ({ record }: ScheduleView): number => 1_024 + Math.ceil(record.length / 3) * 4;

const FULL: Refusal = refuse(
  "invalid_request",
  `name: a namespace has at most ${LIMITS.schedulesMax} schedules`,
  { field: "name", limit: LIMITS.schedulesMax, actual: LIMITS.schedulesMax + 1 },
);

const missing = (name: string): Refusal =>
  refuse("schedule_not_found", `No schedule is called ${name}`, { schedule: name });
