/** Messages on their way to the broker: what a program may say of one, and its text on the wire. */
import { expectArgument } from "./argument.ts";
import { toBase64 } from "./base64.ts";

/** Everything that a message may carry beside its body. */
export interface MessageOptions {
  /** What the body is, for its readers; the broker does not look. Default none. */
  readonly contentType?: string;
  /** One word to filter by, up to 128 bytes. Default none. */
  readonly tag?: string;
  /** Words to find the message by (`peek({key})`), up to 16. Default none. */
  readonly keys?: readonly string[];
  /** Headers for the readers, and for SQL filters; up to 128, 16 KiB together. Default none. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Messages of one group keep their order, and are handled one at a time by groups that are `ordered`. Default none: no order. */
  readonly messageGroup?: string;
  /** Delivered so many milliseconds from now, up to 366 days; in a transaction, from its commit. Excludes `deliverAt`. Default 0. */
  readonly delayMs?: number;
  /** Delivered at this instant; one in the past means now. Excludes `delayMs`. */
  readonly deliverAt?: number;
  /** Not delivered any more after so many milliseconds. Excludes `expiresAt`. Default: as long as the topic keeps it. */
  readonly ttlMs?: number;
  /** Not delivered any more after this instant, which must lie after its delivery. Excludes `ttlMs`. */
  readonly expiresAt?: number;
  /** The same one again within the topic's `dedupWindowMs` is answered `duplicate` with the first id. Default none. */
  readonly dedupId?: string;
  /**
   * Which one of a counting producer's messages this is; `mq.counting()` fills it in. An epoch starts at `sequence` 1, each next is
   * one more, per message group. A repeat is answered `duplicate`. Not in a transaction. Default none.
   */
  readonly producer?: {
    readonly id: string;
    readonly epoch: number;
    readonly sequence: number;
  };
}

/**
 * A message to send; say its body in one of four ways. `body` is sent as `JSON.stringify` writes it; `bodyText` is JSON text that
 * travels as it stands (numbers of any size); `bytes` and `bodyBase64` are for what is not JSON.
 */
export type OutgoingMessage<T = unknown> = MessageOptions &
  (
    | { readonly body: T }
    | { readonly bodyText: string }
    | { readonly bytes: Uint8Array }
    | { readonly bodyBase64: string }
  );

/** A message of a transaction, which may go to another topic than the transaction's. */
export type TransactionMessage<T = unknown> = OutgoingMessage<T> & { readonly topic?: string };

/** Said of several messages, or of one. */
export type OneOrMany<M> = M | readonly M[];

/** The messages as a list. */
export function listOf<M extends object>(messages: OneOrMany<M>): readonly M[] {
  return Array.isArray(messages) ? (messages as readonly M[]) : [messages as M];
}

/** `[…]` as the wire takes it. Throws a SyntaxError for a `bodyText` that is not JSON, a TypeError for a body that JSON cannot say. */
export function messagesText(messages: readonly OutgoingMessage[]): string {
  expectArgument("messages", messages, "list");
  const isOne = messages.length === 1;
  const texts = messages.map((each, index) =>
    messageText(each, isOne ? "message" : `messages[${index}]`),
  );
  return `[${texts.join(",")}]`;
}

/** The same of one message, which stands there. */
export function messageText(message: OutgoingMessage, field = "message"): string {
  expectArgument(field, message, "object");
  if ("bytes" in message) {
    const { bytes, ...rest } = message;
    expectArgument(`${field}.bytes`, bytes, "bytes");
    return JSON.stringify({ ...rest, bodyBase64: toBase64(bytes) });
  }
  if (!("bodyText" in message)) return JSON.stringify(message);
  const { bodyText, ...rest } = message;
  expectArgument(`${field}.bodyText`, bodyText, "text");
  JSON.parse(bodyText);
  const others = JSON.stringify(rest).slice(1, -1);
  return `{"body":${bodyText}${others === "" ? "" : `,${others}`}}`;
}
