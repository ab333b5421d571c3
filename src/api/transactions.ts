/** Transactions: prepare half messages, decide, look, list. */
import { z } from "zod";
import type { PrepareRequest } from "../broker/broker.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type { Decided, Decision } from "../protocol/rpc.ts";
import { nothing, page, whole } from "./fields.ts";
import { keyedOf, REPLAYED } from "./idempotency.ts";
import { circumstancesOf, contentOf, overdueFault, type Circumstances } from "./message-in.ts";
import { prepareBody, type MessageIn } from "./message-schema.ts";
import { answer, json, operation, topicOf, type Call, type Operation } from "./operation.ts";
import { pageQuery } from "./page.ts";
import { plainDecide, plainPrepare } from "./plain.ts";
import { bodiesUnder, bodyUnder, type JsonText } from "../core/raw-body.ts";
import { forbids } from "./scopes.ts";

const DECIDER = ["transact"] as const;
const READERS = ["transact", "consume", "manage"] as const;

export const decideBody = z.strictObject({
  by: z.enum(["producer", "check", "operator"]).default("producer"),
  /** The check that is answered: `unknown` counts from the newest only. */
  attempt: whole(1, Number.MAX_SAFE_INTEGER).optional(),
});

const listQuery = z.strictObject({
  ...page,
  state: z.enum(["prepared", "committed", "rolledBack", "discarded"]).optional(),
});

const byId = (call: Call, scopes: readonly (typeof READERS)[number][]) => ({
  namespace: call.caller.namespace,
  id: call.params["id"] ?? "",
  permit: (topic: string) => forbids(call.caller, scopes, topic),
});

type HalfIn = MessageIn & { readonly topic?: string | undefined };

interface Half {
  readonly message: HalfIn;
  readonly bodyText: JsonText | undefined;
  /** In front of a field's name in a refusal. */
  readonly at: string;
}

function halvesOf(call: Call): Half[] {
  const body = call.body as { messages?: HalfIn[]; message?: HalfIn };
  if (body.message !== undefined) {
    const bodyText = bodyUnder(call.sent, "message");
    return [{ message: body.message, bodyText, at: "message." }];
  }
  const texts = bodiesUnder(call.sent, "messages");
  return (body.messages ?? []).map((message, index) => ({
    message,
    bodyText: texts[index],
    at: `messages[${index}].`,
  }));
}

/** The contents, once the key's right to each named topic is sure. */
function preparableOf(
  call: Call,
  circumstances: Circumstances,
): Outcome<Pick<PrepareRequest, "messages" | "overdue">> {
  let overdue: Refusal | undefined;
  const messages: PrepareRequest["messages"][number][] = [];
  for (const { message, bodyText, at } of halvesOf(call)) {
    const { topic } = message;
    const forbidden = topic === undefined ? undefined : forbids(call.caller, DECIDER, topic);
    if (forbidden !== undefined) {
      return refuse("forbidden", forbidden.detail, { ...forbidden.facts, field: `${at}topic` });
    }
    const content = contentOf(message, bodyText, at, circumstances);
    if (!content.ok) return content;
    overdue ??= overdueFault(message, at, circumstances.nowMs);
    messages.push(
      topic === undefined ? { content: content.value } : { content: content.value, topic },
    );
  }
  return accept(overdue === undefined ? { messages } : { messages, overdue });
}

const prepare = operation({
  method: "POST",
  path: "/v1/topics/{topic}/transactions",
  summary: "Prepares half messages",
  statuses: [201],
  isKeyed: true,
  body: prepareBody,
  plain: plainPrepare,
  async handle(edge, call) {
    const preparable = preparableOf(call, circumstancesOf(edge, call));
    if (!preparable.ok) return preparable;
    const keyed = await keyedOf(call);
    if (!keyed.ok) return keyed;
    const { messages, overdue } = preparable.value;
    if (overdue !== undefined && keyed.value === undefined) return overdue;
    const admitted = await edge.admit(call.caller, messages.length);
    if (!admitted.ok) return admitted;
    const { producerGroup, check } = call.body;
    const outcome = await edge.broker.prepare(topicOf(call), {
      producerGroup,
      messages,
      ...(overdue === undefined ? {} : { overdue }),
      ...(check === undefined ? {} : { check }),
      ...(keyed.value === undefined ? {} : { keyed: keyed.value }),
    });
    if (!outcome.ok) return outcome;
    const { transactionId, nextCheckAt, messageIds, replayed } = outcome.value;
    const prepared = {
      transactionId,
      state: "prepared",
      producerGroup: outcome.value.producerGroup,
      check: outcome.value.check,
      nextCheckAt,
      messages: messageIds.map((id) => ({ id })),
    };
    const made = json(prepared, 201);
    return accept(replayed ? { ...made, headers: REPLAYED } : made);
  },
});

function decidedJson(decision: Decision, decided: Decided) {
  const { transactionId, state, repeated, messages, nextCheckAt } = decided;
  if (decision === "commit") return { transactionId, state, repeated, messages };
  if (decision === "rollback") return { transactionId, state, repeated };
  return { transactionId, state, repeated, nextCheckAt };
}

const decide = (decision: Decision, summary: string): Operation =>
  operation({
    method: "POST",
    path: `/v1/transactions/{id}/${decision}`,
    summary,
    statuses: [200],
    isKeyed: true,
    body: decideBody,
    plain: plainDecide,
    async handle(edge, call) {
      const keyed = await keyedOf(call);
      if (!keyed.ok) return keyed;
      const { by, attempt } = call.body;
      const outcome = await edge.broker.decide(byId(call, DECIDER), {
        decision,
        by,
        ...(attempt === undefined ? {} : { attempt }),
        ...(keyed.value === undefined ? {} : { keyed: keyed.value }),
      });
      if (!outcome.ok) return outcome;
      const decided = json(decidedJson(decision, outcome.value));
      return accept(outcome.value.replayed ? { ...decided, headers: REPLAYED } : decided);
    },
  });

export const transactionOperations: readonly Operation[] = [
  prepare,
  operation({
    method: "GET",
    path: "/v1/topics/{topic}/transactions",
    summary: "Lists transactions whose home is the topic",
    statuses: [200],
    query: listQuery,
    async handle(edge, call) {
      const { state } = call.query;
      const query = pageQuery(call.query);
      const outcome = await edge.broker.transactions(
        topicOf(call),
        state === undefined ? query : { ...query, state },
      );
      return outcome.ok ? answer(outcome.value) : outcome;
    },
  }),
  operation({
    method: "GET",
    path: "/v1/transactions/{id}",
    summary: "Reads a transaction",
    statuses: [200],
    query: nothing,
    async handle(edge, call) {
      const outcome = await edge.broker.transaction(byId(call, READERS));
      return outcome.ok ? answer(outcome.value) : outcome;
    },
  }),
  decide("commit", "Commits: its messages become visible"),
  decide("rollback", "Rolls back: its messages are never delivered"),
  decide("unknown", "Says that it is not decided yet: the next check comes one interval later"),
  decide("resume", "Prepares a discarded transaction again"),
];
