/**
 * Receipt handles of transactional messages: which transaction, which check, and how long the handle is good. They are
 * addresses, not secrets: what a key may do is decided by the topic that they lead to.
 */
import { parseTransactionId } from "../../core/ids.ts";

export interface HalfHandle {
  readonly transactionId: string;
  readonly expiresAt: number;
  /** The check that it was handed out with; absent: it came with the publish. */
  readonly attempt?: number;
}

const PATTERN = /^h(?:(\d{1,8})c)?-([0-9a-z]{1,11})-(tx_[0-9a-z_]{1,100})$/;

export function writeHandle({ transactionId, expiresAt, attempt }: HalfHandle): string {
  const check = attempt === undefined ? "" : `${attempt}c`;
  return `h${check}-${expiresAt.toString(36)}-${transactionId}`;
}

/** Undefined for anything that was never a handle. */
export function readHandle(text: string): HalfHandle | undefined {
  const [, attempt, expires = "", transactionId] = PATTERN.exec(text) ?? [];
  if (transactionId === undefined || parseTransactionId(transactionId) === undefined)
    return undefined;
  const expiresAt = Number.parseInt(expires, 36);
  return attempt === undefined
    ? { transactionId, expiresAt }
    : { transactionId, expiresAt, attempt: Number(attempt) };
}
