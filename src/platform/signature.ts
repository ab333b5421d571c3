/**
 * Standard Webhooks 1.0 signatures, symmetric scheme (`v1`): HMAC-SHA256 over `id.timestamp.body`. It signs and verifies;
 * it never makes or stores a secret, and an unreadable secret is undefined, never an empty key.
 */

/** A secret as the registry keeps it: `whsec_` and base64. */
export interface LiveSecret {
  readonly secret: string;
  /** It signs beside its successor until then. */
  readonly untilAt?: number;
}

interface Signed {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly timestamp: number;
  readonly body: string;
}

/** `CryptoKey` is a global type in workerd only. */
type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

const PREFIX = "whsec_";
const TOLERANCE_SECONDS = 5 * 60;
const encoder = new TextEncoder();

/** The `webhook-signature` of all secrets that are live, newest first; undefined when there is none to sign with. */
export async function sign(
  secrets: readonly LiveSecret[],
  signed: Signed,
  nowMs: number,
): Promise<string | undefined> {
  const signatures: string[] = [];
  for (const { secret, untilAt } of secrets) {
    if (untilAt !== undefined && untilAt <= nowMs) continue;
    const key = await importSecret(secret);
    if (key === undefined) continue;
    const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", key, textOf(signed)));
    signatures.push(`v1,${btoa(String.fromCharCode(...bytes))}`);
  }
  return signatures.length === 0 ? undefined : signatures.join(" ");
}

/** True when one of the signatures is of this secret and its instant within five minutes of now. Compares in constant time. */
export async function verify(
  secret: string,
  headers: { readonly id: string; readonly timestamp: string; readonly signature: string },
  body: string,
  nowMs: number,
): Promise<boolean> {
  const timestamp = /^\d{1,12}$/.test(headers.timestamp) ? Number(headers.timestamp) : Number.NaN;
  if (!(Math.abs(nowMs / 1_000 - timestamp) <= TOLERANCE_SECONDS)) return false;
  const key = await importSecret(secret);
  if (key === undefined) return false;
  const text = textOf({ id: headers.id, timestamp, body });
  for (const each of headers.signature.split(" ")) {
    const bytes = each.startsWith("v1,") ? fromBase64(each.slice(3)) : undefined;
    if (bytes !== undefined && (await crypto.subtle.verify("HMAC", key, bytes, text))) return true;
  }
  return false;
}

function textOf({ id, timestamp, body }: Signed): Uint8Array {
  return encoder.encode(`${id}.${timestamp}.${body}`);
}

async function importSecret(secret: string): Promise<Key | undefined> {
  const bytes = fromBase64(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret);
  if (bytes === undefined || bytes.length === 0) return undefined;
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const units = atob(text);
    const bytes = new Uint8Array(units.length);
    for (let at = 0; at < units.length; at++) bytes[at] = units.charCodeAt(at);
    return bytes;
  } catch {
    return undefined;
  }
}
