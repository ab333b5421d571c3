/**
 * The real pusher of a counted world, before an endpoint that takes every call after its time. It counts what the object of
 * the pusher is billed for; the endpoint is nobody's bill here.
 */
import { LargeBodies } from "../../src/bodies/large-bodies.ts";
import type { Objects } from "../../src/broker/objects.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { accept } from "../../src/protocol/errors.ts";
import type { PushRecord } from "../../src/protocol/rpc.ts";
import { Pusher } from "../../src/push/pusher.ts";
import type { Counts } from "./counts.ts";

const ENDPOINT_MS = 20;

interface Surroundings {
  readonly clock: Clock;
  readonly random: () => number;
  readonly counts: Counts;
  readonly objects: Pick<Objects, "queue">;
  /** Runs work and counts its time as the object's. */
  readonly active: <T>(object: object, work: () => Promise<T>) => Promise<T>;
}

/** What a queue tells it, as a call to its object. */
export type Ring = (incarnation: number, group: number, queue: number) => Promise<void>;

export function pushing(record: PushRecord, around: Surroundings): Ring {
  const { clock, random, counts, objects, active } = around;
  const object = {};
  const kept = new Map<string, unknown>();
  let disarm: (() => void) | undefined;
  const pusher: Pusher = new Pusher({
    queue: ({ namespace, topic }, queue, call) =>
      active(object, () => objects.queue({ namespace, topic, queue }, call)),
    bodies: new LargeBodies(clock, undefined),
    record: () => Promise.resolve(accept(record)),
    disable: () => Promise.resolve(accept({})),
    post: () =>
      active(object, async () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        clock.after(ENDPOINT_MS, resolve);
        await promise;
        return { status: 200, bodyText: "" };
      }),
    ask: () => Promise.resolve({ is: "granted" }),
    worker: () => undefined,
    kept: {
      get: (name) => kept.get(name),
      put: (name, value) => {
        counts.rowsWritten++;
        kept.set(name, value);
      },
    },
    armedAt: undefined,
    setAlarm: (atMs) => {
      counts.alarmsSet++;
      counts.rowsWritten++;
      disarm?.();
      disarm = clock.after(atMs - clock.nowMs(), () => {
        counts.alarmsRun++;
        void active(object, () => pusher.alarm());
      });
    },
    erase: () => undefined,
    clock,
    log: { info: () => undefined, error: () => undefined },
    random,
    newId: () => "id",
  });
  void pusher.configure(record, { incarnation: record.stamp.incarnation, version: record.version });
  return (...told) => active(object, () => pusher.ring(...told));
}
