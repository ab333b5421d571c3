/**
 * A decision as its caller sees it: a commit waits a little for its messages to other queues, so that their offsets are in
 * the answer. What is decided is decided before the wait; nothing that happens meanwhile changes it.
 */
import type { Outcome } from "../protocol/errors.ts";
import type { DecideCall, Decided, Stamp } from "../protocol/rpc.ts";
import { decide, isForwarding } from "./deciding.ts";
import { remember } from "./sending.ts";
import type { QueueStore } from "./store.ts";

export interface CommittingPorts {
  readonly store: () => QueueStore;
  stamped<T>(stamp: Stamp, command: (nowMs: number) => Outcome<T>): Promise<Outcome<T>>;
  /** Resolves when the transaction's messages have all arrived, or after a bounded wait. */
  arrived(position: number): Promise<void>;
}

export async function decideAndArrive(
  ports: CommittingPorts,
  call: DecideCall,
): Promise<Outcome<Decided>> {
  const first = await ports.stamped(call.stamp, (nowMs) => decide(ports.store(), call, nowMs));
  if (!first.ok || first.value.state !== "committed") return first;
  if (!isForwarding(ports.store(), call.position)) return first;
  await ports.arrived(call.position);
  // The same request again waits as the first one does, and is answered what that one is.
  const last = await ports.stamped(call.stamp, (nowMs) =>
    first.value.replayed
      ? decide(ports.store(), call, nowMs)
      : answerAnew(ports.store(), call, first.value.repeated, nowMs),
  );
  // The topic may have changed or gone meanwhile; the decision stands.
  return last.ok ? last : first;
}

/** The offsets are known now, as far as they ever are; the remembered answer becomes the one that is given. */
function answerAnew(
  store: QueueStore,
  { stamp, position, decision, by, keyed }: DecideCall,
  repeated: boolean,
  nowMs: number,
): Outcome<Decided> {
  const fresh = decide(store, { stamp, position, decision, by }, nowMs);
  if (!fresh.ok) return fresh;
  const value = { ...fresh.value, repeated };
  const { replayed: _, ...answer } = value;
  remember(store, keyed, answer, nowMs);
  return { ok: true, value };
}
