/** What is encoded comes back as it was, whatever it holds; and bytes that nobody encoded end in CodecError, not in a hang. */
import * as fc from "../kit/properties.node.ts";
import { expect, test } from "vitest";
import { ByteReader, ByteWriter, CodecError, encodeText } from "../../src/core/bytes.ts";
import {
  decodeEntry,
  encodeEntry,
  entryExpiresAt,
  entryWeight,
  type Entry,
} from "../../src/core/entry.ts";
import { Heap } from "../../src/core/heap.ts";
import {
  messageId,
  parseMessageId,
  parseReceipt,
  parseTransactionId,
  receipt,
  transactionId,
} from "../../src/core/ids.ts";
import {
  type Content,
  decodeRecord,
  encodeRecord,
  frame,
  frameContents,
  PLAIN_HEAD,
  plainStarts,
  readRecordHead,
  unframe,
} from "../../src/core/record.ts";
import { DeliveryPage, PAGE_OFFSETS } from "../../src/queue/delivery/page.ts";
import { HALF_PAGE, HalfPage, type Decided, type Placed } from "../../src/queue/halves/page.ts";
import { decodeHalf, encodeHalf, type HalfRecord } from "../../src/queue/halves/record.ts";
import {
  decodeRecord as decodeKey,
  encodeRecord as encodeKey,
} from "../../src/queue/keys/key-run.ts";

const number = fc.maxSafeNat();
const text = fc.string({ unit: "grapheme", maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 60 });

