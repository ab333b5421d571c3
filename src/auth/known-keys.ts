/**
 * Keys by their name, whichever way they are shown: asked of the registry, and turned into principals. It never judges
 * whether what was shown is right.
 */
import { isNamespace } from "../platform/key-text.ts";
import { callObject } from "../platform/stub.ts";
import { accept, type Outcome, refuse } from "../protocol/errors.ts";
import {
  DEFAULT_NAMESPACE,
  type Env,
  type KeyRecord,
  registryObjectName,
  type RegistryRpc,
} from "../protocol/rpc.ts";
import { ALL_SCOPES, type Principal } from "./principal.ts";

export type Bindings = Pick<Env, "HALFMQ_ROOT_KEY" | "REGISTRY">;

export interface FoundKey {
  readonly record: KeyRecord;
  /** In base64url. */
  readonly hash: string;
}

export const NAMESPACE_HEADER = "Halfmq-Namespace";
const CACHE_ENTRIES_MAX = 1_000;

/** Namespaces that exist, of which none ever goes away. */
const namespaces = new Map<string, true>();

export const hasExpired = ({ expiresAt }: KeyRecord, nowMs: number): boolean =>
  expiresAt !== undefined && expiresAt <= nowMs;

export function principalOf({ record, hash }: FoundKey): Principal {
  const { namespace, scopes, topics, expiresAt, limits, name } = record;
  return {
    namespace,
    scopes,
    root: false,
    keyName: name,
    keyHash: hash,
    ...(topics === undefined ? {} : { topics }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(limits === undefined ? {} : { limits }),
  };
}

export function rootIn(namespace: string): Outcome<Principal> {
  if (!isNamespace(namespace)) {
    return refuse("invalid_request", "A namespace is 1 to 63 of a-z, 0-9 and -, not - first", {
      field: NAMESPACE_HEADER,
    });
  }
  return accept({ namespace, scopes: ALL_SCOPES, root: true, keyName: "root" });
}

/** A read, so that it may be repeated when the registry is on the move. */
function registryOf<T>(
  env: Bindings,
  namespace: string,
  call: (registry: RegistryRpc) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  const name = registryObjectName(namespace);
  return callObject(() => env.REGISTRY.getByName(name) as RegistryRpc, call);
}

/** A stranger's key must not bring an object to life, which plain workerd would keep a file for. */
export async function findByName(
  env: Bindings,
  namespace: string,
  name: string,
): ReturnType<RegistryRpc["keyHash"]> {
  if (namespace !== DEFAULT_NAMESPACE && !namespaces.has(namespace)) {
    const found = await registryOf(env, DEFAULT_NAMESPACE, (registry) =>
      registry.knowsNamespace(namespace),
    );
    if (!found.ok) return found;
    if (!found.value.known) return refuse("key_not_found", "There is no such namespace");
    remember(namespaces, namespace, true);
  }
  return registryOf(env, namespace, (registry) => registry.keyHash(name));
}

/** Keeps an entry, and the youngest thousand. */
export function remember<V>(cache: Map<string, V>, name: string, entry: V): void {
  cache.set(name, entry);
  if (cache.size <= CACHE_ENTRIES_MAX) return;
  for (const oldest of cache.keys()) {
    cache.delete(oldest);
    return;
  }
}
