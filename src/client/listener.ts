/**
 * The RocketMQ form: a TransactionListener that does the local work and answers for it, and a producer that runs it.
 * As there, an error of the local work is not thrown but leaves the message half, and the check-back decides.
 */
import type { Check, CheckedMessage, CheckFunction } from "./check.ts";
import { resolutionOf } from "./check.ts";
import type { CheckHandler, CheckHandlerOptions } from "./check-handler.ts";
import type { CheckPoller, CheckPollerOptions } from "./check-poller.ts";
import { HalfmqError, isRetryable } from "./error.ts";
import type { TransactionMessage } from "./outgoing.ts";
import type { StopOptions } from "./subscription.ts";
import type { Resolution, Transaction } from "./transaction.ts";

type Answer = Resolution | undefined | void | Promise<Resolution | undefined | void>;

/** What a transactional producer must be able to say. */
export interface TransactionListener<T = unknown> {
  /**
   * Does the local work after the half message is stored. Its word decides at once; `"unknown"`, nothing, or an error leaves the
   * message half until `checkLocalTransaction` knows.
   */
  executeLocalTransaction(message: TransactionMessage<T>, transaction: Transaction): Answer;
  /**
   * Looks whether the local work was done; asked by any process of the group, also long after. `check.messages` holds all of
   * them when a transaction was prepared with several.
   */
  checkLocalTransaction(message: CheckedMessage<T>, check: Check<T>): Answer;
}

/** What became of a message sent in a transaction. */
export interface TransactionSendResult {
  readonly transactionId: string;
  readonly messageId: string;
  /** What the local work said. */
  readonly localState: Resolution;
  /** What it threw, if it did. */
  readonly localError?: unknown;
  /** Set when the broker did not hear the decision: then the check-back makes it. */
  readonly undecided?: HalfmqError;
}

/** What a TransactionProducer asks of the client. */
export interface ProducerPort {
  readonly prepare: (topic: string, message: TransactionMessage) => Promise<Transaction>;
  readonly poll: (check: CheckFunction, options: CheckPollerOptions) => CheckPoller;
  readonly handler: (options: CheckHandlerOptions) => CheckHandler;
}

/** Made by `mq.producer({group, listener})`. */
export class TransactionProducer<T = unknown> {
  readonly #listener: TransactionListener<T>;
  readonly #port: ProducerPort;
  #poller: CheckPoller | undefined;

  constructor(listener: TransactionListener<T>, port: ProducerPort) {
    this.#listener = listener;
    this.#port = port;
  }

  /**
   * Prepares the message, runs `executeLocalTransaction` and does what it says. Rejects when the prepare failed (then no local
   * work was done), and with `transaction_rolled_back`, `transaction_committed` or `transaction_discarded` when a check decided
   * the other way meanwhile.
   */
  async sendMessageInTransaction(
    topic: string,
    message: TransactionMessage<T>,
  ): Promise<TransactionSendResult> {
    const transaction = await this.#port.prepare(topic, message);
    const local = await this.#execute(message, transaction);
    const messageId = transaction.messages[0]?.id ?? "";
    const sent: TransactionSendResult = { transactionId: transaction.id, messageId, ...local };
    // Unknown is not reported: the first check comes at its time, sooner than after a report.
    if (local.localState === "unknown") return sent;
    try {
      await transaction[local.localState]();
      return sent;
    } catch (error) {
      if (error instanceof HalfmqError && isRetryable(error)) return { ...sent, undecided: error };
      throw error;
    }
  }

  /** Polls for the group's checks and answers them with `checkLocalTransaction`, until `stop`. A second call changes nothing. */
  start(options: CheckPollerOptions = {}): CheckPoller {
    return (this.#poller ??= this.#port.poll(this.#check, options));
  }

  /** Ends the polling as `CheckPoller.stop` does. */
  async stop(options: StopOptions = {}): Promise<void> {
    const poller = this.#poller;
    this.#poller = undefined;
    await poller?.stop(options);
  }

  /** The webhook form instead of `start`: a handler to mount that answers with `checkLocalTransaction`. */
  checkHandler(options: Omit<CheckHandlerOptions, "check">): CheckHandler {
    return this.#port.handler({ ...options, check: this.#check });
  }

  readonly #check: CheckFunction = (check) => {
    const [message] = check.messages as readonly CheckedMessage<T>[];
    if (message === undefined) return "unknown";
    return this.#listener.checkLocalTransaction(message, check as Check<T>);
  };

  async #execute(
    message: TransactionMessage<T>,
    transaction: Transaction,
  ): Promise<{ localState: Resolution; localError?: unknown }> {
    try {
      const answer = await this.#listener.executeLocalTransaction(message, transaction);
      return { localState: resolutionOf(answer) };
    } catch (localError) {
      return { localState: "unknown", localError };
    }
  }
}
