/**
 * The rows of blocks, each sealed, and the copies of those that must be at hand. It knows columns, not why a block is here.
 */
import { CodecError } from "../../core/bytes.ts";
import { crc32, seedOf, withCrc, withoutCrc } from "../../core/crc32.ts";
import { bytesOf, textOf, type Sql, type SqlValue } from "../storage/storage.ts";
import { decodeStretches, encodeStretches, type Block } from "./block.ts";

const COLUMNS = "first, end, base, before, bytes, key, digest, home, missing_since, stretches";

const sealOf = (block: Omit<Block, "stretches">): number => {
  const { first, end, base, before, ref, missingSince } = block;
  const home = crc32(new TextEncoder().encode(ref.home));
  const refers = [ref.bytes, crc32(ref.key), crc32(ref.digest), home];
  return seedOf("cold_log", first, end, base, before, ...refers, missingSince);
};

/** The row as it was written. */
function opened(row: Record<string, SqlValue>): Block {
  const place = {
    first: Number(row["first"]),
    end: Number(row["end"]),
    base: Number(row["base"]),
    before: Number(row["before"]),
    ref: {
      key: bytesOf(row["key"]).slice(),
      bytes: Number(row["bytes"]),
      digest: bytesOf(row["digest"]).slice(),
      home: textOf(row["home"]),
    },
    missingSince: Number(row["missing_since"]),
  };
  const what = `the row of block ${place.first}`;
  const stretches = withoutCrc(bytesOf(row["stretches"]), sealOf(place), what);
  return { ...place, stretches: decodeStretches(place, stretches) };
}

export class BlockRows {
  static readonly schema: readonly string[] = [
    `CREATE TABLE IF NOT EXISTS cold_log (
      first INTEGER PRIMARY KEY, end INTEGER NOT NULL, base INTEGER NOT NULL, before INTEGER NOT NULL,
      bytes INTEGER NOT NULL, key BLOB NOT NULL, digest BLOB NOT NULL,
      home TEXT NOT NULL, missing_since INTEGER NOT NULL, stretches BLOB NOT NULL) STRICT`,
    "CREATE TABLE IF NOT EXISTS block_copy (first INTEGER PRIMARY KEY, object BLOB NOT NULL) STRICT",
  ];

  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  *read(which: string, ...bindings: number[]): Generator<Block> {
    const query = `SELECT ${COLUMNS} FROM cold_log ${which}`;
    for (const row of this.#sql.exec(query, ...bindings)) yield opened(row);
  }

  /** The block that holds the position. */
  find(position: number): Block | undefined {
    for (const block of this.read("WHERE first <= ? ORDER BY first DESC LIMIT 1", position))
      return position < block.end ? block : undefined;
    return undefined;
  }

  write(block: Block): void {
    const { first, end, base, before, ref, missingSince, stretches } = block;
    this.#sql.exec(
      `INSERT OR REPLACE INTO cold_log (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      first,
      end,
      base,
      before,
      ref.bytes,
      ref.key,
      ref.digest,
      ref.home,
      missingSince,
      withCrc(encodeStretches(stretches), sealOf(block)),
    );
  }

  /** Blocks that begin below the position, with their copies. */
  dropBelow(position: number): void {
    this.#sql.exec("DELETE FROM cold_log WHERE first < ?", position);
    this.#sql.exec("DELETE FROM block_copy WHERE first < ?", position);
  }

  // ------------------------------------------------------------ copies

  /** Blocks that have one. */
  copies(): number[] {
    const rows = this.#sql.exec("SELECT first FROM block_copy ORDER BY first");
    return Array.from(rows, (row) => Number(row["first"]));
  }

  /** The object, which seals itself. */
  copy(first: number): Uint8Array {
    for (const row of this.#sql.exec("SELECT object FROM block_copy WHERE first = ?", first))
      return bytesOf(row["object"]);
    throw new CodecError(`the copy of block ${first} is missing`);
  }

  putCopy(first: number, object: Uint8Array): void {
    this.#sql.exec("INSERT INTO block_copy (first, object) VALUES (?, ?)", first, object);
  }

  dropCopy(first: number): void {
    this.#sql.exec("DELETE FROM block_copy WHERE first = ?", first);
  }
}
