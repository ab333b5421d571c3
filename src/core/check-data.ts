/**
 * What a check says of a transaction: the `data` of a webhook, of a poll's answer and of a call to a Worker.
 * JSON bodies are laid in as the text that came, so that numbers of any size, key order and escapes survive; this file
 * never parses one.
 */
import type { CheckBegun } from "../protocol/rpc.ts";
import { encodeBase64 } from "./base64.ts";
import { decodeEntry } from "./entry.ts";
import { messageId, parseTransactionId } from "./ids.ts";
import { bodyErrorOf } from "./message.ts";
import { decodeRecord, unframe, type Body } from "./record.ts";

/** A half message as its producer is asked about it. */
export interface CheckedHalf {
  /** All of it but the body, named as on the wire. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** A JSON body's exact text, or bytes, or why there is neither. */
  readonly body:
    | { readonly json: string }
    | { readonly base64: string }
    | { readonly error: ReturnType<typeof bodyErrorOf> };
}

/** All of a check but its messages. */
export const checkFields = (check: CheckBegun) => ({
  transactionId: check.transactionId,
  topic: check.topic,
  queue: check.queue,
  producerGroup: check.producerGroup,
  attempt: check.attempt,
  maxChecks: check.maxChecks,
  preparedAt: check.preparedAt,
});

export function checkedHalves(check: CheckBegun): CheckedHalf[] {
  return unframe(check.entries).map((bytes, index) => {
    const entry = decodeEntry(bytes);
    // `producer` is the broker's own business, and never stands in a transaction.
    const {
      body,
      producer: _producer,
      traceparent: _traceparent,
      ...content
    } = decodeRecord(entry.record);
    const target = check.targets[index];
    return {
      fields: {
        id: entry.id ?? idOf(check, index),
        topic: target?.topic ?? check.topic,
        queue: target?.queue ?? check.queue,
        sentAt: entry.sentAt ?? check.preparedAt,
        ...content,
      },
      body: shownBody(body),
    };
  });
}

function shownBody(body: Body): CheckedHalf["body"] {
  if ("json" in body) return body;
  return "bytes" in body ? { base64: encodeBase64(body.bytes) } : { error: bodyErrorOf(body) };
}

/** The JSON text of a check's `data`. */
export function checkDataJson(check: CheckBegun): string {
  const messages = checkedHalves(check).map(({ fields, body }) => {
    const last =
      "json" in body
        ? `"body":${body.json}`
        : "base64" in body
          ? `"bodyBase64":"${body.base64}"`
          : `"bodyError":${JSON.stringify(body.error)}`;
    return `${JSON.stringify(fields).slice(0, -1)},${last}}`;
  });
  return `${JSON.stringify(checkFields(check)).slice(0, -1)},"messages":[${messages.join(",")}]}`;
}

function idOf(check: CheckBegun, index: number): string {
  const address = parseTransactionId(check.transactionId);
  return address === undefined ? "" : messageId({ ...address, origin: "half", index });
}
