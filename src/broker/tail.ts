/**
 * Following a topic without a group: every queue from a position of its own, in the order in which messages are met. It
 * leases nothing, and sees what a peek sees, so no half message. One wait per queue is open while nothing comes; messages
 * are read from one queue at a time, so that what is held is bounded.
 *
 * A place in a tail is a text of the incarnation and one offset per queue: whoever comes back with it goes on there.
 */
import { messagesOf } from "../core/message.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { TopicRoute } from "../protocol/rpc.ts";
import type { Message, Tail, TailEvent, TailStart, TopicName } from "./broker.ts";
import { queuesOf } from "./lists.ts";
import type { Ground } from "./objects.ts";
import { stampOf, type Routes } from "./routes.ts";

/** Messages of one read. */
const READ_MAX = 100;
const PLACE = /^([0-9a-z]{1,11})((?:-[0-9a-z]{1,11}){1,256})$/;

export async function openTail(
  ground: Ground,
  routes: Routes,
  at: TopicName,
  start: TailStart,
): Promise<Outcome<Tail>> {
  const route = await routes.read(at, false);
  if (!route.ok) return route;
  const follower = new Follower(ground, routes, at, route.value);
  const begun = await follower.begin(start);
  return begun ?? accept(follower);
}

export const isPlace = (text: string): boolean => PLACE.test(text);

class Follower implements Tail {
  readonly #ground: Ground;
  readonly #routes: Routes;
  readonly #at: TopicName;
  #route: TopicRoute;
  /** The next offset of each queue. */
  readonly #positions: number[] = [];
  /** Messages of a queue that were missed since its last event. */
  readonly #skipped = new Map<number, number>();
  /** Queues that may have something to read. */
  readonly #ready = new Set<number>();
  readonly #waiting = new Map<number, Promise<void>>();
  #failed: Refusal | undefined;

  constructor(ground: Ground, routes: Routes, at: TopicName, route: TopicRoute) {
    this.#ground = ground;
    this.#routes = routes;
    this.#at = at;
    this.#route = route;
  }

  get place(): string {
    const offsets = this.#positions.map((offset) => offset.toString(36));
    return `${this.#route.incarnation.toString(36)}-${offsets.join("-")}`;
  }

  /** Resolves the start of every queue; a refusal when one cannot be. */
  async begin(start: TailStart): Promise<Refusal | undefined> {
    const known = typeof start === "object" && "place" in start ? this.#read(start.place) : [];
    for (const queue of queuesOf(this.#route)) {
      const offset = await this.#startOf(queue, start, known[queue]);
      if (!offset.ok) return offset;
      this.#positions[queue] = offset.value;
      this.#ready.add(queue);
    }
    return undefined;
  }

  async next(waitMs: number): Promise<Outcome<readonly TailEvent[]>> {
    const until = this.#ground.nowMs() + waitMs;
    for (;;) {
      for (const queue of this.#ready) {
        const events = await this.#readQueue(queue);
        if (!events.ok) {
          const refusal = await this.#again(events);
          if (refusal !== undefined) return refusal;
          continue;
        }
        if (events.value.length > 0) return events;
      }
      const leftMs = until - this.#ground.nowMs();
      if (leftMs <= 0) return accept([]);
      await this.#anyGrowth(leftMs);
      if (this.#failed !== undefined) {
        const refusal = await this.#again(this.#failed);
        this.#failed = undefined;
        if (refusal !== undefined) return refusal;
      }
    }
  }

  /** The offsets of a place; none when it is of another incarnation, whose messages are gone: then everything is new. */
  #read(place: string): readonly number[] {
    const [, incarnation = "", offsets = ""] = PLACE.exec(place) ?? [];
    const isOurs = Number.parseInt(incarnation, 36) === this.#route.incarnation;
    const numbers = offsets.split("-").slice(1);
    return isOurs ? numbers.map((offset) => Number.parseInt(offset, 36)) : [];
  }

