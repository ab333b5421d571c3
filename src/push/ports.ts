/** What a pusher needs of the outside, so that its rules run in plain Node: queues, the registry, endpoints, storage, time. */
import type { LeaserPorts } from "../leasing/leaser.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { LiveSecret } from "../platform/signature.ts";
import type { Permission, Question } from "../platform/handshake.ts";
import type { PostAnswer } from "../platform/webhook.ts";
import type { Outcome } from "../protocol/errors.ts";
import type { PushRecord } from "../protocol/rpc.ts";
import type { QueueWorker } from "./worker-batch.ts";

export interface PushPost {
  readonly url: string;
  readonly secrets: readonly LiveSecret[];
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly body: string;
  readonly timeoutMs: number;
}

export type PushQuestion = Omit<Question, "policy" | "fetch" | "clock">;

/** A few values by name, on disk before anything that follows leaves the object. */
interface Kept {
  get(name: string): unknown;
  put(name: string, value: unknown): void;
}

export interface Ports {
  readonly queue: LeaserPorts["queue"];
  readonly bodies: LeaserPorts["bodies"];
  /** What the registry has of this push now; undefined: nothing any more. */
  record(known: PushRecord): Promise<Outcome<PushRecord | undefined>>;
  disable(record: PushRecord, reason: string): Promise<Outcome<unknown>>;
  /** One signed POST; never throws. */
  post(post: PushPost): Promise<PostAnswer>;
  /** Asks the endpoint whether it wants to be called; never throws. */
  ask(question: PushQuestion): Promise<Permission>;
  /** Undefined: the deployment has no such binding. */
  worker(binding: string): QueueWorker | undefined;
  readonly kept: Kept;
  /** When the alarm that the platform knows of goes off; absent: none is armed, or it goes off right now. */
  readonly armedAt: number | undefined;
  setAlarm(atMs: number): void;
  /** Nothing of the object is left. */
  erase(): void;
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly newId: () => string;
}
