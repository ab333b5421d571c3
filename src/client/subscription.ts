/**
 * A running `subscribe`: receives while there is room, runs the handler with bounded concurrency, keeps every lease in hand,
 * acks what returned, gives back what threw. It never lets a handler's error end the loop, and rejects only through `done`.
 */
import { type Clock, pause } from "./clock.ts";
import { HalfmqError } from "./error.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import type { Message } from "./message.ts";

/** What a handler is given beside the message. */
export interface HandlerContext {
  /** Aborted when the lease is lost, or when `stop` runs out of patience: whatever the handler does now may be done by another too. */
  readonly signal: AbortSignal;
}

/** Returning acks the message, throwing gives it back; a handler may also settle it itself. */
export type MessageHandler<T> = (message: Message<T>, context: HandlerContext) => unknown;

/** How a subscription ends. */
export interface StopOptions {
  /**
   * How long handlers may still run. Raising it lets slow ones finish; a process manager may kill you first.
   * Then their signals are aborted, and what was not begun is given back. 0 waits for nothing. Default 30,000 ms.
   */
  readonly deadlineMs?: number;
}

/** How a subscription ended. */
export interface Stopped {
  /** Handlers that still ran at the deadline. */
  readonly unfinished: number;
}

/** Where a subscription's messages come from. */
interface Source<T> {
  /** At least one message; undefined when no more will come. Rejects for what is not passing. */
  next(maxMessages: number): Promise<Message<T>[] | undefined>;
  /** What may still be on its way. Never rejects. */
  last(): Promise<Message<T>[]>;
  /** Everything is settled. */
  close?(): void;
}

/** What is known once the group was asked for its settings. */
export interface Begun<T> {
  readonly feed: Source<T>;
  readonly keeper: LeaseKeeper;
  /** The most in hand, running and waiting. */
  readonly room: number;
  /** The most to ask for at once. */
  readonly batch: number;
  /** Nothing is asked for while there is room for fewer. */
  readonly least: number;
  /** Sends what the source itself holds back of what was settled, and waits for the answers. */
  readonly flush?: () => Promise<void>;
}

export interface SubscriptionParts<T> {
  readonly clock: Clock;
  readonly begin: () => Promise<Begun<T>>;
  readonly handler: MessageHandler<T>;
  readonly concurrency: number;
  /** Ends the feed. */
  readonly stopFeed: () => void;
  /** Sends what is settled and waits for the answers. */
  readonly flush: () => Promise<void>;
  readonly onError: (error: unknown, message?: Message<T>) => void;
}

const STOP_DEADLINE_MS = 30_000;
/** Three bytes a character at most: within the 1,024 bytes that the broker takes. */
const REASON_CHARS_MAX = 300;

/** How a message is given back that nobody began to handle: at once. */
export const NOT_BEGUN = { delayMs: 0, reason: "the consumer stopped before it began" } as const;

interface InHand<T> {
  readonly message: Message<T>;
  readonly controller: AbortController;
  letGo: () => void;
}

export class Subscription<T = unknown> {
  /** Fulfilled when the subscription has ended by `stop`; rejected when the broker refuses it for good (401, 403, 404…). */
  readonly done: Promise<void>;
  readonly #parts: SubscriptionParts<T>;
  readonly #waiting: InHand<T>[] = [];
  readonly #running = new Set<InHand<T>>();
  readonly #wakers = new Set<() => void>();
  #begun: Begun<T> | undefined;
  #stopping: Promise<Stopped> | undefined;
  /** Whether nothing more will be received. */
  #received = false;
  /** Whether nothing more shall be begun. */
  #ended = false;

  constructor(parts: SubscriptionParts<T>) {
    this.#parts = parts;
    this.done = this.#run();
    // Who does not look at `done` hears through onError; the process must not die of it.
    this.done.catch(() => {});
  }

