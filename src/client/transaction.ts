/** A prepared transaction in hand: its half messages wait at the broker until one decision is durable. The first one wins. */
import type { CheckPolicy } from "../protocol/topic.ts";
import type { CallOptions, Http, WriteOptions } from "./http.ts";
import { newId } from "./id.ts";
import { path } from "./path.ts";

/** What a local transaction came to. Only `commit` and `rollback` end it. */
export type Resolution = "commit" | "rollback" | "unknown";

/** Where a transaction stands. */
export type TransactionState = "prepared" | "committed" | "rolledBack" | "discarded";

/** Whose word a decision is, for the record. */
export type Decider = "producer" | "check" | "operator";

/** A message of a transaction, as far as it is placed. */
export interface PlacedMessage {
  readonly id: string;
  readonly topic?: string;
  readonly queue?: number;
  /** Absent while it is half, delayed, or still on its way to another queue. */
  readonly offset?: number;
  readonly deliverAt?: number;
  /** Its topic was deleted before the commit could bring it there. */
  readonly undeliverable?: boolean;
}

/** The answer to a prepare. */
export interface Prepared {
  readonly transactionId: string;
  readonly state: "prepared";
  readonly producerGroup: string;
  readonly check: CheckPolicy;
  readonly nextCheckAt: number;
  readonly messages: readonly { readonly id: string }[];
}

/** The answer to a decision. */
export interface Decided {
  readonly transactionId: string;
  readonly state: TransactionState;
  /** Whether it had been decided so before. */
  readonly repeated?: boolean;
  readonly nextCheckAt?: number;
  readonly messages?: readonly PlacedMessage[];
}

/** A transaction as the broker shows it. */
export interface TransactionInfo {
  readonly transactionId: string;
  readonly topic: string;
  readonly queue: number;
  readonly producerGroup: string;
  readonly state: TransactionState;
  /** How often was asked. */
  readonly checks: number;
  /** The last check that decided nothing: `outcome` is `unknown` when that was the answer, else why there was none. */
  readonly lastCheck?: { readonly at: number; readonly outcome: string; readonly status?: number };
  readonly nextCheckAt?: number;
  readonly decidedBy?: Decider;
  readonly preparedAt: number;
  readonly decidedAt?: number;
  readonly messages: readonly PlacedMessage[];
}

/** How a decision is made. */
export interface DecisionOptions extends WriteOptions {
  /** Default `producer`. */
  readonly by?: Decider;
  /** The check that is answered: an `unknown` counts from the newest only. Default none. */
  readonly attempt?: number;
}

/** The decisions on transactions by their ids, for whoever has no handle: `mq.transactions`. */
export class Transactions {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Makes the messages visible. Rejects with `transaction_rolled_back`, `transaction_discarded` or `transaction_not_found`. */
  commit(id: string, options: DecisionOptions = {}): Promise<Decided> {
    return this.#decide(id, "commit", options);
  }

  /** Drops the messages. Rejects with `transaction_committed`, `transaction_discarded` or `transaction_not_found`. */
  rollback(id: string, options: DecisionOptions = {}): Promise<Decided> {
    return this.#decide(id, "rollback", options);
  }

  /** Says that nothing is known yet: the next check comes one interval later. Rejects as commit and rollback do. */
  unknown(id: string, options: DecisionOptions = {}): Promise<Decided> {
    return this.#decide(id, "unknown", options);
  }

  /** Prepares a discarded transaction again, its checks at 0. Rejects with `transaction_not_discarded` or `transaction_not_found`. */
  resume(id: string, options: DecisionOptions = {}): Promise<Decided> {
    return this.#decide(id, "resume", options);
  }

  /** Where it stands. Rejects with `transaction_not_found`. */
  get(id: string, options: CallOptions = {}): Promise<TransactionInfo> {
    return this.#http.call({ method: "GET", path: path`/v1/transactions/${id}`, ...options });
  }

  #decide(id: string, verb: Resolution | "resume", options: DecisionOptions): Promise<Decided> {
    const { by, attempt, ...rest } = options;
    return this.#http.call({
      method: "POST",
      path: path`/v1/transactions/${id}/${verb}`,
      json: { ...(by && { by }), ...(attempt && { attempt }) },
      ...rest,
      idempotencyKey: rest.idempotencyKey ?? newId(),
    });
  }
}

/**
 * One transaction. Commit after the local work is durable, roll back when it surely is not, else leave it: the check-back asks.
 * A lost answer is repeated by the client with the same key; a decision is never doubled.
 */
export class Transaction {
  readonly id: string;
  readonly topic: string;
  readonly producerGroup: string;
  /** The ids that the messages will have for their consumers. */
  readonly messages: readonly { readonly id: string }[];
  /** When and how often is asked, unless it is decided before. */
  readonly check: CheckPolicy;
  /** When the first check comes, by the broker's clock. */
  readonly nextCheckAt: number;
  readonly #transactions: Transactions;
  #state: TransactionState = "prepared";
  #asked: { readonly resolution: Resolution; readonly answer: Promise<Decided> } | undefined;

  constructor(topic: string, prepared: Prepared, transactions: Transactions) {
    this.id = prepared.transactionId;
    this.topic = topic;
    this.producerGroup = prepared.producerGroup;
    this.messages = prepared.messages;
    this.check = prepared.check;
    this.nextCheckAt = prepared.nextCheckAt;
    this.#transactions = transactions;
  }

  /** What the broker last said to this handle. The check-back may have decided since: `mq.transactions.get(tx.id)`. */
  get state(): TransactionState {
    return this.#state;
  }

  /** What this handle asked for last: its answer may still be on its way, or have failed. */
  get asked(): Resolution | undefined {
    return this.#asked?.resolution;
  }

  /** Makes the messages visible. Rejects with `transaction_rolled_back` or `transaction_discarded` when that was decided before. */
  commit(options: DecisionOptions = {}): Promise<Decided> {
    return this.#ask("commit", options);
  }

  /** Drops the messages. Rejects with `transaction_committed` or `transaction_discarded` when that was decided before. */
  rollback(options: DecisionOptions = {}): Promise<Decided> {
    return this.#ask("rollback", options);
  }

  /** Leaves it to the check-back, the next one an interval from now. Rejects when it was decided before. */
  unknown(options: DecisionOptions = {}): Promise<Decided> {
    return this.#ask("unknown", options);
  }

  /** Fulfilled or rejected as the decision that was asked for last; at once when none was. */
  async settled(): Promise<void> {
    await this.#asked?.answer;
  }

  #ask(resolution: Resolution, options: DecisionOptions): Promise<Decided> {
    const ask = async (): Promise<Decided> => {
      const decided = await this.#transactions[resolution](this.id, options);
      this.#state = decided.state;
      return decided;
    };
    const answer = ask();
    // transact() looks at it later; nobody else has to.
    answer.catch(() => {});
    this.#asked = { resolution, answer };
    return answer;
  }
}
