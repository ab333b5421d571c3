/**
 * A consumer of one group: raw receives, an async iterator, and subscriptions with a handler. It makes the group on first use
 * when it is given settings for it. It never acks a message that nobody handled.
 */
import { DEFAULTS, LIMITS } from "../protocol/limits.ts";
import { expectArgument, expectArguments } from "./argument.ts";
import { pause, reasonOf } from "./clock.ts";
import { consumerLine } from "./consumer-line.ts";
import type {
  ConsumerOptions,
  LoopOptions,
  ReceiveOptions,
  SubscribeOptions,
} from "./consumer-options.ts";
import { HalfmqError, isHalfmqError, isRetryable } from "./error.ts";
import { Feed, type Poll } from "./feed.ts";
import { GapWatch } from "./gap-watch.ts";
import type { Http } from "./http.ts";
import { newId } from "./id.ts";
import { bodyTexts } from "./json-text.ts";
import { type KeeperPort, LeaseKeeper } from "./lease-keeper.ts";
import { Linger } from "./linger.ts";
import { type DeliveredData, Message, type MessagePort } from "./message.ts";
import { path } from "./path.ts";
import { expectOk, type NackOptions, type ReceiptResult, Receipts } from "./receipts.ts";
import { backoffMs } from "./retry.ts";
import type { Group } from "./settings.ts";
import { Topics } from "./topics.ts";
import {
  type Begun,
  type MessageHandler,
  NOT_BEGUN,
  type StopOptions,
  Subscription,
} from "./subscription.ts";

const ACK_LINGER_MS = 5;

/** How a loop works, once the group's settings are known. */
interface Manner {
  readonly invisibleMs: number;
  readonly ordered: boolean;
  readonly broadcast: boolean;
}

const NAMELESS = new HalfmqError({
  code: "invalid_request",
  detail: "a consumer of a broadcast group says who it is",
  status: 400,
  facts: { field: "consumerId" },
});

/** Made by `mq.consumer(topic, group)`. It holds nothing open until it is used. */
export class Consumer<T = unknown> {
  readonly topic: string;
  readonly group: string;
  /** Acks, nacks and extends receipts that were taken out of their messages. */
  readonly receipts: Receipts;
  readonly #http: Http;
  readonly #options: ConsumerOptions;
  readonly #base: string;
  readonly #acks: Linger<string, ReceiptResult>;
  readonly #port: MessagePort;
  readonly #settling = new Set<Promise<unknown>>();
  readonly #stopper = new AbortController();
  readonly #gaps: GapWatch;
  readonly #subscriptions = new Set<Subscription<T>>();
  #made: Promise<void> | undefined;

