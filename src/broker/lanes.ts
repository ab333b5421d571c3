/**
 * Where messages go that may go anywhere: to the queue that this isolate sends to already, because a queue writes one row
 * for all that come together. A lane is one such place; it is left for another after a while, so that over time all queues
 * get their share, and another is opened beside it when as many requests are under way as one queue groups well.
 * Only messages without a word of their own, in requests without an Idempotency-Key, ask for a lane.
 */
import type { Keyed } from "../protocol/rpc.ts";
import type { TopicName } from "./broker.ts";
import { wordOfKey } from "./key-claim.ts";
import type { Ground } from "./objects.ts";
import { RecentMap } from "./route-cache.ts";

/** Requests under way in one lane. A queue that takes ten milliseconds for a commit answers some 3,000 a second so. */
const UNDER_WAY_MAX = 32;
/** How long a lane is kept to. */
const KEPT_MS = 1_000;
/** Steps of this share of the circle are the most even spread for any number of them. */
const GOLDEN = 0.618_033_988_749_894_9;

/** What places messages without a word of their own: the request's key, or one draw for all of them. */
export interface Lot {
  readonly word?: string;
  /** From 0 to below 1: a queue's place among all. */
  readonly draw: number;
}

interface Lane extends Lot {
  readonly until: number;
  underWay: number;
}

interface Topic {
  lanes: Lane[];
  nextDraw: number;
}

export class Lanes {
  readonly #topics = new RecentMap<Topic>(2_000);

  /** Where a request's messages without a word go. It is under way until `leave`. */
  enter(
    { namespace, topic }: TopicName,
    keyed: Keyed | undefined,
    ground: Pick<Ground, "nowMs" | "random">,
  ): Lot {
    if (keyed !== undefined) return { draw: ground.random(), word: wordOfKey(keyed) };
    return this.#laneOf(`${namespace}/${topic}`, ground);
  }

  leave(lot: Lot | Lane): void {
    if ("underWay" in lot) lot.underWay--;
  }

  #laneOf(name: string, { nowMs, random }: Pick<Ground, "nowMs" | "random">): Lane {
    const now = nowMs();
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = { lanes: [], nextDraw: random() };
      this.#topics.set(name, topic);
    }
    if (topic.lanes.some(({ until }) => now >= until))
      topic.lanes = topic.lanes.filter(({ until }) => now < until);
    let lane = topic.lanes.find(({ underWay }) => underWay < UNDER_WAY_MAX);
    if (lane === undefined) {
      lane = { draw: topic.nextDraw, until: now + KEPT_MS, underWay: 0 };
      topic.nextDraw = (topic.nextDraw + GOLDEN) % 1;
      topic.lanes.push(lane);
    }
    lane.underWay++;
    return lane;
  }
}
