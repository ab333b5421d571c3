/** The consumer's loop: receive, ack, nack, extend. */
import { z } from "zod";
import type { Received } from "../broker/broker.ts";
import { resultsOf } from "../core/results.ts";
import { inTwoWrites } from "../platform/two-writes.ts";
import { accept, type Outcome } from "../protocol/errors.ts";
import { DEFAULTS, LIMITS } from "../protocol/limits.ts";
import { delayMs, invisibleMs, whole, word, words } from "./fields.ts";
import { addFault } from "./parse.ts";
import { receivedJson } from "./message-json.ts";
import {
  answer,
  groupNameOf,
  operation,
  type Answer,
  type Call,
  type Operation,
} from "./operation.ts";
import { plainAck, plainReceive } from "./plain.ts";
import { withoutAbsent } from "./without-absent.ts";

const PATH = "/v1/topics/{topic}/groups/{group}";
const REASON_BYTES_MAX = 1_024;

export const receiveBody = z
  .strictObject({
    maxMessages: whole(1, LIMITS.receiveMessagesMax).default(DEFAULTS.maxMessages),
    waitMs: whole(0, LIMITS.waitMsMax).default(0),
    invisibleMs: invisibleMs.optional(),
    attemptId: word.optional(),
    repeat: z.boolean().optional(),
    consumerId: word.optional(),
  })
  .check((payload) => {
    const { attemptId, repeat } = payload.value;
    if (repeat === undefined || attemptId !== undefined) return;
    addFault(payload, { message: "says something of an attemptId only", path: ["repeat"] });
  });

const receipts = z
  .array(z.string().max(LIMITS.receiptCharsMax))
  .min(1)
  .max(LIMITS.requestReceiptsMax);

export const ackBody = z.strictObject({ receipts });
const nackBody = z.strictObject({
  receipts,
  delayMs: delayMs.optional(),
  reason: words(REASON_BYTES_MAX).optional(),
  retry: z.boolean().optional(),
});
const extendBody = z.strictObject({ receipts, invisibleMs });

const receivedOf = (outcome: Outcome<Received>): Outcome<Answer> =>
  outcome.ok
    ? accept({ body: receivedJson(outcome.value.messages, outcome.value.paused) })
    : outcome;

/** Whoever waited for so long may have gone away meanwhile; what it does not take is given back. */
const WAITED_MS = 50;

function afterWait(outcome: Outcome<Received>, call: Call): Outcome<Answer> {
  if (!outcome.ok || outcome.value.giveBack === undefined) return receivedOf(outcome);
  const { messages, paused, giveBack } = outcome.value;
  const onGone = (): void => call.outlive(giveBack());
  return accept({ body: inTwoWrites(receivedJson(messages, paused), onGone) });
}

export const receiptOperations: readonly Operation[] = [
  operation({
    method: "POST",
    path: `${PATH}/receive`,
    summary: "Leases messages, waiting for the first",
    statuses: [200],
    body: receiveBody,
    plain: plainReceive,
    async handle(edge, call) {
      const asked = withoutAbsent(call.body);
      // Who does not wait is answered at once, here or not; listening for the client's end costs more than it saves.
      if (asked.waitMs === 0)
        return receivedOf(await edge.broker.receive(groupNameOf(call), asked));
      const { signal } = call.request;
      const { outlive } = call;
      const received = edge.broker.receive(groupNameOf(call), { ...asked, signal, outlive });
      // A client that went away must not take its wait's end, or what is to be given back, with it.
      signal.addEventListener("abort", () => call.outlive(received), { once: true });
      const askedAt = edge.nowMs();
      const outcome = await received;
      return edge.nowMs() - askedAt < WAITED_MS ? receivedOf(outcome) : afterWait(outcome, call);
    },
  }),
  operation({
    method: "POST",
    path: `${PATH}/ack`,
    summary: "Says that messages are done",
    statuses: [200],
    body: ackBody,
    plain: plainAck,
    async handle(edge, call) {
      const request = { verb: "ack", receipts: call.body.receipts } as const;
      const outcome = await edge.broker.settle(groupNameOf(call), request);
      return outcome.ok ? answer(resultsOf(outcome.value)) : outcome;
    },
  }),
  operation({
    method: "POST",
    path: `${PATH}/nack`,
    summary: "Gives messages back, to come again after a delay",
    statuses: [200],
    body: nackBody,
    async handle(edge, call) {
      const request = { verb: "nack", ...withoutAbsent(call.body) } as const;
      const outcome = await edge.broker.settle(groupNameOf(call), request);
      return outcome.ok ? answer(resultsOf(outcome.value)) : outcome;
    },
  }),
  operation({
    method: "POST",
    path: `${PATH}/extend`,
    summary: "Makes leases longer",
    statuses: [200],
    body: extendBody,
    async handle(edge, call) {
      const request = { verb: "extend", ...call.body } as const;
      const outcome = await edge.broker.settle(groupNameOf(call), request);
      return outcome.ok ? answer(resultsOf(outcome.value)) : outcome;
    },
  }),
];
