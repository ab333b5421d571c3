/**
 * Redrives at a rate: of each group at most one runs at a queue, and puts back a few dead letters at a time until those are
 * through that were dead when it began. What it has done is one fact in storage, written with the letters that it moved, so
 * that it goes on where it was after a crash. It leaves alone what dies meanwhile, and makes no alarm of its own.
 */
import { allowed, paidAfter, worthwhileAt } from "../core/pace.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { RedriveOrder, RedriveProgress } from "../protocol/rpc.ts";
import type { Group } from "./delivery/group.ts";
import { chosenCount, chosenOffsets } from "./delivery/letter-choice.ts";
import { offsetsOf, putBack } from "./operating.ts";
import type { QueueStore } from "./store.ts";

/** One redrive, as it is kept. */
interface Run {
  readonly state: "running" | "done" | "stopped";
  /** Of the group over all queues, as it was asked for. */
  readonly ratePerSecond: number;
  /** Of this queue. */
  readonly ownRate: number;
  readonly startedAt: number;
  readonly redriven: number;
  /** The rate's account, as core/pace.ts has it. */
  readonly paidUntil: number;
  /** The delivery state and the offset of the last letter that was looked at. */
  readonly at: readonly [number, number];
  /** Only these letters; they stand in a fact of their own, which is written once, and goes when the run is done. */
  readonly isNamed: boolean;
}

const RUNS = "redrives";
const idsFact = (group: number): string => `redrive:${group}`;
const NONE: RedriveProgress = { state: "none", redriven: 0, remaining: 0 };

/** Which letters a run, or one that is being thought of, puts back. */
interface Choice {
  readonly deadBy: number;
  readonly ids?: readonly string[] | undefined;
}

export class Redrives {
  readonly #store: () => QueueStore;
  /** By the group's own number. */
  #runs = new Map<number, Run>();
  /** Offsets of named letters of one delivery state, as they were looked up; by the group's own number. */
  readonly #named = new Map<number, { readonly state: number; readonly offsets: number[] }>();

  constructor(store: () => QueueStore) {
    this.#store = store;
    this.wake();
  }

  /** The storage is another one, or was read anew. */
  wake(): void {
    this.#named.clear();
    const kept = this.#store().facts.get(RUNS) ?? "[]";
    this.#runs = new Map(JSON.parse(kept) as [number, Run][]);
  }

