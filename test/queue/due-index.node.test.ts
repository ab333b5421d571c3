import * as fc from "../kit/properties.node.ts";
import { describe, expect, test } from "vitest";
import { CodecError } from "../../src/core/bytes.ts";
import { compareDue, type DueEntry } from "../../src/queue/delayed/due-chunk.ts";
import { DueIndex, type DueIndexOptions } from "../../src/queue/delayed/due-index.ts";
import { bytesOf } from "../../src/queue/storage/storage.ts";
import { TestSql } from "../kit/sqlite.node.ts";

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/** A small generator, so that a failing run is the same run again. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What a queue does with the index: its own log of dues, what still waits, and the same again after a restart. */
class Rig {
  readonly sql = new TestSql();
  readonly log: DueEntry[] = [];
  readonly waiting = new Map<number, number>();
  readonly #options: DueIndexOptions;
  index: DueIndex;
  positions = 0;
  /** Popped entries that the caller had to ignore. */
  ignored = 0;

  constructor(options: DueIndexOptions = {}) {
    this.#options = options;
    for (const statement of DueIndex.schema) this.sql.exec(statement);
    this.sql.rowsWritten = 0;
    this.index = new DueIndex(this.sql, options);
  }

  add(dueMs: number, position = this.positions++): void {
    this.log.push({ position, dueMs });
    this.waiting.set(position, dueMs);
    this.index.add(position, dueMs);
  }

  maintain(): void {
    if (this.index.sealDue()) this.index.seal(String(this.log.length));
    if (this.index.mergeDue()) this.index.mergeStep();
  }

  pop(nowMs: number, max: number): DueEntry[] {
    const popped = this.index.popDue(nowMs, max);
    expect(popped).toEqual(popped.toSorted(compareDue));
    const fresh: DueEntry[] = [];
    for (const entry of popped) {
      if (this.waiting.get(entry.position) === entry.dueMs) {
        this.waiting.delete(entry.position);
        fresh.push(entry);
      } else this.ignored++;
    }
    return fresh;
  }

