/** What every call is given: who asks, and the broker; and what it comes to. It never changes anything. */
import { allows } from "../../auth/allows.ts";
import type { Principal } from "../../auth/principal.ts";
import { isNamespace } from "../../platform/key-text.ts";
import type { Scope } from "../../protocol/rpc.ts";
import type { Asker, GiveBack } from "../leaving.ts";
import type { Address } from "./address.ts";
import { done, fault, type Fault, type Result } from "./faults.ts";

export interface Context extends Asker {
  readonly caller: Principal;
  readonly address: Address;
  readonly requestId: string;
}

export interface Answer {
  readonly status: 200 | 201 | 204 | 404;
  /** Empty for 204. */
  readonly text: string;
  /** For a client that turns out to be gone. */
  readonly giveBack?: GiveBack;
}

/** What became of a publish. */
export interface Stored {
  readonly id: string;
  /** Of a half message. */
  readonly handle?: string;
}

/** The refusal of a caller without this scope for the topic. */
export function forbids({ caller, address }: Context, scope: Scope): Fault | undefined {
  const allowed = allows(caller, scope, address.topic);
  return allowed.ok ? undefined : fault("AccessDenied", allowed.detail);
}

/**
 * The caller in the instance that it names. An instance is a namespace: `MQ_INST_1_Ab` is `mq-inst-1-ab`. A key is of one
 * namespace, the root key of all.
 */
export function inInstance(caller: Principal, instance: string | undefined): Result<Principal> {
  if (instance === undefined) return done(caller);
  const namespace = instance.toLowerCase().replaceAll("_", "-");
  if (namespace === caller.namespace) return done(caller);
  if (!isNamespace(namespace)) {
    return fault("InvalidArgument", "ns is 1 to 63 of A-Z a-z 0-9 _ and -, not - first");
  }
  if (caller.root) return done({ ...caller, namespace });
  const detail = `The instance is namespace ${namespace}; the key belongs to ${caller.namespace}`;
  return fault("AccessDenied", detail);
}