  /** Receives no more, lets the handlers finish, flushes the acks. Never rejects; a second call joins the first. */
  stop(options: StopOptions = {}): Promise<Stopped> {
    return (this.#stopping ??= this.#stop(options.deadlineMs ?? STOP_DEADLINE_MS));
  }

  async #run(): Promise<void> {
    try {
      await this.#receive();
    } catch (error) {
      // Told to stop before it had begun: that is no fault.
      if (this.#stopping === undefined) {
        this.#parts.onError(error);
        throw error;
      }
    } finally {
      this.#received = true;
      this.#wake();
      // Joins the stop that ended the loop, or is the one that cleans up after it.
      await this.stop();
    }
  }

  async #receive(): Promise<void> {
    this.#begun = await this.#parts.begin();
    const { feed, keeper, room, batch, least } = this.#begun;
    const take = (messages: readonly Message<T>[]): void => this.#take(messages, keeper);
    for (;;) {
      await this.#until(() => room - this.#inHand >= least || this.#stopping !== undefined);
      if (this.#stopping !== undefined) break;
      const messages = await feed.next(Math.min(batch, room - this.#inHand));
      if (messages === undefined) break;
      take(messages);
    }
    take(await feed.last());
  }

  get #inHand(): number {
    return this.#waiting.length + this.#running.size;
  }

  #take(messages: readonly Message<T>[], keeper: LeaseKeeper): void {
    for (const message of messages) {
      const inHand: InHand<T> = { message, controller: new AbortController(), letGo: () => {} };
      inHand.letGo = keeper.hold(message, (error) => this.#lost(inHand, error));
      this.#waiting.push(inHand);
    }
    if (this.#ended) this.#giveBack();
    else this.#pump();
  }

  #pump(): void {
    while (!this.#ended && this.#running.size < this.#parts.concurrency) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#running.add(next);
      void this.#handle(next);
    }
    this.#wake();
  }

  /** Never rejects. */
  async #handle(inHand: InHand<T>): Promise<void> {
    const { message, controller } = inHand;
    try {
      await this.#parts.handler(message, { signal: controller.signal });
      if (!message.settled) void message.ack();
    } catch (error) {
      this.#parts.onError(error, message);
      if (!message.settled && !isLost(controller)) {
        void message.nack({ reason: reasonText(error) });
      }
    }
    inHand.letGo();
    this.#running.delete(inHand);
    this.#pump();
  }

  /** The lease is another's: what waits is dropped, what runs is told. */
  #lost(inHand: InHand<T>, error: HalfmqError): void {
    this.#parts.onError(error, inHand.message);
    inHand.controller.abort(error);
    const index = this.#waiting.indexOf(inHand);
    if (index < 0) return;
    this.#waiting.splice(index, 1);
    this.#wake();
  }

  async #stop(deadlineMs: number): Promise<Stopped> {
    const { clock, stopFeed, flush } = this.#parts;
    stopFeed();
    this.#wake();
    const finished = this.#until(() => this.#received && this.#inHand === 0);
    const patience = new AbortController();
    const late = pause(clock, deadlineMs, patience.signal).catch(() => {});
    await Promise.race([finished, late]);
    patience.abort();
    this.#ended = true;
    const unfinished = this.#running.size;
    const reason = new HalfmqError({ code: "stopped", detail: "the consumer stops" });
    for (const { controller } of this.#running) controller.abort(reason);
    this.#giveBack();
    await this.#begun?.flush?.();
    await flush();
    this.#begun?.feed.close?.();
    return { unfinished };
  }

  /** What was not begun goes back; what still runs is not kept any longer. */
  #giveBack(): void {
    for (const { message } of this.#waiting.splice(0)) void message.nack(NOT_BEGUN);
    this.#begun?.keeper.stop();
  }

  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#wakers.delete(look);
        resolve();
      };
      this.#wakers.add(look);
      look();
    });
  }

  #wake(): void {
    for (const look of this.#wakers) look();
  }
}

function isLost(controller: AbortController): boolean {
  const reason: unknown = controller.signal.reason;
  return reason instanceof HalfmqError && reason.code !== "stopped";
}

function reasonText(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.slice(0, REASON_CHARS_MAX).toWellFormed();
}
