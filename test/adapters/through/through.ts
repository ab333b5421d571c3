/** What the suite sees of a door, whichever protocol it speaks: one queue of messages, and what the door has and lacks. */

export interface Sending {
  readonly body: string | Uint8Array;
  readonly properties?: Readonly<Record<string, string>>;
  readonly tag?: string;
  readonly messageGroup?: string;
  readonly dedupId?: string;
  readonly delaySeconds?: number;
  readonly expiresAt?: number;
}

export interface Got {
  /** The same in all deliveries of a message. */
  readonly id: string;
  readonly body: string | Uint8Array;
  readonly properties: Readonly<Record<string, string>>;
  readonly tag: string | undefined;
  /** From 1. */
  readonly attempt: number;
  /** Whatever the door acks by. */
  readonly handle: string;
}

/** Somebody else at the same queue. Both reject when the door refuses. */
export interface Stranger {
  send(body: string): Promise<void>;
  /** Looks for messages in the way that the door has. */
  take(): Promise<unknown>;
}

/** Half messages in hand. */
export interface Half {
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

/** One topic and one group of consumers, as a door shows them. What a door lacks rejects. */
export interface Through {
  /** The longest text that is taken: letters of one byte. */
  readonly bodyLettersMax: number;
  /** A message that the door refuses for what it says. */
  readonly refused: Sending;
  /** Rejects when any was refused. */
  send(...messages: readonly Sending[]): Promise<void>;
  /** As one batch; whether each was stored, in their order. */
  sendBatch(...messages: readonly Sending[]): Promise<readonly boolean[]>;
  /** Up to ten, waiting so long for the first. */
  receive(waitSeconds?: number): Promise<readonly Got[]>;
  /** Waits for a message, and goes away while it waits. */
  leave(): Promise<void>;
  /** The handles that were too late, or none. */
  ack(...handles: readonly string[]): Promise<readonly string[]>;
  /** Visible again at once. */
  giveBack(handle: string): Promise<void>;
  extend(handle: string, seconds: number): Promise<void>;
  purge(): Promise<void>;
  /** Bodies of what ran out of attempts, by the door, or natively where it shows none. */
  deadLetters(): Promise<readonly (string | Uint8Array)[]>;
  /** All of them, back to the consumers. */
  redrive(): Promise<void>;
  /** Half messages, which its result commits or rolls back. */
  prepare(body: string): Promise<Half>;
  /** A delayed message that is taken back by `recall`. */
  sendLater(body: string): Promise<{ recall(): Promise<void> }>;
  /** Messages of these tags only, from now on. */
  filter(tag: string): Promise<void>;
  /** Another group of consumers of the same messages, from the first on. */
  anotherGroup(): Promise<Pick<Through, "ack" | "receive">>;
  /** With a wrong secret, or with a key of one scope. */
  as(who: Who): Promise<Stranger>;
}

export type Who = "nobody" | "who may only send" | "who may only consume";

export interface Making {
  /** Consumers get message groups in order. */
  readonly ordered?: boolean;
  readonly maxAttempts?: number;
  readonly invisibleSeconds?: number;
}

/** Is told what must not outlive the test. */
export type AtEnd = (run: () => Promise<void>) => void;

/** Makes a queue that nobody used. */
export type Make = (making: Making, atEnd: AtEnd) => Promise<Through>;

export type Capability =
  | "answers for many"
  | "batches"
  | "bytes"
  | "deduplication"
  | "delay"
  | "expiry"
  | "extension"
  | "filters"
  | "giving back"
  | "groups"
  | "polls"
  | "properties"
  | "purge"
  | "recall"
  | "redrive"
  | "tags"
  | "transactions";

/** More than a word: a lack without a reason does not compile. */
export type Reason = `${string} ${string} ${string}.`;

/** True, or why not. */
export type Capabilities = Readonly<Record<Capability, true | Reason>>;

export const EVERYTHING: { readonly [C in Capability]: true } = {
  "answers for many": true,
  batches: true,
  bytes: true,
  deduplication: true,
  delay: true,
  expiry: true,
  extension: true,
  filters: true,
  "giving back": true,
  groups: true,
  polls: true,
  properties: true,
  purge: true,
  recall: true,
  redrive: true,
  tags: true,
  transactions: true,
};

/**
 * A wait that is broken off by its client after a while, as long as another waits behind it: whoever is answered at once is not
 * looked after.
 */
export async function broken(
  queue: Pick<Through, "receive">,
  wait: (signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const controller = new AbortController();
  void wait(controller.signal).catch(() => undefined);
  await queue.receive(1);
  controller.abort();
}

/** For a verb that the door has not. */
export const lacks = (reason: Reason) => (): Promise<never> => Promise.reject(new Error(reason));
