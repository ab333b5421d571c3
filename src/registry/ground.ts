/**
 * What a registry needs of the outside, so that its rules run anywhere: storage, queue objects, coordinators, time.
 * No port throws: what the transport could not do comes back as a refusal.
 */
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Outcome } from "../protocol/errors.ts";
import type { ProducerGroupRecord, PushRecord, TopicRoute } from "../protocol/rpc.ts";

type SqlValue = string | number | ArrayBuffer | Uint8Array | null;
export type Row = Readonly<Record<string, unknown>>;

/** `ctx.storage` fits it as it is. */
export interface Storage {
  readonly sql: { exec(query: string, ...bindings: SqlValue[]): Iterable<Row> };
  transactionSync<T>(body: () => T): T;
}

/** What a topic's delete would lose. */
export interface Usage {
  readonly prepared: number;
  readonly delayed: number;
  readonly forwarding: number;
}

export interface QueueAddress {
  readonly topic: string;
  readonly queue: number;
}

export interface Ports {
  readonly namespace: string;
  configureQueue(route: TopicRoute, queue: number): Promise<Outcome<unknown>>;
  /** `hold`: the queue takes nothing in until the delete is decided. */
  queueInUse(at: QueueAddress, incarnation: number, hold: boolean): Promise<Outcome<Usage>>;
  dropQueue(at: QueueAddress, incarnation: number): Promise<Outcome<unknown>>;
  pokeQueue(at: QueueAddress): Promise<Outcome<unknown>>;
  configureCoordinator(
    group: string,
    record: ProducerGroupRecord | undefined,
  ): Promise<Outcome<unknown>>;
  /** Has the registry of `default` enter this namespace in its list. */
  enterNamespace(): Promise<Outcome<unknown>>;
  /** `undefined`: what the pusher knew up to `upTo` is over. */
  configurePusher(
    at: { readonly topic: string; readonly group: string },
    record: PushRecord | undefined,
    upTo: { readonly incarnation: number; readonly version: number },
  ): Promise<Outcome<unknown>>;
  /** The alarm goes off at that time or earlier. */
  armAlarm(atMs: number): void;
  randomBytes(count: number): Uint8Array<ArrayBuffer>;
  readonly clock: Clock;
  readonly log: Log;
}
