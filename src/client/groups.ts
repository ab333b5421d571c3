/** The admin verbs of consumer groups: `mq.groups`. Receiving is consumer.ts. */
import type { CallOptions, Http } from "./http.ts";
import { Listing, type ListOptions } from "./listing.ts";
import type { MessageData } from "./message.ts";
import { path, query } from "./path.ts";
import type { Group, GroupInput } from "./settings.ts";

/** Where a seek goes: an end, an instant (epoch ms), or an offset for each named queue. */
export type SeekTarget = "earliest" | "latest" | number | Readonly<Record<string, number>>;

/** A message that holds its message group back, or only itself. */
export interface Blocked {
  readonly id: string;
  readonly queue: number;
  readonly offset: number;
  readonly storedAt: number;
  readonly messageGroup?: string;
  /** Whom it is held for, in a broadcast group. */
  readonly consumerId?: string;
  /** `growing`: the message group came from another queue, which has not finished with it. */
  readonly state: "inFlight" | "retrying" | "poisoned" | "growing";
  /** Deliveries so far. */
  readonly deliveryAttempt: number;
  /** When its lease ends (inFlight), or when it comes again (retrying). */
  readonly dueAt?: number;
  /** Why the last delivery failed (poisoned). */
  readonly reason?: string;
  readonly formerQueue?: number;
  /** Messages of the message group that are known to wait behind it. */
  readonly waiting: number;
  /** False when more wait than were counted. */
  readonly waitingExact?: boolean;
}

/** A message that ran out of attempts. */
export interface DeadLetter<T = unknown> extends MessageData<T> {
  readonly deadAt?: number;
  /** Deliveries that failed. */
  readonly deliveryAttempt?: number;
  /** Of the last failed delivery. */
  readonly reason?: string;
  /** Whose it is, in a broadcast group. */
  readonly consumerId?: string;
}

/** A redrive at a rate, over all queues. */
export interface RedriveProgress {
  /** `none`: the group never had one. */
  readonly state: "none" | "running" | "stopped" | "done";
  readonly ratePerSecond?: number;
  readonly startedAt?: number;
  readonly redriven: number;
  /** Dead letters that it has not come to. */
  readonly remaining: number;
}

/** How many dead letters were put back so far; the rest is said of a redrive at a rate. */
export type Redriven = Pick<RedriveProgress, "redriven"> & Partial<RedriveProgress>;

/** Of a broadcast group, one consumer; absent: all of them. */
interface OfConsumer {
  readonly consumerId?: string;
}

/** Which messages; absent: all of them. */
export interface IdsOptions extends CallOptions, OfConsumer {
  readonly ids?: readonly string[];
}

