/**
 * The one thing a queue's stores need of the ground under them: run one SQL statement, synchronously.
 * A Durable Object's `ctx.storage.sql` fits it as it is, and so does node:sqlite behind test/kit/sqlite.node.ts.
 * It never opens a transaction: the flush that calls the stores owns that.
 */
import { CodecError } from "../../core/bytes.ts";

export type SqlValue = string | number | ArrayBuffer | Uint8Array | null;

export interface Sql {
  exec(query: string, ...bindings: SqlValue[]): Iterable<Record<string, SqlValue>>;
}

/** A blob column's bytes without a copy: workerd answers an ArrayBuffer, node:sqlite a Uint8Array. */
export function bytesOf(value: SqlValue | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw new CodecError(`a blob was expected, not ${value === null ? "null" : typeof value}`);
}

/** A text column's text. */
export function textOf(value: SqlValue | undefined): string {
  if (typeof value === "string") return value;
  throw new CodecError(`a text was expected, not ${value === null ? "null" : typeof value}`);
}

/** An integer column's number. */
export function numberOf(value: SqlValue | undefined): number {
  if (typeof value === "number") return value;
  throw new CodecError(`a number was expected, not ${value === null ? "null" : typeof value}`);
}
