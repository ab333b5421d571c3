/**
 * Changes of topics, groups, producer groups and routes as Server-Sent Events. A reader that comes back with
 * Last-Event-ID goes on where it was; one that was away for too long is told so by a `gap` event.
 */
import type { Principal } from "../auth/principal.ts";
import type { Broker } from "../broker/broker.ts";
import { encodeText } from "../core/bytes.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { ChangeEvent } from "../protocol/rpc.ts";
import { nothing } from "./fields.ts";
import {
  operation,
  type Answer,
  type AskedRequest,
  type Call,
  type Edge,
  type Operation,
} from "./operation.ts";
import { forbids } from "./scopes.ts";
import { EVENT_STREAM, eventText, HEARTBEAT, heartbeatAt } from "./server-sent.ts";

/** So often a key is looked at anew: with what authenticate remembers of it, a deleted one is refused within 10 s. */
const RECHECK_MS = 4_000;
const READERS = ["consume", "manage"] as const;

type Changed = Extract<Awaited<ReturnType<Broker["changes"]>>, { ok: true }>["value"];

const NOW = -1;

function startOf(request: AskedRequest): Outcome<number> {
  const last = request.headers.get("last-event-id") ?? "";
  if (last === "") return accept(NOW);
  if (/^\d{1,15}$/.test(last)) return accept(Number(last));
  return refuse("invalid_request", "The id is not one that a stream of changes gave", {
    field: "lastEventId",
  });
}

/** A key hears of the topics that it reaches, and of other keys only when it may manage them all. */
function mayHear(caller: Principal, { type, data }: ChangeEvent): boolean {
  if (type === "key.updated" || type === "key.deleted") {
    return caller.topics === undefined && forbids(caller, ["manage"]) === undefined;
  }
  const { topic } = data;
  return typeof topic !== "string" || forbids(caller, READERS, topic) === undefined;
}

function textOf(caller: Principal, { events, last, gap }: Changed): string {
  let text = gap ? eventText({ id: last, event: "gap", data: JSON.stringify({ last }) }) : "";
  for (const event of events) {
    if (!mayHear(caller, event)) continue;
    const { sequence, type, at, data } = event;
    text += eventText({
      id: sequence,
      event: type,
      data: JSON.stringify({ ...data, type, at, sequence }),
    });
  }
  return text;
}

/** Where nothing is to be told, the place alone: a line that breaks is taken up there. */
const toldOf = (caller: Principal, changed: Changed): string =>
  textOf(caller, changed) || heartbeatAt(String(changed.last));

/** Goes on behind `first`, which was read before the answer began: who sees that it did misses nothing from then on. */
function follow(edge: Edge, { request, caller }: Call, first: Changed): ReadableStream<Uint8Array> {
  const waitMs = caller.root ? LIMITS.waitMsMax : RECHECK_MS;
  let after = first.last;
  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(encodeText(HEARTBEAT + toldOf(caller, first))),
    async pull(controller) {
      const now = await edge.authenticate(request);
      const isAllowed = now.ok && forbids(now.value, READERS) === undefined;
      const outcome = isAllowed
        ? await edge.broker.changes(caller.namespace, after, waitMs)
        : undefined;
      // The reader's own reconnect is the retry, and says why when there is nothing to come back to.
      if (!now.ok || outcome?.ok !== true || request.signal.aborted) {
        controller.close();
        return;
      }
      after = outcome.value.last;
      controller.enqueue(encodeText(toldOf(now.value, outcome.value)));
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
    async handle(edge, call): Promise<Outcome<Answer>> {
      const start = startOf(call.request);
      if (!start.ok) return start;
      const first = await edge.broker.changes(call.caller.namespace, start.value, 0);
      if (!first.ok) return first;
      return accept({
        body: follow(edge, call, first.value),
        ...EVENT_STREAM,
      });
    },
  }),
];
