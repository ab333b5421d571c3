import { crc32 as zlibCrc32 } from "node:zlib";
import * as fc from "../kit/properties.node.ts";
import { expect, test } from "vitest";
import { CodecError, encodeText } from "../../src/core/bytes.ts";
import { crc32, seedOf, withCrc, withoutCrc } from "../../src/core/crc32.ts";

test.each([
  ["", 0],
  ["123456789", 0xcbf43926],
  ["The quick brown fox jumps over the lazy dog", 0x414fa339],
  ["a", 0xe8b7be43],
])("the known checksum of %j", (text, expected) => {
  expect(crc32(encodeText(text))).toBe(expected);
});

test("it is zlib's, from any place in a buffer, with any seed, and in two halves", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(40),
      fc.nat(2 ** 31 - 1),
      (bytes, cut, seed) => {
        const part = bytes.subarray(Math.min(cut, bytes.length));
        expect(crc32(part, seed)).toBe(zlibCrc32(part, seed));
        const head = bytes.subarray(0, bytes.length - part.length);
        expect(crc32(part, crc32(head))).toBe(crc32(bytes));
      },
    ),
  );
});

test("sealed bytes come back only whole and in their place", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (bytes, at, flip) => {
        const sealed = withCrc(bytes, 7);
        expect(withoutCrc(sealed, 7)).toEqual(bytes);
        expect(() => withoutCrc(sealed, 8)).toThrow(CodecError);
        const index = at % sealed.length;
        sealed[index] = (sealed[index] ?? 0) ^ flip;
        expect(() => withoutCrc(sealed, 7)).toThrow(CodecError);
      },
    ),
  );
  expect(() => withoutCrc(new Uint8Array(3))).toThrow(CodecError);
});

test("a seed is the checksum of its columns' text, whatever letters they are in", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer(), fc.string({ unit: "binary" }), fc.string()), {
        maxLength: 6,
      }),
      (columns) => {
        expect(seedOf(...columns)).toBe(crc32(encodeText(columns.join("\0"))));
      },
    ),
  );
});
