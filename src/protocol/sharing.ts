/**
 * Calls that travel to a queue together, as one call carries them and their answers. Only verbs that are over with their
 * flush, and that take one argument. Plain data that survives structured cloning.
 */
import type { QueueRpc } from "./rpc.ts";

export type SharedVerb = "send" | "prepare" | "decide" | "receive" | "settle";

/** One of the calls. */
export type SharedCall = {
  [V in SharedVerb]: { readonly verb: V; readonly call: Parameters<QueueRpc[V]>[0] };
}[SharedVerb];

/** What an object says when it throws, as far as a caller acts on it. */
export interface Fault {
  readonly message?: string;
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
}

export type SharedAnswer =
  | { readonly is: "answered"; readonly outcome: unknown }
  /** It takes longer than the others, or is long: `late` has it under this ticket. */
  | { readonly is: "late"; readonly ticket: string }
  /** This call threw; the others did not. */
  | { readonly is: "failed"; readonly fault: Fault };

/** Which calls go together, so that their answers can be asked for again. */
export interface Trip {
  readonly id: string;
  /** Earlier trips of the same isolate whose answers have arrived: nobody asks for them again. */
  readonly over: readonly string[];
}

/** RPC of `QueueObject`, beside its verbs. */
export interface SharingRpc {
  /** Makes each call, in order, as if it had come by itself; an answer for each. */
  shared(calls: readonly SharedCall[], trip: Trip): Promise<readonly SharedAnswer[]>;
  /** The answer that was late, once; it is kept for a minute. */
  late(ticket: string): Promise<SharedAnswer>;
  /**
   * What the calls of the trip were answered, for those whose answers were lost with the request that made it. Undefined
   * when it has not come, or its answers are kept no longer. It makes no call.
   */
  missed(trip: string): Promise<readonly SharedAnswer[] | undefined>;
}