export class Groups {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Makes or changes a group. Rejects with `invalid_request`, `invalid_filter`, `target_not_allowed`, `immutable_field` (`startFrom`, `mode`). */
  put(
    topic: string,
    group: string,
    settings: GroupInput = {},
    options: CallOptions = {},
  ): Promise<Group> {
    return this.#http.call({
      method: "PUT",
      path: base(topic, group),
      json: settings,
      ...options,
    });
  }

  /** Rejects with `group_not_found` or `topic_not_found`. */
  get(topic: string, group: string, options: CallOptions = {}): Promise<Group> {
    return this.#http.call({ method: "GET", path: base(topic, group), ...options });
  }

  /** Ends the push of the group; its secret is forgotten. */
  async deletePush(topic: string, group: string, options: CallOptions = {}): Promise<void> {
    await this.#http.call({ method: "DELETE", path: `${base(topic, group)}/push`, ...options });
  }

  /** A new secret of the push; the old one signs beside it for 24 h. Rejects with `invalid_request` where no URL is set. */
  rotatePushSecret(
    topic: string,
    group: string,
    options: CallOptions = {},
  ): Promise<Group & { readonly secret: string }> {
    return this.#http.call({
      method: "POST",
      path: `${base(topic, group)}/secret`,
      repeatable: false,
      ...options,
    });
  }

  list(topic: string, options: ListOptions = {}): Listing<Group> {
    return new Listing(this.#http, path`/v1/topics/${topic}/groups`, options);
  }

  /** Ends its leases and forgets where it stood. */
  async delete(topic: string, group: string, options: CallOptions = {}): Promise<void> {
    await this.#http.call({ method: "DELETE", path: base(topic, group), ...options });
  }

  /**
   * Moves the group; answers where it stands now, by queue. Every lease ends; attempts begin at 1 again; dead letters stay.
   * An offset or instant outside of what is stored means the nearest that is.
   */
  async seek(
    topic: string,
    group: string,
    to: SeekTarget,
    { signal, consumerId }: CallOptions & OfConsumer = {},
  ): Promise<Readonly<Record<string, number>>> {
    const { offsets } = await this.#http.call<{ offsets: Readonly<Record<string, number>> }>({
      method: "POST",
      path: `${base(topic, group)}/seek`,
      json: { to, ...(consumerId === undefined ? {} : { consumerId }) },
      ...(signal === undefined ? {} : { signal }),
    });
    return offsets;
  }

  /** Stops delivery: receives wait as if the topic were empty. */
  async pause(topic: string, group: string, options: CallOptions = {}): Promise<void> {
    await this.#http.call({ method: "POST", path: `${base(topic, group)}/pause`, ...options });
  }

  async resume(topic: string, group: string, options: CallOptions = {}): Promise<void> {
    await this.#http.call({ method: "POST", path: `${base(topic, group)}/resume`, ...options });
  }

  /** What ran out of attempts, oldest first. */
  deadLetters<T = unknown>(
    topic: string,
    group: string,
    { consumerId, ...options }: ListOptions & OfConsumer = {},
  ): Listing<DeadLetter<T>> {
    return new Listing(this.#http, `${base(topic, group)}/dead-letters`, options, { consumerId });
  }

  /**
   * Delivers dead letters anew to this group: the named ones, or all. Attempts begin at 1. With `ratePerSecond` (from 0.1) it
   * answers as soon as that has begun, in place of one that ran; it goes on by itself.
   */
  async redrive(
    topic: string,
    group: string,
    options: CallOptions & {
      readonly ids?: readonly string[];
      readonly ratePerSecond?: number;
    } = {},
  ): Promise<Redriven> {
    const { signal, ...json } = options;
    return this.#http.call({
      method: "POST",
      path: redrivePath(topic, group),
      json,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** How far the redrive at a rate is. */
  redriveProgress(
    topic: string,
    group: string,
    options: CallOptions = {},
  ): Promise<RedriveProgress> {
    return this.#http.call({ method: "GET", path: redrivePath(topic, group), ...options });
  }

  /** What the redrive at a rate has not come to stays among the dead letters. */
  stopRedrive(topic: string, group: string, options: CallOptions = {}): Promise<RedriveProgress> {
    return this.#http.call({ method: "DELETE", path: redrivePath(topic, group), ...options });
  }

  /** Message groups that are held, and why; oldest first. */
  blocked(topic: string, group: string, options: ListOptions = {}): Listing<Blocked> {
    return new Listing(this.#http, `${base(topic, group)}/blocked`, options);
  }

  /** Delivers poisoned messages of an `onPoison: "block"` group again, in their place, the named ones or all; answers how many. */
  async retryBlocked(topic: string, group: string, options: IdsOptions = {}): Promise<number> {
    const { retried } = await this.#decide<{ retried: number }>(topic, group, "retry", options);
    return retried;
  }

  /** Makes dead letters of poisoned messages, the named ones or all, so that what waits goes on; answers how many. */
  async skipBlocked(topic: string, group: string, options: IdsOptions = {}): Promise<number> {
    const { skipped } = await this.#decide<{ skipped: number }>(topic, group, "skip", options);
    return skipped;
  }

  #decide<T>(topic: string, group: string, verb: string, options: IdsOptions): Promise<T> {
    const { signal, ...json } = options;
    return this.#http.call<T>({
      method: "POST",
      path: `${base(topic, group)}/blocked/${verb}`,
      json,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Drops dead letters: those with the ids, up to 100, or all of them. */
  async purgeDeadLetters(
    topic: string,
    group: string,
    {
      consumerId,
      ids,
      ...options
    }: CallOptions & OfConsumer & { readonly ids?: readonly string[] } = {},
  ): Promise<void> {
    const which = { consumerId, ids: ids?.join(",") };
    const where = `${base(topic, group)}/dead-letters${query(which)}`;
    await this.#http.call({ method: "DELETE", path: where, ...options });
  }
}

function base(topic: string, group: string): string {
  return path`/v1/topics/${topic}/groups/${group}`;
}

function redrivePath(topic: string, group: string): string {
  return `${base(topic, group)}/dead-letters/redrive`;
}
