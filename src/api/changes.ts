/**
 * Changes of topics, groups, producer groups and routes as Server-Sent Events. A reader that comes back with
 * Last-Event-ID goes on where it was; one that was away for too long is told so by a `gap` event.
 */
import { accept, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import { encodeText } from "../core/bytes.ts";
import { nothing } from "./fields.ts";
import { operation, type Answer, type Call, type Edge, type Operation } from "./operation.ts";

/** The headers go out with it at once, and a proxy sees that the stream lives. */
const COMMENT = ": halfmq\n\n";

function startOf(request: Request): number {
  const last = request.headers.get("last-event-id") ?? "";
  return /^\d{1,15}$/.test(last) ? Number(last) : -1;
}

function eventText(id: number, type: string, data: unknown): string {
  return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

function follow(edge: Edge, call: Call): ReadableStream<Uint8Array> {
  const { signal } = call.request;
  let after = startOf(call.request);
  let isFirst = true;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (isFirst) {
        isFirst = false;
        controller.enqueue(encodeText(COMMENT));
        return;
      }
      const outcome = await edge.broker.changes(call.caller.namespace, after, LIMITS.waitMsMax);
      // The reader's own reconnect is the retry.
      if (!outcome.ok || signal.aborted) {
        controller.close();
        return;
      }
      const { events, last, gap } = outcome.value;
      after = last;
      let text = gap ? eventText(last, "gap", { last }) : "";
      for (const event of events) {
        const { sequence, type, at, data } = event;
        text += eventText(sequence, type, { ...data, type, at, sequence });
      }
      controller.enqueue(encodeText(text === "" ? COMMENT : text));
    },
  });
}

export const changeOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: "/v1/changes",
    summary: "Follows changes of what exists (Server-Sent Events)",
    statuses: [200],
    query: nothing,
    handle: (edge, call): Promise<Outcome<Answer>> =>
      Promise.resolve(
        accept({
          body: follow(edge, call),
          contentType: "text/event-stream; charset=utf-8",
          headers: { "cache-control": "no-store" },
        }),
      ),
  }),
];
