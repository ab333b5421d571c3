/**
 * A long poll's line to the bell of its topic: waits there for any queue to ring, and rings again for what this poll does not
 * look at any more. It asks no queue for messages.
 */
import { accept, type Outcome } from "../protocol/errors.ts";
import type { BellMark, GroupRoute, Rung, TopicRoute } from "../protocol/rpc.ts";
import type { ReceiveRequest } from "./broker.ts";
import type { Ground } from "./objects.ts";
import { stampOf } from "./routes.ts";
import type { QueueAddress, Waiting } from "./waiting.ts";

/** About so long a poll leaves in peace what it could not ask. */
const REST_MS = 200;

export class BellLine {
  readonly #ground: Ground;
  readonly #request: ReceiveRequest;
  readonly #at: { readonly route: TopicRoute; readonly group: GroupRoute };
  readonly #waiting: Waiting;

  constructor(
    ground: Ground,
    request: ReceiveRequest,
    at: { readonly route: TopicRoute; readonly group: GroupRoute },
    waiting: Waiting,
  ) {
    this.#ground = ground;
    this.#request = request;
    this.#at = at;
    this.#waiting = waiting;
  }

  /** What rang since the mark, or without one since `askedAt`; waits for it until the deadline. */
  wait(deadline: number, askedAt: number, after?: BellMark): Promise<Outcome<Rung>> {
    const { route, group } = this.#at;
    const { id } = this.#waiting;
    const { consumerId } = this.#request;
    const call = {
      stamp: stampOf(route),
      group: group.name,
      waitMs: Math.max(0, deadline - this.#ground.nowMs()),
      askedAt,
      ...(after === undefined ? {} : { after }),
      ...(id === undefined ? {} : { waitId: id }),
      ...(consumerId === undefined ? {} : { consumerId }),
    };
    const answer = this.#ground.objects.queue(this.#address, (queue) => queue.waitAtBell(call));
    return this.#waiting.held(this.#address, answer);
  }

  /** A wait that nobody needs any more would take a ring from one that does: it ends, and what it has heard is passed on. */
  hangUp(wait: Promise<Outcome<Rung>>): void {
    this.#waiting.end(this.#address);
    this.#outlive(wait.then((rung) => this.#ringFor(rung)));
  }

  /** What rang for this poll, which does not look any more, rings for the next one: of these queues, the others were left empty. */
  passOn(rung: Outcome<Rung>, left: ReadonlySet<number>): void {
    this.#outlive(this.#ringFor(rung, left));
  }

  /** A poll hears the ring that it passes on itself: without a rest it would ask an overloaded queue as fast as it can. */
  rest(leftMs: number): Promise<void> {
    // Not all polls at once.
    return this.#ground.pause(Math.min(leftMs, REST_MS * (0.5 + this.#ground.random())));
  }

  /** The answer of this poll must not take these calls with it. */
  #outlive(work: Promise<unknown>): void {
    if (this.#request.outlive === undefined) void work;
    else this.#request.outlive(work);
  }

  async #ringFor(rung: Outcome<Rung>, left?: ReadonlySet<number>): Promise<void> {
    if (!rung.ok) return;
    const rings = rung.value.rings.filter(({ queue }) => left?.has(queue) !== false);
    const { route, group } = this.#at;
    const { consumerId } = this.#request;
    const isOne = consumerId !== undefined && group.settings.mode === "broadcast";
    const call = { incarnation: route.incarnation, group: group.number, count: 1 };
    await Promise.all(
      rings.map(({ queue }) =>
        this.#ground.objects.queue(this.#address, async (bell) =>
          accept(
            await bell.ring({ ...call, queue, ...(isOne ? { consumerIds: [consumerId] } : {}) }),
          ),
        ),
      ),
    );
  }

  get #address(): QueueAddress {
    const { namespace, topic } = this.#at.route;
    return { namespace, topic, queue: 0 };
  }
}
