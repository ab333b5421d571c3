/** The client of one broker: every verb of a program begins here. It holds no connection and no timer until it is used. */
import { expectArgument, expectArguments, expectVerbs } from "./argument.ts";
import { bindingTransport, type CallableBinding } from "./binding-transport.ts";
import { type ChangesOptions, type Change, changes } from "./changes.ts";
import type { CheckFunction } from "./check.ts";
import { type CheckHandler, checkHandler, type CheckHandlerOptions } from "./check-handler.ts";
import { CheckPoller, type CheckPollerOptions } from "./check-poller.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Consumer } from "./consumer.ts";
import type { ConsumerOptions } from "./consumer-options.ts";
import { Groups } from "./groups.ts";
import { type Fetch, fetchTransport } from "./fetch-transport.ts";
import { type CallOptions, Http, type Transport, type WriteOptions } from "./http.ts";
import { CountingProducer, type CountingOptions } from "./counting.ts";
import { newId } from "./id.ts";
import { Keys } from "./keys.ts";
import { type TransactionListener, TransactionProducer } from "./listener.ts";
import { listOf, messagesText, type OneOrMany, type OutgoingMessage } from "./outgoing.ts";
import type { TransactionMessage } from "./outgoing.ts";
import { path } from "./path.ts";
import { ProducerGroups } from "./producer-groups.ts";
import { sendLinger, type SendLinger, weigh } from "./send-linger.ts";
import { recall, type MessageStatus, type SentMessage } from "./sent.ts";
import { type PushHandler, pushHandler, type PushHandlerOptions } from "./push-handler.ts";
import { tail, type TailedMessage, type TailOptions } from "./tail.ts";
import { retryPolicy, type RetryOptions } from "./retry.ts";
import type { CheckPolicy } from "./settings.ts";
import { Schedules } from "./schedules.ts";
import { Topics } from "./topics.ts";
import { decideBy, type TransactOptions } from "./transact.ts";
import { type Prepared, Transaction, Transactions } from "./transaction.ts";

/** How a client works, whatever the way to the broker. */
export interface ClientOptions {
  /** How failed requests are sent again (429, 5xx and network errors). */
  readonly retry?: RetryOptions;
  /**
   * How long one attempt may take, a long poll's wait apart. Raising it helps slow lines; a dead one is noticed later.
   * Each attempt has its own; `retry.totalMs` bounds when the last one begins. Default 15,000 ms.
   */
  readonly timeoutMs?: number;
  /**
   * Sends of one topic that come within so many milliseconds (0–5) go as one request; each gets its own result or error.
   * Many small sends at once become cheaper and faster together; a lone one is later by as much. What a caller gives a key, a
   * signal or a trace of its own goes alone. Default 0: every send is a request.
   */
  readonly lingerMs?: number;
  /** Time and chance, for tests. Default the machine's. */
  readonly clock?: Clock;
}

/** What a client needs to know. */
export interface HalfMQOptions extends ClientOptions {
  /** Where the broker is: `http://127.0.0.1:8787`, with a path where it is mounted under one. */
  readonly url: string | URL;
  /** The root key, or one made by `mq.keys.put`. Sent to this URL alone: redirects are not followed. */
  readonly key: string;
  /** For the root key: the namespace of every call. Other keys have one of their own. Default the key's. */
  readonly namespace?: string;
  /** Another way to the broker, such as a service binding's `fetch`, or one with a proxy. Default the runtime's. */
  readonly fetch?: Fetch;
}

/** A client of a broker that is bound to this Worker as a service; the binding's rights are in the place of a key. */
export interface BoundOptions extends ClientOptions {
  /** A service binding to the entrypoint `HalfMQEntrypoint`: docs/guides/workers-rpc.md. */
  readonly binding: CallableBinding;
}