  async #startOf(
    queue: number,
    start: TailStart,
    known: number | undefined,
  ): Promise<Outcome<number>> {
    // A queue that a place does not name is newer than the place.
    if (start === "earliest" || (typeof start === "object" && "place" in start))
      return accept(known ?? 0);
    const end = await this.#grown(queue, 0, 0);
    if (!end.ok || start === "latest") return end.ok ? accept(end.value.next) : end;
    const found = await this.#peek(queue, { from: start.at, limit: 1 });
    if (!found.ok) return found;
    const { offsets, nextOffset } = found.value;
    return accept(offsets[0] ?? nextOffset ?? end.value.next);
  }

  async #readQueue(queue: number): Promise<Outcome<readonly TailEvent[]>> {
    const from = this.#positions[queue] ?? 0;
    const peeked = await this.#peek(queue, { offset: from, limit: READ_MAX });
    if (!peeked.ok) return peeked;
    const { offsets, nextOffset } = peeked.value;
    if (nextOffset === undefined) this.#ready.delete(queue);
    // A stretch without messages, which the bucket has lost.
    else if (offsets.length === 0) this.#skip(queue, nextOffset - from);
    const { messages, end } = await this.#ground.bodies.complete(
      messagesOf(this.#route, queue, peeked.value),
    );
    end();
    const [first = from] = offsets;
    const missed = first - from + (this.#skipped.get(queue) ?? 0);
    if (messages.length > 0) this.#skipped.delete(queue);
    return accept(messages.map((message, index) => this.#event(message, index === 0 ? missed : 0)));
  }

  #skip(queue: number, count: number): void {
    this.#skipped.set(queue, (this.#skipped.get(queue) ?? 0) + count);
    this.#positions[queue] = (this.#positions[queue] ?? 0) + count;
  }

  /** `missed`: messages before it that retention took, or the bucket has lost. */
  #event(message: Message, missed: number): TailEvent {
    this.#positions[message.queue] = message.offset + 1;
    return { message, missed, place: this.place };
  }

  /** Waits until a queue has more, or the time is over. */
  async #anyGrowth(waitMs: number): Promise<void> {
    for (const queue of queuesOf(this.#route)) {
      if (this.#waiting.has(queue)) continue;
      const offset = this.#positions[queue] ?? 0;
      const wait = this.#grown(queue, offset, waitMs).then((outcome) => {
        this.#waiting.delete(queue);
        if (!outcome.ok) this.#failed = outcome;
        else if (outcome.value.next > (this.#positions[queue] ?? 0)) this.#ready.add(queue);
      });
      this.#waiting.set(queue, wait);
    }
    await Promise.race(this.#waiting.values());
  }

  /** After a refusal: nothing when the topic has only changed, else why the tail ends. */
  async #again(refusal: Refusal): Promise<Refusal | undefined> {
    if (refusal.code !== "stale_route") return refusal;
    const route = await this.#routes.read(this.#at, false);
    if (!route.ok) return route;
    if (route.value.incarnation !== this.#route.incarnation)
      return refuse("topic_not_found", "The topic was deleted and made again");
    this.#route = route.value;
    for (const queue of queuesOf(this.#route)) {
      this.#positions[queue] ??= 0;
      this.#ready.add(queue);
    }
    return undefined;
  }

  #peek(queue: number, where: { offset?: number; from?: number; limit: number }) {
    const { namespace, topic } = this.#at;
    const call = { ...where, stamp: stampOf(this.#route), bytesMax: LIMITS.pushBytesMax };
    return this.#ground.objects.queue({ namespace, topic, queue }, (object) => object.peek(call));
  }

  #grown(queue: number, offset: number, waitMs: number) {
    const { namespace, topic } = this.#at;
    const stamp = stampOf(this.#route);
    return this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
      object.grown(stamp, offset, waitMs),
    );
  }
}
