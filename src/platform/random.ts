/**
 * Randomness and the two spellings in which it is shown. It never seeds, never falls back to a weak source.
 */

export function randomBytes(count: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(count));
}

export function base64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

export function base64url(bytes: Uint8Array): string {
  return base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** From 0 to below 1. For spreading load, never for secrets. */
export const random = (): number => Math.random();

/** Ids that no other isolate gives: chance, drawn at the first one, and a count. They name things; they are no secrets. */
export function idSource(): () => string {
  let start: string | undefined;
  let count = 0;
  return () => {
    start ??= base64url(randomBytes(12));
    return start + (count++).toString(36);
  };
}
