/** Bytes as Base64 text and back, with nothing but what Node, Workers and browsers share. */

/** More arguments than this in one call overflow the stack of some runtimes. */
const CHUNK_BYTES = 0x2000;

/** Standard Base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(start, start + CHUNK_BYTES));
  }
  return btoa(binary);
}

/** Throws a DOMException (`InvalidCharacterError`) for text that is not Base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
