import { createHash } from "node:crypto";
import * as fc from "../kit/properties.node.ts";
import { describe, expect, test } from "vitest";
import { CodecError, encodeText } from "../../src/core/bytes.ts";
import { KeyIndex, type KeyIndexOptions } from "../../src/queue/keys/key-index.ts";
import { bytesOf } from "../../src/queue/storage/storage.ts";
import { TestSql } from "../kit/sqlite.node.ts";

const HOUR_MS = 3_600_000;
const keyOf = (name: string | number): Uint8Array =>
  new Uint8Array(createHash("md5").update(String(name)).digest());
const bodyOf = (name: string | number): Uint8Array => keyOf(`body ${name}`).slice(0, 8);

function openSql(): TestSql {
  const sql = new TestSql();
  for (const statement of KeyIndex.schema) sql.exec(statement);
  sql.rowsWritten = 0;
  return sql;
}

/** Few names, so that one key meets itself in several runs. */
const LAST_NAME = 9;

const small: KeyIndexOptions = { runKeys: 4, rowBytesMax: 200, cacheBytesMax: 300, dropsMax: 2 };

/** What a queue does with the index: one blob a flush, a mark at each seal, both fed back after a restart. */
class Rig {
  readonly sql = openSql();
  readonly blobs: Uint8Array[] = [];
  readonly #options: KeyIndexOptions;
  index: KeyIndex;

  constructor(options: KeyIndexOptions = small) {
    this.#options = options;
    this.index = new KeyIndex(this.sql, options);
  }

  add(
    name: string | number,
    nowMs: number,
    untilMs: number,
    value = encodeText(String(name)),
  ): void {
    this.index.add(keyOf(name), { body: bodyOf(name), atMs: nowMs, untilMs, value });
  }

  flush(nowMs: number, seal = this.index.sealDue()): void {
    if (seal) this.index.seal(String(this.blobs.length), nowMs);
    const blob = this.index.takeUnsaved();
    if (blob !== undefined) this.blobs.push(blob);
  }

  restart(): void {
    this.index = new KeyIndex(this.sql, this.#options);
    // They stand in several tables: they come back in any order.
    this.index.restore(this.blobs.slice(Number(this.index.lastMark() ?? 0)).toReversed());
  }
}

type Step =
  | { kind: "add"; name: number; lifeMs: number }
  | { kind: "remove"; name: number }
  | { kind: "wait"; ms: number }
  | { kind: "flush"; seal: boolean }
  | { kind: "restart" };

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("add" as const),
      name: fc.nat(LAST_NAME),
      lifeMs: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(2 * HOUR_MS)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("remove" as const), name: fc.nat(LAST_NAME) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.oneof(fc.nat(40), fc.constant(HOUR_MS)),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("flush" as const), seal: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);

