/**
 * From a run to the message that is sent for it: the schedule's own, with the mark that makes a repeat of the run a duplicate
 * at its queue, and the properties that tell consumers which run it is. It never changes anything else of it.
 */
import { decodeRecord, encodeRecord } from "../core/record.ts";
import { SCHEDULE_PROPERTIES, type Firing } from "../protocol/rpc.ts";
import type { Claim, Message, Schedule } from "./store.ts";

/**
 * Each run is an epoch of its own of the schedule's producer. A queue remembers that for seven days, which is longer than it
 * keeps an Idempotency-Key, so that a server that was down in between repeats nothing. The epoch is the run's number and not
 * its instant: a clock that was put back must not make a run older than the one before.
 */
export function firingOf(
  namespace: string,
  { name, producer }: Pick<Schedule, "name" | "producer">,
  { scheduledAt, run }: Pick<Claim, "scheduledAt" | "run">,
  { topic, record }: Message,
): Firing {
  const content = decodeRecord(record);
  const marked = encodeRecord({
    ...content,
    properties: {
      ...content.properties,
      [SCHEDULE_PROPERTIES.name]: name,
      [SCHEDULE_PROPERTIES.scheduledAt]: String(scheduledAt),
    },
    producer: { id: producer, epoch: run, sequence: 1 },
  });
  return { namespace, topic, record: marked };
}
