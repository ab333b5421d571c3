/**
 * The client of a receive, which may go away while objects hold its wait, and the end of such a wait. It leases nothing.
 */
import type { Outcome } from "../protocol/errors.ts";
import type { ReceiveRequest } from "./broker.ts";
import type { Ground } from "./objects.ts";

export interface QueueAddress {
  readonly namespace: string;
  readonly topic: string;
  readonly queue: number;
}

export class Waiting {
  /** A wait of many queues was accepted: the group was there, and is not to be made any more. */
  hasBegun = false;
  /** Names the wait to the object that holds it, and a new one after its end; absent when nothing waits. */
  id: string | undefined;
  readonly #ground: Ground;
  readonly #signal: AbortSignal | undefined;

  constructor(ground: Ground, { waitMs, signal }: ReceiveRequest) {
    this.#ground = ground;
    this.#signal = signal;
    this.id = waitMs === 0 ? undefined : newId(ground);
  }

  get isOver(): boolean {
    return this.#signal?.aborted === true;
  }

  /** The answer of an object that holds the wait; it is told when the client goes away. */
  async held<T>(at: QueueAddress, answer: Promise<Outcome<T>>): Promise<Outcome<T>> {
    const signal = this.#signal;
    if (signal === undefined || this.id === undefined) return answer;
    const onAbort = (): void => this.end(at);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    return answer.finally(() => signal.removeEventListener("abort", onAbort));
  }

  /** Nobody needs the wait any more. A lost call lets it end by itself; what it leases then is released all the same. */
  end(at: QueueAddress): void {
    const { id } = this;
    if (id === undefined) return;
    // An object that was told of an end takes no wait of that name any more.
    this.id = newId(this.#ground);
    void this.#ground.objects.queue(at, (queue) => queue.cancelWait(id));
  }
}

function newId(ground: Ground): string {
  const part = (): string => Math.floor(ground.random() * 2 ** 48).toString(36);
  return part() + part();
}
