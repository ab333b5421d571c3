/**
 * Who a queue is: its topic, its number, and where each growth of the topic found it; and what follows from that for the
 * message groups that growths moved. It stores nothing.
 */
import { queueOfSlot, queueOfWord, slotOf } from "../core/route.ts";
import type { TopicRoute } from "../protocol/rpc.ts";

/** What storage says of the queue itself. */
export interface Identity {
  readonly route: TopicRoute;
  readonly queue: number;
  /** Offset at which each growth of the topic found this queue. */
  readonly fences: readonly {
    readonly to: number;
    readonly from: number;
    readonly offset: number;
    /** Ordered groups, by number, of which every new queue knows that they have passed it. */
    readonly told?: readonly number[];
  }[];
  /** The topic is deleted; only what must still be forwarded keeps the object. */
  readonly dropping?: boolean;
}

type Drained = Pick<ReadonlySet<number>, "has">;

/** The growth that made this queue. */
const originOf = ({ route, queue }: Identity): TopicRoute["growths"][number] | undefined =>
  route.growths.find(({ from, to }) => queue >= from && queue < to);

/** Is any of the queues that were there before this one not among those that an ordered group has done with? */
export function awaitsFormer(identity: Identity, drainedFrom: Drained): boolean {
  for (let former = 0; former < (originOf(identity)?.from ?? 0); former++)
    if (!drainedFrom.has(former)) return true;
  return false;
}

/** The former queue that a message group's order still waits for at this queue. */
export function formerOf(
  identity: Identity,
  drainedFrom: Drained,
  messageGroup: string,
): number | undefined {
  const growth = originOf(identity);
  if (growth === undefined) return undefined;
  const former = queueOfSlot(slotOf(messageGroup), growth.from);
  return drainedFrom.has(former) ? undefined : former;
}

/** The queue that the message group belongs to by now: this one, or where a growth has moved it. */
export const ownerOf = ({ route, queue }: Identity, messageGroup: string | undefined): number =>
  messageGroup === undefined ? queue : queueOfWord(messageGroup, route.settings.queues);
