/**
 * The tail of a topic as Server-Sent Events. Each event's id is the place behind it in all queues, so that a reader that
 * comes back with Last-Event-ID misses nothing and sees nothing twice. It ends, and says so, when the topic is deleted.
 */
import { z } from "zod";
import type { Tail, TailEvent, TailStart } from "../broker/broker.ts";
import { encodeText } from "../core/bytes.ts";
import { messageJson } from "../core/message.ts";
import { problemOf } from "../core/problem.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { instant } from "./fields.ts";
import { operation, topicOf, type Call, type Edge, type Operation } from "./operation.ts";
import { forbids, scopesOf } from "./scopes.ts";
import { EVENT_STREAM, eventText, HEARTBEAT, heartbeatAt } from "./server-sent.ts";

/** A key is looked at again so often, and a reader hears of a quiet topic. */
const RECHECK_MS = 4_000;
const PLACE_CHARS_MAX = 4_096;

const tailQuery = z.strictObject({
  from: z
    .union([z.enum(["earliest", "latest"]), z.string().regex(/^\d{1,16}$/, "epoch milliseconds")])
    .optional(),
  lastEventId: z.string().min(1).max(PLACE_CHARS_MAX).optional(),
});

function startOf(call: Call<unknown, z.output<typeof tailQuery>>): Outcome<TailStart> {
  const { from, lastEventId } = call.query;
  const place = call.request.headers.get("last-event-id") ?? lastEventId;
  if (place !== undefined && place !== "") return accept({ place });
  if (from === undefined || from === "latest") return accept("latest");
  if (from === "earliest") return accept(from);
  const at = instant.safeParse(Number(from));
  if (at.success) return accept({ at: at.data });
  return refuse("invalid_request", "from: earliest, latest or an instant", { field: "from" });
}

function textOf({ message, missed, place }: TailEvent): string {
  const { queue, offset } = message;
  const gap =
    missed === 0
      ? ""
      : eventText({
          id: place,
          event: "gap",
          data: JSON.stringify({ queue, offset: offset - missed, count: missed }),
        });
  return gap + eventText({ id: place, data: messageJson(message) });
}

function follow(edge: Edge, call: Call, tail: Tail, self: Operation): ReadableStream<Uint8Array> {
  const { request, params } = call;
  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(encodeText(heartbeatAt(tail.place))),
    async pull(controller) {
      const now = await edge.authenticate(request);
      const scopes = scopesOf(self);
      const isAllowed =
        now.ok && scopes !== "open" && forbids(now.value, scopes, params["topic"]) === undefined;
      const outcome = isAllowed ? await tail.next(RECHECK_MS) : undefined;
      // The reader's own reconnect is the retry, and says why when there is nothing to come back to.
      if (outcome === undefined || request.signal.aborted) return controller.close();
      if (outcome.ok) {
        controller.enqueue(encodeText(outcome.value.map(textOf).join("") || HEARTBEAT));
        return;
      }
      const data = JSON.stringify(problemOf(outcome));
      controller.enqueue(encodeText(eventText({ id: tail.place, event: "end", data })));
      controller.close();
    },
  });
}

const tail: Operation = operation({
  method: "GET",
  path: "/v1/topics/{topic}/tail",
  summary: "Follows the topic's messages without a group (Server-Sent Events)",
  statuses: [200],
  query: tailQuery,
  async handle(edge, call) {
    const start = startOf(call);
    if (!start.ok) return start;
    const opened = await edge.broker.tail(topicOf(call), start.value);
    if (!opened.ok) return opened;
    return accept({ body: follow(edge, call, opened.value, tail), ...EVENT_STREAM });
  },
});

export const tailOperations: readonly Operation[] = [tail];
