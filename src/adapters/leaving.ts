/**
 * Clients that leave while they wait for messages: the wait ends, what was leased meanwhile is given back, and so is what was on
 * its way out. It never judges a request, and knows no protocol.
 */
import type { GroupName, Received, ReceiveRequest } from "../broker/broker.ts";
import { inTwoWrites } from "../platform/two-writes.ts";
import type { Outcome } from "../protocol/errors.ts";
import type { DoorEdge, Outlive } from "./door.ts";

/** Whoever asks. */
export interface Asker {
  readonly edge: DoorEdge;
  readonly outlive: Outlive;
  /** The client went away. */
  readonly signal: AbortSignal;
}

export type AnswerBody = string | ReadableStream<Uint8Array>;

/** What ends the leases of messages that nobody takes. */
export type GiveBack = () => Promise<unknown>;

/** Whoever waited for so long may have gone away meanwhile; what it does not take is given back. */
const WAITED_MS = 50;

/** The wait goes on to its end in good order although the client is gone: what it leased is given back. */
export function outliving<T>({ signal, outlive }: Asker, wait: Promise<T>): Promise<T> {
  if (signal.aborted) outlive(wait);
  else signal.addEventListener("abort", () => outlive(wait), { once: true });
  return wait;
}

/** A receive that ends when the client leaves. Who does not wait is answered at once, here or not. */
export function receiveFor(
  asker: Asker,
  at: GroupName,
  request: ReceiveRequest,
): Promise<Outcome<Received>> {
  const { broker } = asker.edge;
  if (request.waitMs === 0) return broker.receive(at, request);
  const { signal, outlive } = asker;
  return outliving(asker, broker.receive(at, { ...request, signal, outlive }));
}

/** The text as the body of an answer to what was asked at `askedAt`; with `giveBack` when the client does not take all of it. */
export function bodyFor(
  { edge, outlive }: Pick<Asker, "edge" | "outlive">,
  askedAt: number,
  text: string,
  giveBack: GiveBack | undefined,
): AnswerBody {
  const hasWaited = edge.clock.nowMs() - askedAt >= WAITED_MS;
  return giveBack === undefined || !hasWaited ? text : inTwoWrites(text, () => outlive(giveBack()));
}
