/** What comes in a push, as a consumer would have received it, and how it is written down. */
import type { DeliveredData } from "../../../src/client/index.ts";
import type { Answer, Delivery, Request } from "../history.ts";
import { deliveryOf } from "../wire.ts";
import type { Notes } from "../world/receiver.ts";
import type { NewEvent } from "../actors/actor.ts";

interface Body {
  readonly data: {
    readonly topic: string;
    readonly group: string;
    readonly messages: readonly DeliveredData[];
  };
}

/** Of a posted body. */
export function deliveriesOf(text: string): {
  readonly at: { readonly topic: string; readonly group: string };
  readonly deliveries: readonly Delivery[];
} {
  const { topic, group, messages } = (JSON.parse(text) as Body).data;
  return { at: { topic, group }, deliveries: messages.map(deliveryOf) };
}

/** Written down as operations of one client: what came is certain, what became of an answer is not. */
export function notesFor(
  record: (event: NewEvent) => void,
  nextOp: () => number,
  invisibleMs: number,
): Notes {
  const note = (request: Request, answer: Answer | undefined): void => {
    const op = nextOp();
    record({ is: "invoke", op, client: "push", request });
    record(answer === undefined ? { is: "lost", op } : { is: "ok", op, answer });
  };
  return {
    received: (at, deliveries) => {
      const request = {
        is: "receive",
        ...at,
        invisibleMs,
        isLine: true,
        maxMessages: deliveries.length,
      } as const;
      note(request, { is: "received", deliveries });
      return (verb, receipts) => {
        if (receipts.length > 0) note({ is: "settle", ...at, verb, receipts }, undefined);
      };
    },
  };
}