  constructor(http: Http, topic: string, group: string, options: ConsumerOptions = {}) {
    expectArgument("options", options, "object");
    this.topic = topic;
    this.group = group;
    this.receipts = new Receipts(http, topic, group);
    this.#http = http;
    this.#options = options;
    this.#base = path`/v1/topics/${topic}/groups/${group}`;
    const lingerMs = options.ackLingerMs ?? ACK_LINGER_MS;
    this.#acks = new Linger(http.clock, {
      lingerMs,
      weigh: () => 1 / LIMITS.requestReceiptsMax,
      send: async (receipts) => {
        const results = await this.receipts.ack(receipts);
        return results.map((value) => ({ status: "fulfilled", value }));
      },
    });
    this.#gaps = new GapWatch({
      group,
      clock: http.clock,
      audit: () => new Topics(http).audit(topic, { limit: 1 }),
      onGap: options.onGap,
      auditMs: options.auditMs,
      onError: (error) => this.#report(error),
    });
    this.#port = {
      ack: (message) => this.#settle(message, this.#acks.add(message.receipt)),
      nack: (message, how) => this.#settle(message, this.#nack(message, how)),
      extend: async (message, invisibleMs, how) => {
        const [result] = await this.receipts.extend([message.receipt], invisibleMs, how);
        const { receipt, invisibleUntil = message.invisibleUntil } = expectOk(result);
        return { receipt, invisibleUntil };
      },
    };
  }

  /**
   * One receive. Its messages' leases are yours to prolong. Rejects with `topic_not_found` where topics are not made by use, with
   * `forbidden`, and after its retries with what is retryable.
   */
  async receive(options: ReceiveOptions = {}): Promise<Message<T>[]> {
    expectArgument("options", options, "object");
    const { signal, waitMs = 0, attemptId = newId(), ...rest } = options;
    await this.#make();
    const { consumerId } = this.#options;
    const json = {
      ...rest,
      waitMs,
      attemptId,
      // An id of our own is new. The broker asks all queues for what a repeat holds, and need not for a first try.
      ...(options.attemptId === undefined ? { repeat: false } : {}),
      ...(consumerId === undefined ? {} : { consumerId }),
    };
    const { value, text } = await this.#http.answer<{ messages: DeliveredData<T>[] }>({
      method: "POST",
      path: `${this.#base}/receive`,
      json,
      jsonAgain: { ...json, repeat: true },
      waitMs,
      ...(signal === undefined ? {} : { signal }),
    });
    let texts: readonly (string | undefined)[] | undefined;
    return value.messages.map((data, index) => {
      const bodyText = (): string | undefined => (texts ??= bodyTexts(text, "messages"))[index];
      return new Message<T>(data, bodyText, this.#port);
    });
  }

  /** Endless, with the defaults of `messages()`: `for await (const message of consumer)`. */
  [Symbol.asyncIterator](): AsyncGenerator<Message<T>, void, undefined> {
    return this.messages();
  }

  /**
   * Messages one by one, for as long as you ask. Each one's lease is prolonged until you ask for the next; settle it before.
   * Leaving the loop gives back what was fetched and not shown. Passing trouble is waited out (`onError` hears); what is not
   * passing (`forbidden`, `topic_not_found`…) is thrown. `stop()` ends it.
   */
  async *messages(options: LoopOptions = {}): AsyncGenerator<Message<T>, void, undefined> {
    expectArgument("options", options, "object");
    const stopper = this.#childStopper();
    const manner = await this.#learned(options, stopper.signal);
    if (manner === undefined) return;
    const feed = this.#feed(options, manner, stopper.signal);
    const keeper = this.#keeper(manner);
    const room = manner.ordered ? 1 : (options.maxMessages ?? DEFAULTS.maxMessages);
    const endWatch = this.#gaps.begin();
    const waiting: { readonly message: Message<T>; readonly letGo: () => void }[] = [];
    const take = (batch: readonly Message<T>[]): void => {
      for (const message of batch) {
        const lost = (error: HalfmqError): void => {
          this.#report(error, message);
          const index = waiting.findIndex((each) => each.message === message);
          if (index >= 0) waiting.splice(index, 1);
        };
        waiting.push({ message, letGo: keeper.hold(message, lost) });
      }
    };
    try {
      for (;;) {
        const batch = await feed.next(room);
        if (batch === undefined) break;
        take(batch);
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          this.#gaps.saw();
          yield next.message;
          next.letGo();
          if (stopper.signal.aborted) return;
        }
      }
    } finally {
      endWatch();
      stopper.abort();
      take(await feed.last());
      for (const { message } of waiting) void message.nack(NOT_BEGUN);
      keeper.stop();
      await this.flush();
    }
  }

  /**
   * Calls the handler for each message until `stop`: returning acks it, throwing gives it back with the error as the reason.
   * What ends the subscription by itself (`unauthenticated`, `forbidden`, `topic_not_found`…) rejects its `done`.
   */
  subscribe(handler: MessageHandler<T>, options: SubscribeOptions = {}): Subscription<T> {
    expectArguments({ handler: [handler, "function"], options: [options, "object"] });
    const { concurrency = 1, maxMessages = DEFAULTS.maxMessages } = options;
    const stopper = this.#childStopper();
    const subscription = new Subscription<T>({
      clock: this.#http.clock,
      begin: async () => {
        const manner = await this.#learned(options, stopper.signal);
        if (manner === undefined) throw reasonOf(stopper.signal);
        const room = Math.max(concurrency, manner.ordered ? 1 : maxMessages);
        if (options.stream === true) return this.#streamed(manner, room, stopper.signal);
        const batch = manner.ordered ? 1 : LIMITS.receiveMessagesMax;
        // Half of the room at a time: not a request for each message that was handled.
        const least = manner.ordered ? 1 : Math.max(1, Math.floor(room / 2));
        const feed = this.#feed(options, manner, stopper.signal);
        return { feed, keeper: this.#keeper(manner), room, batch, least };
      },
      handler: (message, context) => {
        this.#gaps.saw();
        return handler(message, context);
      },
      concurrency,
      stopFeed: () => stopper.abort(),
      flush: () => this.flush(),
      onError: (error, message) => this.#report(error, message),
    });
    this.#subscriptions.add(subscription);
    const endWatch = this.#gaps.begin();
    const forget = (): void => {
      endWatch();
      this.#subscriptions.delete(subscription);
    };
    subscription.done.then(forget, forget);
    return subscription;
  }

  /** Sends the acks that wait, and is fulfilled when everything settled so far was answered or refused. Never rejects. */
  async flush(): Promise<void> {
    await this.#acks.flush();
    await Promise.allSettled(this.#settling);
  }

  /** Ends every loop of this consumer as `Subscription.stop` does, and flushes. For good: make a new consumer to go on. */
  async stop(options: StopOptions = {}): Promise<void> {
    this.#stopper.abort(new HalfmqError({ code: "stopped", detail: "the consumer was stopped" }));
    await Promise.all([...this.#subscriptions].map((each) => each.stop(options)));
    await this.flush();
  }

  async #nack(
    message: Message,
    { signal, ...how }: NackOptions,
  ): Promise<ReceiptResult | undefined> {
    const options = signal === undefined ? how : { ...how, signal };
    const [result] = await this.receipts.nack([message.receipt], options);
    return result;
  }

  async #settle(message: Message, settling: Promise<ReceiptResult | undefined>): Promise<void> {
    this.#settling.add(settling);
    try {
      expectOk(await settling);
    } catch (error) {
      this.#report(error, message);
      throw error;
    } finally {
      this.#settling.delete(settling);
    }
  }

  #report(error: unknown, message?: Message): void {
    try {
      this.#options.onError?.(error, message);
    } catch {
      // A listener's own error must not end the loop that told it.
    }
  }

  /** Writes the group's settings, once; tried again by the next call when it failed. */
  #make(): Promise<void> {
    const { settings } = this.#options;
    if (settings === undefined) return Promise.resolve();
    const put = async (): Promise<void> => {
      try {
        await this.#http.call({ method: "PUT", path: this.#base, json: settings });
      } catch (error) {
        this.#made = undefined;
        throw error;
      }
    };
    return (this.#made ??= put());
  }

  /** The manner, with passing trouble waited out as between receives; undefined once the signal is aborted. */
  async #learned(options: LoopOptions, signal: AbortSignal): Promise<Manner | undefined> {
    const { clock, retry } = this.#http;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        return await this.#manner(options, signal);
      } catch (error) {
        if (signal.aborted) break;
        if (!isRetryable(error)) throw error;
        this.#report(error);
        await pause(clock, backoffMs(retry, failures, clock.random()), signal).catch(() => {});
      }
    }
    return undefined;
  }

  /** Asks the group what it is: the lease to prolong, and whether an order is to be kept. */
  async #manner(options: LoopOptions, signal: AbortSignal): Promise<Manner> {
    await this.#make();
    const { ordered = false, invisibleMs } = this.#options.settings ?? {};
    const given = { ordered, invisibleMs: invisibleMs ?? DEFAULTS.invisibleMs };
    let group: Partial<Group> = given;
    try {
      group = await this.#http.call<Partial<Group>>({ method: "GET", path: this.#base, signal });
    } catch (error) {
      // Not made yet: then it will have the defaults. Or a key that may consume, but not look.
      if (!isHalfmqError(error, "group_not_found", "topic_not_found", "forbidden")) throw error;
    }
    return {
      ordered: group.ordered ?? given.ordered,
      broadcast: (group.mode ?? this.#options.settings?.mode) === "broadcast",
      invisibleMs: options.invisibleMs ?? group.invisibleMs ?? given.invisibleMs,
    };
  }

  #feed(options: LoopOptions, manner: Manner, signal: AbortSignal): Feed<T> {
    const { invisibleMs } = manner;
    const port = {
      clock: this.#http.clock,
      retry: this.#http.retry,
      receive: (poll: Poll) => this.receive({ ...poll, invisibleMs }),
      onError: (error: unknown) => this.#report(error),
    };
    return new Feed<T>(port, options.waitMs ?? LIMITS.waitMsMax, signal);
  }

  /** Over a stream of the group. What cannot be settled on its socket goes by HTTP. */
  #streamed(manner: Manner, credit: number, signal: AbortSignal): Begun<T> {
    const { consumerId, webSocket, ackLingerMs = ACK_LINGER_MS } = this.#options;
    if (manner.broadcast && consumerId === undefined) throw NAMELESS;
    const { line, extend, flush } = consumerLine<T>(this.#http, {
      stream: `${this.#base}/stream`,
      ...(consumerId === undefined ? {} : { consumerId }),
      ...(webSocket === undefined ? {} : { webSocket }),
      room: { credit, onePerMessageGroup: manner.ordered },
      ackLingerMs,
      signal,
      port: this.#port,
      receipts: this.receipts,
      settle: (message, settling) => this.#settle(message, settling),
      onError: (error) => this.#report(error),
    });
    // What came is taken at once: only then is its lease kept.
    const take = { batch: LIMITS.receiveMessagesMax, least: 1 };
    return { feed: line, keeper: this.#keeper(manner, extend), room: credit, ...take, flush };
  }

  #keeper(
    manner: Manner,
    extend: KeeperPort["extend"] = (receipts, invisibleMs) =>
      this.receipts.extend(receipts, invisibleMs),
  ): LeaseKeeper {
    return new LeaseKeeper(this.#http.clock, manner.invisibleMs, {
      extend,
      onError: (error) => this.#report(error),
    });
  }

  /** Aborted with the consumer, or alone. */
  #childStopper(): AbortController {
    const child = new AbortController();
    const parent = this.#stopper.signal;
    const onAbort = (): void => child.abort(parent.reason);
    if (parent.aborted) onAbort();
    else {
      parent.addEventListener("abort", onAbort, { once: true });
      child.signal.addEventListener("abort", () => parent.removeEventListener("abort", onAbort));
    }
    return child;
  }
}
