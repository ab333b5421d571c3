/** What a gateway needs of the outside, so that its rules run in plain Node: sockets, queues, the registry, storage, time. */
import type { LeaserPorts } from "../leasing/leaser.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Outcome } from "../protocol/errors.ts";
import type { GroupSeat, KeyMark } from "../protocol/rpc.ts";
import type { Attached } from "./session.ts";

/** A socket that outlives the object's memory. Sending to one that is gone does nothing. */
export interface Socket {
  send(text: string): void;
  close(code: number, reason: string): void;
  /** What is kept with it. */
  attached(): Attached;
  attach(attached: Attached): void;
}

export interface Ports {
  readonly queue: LeaserPorts["queue"];
  readonly bodies: LeaserPorts["bodies"];
  /** What the registry has of the group now; undefined: it is gone. */
  seat(
    at: Pick<GroupSeat, "namespace" | "topic"> & { readonly group: string },
  ): Promise<Outcome<GroupSeat | undefined>>;
  /** Whether the key is still the same and not over. */
  isGood(namespace: string, key: KeyMark): Promise<Outcome<boolean>>;
  /** Sockets that are open, also those of a former life. */
  sockets(): Iterable<Socket>;
  keepSeat(seat: GroupSeat): void;
  keptSeat(): GroupSeat | undefined;
  setAlarm(atMs: number): void;
  erase(): void;
  readonly clock: Clock;
  readonly log: Log;
}
