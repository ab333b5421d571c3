/**
 * From the Authorization header to a principal. A missing, malformed, unknown, wrong or expired key gets one and the same
 * refusal, after the same comparison. It never keeps a key's text: what it remembers is known by the digest of the whole key,
 * so that a key that was rotated works at once.
 */
import { decodeBase64 } from "../core/base64.ts";
import { type Clock, systemClock } from "../platform/clock.ts";
import { equalDigests, sha256 } from "../platform/constant-time.ts";
import { parseKeyText } from "../platform/key-text.ts";
import { base64url } from "../platform/random.ts";
import { accept, type Outcome, refuse } from "../protocol/errors.ts";
import { DEFAULT_NAMESPACE } from "../protocol/rpc.ts";
import {
  type Bindings,
  findByName,
  type FoundKey,
  hasExpired,
  NAMESPACE_HEADER,
  principalOf,
  remember,
  rootIn,
} from "./known-keys.ts";
import type { Principal } from "./principal.ts";

/** A deleted key works on for as long as this. */
export const CACHE_MS = 5_000;
const KEY_PROTOCOL = /^halfmq\.bearer\.([A-Za-z0-9_-]{1,1024})$/;
const NAMESPACE_PROTOCOL = /^halfmq\.namespace\.([a-z0-9-]{1,63})$/;
const NO_HASH: Uint8Array = new Uint8Array(32);

const UNAUTHENTICATED = refuse(
  "unauthenticated",
  "Authorization: Bearer with a valid key is required",
);

interface Known extends FoundKey {
  readonly until: number;
}

/** By the digest of the whole key. Values only: a promise belongs to the request that made it. */
const known = new Map<string, Known>();
/**
 * Keys that the registry did not know, until when that is believed: a text that was wrong does not become right. Apart
 * from the good ones, so that a flood of bad ones does not drive those out.
 */
const bad = new Map<string, number>();

interface Headers {
  get(name: string): string | null;
}

/** Without waiting where everything is known, which is nearly always. */
export function authenticate(
  headers: Headers,
  env: Bindings,
  clock: Clock = systemClock,
): Promise<Outcome<Principal>> | Outcome<Principal> {
  const root = env.HALFMQ_ROOT_KEY;
  if (root === undefined || root === "") {
    return refuse("not_configured", "The deployment has no HALFMQ_ROOT_KEY");
  }
  const text = shownKey(headers);
  if (text === undefined) return UNAUTHENTICATED;
  const digest = sha256(text);
  const asked = headers.get(NAMESPACE_HEADER) ?? offered(headers, NAMESPACE_PROTOCOL);
  if (equalDigests(digest, digestOfRoot(root))) return rootIn(asked ?? DEFAULT_NAMESPACE);
  const name = String.fromCharCode(...digest);
  const cached = known.get(name);
  if (cached !== undefined && cached.until > clock.nowMs()) {
    return keyIn(unexpired(cached, clock), asked);
  }
  return findKey(text, name, env, clock).then((found) => keyIn(found, asked));
}

let lastRoot = { key: "", digest: NO_HASH };

/** Made once for each root key, of which an isolate sees one. */
function digestOfRoot(key: string): Uint8Array {
  if (lastRoot.key !== key) lastRoot = { key, digest: sha256(key) };
  return lastRoot.digest;
}

function keyIn(found: Outcome<Known>, asked: string | undefined): Outcome<Principal> {
  if (!found.ok) return found;
  if (asked !== undefined && asked !== found.value.record.namespace) {
    return refuse("forbidden", "The key belongs to another namespace", { field: NAMESPACE_HEADER });
  }
  return accept(principalOf(found.value));
}

/**
 * The key of the Authorization header. A browser cannot set that for a WebSocket: there the key may stand among the offered
 * subprotocols, as `halfmq.bearer.` and the key in base64url, which unlike a URL no proxy logs and no page keeps.
 */
function shownKey(headers: Headers): string | undefined {
  const header = headers.get("authorization");
  if (header !== null) return /^Bearer +(\S.*)$/i.exec(header)?.[1];
  const text = offered(headers, KEY_PROTOCOL);
  return text === undefined ? undefined : readBase64Url(text);
}

/** What stands behind a prefix among the subprotocols that a WebSocket's client offers. */
function offered(headers: Headers, protocol: RegExp): string | undefined {
  if (headers.get("upgrade")?.toLowerCase() !== "websocket") return undefined;
  const all = (headers.get("sec-websocket-protocol") ?? "").split(",");
  for (const each of all) {
    const [, text] = protocol.exec(each.trim()) ?? [];
    if (text !== undefined) return text;
  }
  return undefined;
}

function readBase64Url(text: string): string | undefined {
  const base64 = text.replaceAll("-", "+").replaceAll("_", "/");
  const bytes = decodeBase64(base64.padEnd(Math.ceil(base64.length / 4) * 4, "="));
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

async function findKey(
  text: string,
  digest: string,
  env: Bindings,
  clock: Clock,
): Promise<Outcome<Known>> {
  known.delete(digest);
  if ((bad.get(digest) ?? 0) > clock.nowMs()) return UNAUTHENTICATED;
  bad.delete(digest);
  const parsed = parseKeyText(text);
  if (parsed === undefined) return UNAUTHENTICATED;
  // Counted from before the question: the answer may be as old.
  const until = clock.nowMs() + CACHE_MS;
  const found = await findByName(env, parsed.namespace, parsed.name);
  if (!found.ok && found.code !== "key_not_found") return found;
  const isRight = equalDigests(sha256(parsed.secret), found.ok ? found.value.hash : NO_HASH);
  if (!found.ok || !isRight) {
    remember(bad, digest, until);
    return UNAUTHENTICATED;
  }
  const { record, hash } = found.value;
  const entry = { record, hash: base64url(hash), until };
  remember(known, digest, entry);
  return unexpired(entry, clock);
}

const unexpired = (entry: Known, clock: Clock): Outcome<Known> =>
  hasExpired(entry.record, clock.nowMs()) ? UNAUTHENTICATED : accept(entry);
