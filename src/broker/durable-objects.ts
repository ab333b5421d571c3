/** The broker's objects as Durable Objects: from a name to a fresh stub for each call. It keeps no stub. */
import { systemClock } from "../platform/clock.ts";
import { idSource } from "../platform/random.ts";
import { callObject } from "../platform/stub.ts";
import { accept, type Refusal } from "../protocol/errors.ts";
import {
  coordinatorObjectName,
  groupObjectName,
  queueObjectName,
  registryObjectName,
  schedulerObjectName,
  type CoordinatorRpc,
  type Env,
  type PusherRpc,
  type QueueRpc,
  type RegistryRpc,
  type SchedulerRpc,
} from "../protocol/rpc.ts";
import type { SharingRpc } from "../protocol/sharing.ts";
import type { Objects, Repeat } from "./objects.ts";
import { SharedCalls } from "./shared-calls.ts";
import { callAlone, sharing } from "./sharing-queue.ts";

type Bindings = Pick<
  Env,
  "QUEUE" | "REGISTRY" | "COORDINATOR" | "PUSHER" | "GATEWAY" | "SCHEDULER"
>;

/** Sockets come by fetch: RPC does not carry them. */
interface Fetcher {
  fetch(url: string, init: { readonly headers: Record<string, string> }): Promise<Response>;
}

const optionsOf = (object: string, repeat?: Repeat) =>
  repeat === "never" ? { object, attemptsMax: 1 } : { object };

/**
 * Whether the runtime lets one request fulfil a promise of another. It does unless somebody has switched it off, as the test
 * runner that runs inside of it must.
 */
const mayShare = (): boolean =>
  Cloudflare.compatibilityFlags["handle_cross_request_promise_resolution"] === true;

/** `outlive`: keeps the request at work alive although its client is gone. */
export function durableObjects(env: Bindings, outlive: (work: Promise<unknown>) => void): Objects {
  const queueOf = (name: string) => env.QUEUE.getByName(name) as QueueRpc & SharingRpc;
  const shared = new SharedCalls({
    clock: systemClock,
    alone: (name, call) => callAlone(queueOf(name), call),
    newId: idSource(),
    together: (name, calls, trip) => queueOf(name).shared(calls, trip),
    missed: (name, trip) => queueOf(name).missed(trip),
    late: (name, ticket) => queueOf(name).late(ticket),
    outlive,
  });
  const stubOf = mayShare()
    ? (name: string): QueueRpc => sharing(queueOf(name), (call) => shared.ask(name, call))
    : queueOf;
  return {
    queue: ({ namespace, topic, queue }, call, repeat) => {
      const name = queueObjectName(namespace, topic, queue);
      return callObject(() => stubOf(name), call, optionsOf(name, repeat));
    },
    registry: (namespace, call, repeat) => {
      const name = registryObjectName(namespace);
      const stub = () => env.REGISTRY.getByName(name) as RegistryRpc;
      return callObject(stub, call, optionsOf(name, repeat));
    },
    coordinator: ({ namespace, producerGroup }, call) => {
      const name = coordinatorObjectName(namespace, producerGroup);
      const stub = () => env.COORDINATOR.getByName(name) as CoordinatorRpc;
      return callObject(stub, call, optionsOf(name));
    },
    pusher: ({ namespace, topic, group }, call) => {
      const name = groupObjectName(namespace, topic, group);
      return callObject(() => env.PUSHER.getByName(name) as PusherRpc, call, optionsOf(name));
    },
    scheduler: (namespace, call) => {
      const name = schedulerObjectName(namespace);
      const stub = () => env.SCHEDULER.getByName(name) as SchedulerRpc;
      return callObject(stub, call, optionsOf(name));
    },
    openStream: (opening) => {
      const { namespace, topic, group } = opening;
      const name = groupObjectName(namespace, topic, group);
      const url = `https://gateway/?opening=${encodeURIComponent(JSON.stringify(opening))}`;
      const init = { headers: { upgrade: "websocket" } };
      return callObject(
        () => env.GATEWAY.getByName(name) as Fetcher,
        async (gateway) => {
          const answer = await gateway.fetch(url, init);
          return answer.status === 101 ? accept(answer) : answer.json<Refusal>();
        },
        optionsOf(name),
      );
    },
  };
}
