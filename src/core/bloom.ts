/**
 * A Bloom filter over keys that are hashes already: it answers "certainly not" or "perhaps".
 * It never hashes: the bits follow from the key's own first eight bytes, so keys must be spread evenly.
 */
import { CodecError } from "./bytes.ts";

const PROBES = 8;

/** At 16 bits a key about one absent key in 1,700 passes. */
export function makeBloom(keyCount: number, bitsPerKey = 16): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Math.max(8, Math.ceil((keyCount * bitsPerKey) / 8)));
}

export function addToBloom(bloom: Uint8Array, first: number, second: number): void {
  const bits = bloom.length * 8;
  let hash = first;
  for (let probe = 0; probe < PROBES; probe++) {
    const bit = hash % bits;
    const at = bit >>> 3;
    bloom[at] = (bloom[at] as number) | (1 << (bit & 7));
    hash = (hash + (second | 1)) >>> 0;
  }
}

export function perhapsInBloom(bloom: Uint8Array, first: number, second: number): boolean {
  const bits = bloom.length * 8;
  if (bits === 0) throw new CodecError("empty filter");
  let hash = first;
  for (let probe = 0; probe < PROBES; probe++) {
    const bit = hash % bits;
    if (((bloom[bit >>> 3] as number) & (1 << (bit & 7))) === 0) return false;
    hash = (hash + (second | 1)) >>> 0;
  }
  return true;
}
