/**
 * The stream of a group: the upgrade to a WebSocket, which the group's gateway serves. A browser cannot set the header with
 * the key; it offers it as a subprotocol beside `halfmq`, which auth reads and no answer repeats.
 */
import { z } from "zod";
import type { Principal } from "../auth/principal.ts";
import { accept, refuse } from "../protocol/errors.ts";
import { type KeyMark, STREAM_PROTOCOL } from "../protocol/rpc.ts";
import { word } from "./fields.ts";
import { type AskedRequest, groupNameOf, operation, type Operation } from "./operation.ts";
import { withoutAbsent } from "./without-absent.ts";

const offers = (request: AskedRequest, protocol: string): boolean =>
  (request.headers.get("sec-websocket-protocol") ?? "")
    .split(",")
    .some((each) => each.trim() === protocol);

function keyOf({ root, keyName: name, keyHash: hash, expiresAt }: Principal): { key?: KeyMark } {
  if (root || hash === undefined) return {};
  return { key: expiresAt === undefined ? { name, hash } : { name, hash, expiresAt } };
}

export const streamOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: "/v1/topics/{topic}/groups/{group}/stream",
    summary: "Hands out messages as they come, and takes acks (WebSocket)",
    statuses: [101],
    query: z.strictObject({ consumerId: word.optional() }),
    async handle(edge, call) {
      const { request, query } = call;
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
        return refuse("invalid_request", "A stream is a WebSocket: Upgrade: websocket", {
          field: "upgrade",
        });
      }
      const protocol = offers(request, STREAM_PROTOCOL);
      const stream = { ...withoutAbsent(query), ...keyOf(call.caller), protocol };
      const outcome = await edge.broker.openStream(groupNameOf(call), stream);
      return outcome.ok ? accept({ body: "", upgraded: outcome.value }) : outcome;
    },
  }),
];
