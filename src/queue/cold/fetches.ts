/**
 * Brings blocks of the message log from the bucket into memory: for whoever waits for one, and ahead of whoever reads on. One
 * call at a time for a block, few in all. It keeps nothing that must survive, and decides nothing: what waits looks again.
 */
import type { BodyStore } from "../../bodies/bucket.ts";
import type { BodyFault } from "../../core/record.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import { accept, type Outcome } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { QueueStore } from "../store.ts";
import type { BlockMemory } from "./block-memory.ts";
import type { Block } from "./block.ts";

/** Blocks that arrive between two flushes must find room beside each other (bounds.ts). */
const CALLS_MAX = 4;
/** A bucket that was out of reach, or a block that was missing, is asked for again after this, and then after twice as long. */
const AWAY_FIRST_MS = 1_000;
const AWAY_MAX_MS = 30_000;

export interface FetchesPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: () => QueueStore;
  /** Absent: there is no bucket, and it counts as out of reach. */
  readonly bucket: Pick<BodyStore, "get"> | undefined;
  /** Of all queues of the process. */
  readonly blockMemory: BlockMemory;
  run(command: (nowMs: number) => Outcome<undefined>): Promise<unknown>;
}

/** When the queues of the process have asked for as much as they may, a call is looked at again after this. */
const TURN_MS = 50;

/** Something that was asked for in vain: how often, and not to be asked for before. */
interface Vain {
  readonly times: number;
  readonly until: number;
}

const again = (before: Vain | undefined, nowMs: number): Vain => {
  const times = (before?.times ?? 0) + 1;
  return { times, until: nowMs + Math.min(AWAY_MAX_MS, AWAY_FIRST_MS * 2 ** (times - 1)) };
};

interface Fetch {
  readonly block: Block;
  isUnderWay: boolean;
  readonly waiting: ((isSettled: boolean) => void)[];
}

export class Fetches {
  readonly #ports: FetchesPorts;
  /** By the block's first position, in the order in which they were asked for. */
  readonly #fetches = new Map<number, Fetch>();
  #underWay = 0;
  #waiting = 0;
  #isComing = false;
  #away: Vain | undefined;
  /** Blocks that the right bucket says it has not, which is not believed yet; by their first positions. */
  readonly #doubted = new Map<number, Vain>();

  constructor(ports: FetchesPorts) {
    this.#ports = ports;
  }

  /**
   * Fulfilled when it is worth while to look at the block again; what is asked then still finds it at hand. False: the bucket is
   * out of reach, the block is missing for now, or too many wait.
   */
  arrival(block: Block): Promise<boolean> {
    if (this.#ports.store().messages.cold.isSettled(block)) return Promise.resolve(true);
    const isVain = this.#isAway || this.#isDoubted(block) || this.#waiting >= LIMITS.waitersMax;
    if (isVain) return Promise.resolve(false);
    const fetch = this.#fetchOf(block);
    return new Promise((resolve) => {
      this.#waiting++;
      fetch.waiting.push((isSettled) => {
        this.#waiting--;
        resolve(isSettled);
      });
      this.#start();
    });
  }

  /** Behind a flush: what its readers come to next. */
  readAhead(): void {
    for (const block of this.#ports.store().messages.takeAhead()) {
      if (this.#isAway || this.#fetches.size >= CALLS_MAX) return;
      if (!this.#isDoubted(block)) this.#fetchOf(block);
    }
    this.#start();
  }

  get #isAway(): boolean {
    const { bucket, clock } = this.#ports;
    return bucket === undefined || clock.nowMs() < (this.#away?.until ?? 0);
  }

  #isDoubted({ first }: Block): boolean {
    return this.#ports.clock.nowMs() < (this.#doubted.get(first)?.until ?? 0);
  }

  #fetchOf(block: Block): Fetch {
    const known = this.#fetches.get(block.first);
    if (known !== undefined) return known;
    const fetch: Fetch = { block, isUnderWay: false, waiting: [] };
    this.#fetches.set(block.first, fetch);
    return fetch;
  }

  #start(): void {
    for (const fetch of this.#fetches.values()) {
      if (this.#underWay >= CALLS_MAX) return;
      if (fetch.isUnderWay) continue;
      const { blockMemory, clock } = this.#ports;
      if (!blockMemory.ask(fetch, fetch.block.ref.bytes, clock.nowMs())) {
        this.#comeAgain();
        return;
      }
      fetch.isUnderWay = true;
      this.#underWay++;
      void this.#get(fetch).then((found) => this.#answered(fetch, found));
    }
  }

  #comeAgain(): void {
    if (this.#isComing) return;
    this.#isComing = true;
    this.#ports.clock.after(TURN_MS, () => {
      this.#isComing = false;
      this.#start();
    });
  }

  async #get({ block: { ref } }: Fetch): Promise<Uint8Array | BodyFault> {
    const { bucket } = this.#ports;
    const found = await bucket?.get(ref).catch(() => "body_unavailable" as const);
    // What is gone for good must say so twice.
    const isFault = found === "body_missing" || found === "body_damaged";
    const second = isFault
      ? await bucket?.get(ref).catch(() => "body_unavailable" as const)
      : found;
    return second ?? "body_unavailable";
  }

  async #answered(fetch: Fetch, found: Uint8Array | BodyFault): Promise<void> {
    this.#ports.blockMemory.arrived(fetch);
    if (found === "body_unavailable") this.#failed();
    else {
      this.#away = undefined;
      const taken = this.#ports.run((nowMs) => this.#take(fetch.block, found, nowMs));
      // Those who wait come right behind it in the same flush, so that it is at hand for them.
      if (found !== "body_missing") this.#tell(fetch, true);
      await taken;
    }
    this.#fetches.delete(fetch.block.first);
    this.#underWay--;
    this.#tell(fetch, found !== "body_unavailable" && !this.#isDoubted(fetch.block));
    if (this.#isAway) for (const [first, other] of this.#fetches) this.#giveUp(first, other);
    this.#start();
  }

  /** Calls that were under way together fail together, and count once. */
  #failed(): void {
    const nowMs = this.#ports.clock.nowMs();
    if (!this.#isAway) this.#away = again(this.#away, nowMs);
    this.#ports.store().messages.cold.unreachableAt ??= nowMs;
  }

  #tell({ waiting }: Fetch, isSettled: boolean): void {
    for (const tell of waiting.splice(0)) tell(isSettled);
  }

  #giveUp(first: number, fetch: Fetch): void {
    if (fetch.isUnderWay) return;
    this.#fetches.delete(first);
    this.#tell(fetch, false);
  }

  /** Inside a flush. */
  #take(
    block: Block,
    found: Uint8Array | Exclude<BodyFault, "body_unavailable">,
    nowMs: number,
  ): Outcome<undefined> {
    const store = this.#ports.store();
    const { cold } = store.messages;
    const { first, end } = block;
    const what = { topic: store.route.topic, queue: store.queue, first, count: end - first };
    const arrival = cold.arrived(block, found);
    if (arrival === "doubted") {
      if (!this.#doubted.has(first)) this.#ports.log.error("segments.missing", what);
      this.#doubted.set(first, again(this.#doubted.get(first), nowMs));
      cold.unreachableAt ??= nowMs;
      return accept(undefined);
    }
    this.#doubted.delete(first);
    if (this.#doubted.size === 0) cold.unreachableAt = undefined;
    const reason = found instanceof Uint8Array ? "body_damaged" : found;
    if (arrival === "lost") this.#ports.log.error("segments.lost", { ...what, reason });
    return accept(undefined);
  }
}
