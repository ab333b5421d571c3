/** Who sent a request, once that is known: plain values, never a secret. */
import type { Scope, SendLimits } from "../protocol/rpc.ts";

export interface Principal {
  readonly namespace: string;
  readonly scopes: readonly Scope[];
  /** Topic names, or prefixes with a trailing `*`; absent: all. */
  readonly topics?: readonly string[];
  /** When its key ends; absent: never. */
  readonly expiresAt?: number;
  /** Of its sends; absent: none. */
  readonly limits?: SendLimits;
  readonly root: boolean;
  readonly keyName: string;
  /** Of its secret as the registry keeps it, in base64url: whoever serves it for long sees by it that the key changed. */
  readonly keyHash?: string;
}

export const ALL_SCOPES: readonly Scope[] = ["send", "transact", "consume", "manage"];
