/**
 * Producers that poll: hands out what lies in the mailbox, each check once, or waits for it. Content comes from the
 * queue at hand-out, so that a decided transaction is never handed out. It never begins, counts or ends a check.
 */
import { largeBytesIn } from "../bodies/large-bodies.ts";
import { accept, ERRORS, type Outcome, type Refusal, refuse } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { CheckBegun } from "../protocol/rpc.ts";
import { parseTransactionId } from "../core/ids.ts";
import { type Mailbox, queueKey, type Ref } from "./mailbox.ts";
import type { Ports } from "./ports.ts";
import { within } from "../platform/clock.ts";

export interface PollQuery {
  readonly maxMessages: number;
  readonly waitMs: number;
  readonly bytesMax: number;
  /** Names this poll for `cancel`. */
  readonly waitId?: string;
}

/** Ends of polls that came before or after them; each is of use for milliseconds. */
const CANCELLED_MAX = 1_000;

/** A queue that has not answered by then is left out of this poll. */
const READ_MS_MAX = 5_000;
/** What a failing queue holds is tried again for a waiting poller after this. */
const RETRY_MS = 1_000;
/** One transaction may hold 8 MiB and one call carries 32: reading begins small and grows with what it finds. */
const READS_FIRST = 2;
const READS_MAX = 64;

export const isRetryable = ({ code }: Refusal): boolean =>
  code !== "stale_route" && ERRORS[code].retryable;

/** What one poll has gathered so far. */
interface Basket {
  readonly namespace: string;
  readonly query: PollQuery;
  readonly checks: CheckBegun[];
  readonly spent: Ref[];
  readonly failing: Set<string>;
  bytes: number;
  full: boolean;
}

export class Pollers {
  readonly #mailbox: Mailbox;
  readonly #ports: Ports;
  readonly #waiters = new Set<() => void>();
  readonly #named = new Map<string, () => void>();
  /** Polls whose client is gone. */
  readonly #cancelled = new Set<string>();
  /** Counts the calls that wake: what comes while a poll looks elsewhere must not be slept over. */
  #wakes = 0;

  constructor(mailbox: Mailbox, ports: Ports) {
    this.#mailbox = mailbox;
    this.#ports = ports;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  async poll(namespace: string, query: PollQuery): Promise<Outcome<{ checks: CheckBegun[] }>> {
    const { clock } = this.#ports;
    const until = clock.nowMs() + query.waitMs;
    for (;;) {
      const wakes = this.#wakes;
      if (this.#isCancelled(query)) return accept({ checks: [] });
      const checks = await this.#gather(namespace, query);
      const leftMs = until - clock.nowMs();
      if (checks.length > 0 || leftMs <= 0) return accept({ checks });
      if (this.#wakes !== wakes) continue;
      if (this.#waiters.size >= LIMITS.waitersMax) {
        const facts = { limit: LIMITS.waitersMax, actual: this.#waiters.size + 1 };
        return refuse("too_many_waiters", "Too many polls of this producer group wait.", facts);
      }
      await this.#arrival(leftMs, query.waitId);
    }
  }

  /** The client is gone: its poll takes nothing out any more, so that the next one gets what comes. */
  cancel(waitId: string): void {
    this.#cancelled.add(waitId);
    for (const oldest of this.#cancelled) {
      if (this.#cancelled.size <= CANCELLED_MAX) break;
      this.#cancelled.delete(oldest);
    }
    this.#named.get(waitId)?.();
  }

  #isCancelled({ waitId }: PollQuery): boolean {
    return waitId !== undefined && this.#cancelled.has(waitId);
  }

  /** Checks were laid: as many waiters look again, longest waiting first. */
  wake(count: number): void {
    this.#wakes++;
    let left = count;
    for (const waiter of this.#waiters) {
      if (left-- <= 0) return;
      waiter();
    }
  }

  #arrival(waitMs: number, waitId: string | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiters.delete(done);
        if (waitId !== undefined) this.#named.delete(waitId);
        cancel();
        resolve();
      };
      const cancel = this.#ports.clock.after(waitMs, done);
      this.#waiters.add(done);
      if (waitId !== undefined) this.#named.set(waitId, done);
    });
  }

  async #gather(namespace: string, query: PollQuery): Promise<CheckBegun[]> {
    const basket: Basket = {
      namespace,
      query,
      checks: [],
      spent: [],
      failing: new Set(),
      bytes: 0,
      full: false,
    };
    let reads = READS_FIRST;
    while (!basket.full && basket.checks.length < query.maxMessages) {
      const room = query.maxMessages - basket.checks.length;
      const claim = this.#mailbox.claim(Math.min(reads, room), basket.failing);
      if (claim.length === 0) break;
      await this.#read(basket, claim);
      const each = Math.max(1, basket.bytes / Math.max(1, basket.checks.length));
      const fitting = Math.floor((query.bytesMax - basket.bytes) / each);
      reads = Math.max(1, Math.min(reads * 4, READS_MAX, fitting));
    }
    if (this.#isCancelled(query)) {
      this.#mailbox.release(basket.spent);
      this.wake(basket.checks.length);
      return [];
    }
    // Not before here: dying on the way leaves them in the mailbox, and their rows are written once.
    this.#mailbox.spend(basket.spent);
    if (basket.full) this.wake(1);
    if (basket.failing.size > 0) this.#ports.clock.after(RETRY_MS, () => this.wake(1));
    return basket.checks;
  }

  /** Reads one claim, all of one queue. */
  async #read(basket: Basket, claim: readonly Ref[]): Promise<void> {
    const outcome = await this.#readChecks(basket.namespace, claim);
    if (outcome === undefined || (!outcome.ok && isRetryable(outcome))) {
      this.#mailbox.release(claim);
      for (const ref of claim) basket.failing.add(queueKey(ref));
      return;
    }
    const found = new Map<number, CheckBegun>();
    for (const check of outcome.ok ? outcome.value : []) {
      found.set(parseTransactionId(check.transactionId)?.position ?? -1, check);
    }
    for (const ref of claim) {
      const check = found.get(ref.position);
      // Decided, or another attempt is the newest by now.
      if (check === undefined || check.attempt !== ref.attempt) basket.spent.push(ref);
      else if (!put(basket, ref, check)) this.#mailbox.release([ref]);
    }
  }

  async #readChecks(
    namespace: string,
    claim: readonly Ref[],
  ): Promise<Outcome<readonly CheckBegun[]> | undefined> {
    const [first] = claim;
    if (first === undefined) return undefined;
    const { topic, incarnation, queue } = first;
    const { clock, log } = this.#ports;
    try {
      const positions = claim.map(({ position }) => position);
      const call = this.#ports.queue(namespace, topic, queue).readChecks(incarnation, positions);
      return await within(clock, READ_MS_MAX, call);
    } catch {
      log.error("check.read_failed", { namespace, topic, queue });
      return undefined;
    }
  }
}

/** False when the answer is full without this one. The first always fits. */
function put(basket: Basket, ref: Ref, check: CheckBegun): boolean {
  const bytes = check.entries.length + largeBytesIn(check.entries);
  if (basket.checks.length > 0 && basket.bytes + bytes > basket.query.bytesMax) basket.full = true;
  if (basket.full) return false;
  basket.checks.push(check);
  basket.spent.push(ref);
  basket.bytes += bytes;
  return true;
}
