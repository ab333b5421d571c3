/** Names that nobody made before. It needs no secure context, which `crypto.randomUUID` would in a browser. */

const ID_BYTES = 16;

/** 128 random bits in hexadecimal: an Idempotency-Key, an attempt id. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
