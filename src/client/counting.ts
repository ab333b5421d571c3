/**
 * A producer that counts: every message carries its id, its epoch and the next number of its message group, so that the
 * broker takes each once and in order, however often it is sent. One request is under way at a time. It keeps its numbers
 * in memory only: a restart begins a new epoch, which fences the old one.
 */
import { expectArgument, expectArguments } from "./argument.ts";
import { HalfmqError } from "./error.ts";
import type { CallOptions, WriteOptions } from "./http.ts";
import { newId } from "./id.ts";
import { listOf, type OneOrMany, type OutgoingMessage } from "./outgoing.ts";
import type { SentMessage } from "./sent.ts";

/** What a counting producer is called. */
export interface CountingOptions {
  /** Names the producer within the topic; up to 128 bytes. Two at work under one name fence each other. */
  readonly id: string;
  /** Of this life of the producer: higher than all before, as a counter in your database is, or the time of its start. */
  readonly epoch: number;
}

/** A sent message of a counting producer. */
export type CountedMessage = Omit<SentMessage, "id"> & {
  /** Absent for a duplicate that lies so far back that the broker has forgotten its first place. */
  readonly id?: string;
};

type Sender = (
  messages: readonly OutgoingMessage[],
  options: WriteOptions,
) => Promise<readonly CountedMessage[]>;

/** A request with its numbers: they stay the same until it is answered. */
interface Numbered {
  readonly messages: readonly OutgoingMessage[];
  readonly idempotencyKey: string;
  /** The last number of each message group afterwards. */
  readonly counts: ReadonlyMap<string | undefined, number>;
  /** An attempt at it may have been stored. */
  wasLost: boolean;
}

export class CountingProducer {
  readonly id: string;
  readonly epoch: number;
  readonly #send: Sender;
  readonly #counts = new Map<string | undefined, number>();
  /** What was sent without an answer that says what became of it. */
  #open: Numbered | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: CountingOptions, send: Sender) {
    expectArgument("options", options, "object");
    const { id, epoch } = options;
    expectArguments({ id: [id, "text"], epoch: [epoch, "number"] });
    this.id = id;
    this.epoch = epoch;
    this.#send = send;
  }

  /** Whether a request is open whose fate is not known; the next `send` completes it first. */
  get unsettled(): boolean {
    return this.#open !== undefined;
  }

  /**
   * Sends after everything before it. When it rejects with a refusal (`invalid_request`, `backlog_full` …) nothing of it is stored.
   * When it rejects because no answer came (`unavailable`, `network_error`, `timeout`, or your signal), do not send it again: it is
   * kept with its numbers, and `settle` or the next `send` completes it first. `producer_fenced`: another one with a
   * higher epoch is at work; stop.
   */
  send(
    messages: readonly OutgoingMessage[],
    options?: CallOptions,
  ): Promise<readonly CountedMessage[]>;
  send(message: OutgoingMessage, options?: CallOptions): Promise<CountedMessage>;
  async send(
    message: OneOrMany<OutgoingMessage>,
    options: CallOptions = {},
  ): Promise<CountedMessage | readonly CountedMessage[]> {
    const sent = await this.#next(async () => {
      await this.#complete(options);
      this.#open = this.#number(listOf(message));
      return this.#complete(options);
    });
    return Array.isArray(message) ? sent : (sent[0] as CountedMessage);
  }

  /** Completes what is open; fulfils with what it answered, or with nothing. Rejects as `send` does. */
  settle(options: CallOptions = {}): Promise<readonly CountedMessage[]> {
    return this.#next(() => this.#complete(options));
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  #number(messages: readonly OutgoingMessage[]): Numbered {
    const { id, epoch } = this;
    const counts = new Map<string | undefined, number>();
    const numbered = messages.map((message) => {
      expectArgument("message", message, "object");
      const { messageGroup } = message;
      const sequence = (counts.get(messageGroup) ?? this.#counts.get(messageGroup) ?? 0) + 1;
      counts.set(messageGroup, sequence);
      return { ...message, producer: { id, epoch, sequence } };
    });
    return { messages: numbered, idempotencyKey: newId(), counts, wasLost: false };
  }

  async #complete(options: CallOptions): Promise<readonly CountedMessage[]> {
    const open = this.#open;
    if (open === undefined) return [];
    const { messages, idempotencyKey, counts } = open;
    try {
      const sent = await this.#send(messages, { ...options, idempotencyKey });
      for (const [messageGroup, sequence] of counts) this.#counts.set(messageGroup, sequence);
      this.#open = undefined;
      return sent;
    } catch (error) {
      open.wasLost ||= !(error instanceof HalfmqError) || error.mayBeDone;
      if (isRefusedWhole(error, open.wasLost)) this.#open = undefined;
      throw error;
    }
  }
}

/**
 * Nothing of the request is stored, for certain. Once an attempt was lost, only a word on the request itself says so: a key
 * that is refused now, or too many requests, or a proxy's page, say nothing of what came through before.
 */
function isRefusedWhole(error: unknown, wasLost: boolean): boolean {
  if (!(error instanceof HalfmqError) || error.facts["messages"] !== undefined) return false;
  if (error.status < 400 || error.status >= 500) return false;
  const isOfRequest = ![401, 403, 429].includes(error.status) && error.code !== "unexpected_answer";
  return isOfRequest || !wasLost;
}
