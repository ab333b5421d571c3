/** The admin verbs of topics: `mq.topics`. */
import type { GroupAudit, ProducerAudit, QueueSummary } from "../protocol/auditing.ts";
import type { CallOptions, Http } from "./http.ts";
import { Listing, type ListOptions } from "./listing.ts";
import type { MessageData } from "./message.ts";
import { path, query } from "./path.ts";
import type { Topic, TopicInput } from "./settings.ts";
import type { TransactionInfo, TransactionState } from "./transaction.ts";

/** How far a group, or a consumer of a broadcast group, is. */
export interface DeliveryStats {
  /** Stored, due, and not yet acked, dead-lettered or expired. */
  readonly lag: number;
  readonly inFlight: number;
  readonly retrying: number;
  readonly deadLetters: number;
  /** What retention took before it was read. */
  readonly expired: number;
  readonly oldestUnackedAgeMs: number;
}

/** How full a topic is and how far its groups are. */
export interface TopicStats {
  readonly queues: readonly {
    readonly queue: number;
    readonly firstOffset: number;
    readonly nextOffset: number;
    readonly bytes: number;
    /** Of `bytes`, what is in the bucket. Absent from a server without it. */
    readonly coldBytes?: number;
    /** Since when the bucket has not given what was asked of it. */
    readonly coldUnreachableAt?: number;
    readonly prepared: number;
    /** Of these, transactions whose last check failed. */
    readonly failingChecks?: number;
    readonly delayed: number;
  }[];
  readonly groups: readonly (DeliveryStats & {
    readonly group: string;
    /** False when a filter has not looked at all of `lag` yet. */
    readonly lagExact?: boolean;
    /** Those that were seen lately; of a broadcast group each with figures of its own. */
    readonly consumers: readonly (Partial<DeliveryStats> & {
      readonly consumerId: string;
      readonly lastSeenAt: number;
    })[];
    readonly lastSeenAt?: number;
  })[];
  readonly transactions: Readonly<Record<TransactionState, number>>;
}

/** What was stored and what became of it, counted in ways that must agree. */
export interface TopicAudit {
  /** What does not agree on this page; 0 when everything is accounted for. */
  readonly faults: number;
  /** On the first page only, as `groups`. */
  readonly queues?: readonly QueueSummary[];
  /** Since the group began or was moved; `stored` is the sum of the others without `delivered`. */
  readonly groups?: readonly GroupAudit[];
  /** Of counting producers, what each queue took of their present epoch. */
  readonly producers: readonly ProducerAudit[];
  /** More producers. */
  readonly nextCursor?: string;
}

/** What to look at without consuming: from an offset of a queue, by key, or by time. */
export interface PeekOptions extends CallOptions {
  readonly queue?: number;
  readonly offset?: number;
  readonly key?: string;
  /** Epoch milliseconds of `storedAt`. */
  readonly from?: number;
  readonly to?: number;
  /** 1–1,000. Default 100. */
  readonly limit?: number;
}

export class Topics {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Makes or changes a topic. Rejects with `invalid_request`, or `immutable_field` for fewer queues. */
  put(topic: string, settings: TopicInput = {}, options: CallOptions = {}): Promise<Topic> {
    return this.#http.call({
      method: "PUT",
      path: path`/v1/topics/${topic}`,
      json: settings,
      ...options,
    });
  }

  /** Rejects with `topic_not_found`. */
  get(topic: string, options: CallOptions = {}): Promise<Topic> {
    return this.#http.call({ method: "GET", path: path`/v1/topics/${topic}`, ...options });
  }

  list(options: ListOptions = {}): Listing<Topic> {
    return new Listing(this.#http, "/v1/topics", options);
  }

  /** Deletes the topic with all of its messages. Rejects with `topic_in_use` (with the counts) unless forced, or `topic_not_found`. */
  async delete(
    topic: string,
    { force = false, ...options }: CallOptions & { readonly force?: boolean } = {},
  ): Promise<void> {
    const flag = query({ force: force ? "true" : undefined });
    const where = path`/v1/topics/${topic}` + flag;
    await this.#http.call({ method: "DELETE", path: where, ...options });
  }

  /** Rejects with `topic_not_found`. */
  stats(topic: string, options: CallOptions = {}): Promise<TopicStats> {
    return this.#http.call({ method: "GET", path: path`/v1/topics/${topic}/stats`, ...options });
  }

  /** Proves that nothing was lost, or says where. Goes on behind a page's `nextCursor`. Rejects with `topic_not_found`. */
  audit(
    topic: string,
    {
      limit,
      cursor,
      ...options
    }: CallOptions & { readonly limit?: number; readonly cursor?: string } = {},
  ): Promise<TopicAudit> {
    const where = path`/v1/topics/${topic}/audit` + query({ limit: text(limit), cursor });
    return this.#http.call({ method: "GET", path: where, ...options });
  }

  /** Messages without consuming them, oldest first; half messages never. Rejects with `topic_not_found`. */
  peek<T = unknown>(topic: string, options: PeekOptions = {}): Listing<MessageData<T>> {
    const { signal, limit, queue, offset, key, from, to } = options;
    const filter = {
      queue: text(queue),
      offset: text(offset),
      key,
      from: text(from),
      to: text(to),
    };
    const list = {
      ...(limit === undefined ? {} : { limit }),
      ...(signal === undefined ? {} : { signal }),
    };
    return new Listing(this.#http, path`/v1/topics/${topic}/messages`, list, filter);
  }

  /** Its transactions, oldest first, of one state where given. */
  transactions(
    topic: string,
    options: ListOptions & { readonly state?: TransactionState } = {},
  ): Listing<TransactionInfo> {
    const { state, ...list } = options;
    return new Listing(this.#http, path`/v1/topics/${topic}/transactions`, list, { state });
  }
}

function text(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}