/** What a transaction is prepared with: `message` or `messages`, not both. */
export type TransactionOptions<T = unknown> = WriteOptions & {
  /** Whose check-back is asked when no decision comes. */
  readonly producerGroup: string;
  /** When and how often is asked, for this transaction. Default the topic's: after 6 s, then each 30 s, 15 times. */
  readonly check?: Partial<CheckPolicy>;
} & (
    | { readonly message: TransactionMessage<T> }
    | { readonly messages: readonly TransactionMessage<T>[] }
  );

/** How `transact` prepares and decides. */
export type TransactCallOptions = Omit<TransactionOptions, "message" | "messages"> &
  TransactOptions;

const TIMEOUT_MS = 15_000;

function transportOf(options: HalfMQOptions | BoundOptions): Transport {
  expectArgument("options", options, "object");
  if ("binding" in options) {
    expectVerbs("binding", options.binding, "call");
    return bindingTransport(options.binding);
  }
  const { url, key, namespace } = options;
  expectArguments({ url: [url?.toString(), "text"], key: [key, "text"] });
  if (options.fetch !== undefined) expectArgument("fetch", options.fetch, "function");
  const headers: Record<string, string> = { authorization: `Bearer ${key}` };
  if (namespace !== undefined) headers["halfmq-namespace"] = namespace;
  return fetchTransport({
    base: new URL(url).href.replace(/\/+$/u, ""),
    headers,
    // Called as a function of nothing: Workers and browsers refuse a `fetch` with another `this`.
    fetch: options.fetch ?? ((to, init) => fetch(to, init)),
  });
}

export class HalfMQ {
  readonly topics: Topics;
  readonly groups: Groups;
  readonly producerGroups: ProducerGroups;
  readonly keys: Keys;
  readonly schedules: Schedules;
  /** Decisions by transaction id, for whoever has no handle. */
  readonly transactions: Transactions;
  readonly #http: Http;
  readonly #lingerMs: number;
  /** Of topics for which something waits. */
  readonly #lingers = new Map<string, SendLinger>();

