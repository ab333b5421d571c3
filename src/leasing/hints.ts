/**
 * Which queues of a topic may have something for a group, as an object knows it that is told when one has. Pure. Each queue
 * is asked by one call at a time; a ring that comes while it is asked is not overheard, because the answer may be older. One that
 * could not answer is left alone for a while, and the others are not.
 */
type Hint = "rung" | "asking" | "askingAndRung";

export class Hints {
  #queues: number;
  /** Those that are not here are quiet. In the order in which they are asked. */
  readonly #hints = new Map<number, Hint>();
  /** Queues that are not to be asked before an instant. */
  readonly #rests = new Map<number, number>();

  constructor(queues: number) {
    this.#queues = queues;
  }

  /** A topic's queues only grow; new ones may have something. */
  grow(queues: number): void {
    for (let queue = this.#queues; queue < queues; queue++) this.ring(queue);
    this.#queues = Math.max(this.#queues, queues);
  }

  ring(queue: number): void {
    const hint = this.#hints.get(queue);
    if (hint === undefined) this.#hints.set(queue, "rung");
    else if (hint === "asking") this.#hints.set(queue, "askingAndRung");
  }

  /** Nothing is known: every queue may have something, and may answer. */
  ringAll(): void {
    this.#rests.clear();
    for (let queue = 0; queue < this.#queues; queue++) this.ring(queue);
  }

  /** The queue to ask next, which counts as being asked from now on; undefined when none is left. */
  next(nowMs: number): number | undefined {
    for (const [queue, hint] of this.#hints) {
      if (hint !== "rung" || this.#restsUntil(queue) > nowMs) continue;
      this.#rests.delete(queue);
      this.#hints.set(queue, "asking");
      return queue;
    }
    return undefined;
  }

  #restsUntil(queue: number): number {
    return this.#rests.get(queue) ?? 0;
  }

  /** It could not answer, and may have something: it is asked again then, and not before. */
  rest(queue: number, untilMs: number): void {
    this.ring(queue);
    this.#rests.set(queue, untilMs);
  }

  /** How long until the first of those that rest may be asked; undefined when none waits for that. */
  restMs(nowMs: number): number | undefined {
    const waiting = [...this.#rests].filter(([queue]) => this.#hints.get(queue) === "rung");
    const ends = waiting.map(([, untilMs]) => untilMs);
    return ends.length === 0 ? undefined : Math.max(0, Math.min(...ends) - nowMs);
  }

  /** The call to it has ended; with `more` it goes behind the others. */
  answered(queue: number, more: boolean): void {
    const hint = this.#hints.get(queue);
    this.#hints.delete(queue);
    if (more || hint === "askingAndRung") this.#hints.set(queue, "rung");
  }

  /** Nothing is to be asked, and nothing is being asked. */
  get isQuiet(): boolean {
    return this.#hints.size === 0;
  }
}