  restart(): void {
    this.index = new DueIndex(this.sql, this.#options);
    const log = this.log.slice(Number(this.index.lastMark() || 0));
    for (const { position, dueMs } of log) this.index.restore(position, dueMs);
  }

  /** The waiting ones that are due, as a plain sort would answer them. */
  due(nowMs: number): DueEntry[] {
    const all = [...this.waiting].map(([position, dueMs]) => ({ position, dueMs }));
    return all.filter((entry) => entry.dueMs <= nowMs).toSorted(compareDue);
  }

  earliest(): number {
    return Math.min(...this.waiting.values());
  }
}

const small: DueIndexOptions = {
  horizonMs: 20,
  runEntries: 4,
  tailMax: 7,
  fanIn: 3,
  mergeEntries: 9,
  progressEntries: 5,
};

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("add" as const),
      delays: fc.array(fc.nat(200), { minLength: 1, maxLength: 9 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("retime" as const),
      pick: fc.nat(),
      delayMs: fc.nat(200),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("recall" as const), pick: fc.nat() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("pop" as const),
      waitMs: fc.nat(40),
      max: fc.integer({ min: 1, max: 12 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("merge" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("seal" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function play(rig: Rig, step: Step, nowMs: number): number {
  const picked = (pick: number): number => [...rig.waiting.keys()][pick % rig.waiting.size] ?? 0;
  if (step.kind === "add") for (const delay of step.delays) rig.add(nowMs + delay);
  else if (step.kind === "retime" && rig.waiting.size > 0)
    rig.add(nowMs + step.delayMs, picked(step.pick));
  else if (step.kind === "recall" && rig.waiting.size > 0) rig.waiting.delete(picked(step.pick));
  else if (step.kind === "merge") rig.index.mergeStep();
  else if (step.kind === "seal") rig.index.seal(String(rig.log.length));
  else if (step.kind === "restart") rig.restart();
  else if (step.kind === "pop") {
    const later = nowMs + step.waitMs;
    const wanted = rig.due(later);
    const popped = rig.pop(later, step.max);
    expect(popped).toEqual(wanted.slice(0, popped.length));
    return later;
  }
  return nowMs;
}

describe("as a plain sort would", () => {
  test("any run of adds, retimes, recalls, pops, seals, merges and restarts gives the same", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150, size: "max" }), (steps) => {
        const rig = new Rig(small);
        let nowMs = 1_000;
        for (const step of steps) {
          nowMs = play(rig, step, nowMs);
          if (rig.index.sealDue()) rig.index.seal(String(rig.log.length));
          expect(rig.index.next() ?? Infinity).toBeLessThanOrEqual(rig.earliest());
        }
        const wanted = rig.due(2_000_000);
        const popped: DueEntry[] = [];
        while (rig.index.next() !== undefined) popped.push(...rig.pop(2_000_000, 10));
        expect(popped).toEqual(wanted);
        expect(rig.index.size()).toBe(0);
        expect(rig.sql.exec("SELECT id FROM due_chunk")).toHaveLength(0);
      }),
      { numRuns: 200 },
    );
  });
});

describe("budgets", () => {
  test("a million random dues over a year: rows, chunks of the next hour, memory, wake and pops", () => {
    const rig = new Rig();
    const pick = numbers(41);
    const count = 1_000_000;
    let tailMax = 0;
    for (let position = 0; position < count; position++) {
      rig.index.add(position, pick(YEAR_MS));
      if (position % 64 !== 63) continue;
      tailMax = Math.max(tailMax, rig.index.memory().tail);
      rig.maintain();
    }
    while (rig.index.mergeStep());
    expect(tailMax).toBeLessThanOrEqual(8_192 + 64);
    expect(rig.sql.rowsWritten / count).toBeLessThan(0.004);
    const held = rig.index.memory(HOUR_MS);
    expect(held.runs).toBeLessThanOrEqual(24);
    expect(held.chunksBefore).toBeLessThanOrEqual(24);
    expect(held.chunks).toBeLessThan(320);

    rig.sql.rowsRead = 0;
    const woken = new DueIndex(rig.sql);
    expect(woken.next()).toBeLessThan(HOUR_MS);
    expect(rig.sql.rowsRead).toBeLessThan(320);
    expect(woken.memory().decoded).toBe(0);
    expect(woken.indexedUpTo()).toBeGreaterThan(count - 8_192);
    for (let position = woken.indexedUpTo(); position < count; position++)
      woken.restore(position, 0);

    let popped = 0;
    let decodedMax = 0;
    let last = -1;
    for (let nowMs = 0; popped < count; nowMs += 24 * HOUR_MS) {
      for (let more = true; more;) {
        const entries = woken.popDue(nowMs, 1_000);
        for (const { dueMs } of entries) {
          if (dueMs < last) throw new Error("out of order");
          last = dueMs;
        }
        popped += entries.length;
        more = entries.length === 1_000;
        decodedMax = Math.max(decodedMax, woken.memory().decoded);
      }
    }
    expect(popped).toBe(count);
    expect(decodedMax).toBeLessThanOrEqual(24 * 4_096);
    expect(rig.sql.rowsWritten / count).toBeLessThan(0.005);
    expect(woken.next()).toBeUndefined();
  });

  test("a flood due in one millisecond is read chunk by chunk, in order of arrival", () => {
    const rig = new Rig();
    const count = 100_000;
    for (let position = 0; position < count; position++) {
      rig.index.add(position, 5_000);
      if (position % 100 === 99) rig.maintain();
    }
    expect(rig.index.popDue(4_999, 10)).toEqual([]);
    let at = 0;
    while (rig.index.next() !== undefined) {
      for (const { position } of rig.index.popDue(5_000, 700))
        if (position !== at++) throw new Error("out of order");
      // Runs hold the flood in stretches of positions: only the one that is read is decoded.
      if (rig.index.memory().decoded > 2 * 4_096) throw new Error("too much in memory");
    }
    expect(at).toBe(count);
  });

  test("short delays that are popped before a seal cost a row in 8,192", () => {
    const rig = new Rig();
    for (let position = 0; position < 10 * 8_192; position++) {
      rig.index.add(position, position + 5);
      rig.index.popDue(position, 10);
      if (rig.index.sealDue()) rig.index.seal("");
    }
    expect(rig.sql.rowsWritten).toBeLessThanOrEqual(3 * 10);
    expect(rig.index.memory().tail).toBeLessThan(8_192);
    expect(rig.index.indexedUpTo()).toBe(10 * 8_192);
  });

  test("a restart brings back no more than what was popped since progress was kept", () => {
    const rig = new Rig({ runEntries: 100, tailMax: 100, progressEntries: 40 });
    for (let round = 0; round < 300; round++) {
      rig.add((round * 7) % 300);
      rig.maintain();
    }
    rig.index.seal(String(rig.log.length));
    for (let nowMs = 29; nowMs < 300; nowMs += 30) {
      rig.restart();
      const before = rig.ignored;
      expect(rig.pop(nowMs, 100)).toHaveLength(30);
      expect(rig.ignored - before).toBeLessThanOrEqual(40);
    }
  });

  test("a merge goes on where it was after a restart", () => {
    const rig = new Rig({ ...small, fanIn: 8 });
    for (let turn = 0; turn < 8; turn++) {
      for (let add = 0; add < 7; add++) rig.add(add * 10 + turn);
      rig.index.seal(String(rig.log.length));
    }
    for (let more = true; more; rig.restart()) more = rig.index.mergeStep();
    expect(rig.index.memory().runs).toBe(1);
    expect(rig.pop(1_000, 100)).toHaveLength(56);
    expect(rig.ignored).toBe(0);
  });

  test("one merge step is bounded in rows and entries", () => {
    const rig = new Rig();
    const pick = numbers(7);
    for (let position = 0; position < 8 * 8_192; position++) {
      rig.index.add(position, pick(YEAR_MS));
      if (rig.index.sealDue()) rig.index.seal("");
    }
    let steps = 0;
    for (let more = true; more; steps++) {
      rig.sql.rowsWritten = 0;
      more = rig.index.mergeStep();
      expect(rig.sql.rowsWritten).toBeLessThanOrEqual(4 + 12 + 1);
      expect(rig.index.size()).toBe(8 * 8_192);
    }
    expect(steps).toBe(4);
    expect(rig.index.memory()).toMatchObject({ runs: 1, chunks: 16, decoded: 0 });
  });

  test("nothing is read before the first use", () => {
    const rig = new Rig(small);
    rig.sql.rowsRead = 0;
    const index = new DueIndex(rig.sql);
    index.add(1, 1);
    expect(index.sealDue()).toBe(false);
    expect(rig.sql.rowsRead).toBe(0);
    expect(index.next()).toBe(1);
  });
});

describe("damage", () => {
  test.each([
    ["due_chunk", "head"],
    ["due_chunk", "entries"],
    ["due_state", "body"],
  ])("a flipped byte of %s.%s is never an answer", (table, column) => {
    const rig = new Rig(small);
    for (const dueMs of [9, 3, 7, 5]) rig.add(dueMs);
    rig.index.seal("m");
    const [row] = rig.sql.exec(`SELECT ${column} AS bytes FROM ${table}`);
    const bytes = bytesOf(row?.["bytes"]);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 0x04;
      rig.sql.exec(`UPDATE ${table} SET ${column} = ?`, flipped);
      expect(() => new DueIndex(rig.sql).popDue(10, 10)).toThrow(CodecError);
    }
  });

  test("a chunk under another id and a missing chunk are refused", () => {
    const rig = new Rig(small);
    for (const dueMs of [9, 3, 7, 5]) rig.add(dueMs);
    rig.index.seal("m");
    rig.sql.exec("UPDATE due_chunk SET id = 77");
    expect(() => new DueIndex(rig.sql).next()).toThrow(CodecError);
    expect(() => rig.index.popDue(10, 10)).toThrow(CodecError);
  });
});