describe("as a plain map would", () => {
  test("any run of adds, removals, waits, seals and restarts finds the same", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: "max" }), (steps: Step[]) => {
        const rig = new Rig();
        const model = new Map<number, { atMs: number; untilMs: number }>();
        let nowMs = 1_000_000;
        const live = (name: number) => (model.get(name)?.untilMs ?? 0) > nowMs;
        for (const step of steps) {
          if (step.kind === "add" && !live(step.name)) {
            rig.add(step.name, nowMs, nowMs + step.lifeMs);
            model.set(step.name, { atMs: nowMs, untilMs: nowMs + step.lifeMs });
          } else if (step.kind === "remove") {
            expect(rig.index.remove(keyOf(step.name), nowMs)).toBe(live(step.name));
            model.delete(step.name);
          } else if (step.kind === "wait") nowMs += step.ms;
          else if (step.kind === "flush") rig.flush(nowMs, step.seal || rig.index.sealDue());
          else if (step.kind === "restart") {
            rig.flush(nowMs, false);
            rig.restart();
          }
          for (let name = 0; name <= LAST_NAME; name++) {
            const found = rig.index.find(keyOf(name), nowMs);
            const known = live(name) ? model.get(name) : undefined;
            const wanted = known && {
              body: bodyOf(name),
              ...known,
              value: encodeText(String(name)),
            };
            expect(found).toEqual(wanted);
          }
          expect(rig.index.memory().cacheBytes).toBeLessThanOrEqual(400);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("budgets", () => {
  test("a run of 8,192 keys is one row, and old runs go", () => {
    const rig = new Rig({});
    let nowMs = 1_000_000;
    for (let name = 0; name < 8 * 8_192; name++) {
      rig.add(name, nowMs, nowMs + 60_000);
      if (name % 64 === 63) rig.flush(nowMs);
      nowMs += 1;
    }
    expect(rig.sql.rowsWritten).toBe(8);
    expect(rig.index.memory().youngKeys).toBe(0);
    expect(rig.index.size(nowMs)).toBe(8 * 8_192);
    expect(rig.index.memory().filterBytes).toBe(8 * 8_192 * 2);
    nowMs += 60_000;
    expect(rig.index.size(nowMs)).toBe(0);
    rig.add("one more", nowMs, nowMs + 60_000);
    rig.flush(nowMs, true);
    expect(rig.sql.exec("SELECT id FROM key_run")).toHaveLength(1);
    expect(rig.index.find(keyOf("one more"), nowMs)).toBeDefined();
  });

  test("absent keys hardly ever read a run", () => {
    const rig = new Rig({ runKeys: 2_000 });
    for (let name = 0; name < 20_000; name++) {
      rig.add(name, 1, 100);
      rig.flush(1);
    }
    rig.sql.rowsRead = 0;
    for (let name = 20_000; name < 30_000; name++)
      expect(rig.index.find(keyOf(name), 2)).toBeUndefined();
    expect(rig.sql.rowsRead).toBeLessThan(150);
    for (let name = 0; name < 20_000; name += 500)
      expect(rig.index.find(keyOf(name), 2)?.body).toEqual(bodyOf(name));
  });

  test("large values make more rows, none above its bound", () => {
    const rig = new Rig({ runBytes: 4_000_000 });
    for (let name = 0; name < 2_000; name++)
      rig.add(name, 1, 100, new Uint8Array(2_000).fill(name));
    rig.flush(1);
    const rows = rig.sql.exec("SELECT length(entries) AS bytes FROM key_run");
    expect(rows.length).toBe(4);
    for (const row of rows) expect(row["bytes"]).toBeLessThan(1_210_000);
    expect(rig.index.find(keyOf(1_999), 2)?.value).toEqual(new Uint8Array(2_000).fill(1_999));
  });

  test("large values are sealed long before there are many", () => {
    const rig = new Rig({});
    for (let name = 0; name < 600; name++) rig.add(name, 1, 100, new Uint8Array(2_000));
    expect(rig.index.sealDue()).toBe(true);
  });

  test("the same key over and over is sealed too", () => {
    const rig = new Rig();
    for (let turn = 0; turn < 12; turn++) {
      rig.add("same", 1, 100);
      rig.index.remove(keyOf("same"), 1);
    }
    expect(rig.index.sealDue()).toBe(true);
  });

  test("it is full at keysMax and again not when they are over", () => {
    const rig = new Rig({ runKeys: 4, keysMax: 10 });
    for (let name = 0; name < 10; name++) {
      expect(rig.index.full(1)).toBe(false);
      rig.add(name, 1, 100);
      rig.flush(1);
    }
    expect(rig.index.full(1)).toBe(true);
    expect(rig.index.full(100)).toBe(false);
  });

  test("the mark outlives the last key", () => {
    const rig = new Rig();
    for (let name = 0; name < 4; name++) rig.add(name, 1, 100);
    rig.flush(1);
    const mark = rig.index.lastMark();
    rig.index.seal("nothing young", 1_000);
    expect(mark).toBeDefined();
    expect(rig.index.lastMark()).toBe(mark);
    expect(rig.index.size(1_000)).toBe(0);
  });

  test("nothing is read before the first use, and a mark reads one row", () => {
    const rig = new Rig();
    for (let name = 0; name < 50; name++) {
      rig.add(name, 1, 100);
      rig.flush(1);
    }
    rig.sql.rowsRead = 0;
    const index = new KeyIndex(rig.sql, small);
    expect(rig.sql.rowsRead).toBe(0);
    expect(index.lastMark()).toBe(rig.index.lastMark());
    expect(rig.sql.rowsRead).toBe(1);
    expect(index.find(keyOf(3), 2)).toBeDefined();
    expect(new KeyIndex(openSql()).lastMark()).toBeUndefined();
  });
});

describe("damage", () => {
  test.each(["head", "entries"])("a flipped byte of %s is never an answer", (column) => {
    const rig = new Rig({ runKeys: 5 });
    for (let name = 0; name < 5; name++) rig.add(name, 1, 100);
    rig.flush(1);
    const [row] = rig.sql.exec(`SELECT ${column} AS bytes FROM key_run`);
    const bytes = bytesOf(row?.["bytes"]);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      rig.sql.exec(`UPDATE key_run SET ${column} = ?`, flipped);
      expect(() => new KeyIndex(rig.sql).find(keyOf(1), 2)).toThrow(CodecError);
    }
  });

  test("a run under another id, a missing run and a cut blob are refused", () => {
    const rig = new Rig({ runKeys: 5 });
    for (let name = 0; name < 5; name++) rig.add(name, 1, 100);
    const blob = rig.index.takeUnsaved() ?? new Uint8Array();
    rig.index.seal("m", 1);
    rig.sql.exec("UPDATE key_run SET id = 9");
    expect(() => new KeyIndex(rig.sql).lastMark()).toThrow(CodecError);
    expect(() => rig.index.find(keyOf(1), 2)).toThrow(CodecError);
    const cut = blob.subarray(0, blob.length - 1);
    expect(() => new KeyIndex(openSql()).restore([cut])).toThrow(CodecError);
    expect(() => new KeyIndex(openSql()).restore([new Uint8Array([9])])).toThrow(CodecError);
    expect(() => rig.index.find(new Uint8Array(15), 1)).toThrow(CodecError);
  });
});
