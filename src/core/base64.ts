/** Base64 as RFC 4648 has it, with padding and no stray bits: strict when reading, canonical when writing. */

const ALPHABET = /^[A-Za-z0-9+/]*={0,2}$/;
const STEP_BYTES = 0x8000;

/** Undefined for anything that `encodeBase64` would not have written. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !ALPHABET.test(text)) return undefined;
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  // Bits beyond the last byte must be zero: only one text stands for some bytes.
  const tail = text.endsWith("=") ? text.slice(-4) : "";
  return tail !== "" && encodeBase64(bytes.subarray(bytes.length - (bytes.length % 3))) !== tail
    ? undefined
    : bytes;
}

export function encodeBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += STEP_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + STEP_BYTES));
  }
  return btoa(binary);
}
