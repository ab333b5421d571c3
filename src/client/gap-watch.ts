/**
 * Watches over a consumer's topic: while it is consumed, has the audit asked from time to time and tells of what it cannot account
 * for, once for each. It asks one request at a time and never holds up a message.
 */
import type { Clock } from "./clock.ts";
import type { TopicAudit } from "./topics.ts";

/** Messages that are not accounted for. */
export type Gap =
  /** Offsets of a queue that its log does not hold. */
  | { readonly is: "hole"; readonly queue: number; readonly offset: number; readonly count: number }
  /** Messages that the group is done with, and nobody knows why. */
  | { readonly is: "unaccounted"; readonly group: string; readonly count: number };

const AUDIT_MS = 60_000;
/** When no message comes, it is not asked more often, however often it may be. */
const QUIET_MS_MIN = 1_000;

export interface GapWatchParts {
  readonly group: string;
  readonly clock: Clock;
  readonly audit: () => Promise<TopicAudit>;
  readonly onGap?: ((gap: Gap) => void) | undefined;
  readonly auditMs?: number | undefined;
  /** Hears of audits that could not be had. */
  readonly onError: (error: unknown) => void;
}

export class GapWatch {
  readonly #parts: GapWatchParts;
  readonly #told = new Set<string>();
  #askedAt: number | undefined;
  #isAsking = false;

  constructor(parts: GapWatchParts) {
    this.#parts = parts;
  }

  /** Consuming begins; the answer ends it. A hole may be what keeps messages from coming, so that time counts, too. */
  begin(): () => void {
    const { onGap, clock, auditMs = AUDIT_MS } = this.#parts;
    if (onGap === undefined) return () => {};
    let cancel: () => void;
    const look = (): void => {
      this.saw();
      cancel = clock.after(Math.max(auditMs, QUIET_MS_MIN), look);
    };
    look();
    return () => cancel();
  }

  /** A message came, or nothing did for a while. */
  saw(): void {
    const { onGap, clock, auditMs = AUDIT_MS } = this.#parts;
    if (onGap === undefined || this.#isAsking) return;
    const nowMs = clock.now();
    // What came just now is counted by the next one: the first is due after a while, too.
    this.#askedAt ??= nowMs;
    if (nowMs - this.#askedAt < auditMs) return;
    this.#askedAt = nowMs;
    this.#isAsking = true;
    void this.#ask(onGap).finally(() => (this.#isAsking = false));
  }

  /** Never rejects. */
  async #ask(onGap: (gap: Gap) => void): Promise<void> {
    try {
      const audit = await this.#parts.audit();
      for (const gap of gapsOf(audit, this.#parts.group)) {
        const name = JSON.stringify(gap);
        if (this.#told.has(name)) continue;
        this.#told.add(name);
        onGap(gap);
      }
    } catch (error) {
      this.#parts.onError(error);
    }
  }
}

function* gapsOf({ queues = [], groups = [] }: TopicAudit, group: string): Iterable<Gap> {
  for (const { queue, holes } of queues)
    for (const { offset, count } of holes) yield { is: "hole", queue, offset, count };
  for (const each of groups)
    if (each.group === group && each.unaccounted !== 0)
      yield { is: "unaccounted", group, count: each.unaccounted };
}
