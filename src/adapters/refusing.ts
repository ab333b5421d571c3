/**
 * What all doors have in common on the way from a refusal of HalfMQ to the words of their own protocol, whose tables they keep
 * themselves. Nothing is read out of a text.
 */
import { type ErrorCode, refuse, type Refusal } from "../protocol/errors.ts";
import type { DoorEdge } from "./door.ts";

/** One that a client can meet: a stale route is the server's own affair, which time mends. */
export const codeOf = ({ code }: Refusal): ErrorCode =>
  code === "stale_route" ? "unavailable" : code;

/** What nobody foresaw, which is a bug: the log has it, whoever asked is told where. */
export function unforeseen(
  { log }: DoorEdge,
  door: string,
  requestId: string,
  error: unknown,
): Refusal {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log.error("internal_error", { requestId, door, reason });
  return refuse("internal_error", `A bug; the log has it under ${requestId}`, { requestId });
}
