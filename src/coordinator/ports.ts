/**
 * What a coordinator needs of the outside, so that its rules run in plain Node: queues, endpoints, storage, time.
 */
import type { LargeBodies } from "../bodies/large-bodies.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { LiveSecret } from "../platform/signature.ts";
import type { PostAnswer } from "../platform/webhook.ts";
import type { QueueRpc } from "../protocol/rpc.ts";

/** The calls of a queue that a coordinator makes. Each may throw when the transport fails. */
export type QueuePort = Pick<QueueRpc, "beginChecks" | "readChecks" | "endCheck">;

/** A Worker that is bound to the deployment and answers checks over Workers RPC. */
export interface CheckWorker {
  checkTransaction(data: Readonly<Record<string, unknown>>): unknown;
}

export interface Question {
  readonly url: string;
  readonly secrets: readonly LiveSecret[];
  readonly id: string;
  readonly body: string;
  readonly timeoutMs: number;
}

export interface Ports {
  queue(namespace: string, topic: string, queue: number): QueuePort;
  /** One signed POST; never throws. */
  post(question: Question): Promise<PostAnswer>;
  /** Undefined: the deployment has no such binding, or it cannot be asked. */
  worker(binding: string): CheckWorker | undefined;
  readonly bodies: LargeBodies;
  readonly clock: Clock;
  readonly log: Log;
}

type SqlValue = string | number | ArrayBuffer | null;

/** `ctx.storage.sql` fits it as it is. */
export interface Sql {
  exec(query: string, ...bindings: SqlValue[]): Iterable<Record<string, unknown>>;
}
