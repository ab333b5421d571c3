/**
 * Message ids, transaction ids and receipts: opaque to clients, addresses to us. Each names its topic by the topic's
 * incarnation, a number that the namespace's registry never gives twice, so that nothing outlives a deleted topic.
 * They are addresses, not secrets: what a key may do is decided by the topic that they lead to.
 */

/**
 * `log`: sent straight to its queue, position = offset. `half`: prepared. `delayed`: waited for its time first. `memory`:
 * as `log`, on a topic that answers before the disk.
 */
type Origin = "log" | "half" | "delayed" | "memory";

export interface MessageAddress {
  readonly incarnation: number;
  readonly queue: number;
  readonly origin: Origin;
  readonly position: number;
  /** Place inside its transaction; of `memory`, the life of the queue's object, since a crash may give an offset again; else 0. */
  readonly index: number;
}

export interface TransactionAddress {
  readonly incarnation: number;
  readonly queue: number;
  readonly position: number;
}

/** One delivery of one message to one group. */
export interface ReceiptAddress {
  readonly incarnation: number;
  readonly queue: number;
  /** The group's number within its topic; never given twice. */
  readonly group: number;
  /** Counts the seeks of the group. */
  readonly epoch: number;
  /** Counts the deliveries of this message since the last seek, from 1. */
  readonly generation: number;
  readonly offset: number;
}

const [UNDERSCORE, ZERO, NINE, LETTER_A, LETTER_Z] = [0x5f, 0x30, 0x39, 0x61, 0x7a] as const;

const LETTER: Record<Origin, string> = { log: "l", half: "h", delayed: "d", memory: "m" };
const ORIGIN: Partial<Record<string, Origin>> = { l: "log", h: "half", d: "delayed", m: "memory" };

const join = (prefix: string, parts: readonly number[]): string => {
  let text = prefix;
  for (const part of parts) text += `_${part.toString(36)}`;
  return text;
};

/** Numbers of a well-formed id; undefined for anything that `join` would not have written. */
function split(prefix: string, text: string, count: number): number[] | undefined {
  if (text.length > 120 || !text.startsWith(prefix)) return undefined;
  const numbers: number[] = [];
  let at = prefix.length;
  while (at < text.length) {
    if (text.charCodeAt(at++) !== UNDERSCORE) return undefined;
    const from = at;
    let value = 0;
    for (; at < text.length; at++) {
      const digit = digitOf(text.charCodeAt(at));
      if (digit === undefined) break;
      value = value * 36 + digit;
    }
    // No digit, one 0 too many in front, or more than a number holds.
    if (at === from || (at - from > 1 && text.charCodeAt(from) === ZERO)) return undefined;
    if (!Number.isSafeInteger(value)) return undefined;
    numbers.push(value);
  }
  return numbers.length === count ? numbers : undefined;
}

/** What the character stands for in base 36, capitals aside. */
function digitOf(unit: number): number | undefined {
  if (unit >= ZERO && unit <= NINE) return unit - ZERO;
  return unit >= LETTER_A && unit <= LETTER_Z ? unit - LETTER_A + 10 : undefined;
}

const hasIndex = (origin: Origin): boolean => origin === "half" || origin === "memory";

export const messageId = (address: MessageAddress): string =>
  join(
    `m${LETTER[address.origin]}`,
    hasIndex(address.origin)
      ? [address.incarnation, address.queue, address.position, address.index]
      : [address.incarnation, address.queue, address.position],
  );

/** The ids of messages that were sent straight to one queue, by their offsets. */
export function idsOfLog(incarnation: number, queue: number): (offset: number) => string {
  const prefix = join(`m${LETTER.log}`, [incarnation, queue]);
  return (offset) => `${prefix}_${offset.toString(36)}`;
}

export function parseMessageId(id: string): MessageAddress | undefined {
  const origin = ORIGIN[id.charAt(1)];
  if (origin === undefined) return undefined;
  const numbers = split(`m${id.charAt(1)}`, id, hasIndex(origin) ? 4 : 3);
  if (numbers === undefined) return undefined;
  const [incarnation = 0, queue = 0, position = 0, index = 0] = numbers;
  return { incarnation, queue, origin, position, index };
}

export const transactionId = (address: TransactionAddress): string =>
  join("tx", [address.incarnation, address.queue, address.position]);

export function parseTransactionId(id: string): TransactionAddress | undefined {
  const numbers = split("tx", id, 3);
  if (numbers === undefined) return undefined;
  const [incarnation = 0, queue = 0, position = 0] = numbers;
  return { incarnation, queue, position };
}

export const receipt = (address: ReceiptAddress): string =>
  join("r", [
    address.incarnation,
    address.queue,
    address.group,
    address.epoch,
    address.generation,
    address.offset,
  ]);

export function parseReceipt(text: string): ReceiptAddress | undefined {
  const numbers = split("r", text, 6);
  if (numbers === undefined) return undefined;
  const [incarnation = 0, queue = 0, group = 0, epoch = 0, generation = 0, offset = 0] = numbers;
  return { incarnation, queue, group, epoch, generation, offset };
}