  /** When some letters may be put back; undefined when none ever is. */
  nextDueAt(): number | undefined {
    let next = Infinity;
    for (const { state, ownRate, paidUntil } of this.#runs.values())
      if (state === "running") next = Math.min(next, worthwhileAt(ownRate, paidUntil));
    return next === Infinity ? undefined : next;
  }

  /** Puts back what the rates allow by now. */
  advance(nowMs: number): void {
    for (const [number, run] of this.#runs) {
      if (run.state !== "running" || worthwhileAt(run.ownRate, run.paidUntil) > nowMs) continue;
      const groups = this.#groups(number);
      // The group is gone: so are its dead letters.
      if (groups === undefined) this.#runs.delete(number);
      else this.#runs.set(number, this.#step(number, run, groups, nowMs));
      if (this.#runs.get(number)?.state !== "running") this.#forgetNamed(number);
      this.#save();
    }
  }

  #step(number: number, run: Run, groups: readonly Group[], nowMs: number): Run {
    const { ownRate, paidUntil } = run;
    const most = Math.min(allowed(ownRate, paidUntil, nowMs), LIMITS.redriveMax);
    let left = most;
    let { at } = run;
    let isThrough = true;
    for (const group of groups) {
      if (group.number < at[0]) continue;
      const after = group.number === at[0] ? at[1] : -1;
      const offsets = this.#offsets(run, { number, state: group.number, after }, left + 1);
      const taken = offsets.slice(0, left);
      putBack(this.#store(), group, taken, nowMs);
      left -= taken.length;
      at = [group.number, taken.at(-1) ?? after];
      isThrough = taken.length === offsets.length;
      if (!isThrough) break;
    }
    const count = most - left;
    return {
      ...run,
      at,
      redriven: run.redriven + count,
      paidUntil: count === 0 ? paidUntil : paidAfter(ownRate, paidUntil, count, nowMs),
      state: isThrough ? "done" : "running",
    };
  }

  /** What an operator says or asks, for the group and all its consumers. */
  order(number: number, order: RedriveOrder, nowMs: number): RedriveProgress {
    const run = this.#runs.get(number);
    switch (order.verb) {
      case "count":
        return {
          ...NONE,
          remaining: this.#count(number, [-1, -1], { ids: order.ids, deadBy: nowMs }),
        };
      case "start":
        this.#start(number, order, nowMs);
        break;
      case "stop":
        if (run?.state !== "running") break;
        this.#runs.set(number, { ...run, state: "stopped" });
        this.#save();
        break;
      case "read":
        break;
      default:
        order satisfies never;
    }
    return this.#progress(number);
  }

  /** It takes the place of one that runs. */
  #start(
    number: number,
    { ids, ratePerSecond, share, delayMs }: Extract<RedriveOrder, { verb: "start" }>,
    nowMs: number,
  ): void {
    this.#forgetNamed(number);
    if (ids !== undefined && share > 0)
      this.#store().facts.set(idsFact(number), JSON.stringify(ids));
    this.#runs.set(number, {
      state: share > 0 ? "running" : "done",
      ratePerSecond,
      ownRate: ratePerSecond * share,
      startedAt: nowMs,
      redriven: 0,
      paidUntil: nowMs + delayMs,
      at: [-1, -1],
      isNamed: ids !== undefined,
    });
    this.#save();
    this.advance(nowMs);
  }

  #progress(number: number): RedriveProgress {
    const run = this.#runs.get(number);
    if (run === undefined) return NONE;
    const { state, ratePerSecond, startedAt, redriven, at } = run;
    const choice = { deadBy: startedAt, ids: run.isNamed ? this.#idsOf(number) : undefined };
    const remaining = state === "done" ? 0 : this.#count(number, at, choice);
    return { state, ratePerSecond, startedAt, redriven, remaining };
  }

  #forgetNamed(number: number): void {
    this.#named.delete(number);
    this.#store().facts.remove(idsFact(number));
  }

  #save(): void {
    this.#store().facts.set(RUNS, JSON.stringify([...this.#runs]));
  }

  // ------------------------------------------------------------ which letters

  /** The delivery states of a group that is there, in the order in which they are gone through. */
  #groups(number: number): readonly Group[] | undefined {
    const { groups } = this.#store();
    for (const route of groups.routes())
      if (route.number === number)
        return groups.of(route.name).toSorted((one, other) => one.number - other.number);
    return undefined;
  }

  #idsOf(number: number): readonly string[] {
    return JSON.parse(this.#store().facts.get(idsFact(number)) ?? "[]") as string[];
  }

  #offsets(
    run: Run,
    { number, state, after }: { readonly number: number; readonly state: number; after: number },
    limit: number,
  ): number[] {
    const store = this.#store();
    if (!run.isNamed)
      return chosenOffsets(store.sql, state, { after, deadBy: run.startedAt }, limit);
    // Ids are looked up once for each delivery state: that may mean to read all its letters.
    let named = this.#named.get(number);
    if (named?.state !== state) {
      named = { state, offsets: offsetsOf(store, state, new Set(this.#idsOf(number))) };
      this.#named.set(number, named);
    }
    return named.offsets
      .filter((offset) => offset > after && store.deadLetters.has(state, offset))
      .slice(0, limit);
  }

  /** Behind `at`. */
  #count(number: number, [state, offset]: Run["at"], { deadBy, ids }: Choice): number {
    const store = this.#store();
    let count = 0;
    for (const group of this.#groups(number) ?? []) {
      if (group.number < state) continue;
      const after = group.number === state ? offset : -1;
      if (ids === undefined) count += chosenCount(store.sql, group.number, { after, deadBy });
      else for (const at of offsetsOf(store, group.number, new Set(ids))) if (at > after) count++;
    }
    return count;
  }
}
