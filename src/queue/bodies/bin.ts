/**
 * Has the bucket delete what is doomed: one call at a time, a bounded number of objects in each, and again after a while
 * when it fails. The rows go only when the bucket has said yes, so that a crash on the way repeats the delete. It keeps
 * nothing that must survive.
 */
import type { BodyStore } from "../../bodies/bucket.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import { accept, type Outcome } from "../../protocol/errors.ts";
import type { Bodies } from "./bodies.ts";

/** Objects of one call; R2 takes a thousand. */
const CALL_MAX = 256;
/** A call that has not answered by then is made again; deleting twice does no harm. */
const CALL_MS = 30_000;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 10 * 60_000;

export interface BinPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly bodies: () => Bodies;
  /** Absent: nothing can be deleted. */
  readonly bucket: Pick<BodyStore, "delete"> | undefined;
  run(command: (nowMs: number) => Outcome<undefined>): Promise<unknown>;
  /** Some are gone. */
  emptied(nowMs: number): void;
}

export class Bin {
  readonly #ports: BinPorts;
  #picked: readonly Uint8Array[] = [];
  #retryAt = 0;
  #failures = 0;

  constructor(ports: BinPorts) {
    this.#ports = ports;
  }

  nextDueAt(nowMs: number): number | undefined {
    const { doomedAt } = this.#ports.bodies();
    if (doomedAt === Infinity || this.#ports.bucket === undefined) return undefined;
    if (this.#retryAt > nowMs) return Math.max(doomedAt, this.#retryAt);
    // What is due now is called for after this flush, and has its time from there.
    return doomedAt > nowMs ? doomedAt : nowMs + CALL_MS;
  }

  /** Inside a flush: what the next call deletes, if none is under way. */
  pick(nowMs: number): void {
    const isIdle = this.#ports.bucket !== undefined && this.#retryAt <= nowMs;
    this.#picked = isIdle ? this.#ports.bodies().overdue(nowMs, CALL_MAX) : [];
  }

  /** Behind the flush: makes that call. */
  send(): void {
    const { clock, bucket } = this.#ports;
    const keys = this.#picked;
    this.#picked = [];
    if (bucket === undefined || keys.length === 0) return;
    this.#retryAt = clock.nowMs() + CALL_MS;
    bucket.delete(keys).then(
      (gone) => this.#answered(keys, gone),
      () => this.#answered(keys, false),
    );
  }

  #answered(keys: readonly Uint8Array[], gone: boolean): void {
    void this.#ports.run((nowMs) => {
      if (gone) {
        this.#failures = 0;
        this.#retryAt = 0;
        this.#ports.bodies().deleted(keys);
        this.#ports.emptied(nowMs);
      } else {
        this.#retryAt = nowMs + Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#failures++);
        this.#ports.log.error("bodies.delete_failed", { count: keys.length });
      }
      return accept(undefined);
    });
  }
}