  /**
   * Throws `invalid_request` for a URL, key or binding that is not there, as of a variable that is not set; a TypeError for a URL
   * that is none, a RangeError for a linger that is not 0 to 5. Every other function, too, says by `invalid_request` which argument
   * (`field`) lacks or is of another kind than its types say, before it sends anything.
   */
  constructor(options: HalfMQOptions | BoundOptions) {
    this.#http = new Http({
      transport: transportOf(options),
      clock: options.clock ?? systemClock,
      retry: retryPolicy(options.retry),
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    });
    this.#lingerMs = options.lingerMs ?? 0;
    if (!(this.#lingerMs >= 0 && this.#lingerMs <= 5)) throw new RangeError("lingerMs is 0 to 5");
    this.topics = new Topics(this.#http);
    this.groups = new Groups(this.#http);
    this.producerGroups = new ProducerGroups(this.#http);
    this.keys = new Keys(this.#http);
    this.schedules = new Schedules(this.#http);
    this.transactions = new Transactions(this.#http);
  }

  /**
   * Sends one message, or up to 1,000 of which those for one queue are stored all or none. Fulfilled means on disk.
   * Repeated with one Idempotency-Key until it is answered, so nothing is doubled. Rejects with `invalid_request` (`field` names
   * the culprit), `message_too_large`, `request_too_large`, `topic_not_found`, `sequence_gap`, `producer_fenced`,
   * `idempotency_key_reused`; after its retries with `backlog_full`, `rate_limited`, `unavailable`, `network_error`…
   */
  send<T>(
    topic: string,
    messages: readonly OutgoingMessage<T>[],
    options?: WriteOptions,
  ): Promise<readonly SentMessage[]>;
  send<T>(topic: string, message: OutgoingMessage<T>, options?: WriteOptions): Promise<SentMessage>;
  async send(
    topic: string,
    message: OneOrMany<OutgoingMessage>,
    options: WriteOptions = {},
  ): Promise<SentMessage | readonly SentMessage[]> {
    expectArgument("options", options, "object");
    const list = listOf(message);
    const outgoing = { text: messagesText(list).slice(1, -1), count: list.length };
    const isOwn = Object.keys(options).length > 0 || list.length === 0;
    const isAlone = this.#lingerMs === 0 || isOwn || weigh(outgoing) >= 1;
    const sent = isAlone
      ? await this.#sendNow(topic, outgoing.text, options)
      : await this.#lingerOf(topic).add(outgoing);
    return Array.isArray(message) ? sent : (sent[0] as SentMessage);
  }

  /** The messages' JSON texts, with commas between them. */
  async #sendNow(
    topic: string,
    text: string,
    options: WriteOptions,
  ): Promise<readonly SentMessage[]> {
    const { messages } = await this.#http.call<{ messages: readonly SentMessage[] }>({
      method: "POST",
      path: path`/v1/topics/${topic}/messages`,
      text: `{"messages":[${text}]}`,
      ...options,
      idempotencyKey: options.idempotencyKey ?? newId(),
    });
    return messages;
  }

  #lingerOf(topic: string): SendLinger {
    const waiting = this.#lingers.get(topic);
    if (waiting !== undefined) return waiting;
    const linger = sendLinger(this.#http.clock, this.#lingerMs, (text) => {
      // It has left; the next send begins another.
      if (this.#lingers.get(topic) === linger) this.#lingers.delete(topic);
      return this.#sendNow(topic, text, {});
    });
    this.#lingers.set(topic, linger);
    return linger;
  }

  /** A producer of the topic that counts its messages, so that each is taken once and in order, over any number of retries. */
  counting(topic: string, options: CountingOptions): CountingProducer {
    return new CountingProducer(options, (messages, how) => this.send(topic, messages, how));
  }

  /** Takes a delayed message back. Rejects with `already_delivered`, `already_recalled` or `message_not_found`. */
  async recall(id: string, options: CallOptions = {}): Promise<void> {
    await recall(this.#http, id, options);
  }

  /** Gives a delayed message another instant; one in the past means now. Rejects as `recall` does. */
  async retime(id: string, deliverAt: number, options: CallOptions = {}): Promise<void> {
    const where = path`/v1/messages/${id}`;
    await this.#http.call({ method: "PATCH", path: where, json: { deliverAt }, ...options });
  }

  /** Where a message stands, group by group. Rejects with `message_not_found`. */
  message(id: string, options: CallOptions = {}): Promise<MessageStatus> {
    return this.#http.call({ method: "GET", path: path`/v1/messages/${id}`, ...options });
  }

  /**
   * Prepares half messages, which nobody sees before the commit. Do the local work, then `commit()` or `rollback()`.
   * Rejects as `send` does; then nothing is prepared.
   */
  async transaction<T>(topic: string, options: TransactionOptions<T>): Promise<Transaction> {
    expectArgument("options", options, "object");
    expectArgument("producerGroup", options.producerGroup, "text");
    const {
      producerGroup,
      check,
      signal,
      idempotencyKey = newId(),
      traceparent,
      ...rest
    } = options;
    const messages = "messages" in rest ? rest.messages : [rest.message];
    const head = JSON.stringify(check === undefined ? { producerGroup } : { producerGroup, check });
    const prepared = await this.#http.call<Prepared>({
      method: "POST",
      path: path`/v1/topics/${topic}/transactions`,
      text: `${head.slice(0, -1)},"messages":${messagesText(messages)}}`,
      idempotencyKey,
      ...(signal === undefined ? {} : { signal }),
      ...(traceparent === undefined ? {} : { traceparent }),
    });
    return new Transaction(topic, prepared, this.transactions);
  }

  /**
   * The function form: prepares, runs the local work, commits when it returns, and gives its result.
   * A thrown RollbackError, or `tx.rollback()`, rolls back. Any other error leaves the decision to the check-back, since it does
   * not prove that nothing was written (`onThrow`). The error goes on to the caller in every case.
   * When the broker cannot hear the decision the local work's own outcome stands and the check-back decides (`onUndecided`).
   * Rejects before the work when the prepare fails, as `send` does; afterwards with `transaction_rolled_back`,
   * `transaction_committed` or `transaction_discarded` when a check decided the other way.
   */
  async transact<T, R>(
    topic: string,
    message: OneOrMany<TransactionMessage<T>>,
    work: (transaction: Transaction) => R | Promise<R>,
    options: TransactCallOptions,
  ): Promise<R> {
    expectArguments({ work: [work, "function"], options: [options, "object"] });
    const { onThrow, onUndecided, ...prepare } = options;
    const messages = listOf(message);
    const transaction = await this.transaction(topic, { ...prepare, messages });
    return decideBy(transaction, work, {
      ...(onThrow === undefined ? {} : { onThrow }),
      ...(onUndecided === undefined ? {} : { onUndecided }),
    });
  }

  /** The RocketMQ form: a producer that runs a TransactionListener. Its checks are polled (`start()`) or mounted (`checkHandler()`). */
  producer<T = unknown>(options: {
    readonly group: string;
    readonly listener: TransactionListener<T>;
    readonly check?: Partial<CheckPolicy>;
  }): TransactionProducer<T> {
    expectArgument("options", options, "object");
    const { group, listener, check } = options;
    expectArguments({ group: [group, "text"], listener: [listener, "object"] });
    expectVerbs("listener", listener, "executeLocalTransaction", "checkLocalTransaction");
    const policy = check === undefined ? {} : { check };
    return new TransactionProducer<T>(listener, {
      prepare: (topic, message) =>
        this.transaction(topic, { producerGroup: group, message, ...policy }),
      poll: (check, how) => this.pollChecks(group, check, how),
      handler: (how) => this.checkHandler(how),
    });
  }

  /** A webhook handler for the checks of a producer group: `(request) => Promise<Response>`. See checkHandler. */
  checkHandler<T = unknown>(options: CheckHandlerOptions<T>): CheckHandler {
    return checkHandler({ now: this.#http.clock.now, ...options });
  }

  /** Polls for the checks of a producer group and answers them, until `stop()`. For producers that nobody can call. */
  pollChecks<T = unknown>(
    producerGroup: string,
    check: CheckFunction<T>,
    options: CheckPollerOptions = {},
  ): CheckPoller<T> {
    expectArguments({ check: [check, "function"], options: [options, "object"] });
    const { transactions } = this;
    return new CheckPoller<T>(this.#http, producerGroup, check, { ...options, transactions });
  }

  /** A consumer of a group. Nothing is sent before its first use. */
  consumer<T = unknown>(topic: string, group: string, options: ConsumerOptions = {}): Consumer<T> {
    return new Consumer<T>(this.#http, topic, group, options);
  }

  /** A webhook handler for the messages of a group that is pushed: `(request) => Promise<Response>`. See pushHandler. */
  pushHandler<T = unknown>(options: PushHandlerOptions<T>): PushHandler {
    return pushHandler({ now: this.#http.clock.now, ...options });
  }

  /** A topic's messages as they come, without a group: `for await (const { message } of mq.tail("orders"))`. */
  tail<T = unknown>(
    topic: string,
    options: TailOptions = {},
  ): AsyncGenerator<TailedMessage<T>, void, undefined> {
    return tail<T>(this.#http, topic, options);
  }

  /** What changes among topics, groups, producer groups and routes: `for await (const change of mq.changes())`. */
  changes<T = unknown>(options: ChangesOptions = {}): AsyncGenerator<Change<T>, void, undefined> {
    return changes<T>(this.#http, options);
  }

  /** Whether the broker is there; the one call that needs no key. */
  health(
    options: CallOptions = {},
  ): Promise<{ readonly status: string; readonly version: string }> {
    return this.#http.call({ method: "GET", path: "/v1/health", ...options });
  }
}
