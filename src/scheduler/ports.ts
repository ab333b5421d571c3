/** What a scheduler needs of the outside, so that its rules run in plain Node: storage, whoever sends, an alarm, time. */
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Outcome } from "../protocol/errors.ts";
import type { Firing, SentMessage } from "../protocol/rpc.ts";

type SqlValue = string | number | ArrayBuffer | Uint8Array | null;
export type Row = Readonly<Record<string, unknown>>;

/** `ctx.storage` fits it as it is. */
export interface Storage {
  readonly sql: { exec(query: string, ...bindings: SqlValue[]): Iterable<Row> };
  transactionSync<T>(body: () => T): T;
}

export interface Ports {
  readonly namespace: string;
  /** Sends one message to a topic that is there; never throws. */
  send(firing: Firing): Promise<Outcome<SentMessage>>;
  /** When the alarm that the platform knows of goes off; absent: none is armed, or it goes off right now. */
  readonly armedAt: number | undefined;
  setAlarm(atMs: number): void;
  /** Another word at each call. */
  newId(): string;
  readonly clock: Clock;
  readonly log: Log;
}
