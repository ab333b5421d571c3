/**
 * All that a queue does with its bucket: deletes what is doomed there, moves old segments to it, and brings them back for
 * whoever reads them. The calls follow a flush and come back as commands [Q3]; without a bucket there are none.
 */
import { COLD_UNAVAILABLE, type BodyStore } from "../bodies/bucket.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Outcome } from "../protocol/errors.ts";
import { Bin } from "./bodies/bin.ts";
import { areBodiesGone } from "./bodies/keeping.ts";
import type { BlockMemory } from "./cold/block-memory.ts";
import type { Block } from "./cold/block.ts";
import { Fetches } from "./cold/fetches.ts";
import { Mover } from "./cold/mover.ts";
import type { QueueStore } from "./store.ts";

/** Each finds the block of the round before at hand; more than two are needed only while retention drops what was asked for. */
const ROUNDS_MAX = 8;

export interface BucketWorkPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: () => QueueStore;
  readonly bucket: BodyStore | undefined;
  /** Of all queues of the process. */
  readonly blockMemory: BlockMemory;
  run(command: (nowMs: number) => Outcome<undefined>): Promise<unknown>;
  /** Less of a deleted topic is left in the bucket. */
  emptied(nowMs: number): void;
}

export class BucketWork {
  readonly #ports: BucketWorkPorts;
  readonly #bin: Bin;
  readonly #mover: Mover;
  readonly #fetches: Fetches;

  constructor(ports: BucketWorkPorts) {
    this.#ports = ports;
    this.#bin = new Bin({ ...ports, bodies: () => ports.store().bodies });
    this.#mover = new Mover(ports);
    this.#fetches = new Fetches(ports);
  }

  nextDueAt(nowMs: number): number {
    return Math.min(
      this.#bin.nextDueAt(nowMs) ?? Infinity,
      this.#mover.nextDueAt(nowMs) ?? Infinity,
    );
  }

  /** Inside a flush, once its rows are written: what is done behind it. */
  pick(nowMs: number): void {
    this.#bin.pick(nowMs);
    this.#mover.pick(nowMs);
  }

  /** Behind the flush. */
  send(): void {
    this.#bin.send();
    this.#mover.send();
    this.#fetches.readAhead();
  }

  /** The topic is deleted: is nothing of it in the bucket any more, nor on its way there? */
  isGone(nowMs: number): boolean {
    const { store, bucket, log } = this.#ports;
    return !this.#mover.isPutting && areBodiesGone(store(), bucket !== undefined, log, nowMs);
  }

  /** Fulfilled when what is in the block may be looked at again; false: the bucket is out of reach. */
  arrival(block: Block): Promise<boolean> {
    return this.#fetches.arrival(block);
  }

  /** Runs a command that only looks, and again as long as it misses what is not at hand. */
  async look<T>(
    run: (look: (nowMs: number) => Outcome<T>) => Promise<Outcome<T>>,
    look: (nowMs: number) => Outcome<T>,
  ): Promise<Outcome<T>> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      let missed: Block | undefined;
      const outcome = await run((nowMs) => {
        const { messages } = this.#ports.store();
        messages.missed = undefined;
        const found = look(nowMs);
        ({ missed } = messages);
        return found;
      });
      if (missed === undefined) return outcome;
      if (!(await this.arrival(missed))) break;
    }
    return COLD_UNAVAILABLE;
  }
}
