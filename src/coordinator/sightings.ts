/** Who polled and who was asked, for people who wonder why nothing is decided. In memory only: an eviction forgets it. */

const POLLERS_MAX = 1_000;
const SILENT_MS_MAX = 24 * 60 * 60 * 1_000;

export interface Seen {
  lastPolledAt?: number;
  lastCalledAt?: number;
  lastOutcome?: string;
  pollers: { consumerId: string; lastSeenAt: number }[];
}

export class Sightings {
  #lastPolledAt: number | undefined;
  #lastCalledAt: number | undefined;
  #lastOutcome: string | undefined;
  /** Longest silent first. */
  readonly #pollers = new Map<string, number>();

  polled(nowMs: number, consumerId: string | undefined): void {
    this.#lastPolledAt = nowMs;
    if (consumerId === undefined) return;
    this.#pollers.delete(consumerId);
    this.#pollers.set(consumerId, nowMs);
    for (const [silent] of this.#pollers) {
      if (this.#pollers.size <= POLLERS_MAX) break;
      this.#pollers.delete(silent);
    }
  }

  called(nowMs: number): void {
    this.#lastCalledAt = nowMs;
  }

  answered(outcome: string): void {
    this.#lastOutcome = outcome;
  }

  seen(nowMs: number): Seen {
    return {
      ...(this.#lastPolledAt === undefined ? {} : { lastPolledAt: this.#lastPolledAt }),
      ...(this.#lastCalledAt === undefined ? {} : { lastCalledAt: this.#lastCalledAt }),
      ...(this.#lastOutcome === undefined ? {} : { lastOutcome: this.#lastOutcome }),
      pollers: [...this.#pollers]
        .filter(([, lastSeenAt]) => nowMs - lastSeenAt < SILENT_MS_MAX)
        .map(([consumerId, lastSeenAt]) => ({ consumerId, lastSeenAt })),
    };
  }
}
