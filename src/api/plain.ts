/**
 * The commonest requests, known at a glance: a look at each member instead of a walk through the schema, which costs some
 * twenty times as much. It can only say yes: what is not plain, right or wrong, is the schema's to judge, so that the schemas
 * stay the one source of what a request may be. test/api/plain.node.test.ts holds that each of these is also the schema's yes,
 * with the same outcome.
 */
import { DEFAULTS, LIMITS } from "../protocol/limits.ts";
import { nameFault } from "../core/name.ts";

type Members = Record<string, unknown>;

/** An object of JSON, with the members that it has. */
const isObject = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isWhole = (value: unknown, min: number, max: number): boolean =>
  typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;

/** Short enough in any script; a longer one is counted by the schema. */
const isWord = (value: unknown): boolean =>
  typeof value === "string" &&
  value.length > 0 &&
  value.length * 3 <= LIMITS.wordBytesMax &&
  value.isWellFormed();

/** A JSON body and at most words and a delay beside it. */
function isPlainMessage(value: unknown): boolean {
  if (!isObject(value)) return false;
  let hasBody = false;
  for (const name of Object.keys(value)) {
    const member = value[name];
    switch (name) {
      case "body":
        hasBody = true;
        // Its text is what is kept (core/raw-body.ts). A large value would only be carried through collections until the answer.
        value[name] = null;
        break;
      case "tag":
      case "messageGroup":
      case "dedupId":
        if (!isWord(member)) return false;
        break;
      case "delayMs":
        if (!isWhole(member, 0, LIMITS.delayMsMax)) return false;
        break;
      default:
        return false;
    }
  }
  return hasBody;
}

const arePlainMessages = (value: unknown, max: number): boolean =>
  Array.isArray(value) && value.length > 0 && value.length <= max && value.every(isPlainMessage);

/** Each of these answers what the schema would make of the value, or nothing. */
export function plainSend(value: unknown): unknown {
  if (!isObject(value)) return undefined;
  const { messages, ...others } = value;
  if (messages === undefined) return isPlainMessage(value) ? value : undefined;
  const isBatch =
    Object.keys(others).length === 0 && arePlainMessages(messages, LIMITS.requestMessagesMax);
  return isBatch ? value : undefined;
}

export function plainPrepare(value: unknown): unknown {
  if (!isObject(value)) return undefined;
  const { producerGroup, message, messages, ...others } = value;
  const isRest = Object.keys(others).length === 0 && typeof producerGroup === "string";
  if (!isRest || nameFault(producerGroup) !== undefined) return undefined;
  const isPlain =
    messages === undefined
      ? isPlainMessage(message)
      : message === undefined && arePlainMessages(messages, LIMITS.transactionMessagesMax);
  return isPlain ? value : undefined;
}

export function plainDecide(value: unknown): unknown {
  const isEmpty = isObject(value) && Object.keys(value).length === 0;
  return isEmpty ? { by: "producer" } : undefined;
}

export function plainReceive(value: unknown): unknown {
  if (!isObject(value)) return undefined;
  const { maxMessages = DEFAULTS.maxMessages, waitMs = 0, attemptId, repeat, ...others } = value;
  const isPlain =
    Object.keys(others).length === 0 &&
    isWhole(maxMessages, 1, LIMITS.receiveMessagesMax) &&
    isWhole(waitMs, 0, LIMITS.waitMsMax) &&
    (attemptId === undefined || isWord(attemptId)) &&
    (repeat === undefined || (typeof repeat === "boolean" && attemptId !== undefined));
  if (!isPlain) return undefined;
  return {
    maxMessages,
    waitMs,
    ...(attemptId === undefined ? {} : { attemptId }),
    ...(repeat === undefined ? {} : { repeat }),
  };
}

const isReceipt = (value: unknown): boolean =>
  typeof value === "string" && value.length <= LIMITS.receiptCharsMax;

export function plainAck(value: unknown): unknown {
  if (!isObject(value)) return undefined;
  const { receipts, ...others } = value;
  const isPlain =
    Object.keys(others).length === 0 &&
    Array.isArray(receipts) &&
    receipts.length > 0 &&
    receipts.length <= LIMITS.requestReceiptsMax &&
    receipts.every(isReceipt);
  return isPlain ? value : undefined;
}
