/**
 * The pair that an SDK which signs its requests is configured with. A key's signing secret is made of the root key and what the
 * registry keeps of the key, so that nothing more is stored, the stored hash alone signs nothing, and a key that was made anew
 * has another one. It knows no kind of signature.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { Clock } from "../platform/clock.ts";
import { isNamespace } from "../platform/key-text.ts";
import { base64url } from "../platform/random.ts";
import { accept, type Outcome, refuse } from "../protocol/errors.ts";
import { DEFAULT_NAMESPACE } from "../protocol/rpc.ts";
import { CACHE_MS } from "./authenticate.ts";
import {
  type Bindings,
  findByName,
  type FoundKey,
  hasExpired,
  principalOf,
  remember,
  rootIn,
} from "./known-keys.ts";
import type { Principal } from "./principal.ts";

export interface SigningPair {
  /** `<namespace>.<name>`; of the root key `root`, or `root@<namespace>`. */
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Whose signature it would be. */
export interface Signer {
  readonly secret: string;
  /** Absent for an id that nobody has: its signature is judged all the same, by a secret that nobody knows. */
  readonly principal?: Principal;
}

const ROOT_ID = /^root(?:@([a-z0-9-]{1,63}))?$/;
const KEY_ID = /^([a-z0-9][a-z0-9-]{0,62})\.([A-Za-z0-9_\-.%]{1,127})$/;
const PURPOSE = "halfmq sigv4 1";
const encoder = new TextEncoder();

interface Found extends FoundKey {
  readonly until: number;
}

/** By access key id. One that is unknown is asked for each time, so that a new key works at once. */
const known = new Map<string, Found>();

/** The pair of whoever shows a key by itself. Undefined: a caller without a key, such as a binding. */
export function signingPair(caller: Principal, rootKey: string): SigningPair | undefined {
  const { namespace, keyName, keyHash } = caller;
  if (caller.root) {
    const id = namespace === DEFAULT_NAMESPACE ? "root" : `root@${namespace}`;
    return { accessKeyId: id, secretAccessKey: rootKey };
  }
  if (keyHash === undefined) return undefined;
  const accessKeyId = `${namespace}.${keyName}`;
  return { accessKeyId, secretAccessKey: secretOf(accessKeyId, keyHash, rootKey) };
}

const secretOf = (accessKeyId: string, keyHash: string, rootKey: string): string =>
  base64url(
    hmac(sha256, encoder.encode(rootKey), encoder.encode(`${PURPOSE}\0${accessKeyId}\0${keyHash}`)),
  );

export async function signerOf(
  accessKeyId: string,
  env: Bindings,
  clock: Clock,
): Promise<Outcome<Signer>> {
  const rootKey = env.HALFMQ_ROOT_KEY;
  if (rootKey === undefined || rootKey === "") {
    return refuse("not_configured", "The deployment has no HALFMQ_ROOT_KEY");
  }
  const [isRoot, namespace = DEFAULT_NAMESPACE] = ROOT_ID.exec(accessKeyId) ?? [];
  if (isRoot !== undefined && isNamespace(namespace)) {
    const root = rootIn(namespace);
    return root.ok ? accept({ secret: rootKey, principal: root.value }) : root;
  }
  const key = await keyOf(accessKeyId, env, clock);
  if (!key.ok) return key;
  const found = key.value;
  const secret = secretOf(accessKeyId, found?.hash ?? "", rootKey);
  if (found === undefined || hasExpired(found.record, clock.nowMs())) return accept({ secret });
  return accept({ secret, principal: principalOf(found) });
}

async function keyOf(
  accessKeyId: string,
  env: Bindings,
  clock: Clock,
): Promise<Outcome<FoundKey | undefined>> {
  const [, namespace, name] = KEY_ID.exec(accessKeyId) ?? [];
  if (namespace === undefined || name === undefined) return accept(undefined);
  const cached = known.get(accessKeyId);
  if (cached !== undefined && cached.until > clock.nowMs()) return accept(cached);
  known.delete(accessKeyId);
  // Counted from before the question: the answer may be as old.
  const until = clock.nowMs() + CACHE_MS;
  const answer = await findByName(env, namespace, name);
  if (!answer.ok) return answer.code === "key_not_found" ? accept(undefined) : answer;
  const { record, hash } = answer.value;
  const found = { record, hash: base64url(hash), until };
  remember(known, accessKeyId, found);
  return accept(found);
}
