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
import type { Block } from "./block.ts";

/** Blocks that arrive between two flushes must find room beside each other (bounds.ts). */
const CALLS_MAX = 4;
/** A bucket that was out of reach is tried again after this. */
const AWAY_MS = 1_000;

export interface FetchesPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: () => QueueStore;
  /** Absent: there is no bucket, and it counts as out of reach. */
  readonly bucket: Pick<BodyStore, "get"> | undefined;
  run(command: (nowMs: number) => Outcome<undefined>): Promise<unknown>;
}

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
  #awayUntil = 0;

  constructor(ports: FetchesPorts) {
    this.#ports = ports;
  }

  /**
   * Fulfilled when it is worth while to look at the block again; what is asked then still finds it at hand. False: the bucket is
   * out of reach, or too many wait.
   */
  arrival(block: Block): Promise<boolean> {
    if (this.#ports.store().messages.cold.isSettled(block)) return Promise.resolve(true);
    if (this.#isAway || this.#waiting >= LIMITS.waitersMax) return Promise.resolve(false);
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
      this.#fetchOf(block);
    }
    this.#start();
  }

  get #isAway(): boolean {
    return this.#ports.bucket === undefined || this.#ports.clock.nowMs() < this.#awayUntil;
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
      fetch.isUnderWay = true;
      this.#underWay++;
      void this.#get(fetch).then((found) => this.#answered(fetch, found));
    }
  }

  async #get({ block: { ref } }: Fetch): Promise<Uint8Array | BodyFault> {
    const { bucket } = this.#ports;
    const found = await bucket?.get(ref).catch(() => "body_unavailable" as const);
    // What is gone for good must say so twice.
    const isFault = found === "body_missing" || found === "body_damaged";
    const again = isFault ? await bucket?.get(ref).catch(() => "body_unavailable" as const) : found;
    return again ?? "body_unavailable";
  }

  async #answered(fetch: Fetch, found: Uint8Array | BodyFault): Promise<void> {
    if (found === "body_unavailable") this.#awayUntil = this.#ports.clock.nowMs() + AWAY_MS;
    else {
      const taken = this.#ports.run(() => this.#take(fetch.block, found));
      // Those who wait come right behind it in the same flush, so that it is at hand for them.
      this.#tell(fetch, true);
      await taken;
    }
    this.#fetches.delete(fetch.block.first);
    this.#underWay--;
    this.#tell(fetch, found !== "body_unavailable");
    if (this.#isAway) for (const [first, other] of this.#fetches) this.#giveUp(first, other);
    this.#start();
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
  ): Outcome<undefined> {
    const store = this.#ports.store();
    if (store.messages.cold.arrived(block, found)) {
      const { topic } = store.route;
      const reason = found instanceof Uint8Array ? "body_damaged" : found;
      const { first, end } = block;
      const what = { topic, queue: store.queue, first, count: end - first, reason };
      this.#ports.log.error("segments.lost", what);
    }
    return accept(undefined);
  }
}
