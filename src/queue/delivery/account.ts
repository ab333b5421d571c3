/**
 * The account of a delivery state: from where on it counts, and how many messages were acked and put aside since. Beside the bitmap
 * of what is done, which says the same another way: an audit compares the two. Counters only; state.ts books and writes.
 */
import type { ByteReader, ByteWriter } from "../../core/bytes.ts";

/** What the account and the bitmap say together. */
export interface Balance {
  /** Messages from where it counts on. */
  readonly stored: number;
  readonly acked: number;
  /** Out of attempts: to the dead letters, or held in their place. Once each, whatever was decided since. */
  readonly buried: number;
  readonly expired: number;
  /** Done without having been delivered: a filter passed them over. */
  readonly passed: number;
  /** Not done. */
  readonly open: number;
  /** Done, and nobody knows why: a hole. Less than 0: booked twice. */
  readonly unaccounted: number;
}

export class Account {
  from = 0;
  acked = 0;
  buried = 0;
  /** Of the state's `expired`, what came before. */
  expiredBefore = 0;
  /** Passed over by filters that the group has no more. */
  passedBefore = 0;

  begin(from: number, expired: number): void {
    this.from = from;
    this.acked = this.buried = this.passedBefore = 0;
    this.expiredBefore = expired;
  }

  /** `open` and `expired` as the state has them; `filters` when a filter may pass messages over. */
  balance(next: number, open: number, expired: number, filters: boolean): Balance {
    const { acked, buried } = this;
    const stored = Math.max(0, next - this.from);
    const expiredSince = expired - this.expiredBefore;
    const rest = stored - open - acked - buried - expiredSince;
    const passed = filters ? Math.max(0, rest) : this.passedBefore;
    return {
      stored,
      acked,
      buried,
      expired: expiredSince,
      passed,
      open,
      unaccounted: rest - passed,
    };
  }

  write(writer: ByteWriter): void {
    writer.uint(this.from).uint(this.acked).uint(this.buried);
    writer.uint(this.expiredBefore).uint(this.passedBefore);
  }

  read(reader: ByteReader): void {
    this.from = reader.uint();
    this.acked = reader.uint();
    this.buried = reader.uint();
    this.expiredBefore = reader.uint();
    this.passedBefore = reader.uint();
  }
}