/** A record of which any part may be absent. */
const partly = <T extends object>(parts: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(parts, { requiredKeys: [] });

const content: fc.Arbitrary<Content> = fc
  .tuple(
    fc.oneof(
      fc.json().map((json) => ({ json })),
      bytes.map((raw) => ({ bytes: raw })),
    ),
    partly({
      delayMs: number,
      deliverAt: number,
      ttlMs: number,
      expiresAt: number,
      messageGroup: text,
      tag: text,
      dedupId: text,
      producer: fc.record({ id: text, epoch: number, sequence: number }),
      contentType: text,
      keys: fc.array(text, { maxLength: 5 }),
      properties: fc.dictionary(text, text, { maxKeys: 5 }),
      traceparent: text,
    }),
  )
  .map(([body, rest]) => ({ ...rest, body }));

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test("records, alone and in a frame", () => {
  fc.assert(
    fc.property(fc.array(content, { maxLength: 5 }), (contents) => {
      const records = contents.map((each) => encodeRecord(each));
      const back = unframe(frame(records)).map((record) => decodeRecord(record));
      expect(plain(back)).toEqual(plain(contents));
      expect(frameContents(contents)).toEqual(frame(records));
      const encoded = contents.map(({ body, ...rest }) =>
        "json" in body
          ? { ...rest, body: { ...body, utf8: encodeText(body.json) } }
          : { ...rest, body },
      );
      expect(frameContents(encoded)).toEqual(frame(records));
    }),
  );
});

test("a frame is plain when all of its records are", () => {
  const plainOne = fc.json().map((json): Content => ({ body: { json } }));
  fc.assert(
    fc.property(fc.array(fc.oneof(plainOne, plainOne, content)), (contents) => {
      const records = contents.map((each) => encodeRecord(each));
      const starts = plainStarts(frame(records));
      const arePlain = records.every((record) => readRecordHead(record) === PLAIN_HEAD);
      expect(starts !== undefined).toBe(arePlain);
      const found = starts?.map((start) => new ByteReader(frame(records), start).blob());
      if (found !== undefined) expect(found).toEqual(records);
    }),
  );
  // A length that reaches into what follows.
  expect(() => plainStarts(Uint8Array.from([9, 1, 1, 0x31]))).toThrow(CodecError);
});

test("a record of which the broker knows no more is its own entry", () => {
  fc.assert(
    fc.property(content, (value) => {
      const record = encodeRecord(value);
      expect(encodeEntry({ record })).toEqual(record);
      expect(decodeEntry(record)).toEqual({ record });
      expect(entryExpiresAt(record)).toBeUndefined();
      expect(entryWeight(record)).toBe(record.length);
    }),
  );
});

test("entries", () => {
  const entry = fc
    .tuple(
      content.map((each) => encodeRecord(each)),
      partly({
        id: text,
        sentAt: number,
        transactionId: text,
        expiresAt: number,
        deliverAt: number,
        isFirst: fc.constant(true as const),
      }),
    )
    .map(([record, rest]): Entry => ({ ...rest, record }));
  fc.assert(
    fc.property(entry, (value) => {
      expect(plain(decodeEntry(encodeEntry(value)))).toEqual(plain(value));
    }),
  );
});

test("half messages, and key records", () => {
  const policy = fc.record({ timeoutMs: number, intervalMs: number, maxChecks: number });
  const target = fc.record({ topic: text, incarnation: number, queue: number });
  const message = fc
    .tuple(bytes, partly({ target, duplicateOf: text }))
    .map(([record, rest]) => ({ ...rest, record }));
  const half: fc.Arbitrary<HalfRecord> = fc.record({
    producerGroup: text,
    policy,
    messages: fc.array(message, { maxLength: 5 }),
  });
  fc.assert(
    fc.property(half, (value) => {
      expect(plain(decodeHalf(encodeHalf(value)))).toEqual(plain(value));
    }),
  );
  const instant = fc.nat(2 ** 45);
  const key = fc
    .tuple(fc.uint8Array({ minLength: 8, maxLength: 8 }), instant, instant, instant, bytes)
    .map(([body, atMs, more, hold, value]) => {
      const untilMs = atMs + more;
      return { removed: false, body, atMs, untilMs, holdMs: Math.max(untilMs, hold), value };
    });
  fc.assert(
    fc.property(key, (value) => {
      expect(plain(decodeKey(encodeKey(value)))).toEqual(plain(value));
    }),
  );
});

const placed: fc.Arbitrary<Placed> = fc.oneof(
  fc.record({ at: fc.constant("log" as const), queue: number, offset: number }),
  fc.record({ at: fc.constant("delayed" as const), position: number, deliverAt: number }),
  fc.constant({ at: "link" as const }),
  fc.constant({ at: "undeliverable" as const }),
  fc.record({ at: fc.constant("duplicate" as const), id: text }),
  fc.record({ at: fc.constant("remote" as const), queue: number, offset: fc.nat() }),
);
const lastCheck = fc.oneof(
  fc.constant(undefined),
  fc.record({ at: fc.integer({ min: 1 }), outcome: fc.constantFrom("timeout", "unknown") }),
  fc.record({
    at: fc.integer({ min: 1 }),
    outcome: fc.constant("status"),
    status: fc.integer({ min: 100, max: 599 }),
  }),
);

const decided: fc.Arbitrary<Decided> = fc.record({
  state: fc.constantFrom("committed" as const, "rolledBack" as const, "discarded" as const),
  by: fc.constantFrom(undefined, "producer" as const, "check" as const, "operator" as const),
  at: number,
  checks: number,
  lastCheck,
  placed: fc.array(placed, { maxLength: 3 }),
});

test("pages of half messages and of deliveries", () => {
  const at = fc.nat(HALF_PAGE - 1);
  const progress = fc.record({ checks: number, nextCheckAt: number, openUntil: number, lastCheck });
  fc.assert(
    fc.property(
      fc.nat(1_000),
      fc.array(fc.tuple(at, decided)),
      fc.array(fc.tuple(at, progress)),
      (no, ends, open) => {
        const page = new HalfPage(no);
        for (const [index, value] of ends) page.decided.set(no * HALF_PAGE + index, value);
        for (const [index, value] of open) page.progress.set(no * HALF_PAGE + index, value);
        const writer = new ByteWriter();
        page.encode(writer);
        const back = HalfPage.decode(no, writer.finish(), 7);
        expect([back.decided, back.progress]).toEqual([page.decided, page.progress]);
      },
    ),
  );
  const flight = fc.record({
    index: fc.nat(PAGE_OFFSETS - 1),
    generation: number,
    attempt: number,
    dueAt: number,
    leased: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.nat(1_000),
      fc.array(fc.nat(PAGE_OFFSETS - 1)),
      fc.array(flight),
      (no, done, flights) => {
        const page = new DeliveryPage(1, no);
        for (const index of done) page.setDone(no * PAGE_OFFSETS + index);
        for (const { index, ...rest } of flights) {
          const offset = no * PAGE_OFFSETS + index;
          page.flights.set(offset, { offset, ...rest });
        }
        const writer = new ByteWriter();
        page.encode(writer);
        const back = DeliveryPage.decode(1, no, writer.finish(), 7);
        expect(back.flights).toEqual(page.flights);
        expect([back.doneCount, back.firstOpen()]).toEqual([page.doneCount, page.firstOpen()]);
        expect(done.every((index) => back.isDone(no * PAGE_OFFSETS + index))).toBe(true);
      },
    ),
  );
});

test("ids and receipts; and no text is one that was not made so", () => {
  const address = fc.record({ incarnation: number, queue: number, position: number });
  fc.assert(
    fc.property(
      address,
      fc.constantFrom("log", "half", "delayed", "memory"),
      fc.nat(),
      (where, origin, nth) => {
        const index = origin === "half" || origin === "memory" ? nth : 0;
        const message = { ...where, origin, index } as const;
        expect(parseMessageId(messageId(message))).toEqual(message);
        expect(parseTransactionId(transactionId(where))).toEqual(where);
        const { incarnation, queue, position: offset } = where;
        const delivery = { incarnation, queue, group: nth, epoch: nth, generation: nth, offset };
        expect(parseReceipt(receipt(delivery))).toEqual(delivery);
      },
    ),
  );
  const near = fc.string({
    unit: fc.constantFrom("m", "l", "h", "t", "x", "r", "_", "0", "1", "z", "Z"),
    maxLength: 24,
  });
  fc.assert(
    fc.property(near, (id) => {
      const [message, transaction, delivery] = [
        parseMessageId(id),
        parseTransactionId(id),
        parseReceipt(id),
      ];
      if (message !== undefined) expect(messageId(message)).toBe(id);
      if (transaction !== undefined) expect(transactionId(transaction)).toBe(id);
      if (delivery !== undefined) expect(receipt(delivery)).toBe(id);
    }),
  );
});

test("numbers up to 2^53, and a reader that never passes its end", () => {
  fc.assert(
    fc.property(fc.array(number), (numbers) => {
      const writer = new ByteWriter(1);
      for (const value of numbers) writer.uint(value);
      const reader = new ByteReader(writer.finish());
      expect(numbers.map(() => reader.uint())).toEqual(numbers);
      expect(reader.done).toBe(true);
      expect(() => reader.byte()).toThrow(CodecError);
    }),
  );
});

test("bytes that nobody encoded end in an answer or in CodecError", () => {
  const decoders = [
    decodeRecord,
    decodeEntry,
    decodeHalf,
    unframe,
    (data: Uint8Array) => HalfPage.decode(0, data, 0),
    (data: Uint8Array) => DeliveryPage.decode(1, 0, data, 0),
  ];
  // The first byte is a version that is known, or none would be read any further.
  const raw = fc.tuple(fc.constantFrom(0, 1, 0x81), fc.uint8Array({ maxLength: 600 }));
  fc.assert(
    fc.property(raw, ([version, rest]) => {
      for (const decode of decoders) {
        try {
          decode(Uint8Array.from([version, ...rest]));
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("a heap gives back what was put in, smallest key first", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(50), fc.nat())), fc.array(fc.boolean()), (pairs, pops) => {
      const heap = new Heap();
      let model: (readonly [number, number])[] = [];
      for (const [index, pair] of pairs.entries()) {
        heap.push(...pair);
        model.push(pair);
        if (!(pops[index] ?? false)) continue;
        const [key, value] = [heap.topKey, heap.pop()];
        expect(key).toBe(Math.min(...model.map(([each]) => each)));
        const at = model.findIndex(([k, v]) => k === key && v === value);
        expect(at).toBeGreaterThanOrEqual(0);
        model = model.toSpliced(at, 1);
      }
      expect(heap.size).toBe(model.length);
    }),
  );
});
