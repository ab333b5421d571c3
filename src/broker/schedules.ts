/**
 * Schedules: the scheduler's verbs. A schedule's topic is there, or made, before the schedule is; from then on only its runs
 * look for it. It adds nothing to the scheduler's decisions.
 */
import { decodeRecord, encodeRecord } from "../core/record.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import type { Firing, SchedulerRpc, SentMessage } from "../protocol/rpc.ts";
import type { Broker, Catalogue } from "./broker.ts";
import type { Ground, Objects } from "./objects.ts";
import type { Routes } from "./routes.ts";

type Verbs = Pick<
  Catalogue,
  "schedule" | "schedules" | "putSchedule" | "pauseSchedule" | "deleteSchedule"
>;

export function scheduleVerbs({ objects }: Ground, routes: Routes): Verbs {
  const ask = <T>(
    namespace: string,
    call: (scheduler: SchedulerRpc) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> => objects.scheduler(namespace, call);
  return {
    schedule: (namespace, name) => ask(namespace, (scheduler) => scheduler.get(name)),
    schedules: (namespace, query) => ask(namespace, (scheduler) => scheduler.list(query)),
    async putSchedule(namespace, name, rule, content) {
      const at = { namespace, topic: rule.topic };
      const known = await routes.recent(at, false);
      if (!known.ok) {
        // What is refused must not leave a topic behind.
        const admitted = await ask(namespace, (scheduler) => scheduler.admits(name, rule));
        if (!admitted.ok) return admitted;
        const made = await routes.recent(at, true);
        if (!made.ok) return made;
      }
      const record = encodeRecord(content);
      return ask(namespace, (scheduler) => scheduler.put(name, rule, record));
    },
    pauseSchedule: (namespace, name, paused) =>
      ask(namespace, (scheduler) => scheduler.pause(name, paused)),
    deleteSchedule: (namespace, name) => ask(namespace, (scheduler) => scheduler.delete(name)),
  };
}

/** Lets the namespace's scheduler run what is due. */
export const pokeScheduler = (objects: Objects, namespace: string): Promise<Outcome<unknown>> =>
  objects.scheduler(namespace, async (scheduler) => accept(await scheduler.poke()));

/** Sends the message of a run, for the scheduler: to a topic that is there, since nobody wants a deleted one back for it. */
export async function sendFiring(
  broker: Pick<Broker, "send">,
  { namespace, topic, record }: Firing,
): Promise<Outcome<SentMessage>> {
  const messages = [decodeRecord(record)];
  const outcome = await broker.send({ namespace, topic }, { messages, onlyKnownTopic: true });
  if (!outcome.ok) return outcome;
  const [message] = outcome.value.messages;
  return message === undefined
    ? refuse("unavailable", "No answer to the message")
    : accept(message);
}
