/**
 * A queue's stub whose short verbs may travel with the calls of other requests (shared-calls.ts). Everything else goes to
 * the stub as it is. It decides nothing.
 */
import type { QueueRpc } from "../protocol/rpc.ts";
import type { SharedCall, SharedVerb } from "../protocol/sharing.ts";

const SHARED: { readonly [V in SharedVerb]: (call: Parameters<QueueRpc[V]>[0]) => boolean } = {
  send: () => true,
  prepare: () => true,
  decide: () => true,
  settle: () => true,
  // A long poll takes as long as it takes.
  receive: ({ waitMs }) => waitMs === 0,
};

const isShared = (verb: PropertyKey): verb is SharedVerb => Object.hasOwn(SHARED, verb);

export function sharing(stub: QueueRpc, ask: (call: SharedCall) => Promise<unknown>): QueueRpc {
  return new Proxy(stub, {
    get(target, verb) {
      if (!isShared(verb)) return Reflect.get(target, verb) as unknown;
      return (call: never): Promise<unknown> =>
        SHARED[verb](call) ? ask({ verb, call }) : callAlone(target, { verb, call });
    },
  });
}

/** One call by itself. */
export const callAlone = (stub: QueueRpc, { verb, call }: SharedCall): Promise<unknown> =>
  // Each verb takes its own call; the two come from one place.
  (stub[verb] as (call: unknown) => Promise<unknown>)(call);
