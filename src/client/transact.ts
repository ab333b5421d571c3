/**
 * The function form of a transaction: prepare, do the local work, decide by how the work ended. It never guesses: work that ended
 * in an unexpected error, or a decision that the broker did not hear, is left to the check-back.
 */
import { HalfmqError, isRetryable } from "./error.ts";
import type { Transaction } from "./transaction.ts";

/** Thrown by local work that surely wrote nothing: the transaction is rolled back, and this error goes on to the caller. */
export class RollbackError extends Error {
  override readonly name: string = "RollbackError";
}

/** How the function form decides. */
export interface TransactOptions {
  /**
   * What an error of the local work means, a RollbackError apart. `"unknown"` leaves the transaction to the check-back: a thrown
   * error does not prove that the database did not commit (the connection may have broken after it did).
   * `"rollback"` drops the messages at once; right only where the work writes nothing, or its errors prove that it wrote nothing.
   * Default `"unknown"`.
   */
  readonly onThrow?: "unknown" | "rollback";
  /**
   * Hears when the broker did not take the decision (unreachable, overloaded, past all retries) and it is left to the check-back.
   * The local work is done all the same, so `transact` still fulfils or rejects as that did. Default: nothing.
   */
  readonly onUndecided?: (error: HalfmqError, transaction: Transaction) => void;
}

/**
 * Runs the local work of a prepared transaction and decides:
 * - it returns: commit, and its result is the result;
 * - it throws a RollbackError: rollback, and the error goes on;
 * - it throws anything else: as `onThrow` says, and the error goes on;
 * - it asked `tx.commit()`, `tx.rollback()` or `tx.unknown()` itself: that holds, however it ended.
 * Rejects with `transaction_rolled_back`, `transaction_committed` or `transaction_discarded` (the work's own error as its cause)
 * when a check, or an operator, decided the other way meanwhile.
 */
export async function decideBy<R>(
  transaction: Transaction,
  work: (transaction: Transaction) => R | Promise<R>,
  options: TransactOptions = {},
): Promise<R> {
  let result: R;
  try {
    result = await work(transaction);
  } catch (error) {
    const rollsBack = error instanceof RollbackError || options.onThrow === "rollback";
    await settle(transaction, rollsBack ? "rollback" : undefined, options, error);
    throw error;
  }
  await settle(transaction, "commit", options);
  return result;
}

/** Asks for the decision unless the work did, and hears its answer. */
async function settle(
  transaction: Transaction,
  decision: "commit" | "rollback" | undefined,
  options: TransactOptions,
  thrown?: unknown,
): Promise<void> {
  if (transaction.asked === undefined && decision !== undefined) {
    // Its answer is heard below.
    void transaction[decision]().catch(() => {});
  }
  try {
    await transaction.settled();
  } catch (error) {
    if (error instanceof HalfmqError && isRetryable(error)) {
      options.onUndecided?.(error, transaction);
      return;
    }
    if (thrown === undefined || !(error instanceof HalfmqError)) throw error;
    throw error.with({ cause: thrown });
  }
}
