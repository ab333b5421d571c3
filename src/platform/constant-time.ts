/**
 * SHA-256 digests of short texts and their comparison in a time that does not depend on where they differ.
 * It never compares the texts themselves: their lengths would show.
 */
import { sha256 as digestOfBytes } from "@noble/hashes/sha2.js";

const encoder = new TextEncoder();

/** workerd has it, Node's Web Crypto has not. */
interface TimingSafe {
  timingSafeEqual?(one: Uint8Array, other: Uint8Array): boolean;
}

/** At once: for a text as short as a key, waiting for the platform's own costs more than the digest. */
export const sha256 = (text: string): Uint8Array => digestOfBytes(encoder.encode(text));

/** True when two digests are the same bytes. */
export function equalDigests(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  const subtle = crypto.subtle as unknown as TimingSafe;
  if (subtle.timingSafeEqual !== undefined) return subtle.timingSafeEqual(one, other);
  let difference = 0;
  for (const [at, byte] of one.entries()) difference |= byte ^ (other[at] ?? 0);
  return difference === 0;
}
