/** Messages: send, peek, look at one, recall, re-time. */
import { z } from "zod";
import { messageJson } from "../core/message.ts";
import type { Content } from "../core/record.ts";
import type { SendRequest } from "../broker/broker.ts";
import type { SentMessage } from "../protocol/rpc.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import { instant, nothing, page, queryWhole, words } from "./fields.ts";
import { keyedOf, REPLAYED } from "./idempotency.ts";
import { circumstancesOf, contentOf, overdueFault, type Circumstances } from "./message-in.ts";
import { pageJson } from "./message-json.ts";
import { sendBody, sendShapeOf, type MessageIn } from "./message-schema.ts";
import { answer, operation, topicOf, type Call, type Operation } from "./operation.ts";
import { plainSend } from "./plain.ts";
import { bodiesUnder, bodyOf } from "../core/raw-body.ts";
import { forbids, SCOPES } from "./scopes.ts";
import { withoutAbsent } from "./without-absent.ts";

const retimeBody = z.strictObject({ deliverAt: instant });

const peekQuery = z
  .strictObject({
    ...page,
    queue: queryWhole(0, LIMITS.queuesMax - 1).optional(),
    offset: queryWhole(0, Number.MAX_SAFE_INTEGER).optional(),
    key: words(LIMITS.wordBytesMax).optional(),
    from: queryWhole(0, Number.MAX_SAFE_INTEGER).optional(),
    to: queryWhole(0, Number.MAX_SAFE_INTEGER).optional(),
  })
  .meta({ id: "PeekQuery" });

/** The owner of an id, asked once the id has led to a topic. */
const byId = (call: Call) => ({
  namespace: call.caller.namespace,
  id: call.params["id"] ?? "",
  permit: (topic: string) => {
    const scopes = SCOPES[`${call.request.method} /v1/messages/{id}`];
    return forbids(call.caller, scopes === "open" || scopes === undefined ? [] : scopes, topic);
  },
});

/** Everything but the key of a send. */
type Sendable = Pick<SendRequest, "messages" | "overdue">;

function sendableOf(call: Call, circumstances: Circumstances): Outcome<Sendable> {
  const body = call.body as { messages: MessageIn[] } | MessageIn;
  const isOne = !("messages" in body);
  const texts = isOne ? [bodyOf(call.sent)] : bodiesUnder(call.sent, "messages");
  const messages: Content[] = [];
  let overdue: Refusal | undefined;
  for (const [index, message] of (isOne ? [body] : body.messages).entries()) {
    const at = isOne ? "" : index;
    const content = contentOf(message, texts[index], at, circumstances);
    if (!content.ok) return content;
    messages.push(content.value);
    overdue ??= overdueFault(message, at, circumstances.nowMs);
  }
  return accept(overdue === undefined ? { messages } : { messages, overdue });
}

/** The same text as JSON.stringify's, which takes several times as long for a batch. */
function sentJson(messages: readonly SentMessage[]): string {
  let text = "";
  for (const message of messages) {
    const { id, queue, offset, state } = message;
    const isPlain = state === "ready" && id !== undefined && offset !== undefined;
    text += text === "" ? "" : ",";
    text += isPlain
      ? `{"id":"${id}","queue":${queue},"offset":${offset},"state":"ready"}`
      : JSON.stringify(message);
  }
  return `{"messages":[${text}]}`;
}

const send = operation({
  method: "POST",
  path: "/v1/topics/{topic}/messages",
  summary: "Sends one message or a batch",
  statuses: [200],
  isKeyed: true,
  body: sendBody,
  plain: plainSend,
  shapeOf: sendShapeOf,
  async handle(edge, call) {
    const sendable = sendableOf(call, circumstancesOf(edge, call));
    if (!sendable.ok) return sendable;
    const keyed = await keyedOf(call);
    if (!keyed.ok) return keyed;
    const request = sendable.value;
    if (request.overdue !== undefined && keyed.value === undefined) return request.overdue;
    const admitted = await edge.admit(call.caller, request.messages.length);
    if (!admitted.ok) return admitted;
    const outcome = await edge.broker.send(
      topicOf(call),
      keyed.value === undefined ? request : { ...request, keyed: keyed.value },
    );
    if (!outcome.ok) return outcome;
    const sent = { body: sentJson(outcome.value.messages) };
    return accept(outcome.value.replayed ? { ...sent, headers: REPLAYED } : sent);
  },
});

const peek = operation({
  method: "GET",
  path: "/v1/topics/{topic}/messages",
  summary: "Shows messages without consuming them, by queue and offset, key or time",
  statuses: [200],
  query: peekQuery,
  async handle(edge, call) {
    const { queue, offset, key, from, to } = call.query;
    const ways = Number(offset !== undefined) + Number(key !== undefined);
    if (ways > 1 || (offset !== undefined && (from !== undefined || to !== undefined))) {
      return refuse("invalid_request", "An offset, a key or a time, not several", {
        field: "offset",
      });
    }
    const query = withoutAbsent({ ...call.query, queue, offset, key, from, to });
    const outcome = await edge.broker.peek(topicOf(call), query);
    if (!outcome.ok) return outcome;
    const { items, nextCursor } = outcome.value;
    return accept({ body: pageJson(items.map(messageJson), nextCursor) });
  },
});

export const messageOperations: readonly Operation[] = [
  send,
  peek,
  operation({
    method: "GET",
    path: "/v1/messages/{id}",
    summary: "Where a message is, for every group",
    statuses: [200],
    query: nothing,
    async handle(edge, call) {
      const outcome = await edge.broker.message(byId(call));
      return outcome.ok ? answer(outcome.value) : outcome;
    },
  }),
  operation({
    method: "PATCH",
    path: "/v1/messages/{id}",
    summary: "Gives a delayed message another time",
    statuses: [200],
    body: retimeBody,
    async handle(edge, call) {
      const { deliverAt } = call.body;
      const latest = edge.nowMs() + LIMITS.delayMsMax;
      if (deliverAt > latest) {
        const facts = { field: "deliverAt", limit: latest, actual: deliverAt };
        return refuse("invalid_request", "deliverAt: at most 366 days from now", facts);
      }
      const outcome = await edge.broker.retime(byId(call), deliverAt);
      return outcome.ok ? answer(outcome.value) : outcome;
    },
  }),
  operation({
    method: "DELETE",
    path: "/v1/messages/{id}",
    summary: "Recalls a delayed message",
    statuses: [200],
    query: nothing,
    async handle(edge, call) {
      const outcome = await edge.broker.recall(byId(call));
      return outcome.ok ? answer({ ...outcome.value, state: "recalled" }) : outcome;
    },
  }),
];
