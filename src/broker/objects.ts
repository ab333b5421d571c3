/**
 * How the broker reaches the objects: a port, so that its rules run in plain Node against objects made of memory.
 * A call never throws: what the transport could not do is a refusal that says to come again.
 */
import type { LargeBodies } from "../bodies/large-bodies.ts";
import type { Outcome } from "../protocol/errors.ts";
import type {
  CoordinatorRpc,
  PusherRpc,
  QueueRpc,
  RegistryRpc,
  SchedulerRpc,
  StreamOpening,
} from "../protocol/rpc.ts";

/** `never`: a lost answer may hide that it was done, and doing it twice would show. */
export type Repeat = "safe" | "never";

export interface Objects {
  queue<T>(
    address: { readonly namespace: string; readonly topic: string; readonly queue: number },
    call: (queue: QueueRpc) => Promise<Outcome<T>>,
    repeat?: Repeat,
  ): Promise<Outcome<T>>;
  registry<T>(
    namespace: string,
    call: (registry: RegistryRpc) => Promise<Outcome<T>>,
    repeat?: Repeat,
  ): Promise<Outcome<T>>;
  coordinator<T>(
    address: { readonly namespace: string; readonly producerGroup: string },
    call: (coordinator: CoordinatorRpc) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>>;
  pusher<T>(
    address: { readonly namespace: string; readonly topic: string; readonly group: string },
    call: (pusher: PusherRpc) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>>;
  scheduler<T>(
    namespace: string,
    call: (scheduler: SchedulerRpc) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>>;
  /** The upgrade of a WebSocket, answered by the gateway of the group: 101 with the socket, or a problem. */
  openStream(opening: StreamOpening): Promise<Outcome<Response>>;
}

/** What the broker's verbs need of the world. */
export interface Ground {
  readonly objects: Objects;
  readonly nowMs: () => number;
  /** Fulfilled after so long. */
  readonly pause: (delayMs: number) => Promise<void>;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly bodies: LargeBodies;
  /** Unknown topics are made with defaults. */
  readonly autoCreate: boolean;
}
