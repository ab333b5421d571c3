/** What producers believe of their transactions. A belief never changes once the local transaction has ended. */
export type Belief = "commit" | "rollback";

export class Beliefs {
  readonly #beliefs = new Map<string, Belief>();

  /** The local transaction ended so, unless a check came first and was told otherwise. */
  end(transactionId: string, belief: Belief): Belief {
    const known = this.#beliefs.get(transactionId);
    if (known === undefined) this.#beliefs.set(transactionId, belief);
    return known ?? belief;
  }

  /** What a check is told: no trace of the transaction means that it can never commit any more. */
  lookUp(transactionId: string): Belief {
    return this.end(transactionId, "rollback");
  }
}
