/**
 * One receive's batch. A topic of one queue: one call, which the queue holds open for a long poll. A topic of many: the queues
 * that gave last, a few in turn; when they gave nothing the rest, in waves whose shares add up to no more than was asked for,
 * so that nothing is leased that the answer cannot carry. A long poll starts to wait at the bell (queue 0) before it asks
 * them all, so that nothing that comes in between is missed, and then asks only queues that ring. The next poll of this
 * isolate knows what the bell said (heard.ts), and asks none of the others. Calls for an empty poll over n queues: one, the
 * bell, and, where nothing is known, each queue once.
 *
 * An attempt that comes again gets the batch that it holds. Where the client tells a first try from a repeat, a first try is
 * asked for like any poll, and a repeat asks all queues for what the attempt holds before it leases anything. Where it does not,
 * each may be either: its home queue is asked first and ends the round when it gives anything, and what other queues gave is
 * remembered by this isolate; a young isolate, which may have lost such a memory with its forerunner, asks all queues first.
 */
import { fillDeliveries, largeBytesOf, type HowToSettle } from "../bodies/large-bodies.ts";
import { deliveriesOf } from "../core/message.ts";
import { parseReceipt } from "../core/ids.ts";
import type { Outcome, Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { Delivered, GroupRoute, Rung, TopicRoute } from "../protocol/rpc.ts";
import { homeFirst } from "./attempt.ts";
import { BellLine } from "./bell-line.ts";
import type { Delivery, Received, ReceiveRequest } from "./broker.ts";
import { type Heard, heardOf } from "./heard.ts";
import { queuesOf } from "./lists.ts";
import type { Ground } from "./objects.ts";
import { RecentQueues } from "./recent-queues.ts";
import { RecentMap } from "./route-cache.ts";
import { stampOf } from "./routes.ts";
import type { Waiting } from "./waiting.ts";

/** So many queues are asked in turn before the rest is asked in waves. */
const IN_TURN_MAX = 4;
/** One message of the largest size from each queue of a wave still fits an answer, in Base64, too. */
const WAVE_MAX = 5;
/** A bell that rings for what others have taken meanwhile is listened to so often. */
const RINGS_MAX = 200;
/** A client that lost its answer with the isolate before this one has come again by then. */
const YOUNG_MS = 15_000;
const ATTEMPTS_MAX = 20_000;
const GROUPS_MAX = 2_000;
/** However short its wait, a poll has so long to ask queues that are slow. */
const ASKING_MS_MIN = 2_000;

/** What an isolate remembers between receives. Guesses and shortcuts: nothing is lost with it. */
export interface Memory {
  readonly recent: RecentQueues;
  /** By group and number of queues. */
  readonly heard: RecentMap<Heard>;
  /** Which queues an attempt's batch came from. */
  readonly attempts: RecentMap<readonly number[]>;
  readonly bornAt: number;
}

export const newMemory = (nowMs: number): Memory => ({
  recent: new RecentQueues(),
  heard: new RecentMap(GROUPS_MAX),
  attempts: new RecentMap(ATTEMPTS_MAX),
  bornAt: nowMs,
});

export interface Frame {
  readonly route: TopicRoute;
  readonly group: GroupRoute;
  readonly deadline: number;
  readonly attempt: string | undefined;
}

interface Ask {
  readonly queue: number;
  readonly maxMessages: number;
  readonly bytesMax: number;
  readonly waitMs?: number;
  readonly replayOnly?: boolean;
}

/** One receive: what it has leased so far, and how it goes on. */
export class Batch {
  messages: Delivery[] = [];
  paused = false;
  readonly #ground: Ground;
  readonly #request: ReceiveRequest;
  readonly #frame: Frame;
  readonly #waiting: Waiting;
  readonly #bell: BellLine;
  readonly #gave = new Set<number>();
  #bytes = 0;

  constructor(ground: Ground, request: ReceiveRequest, frame: Frame, waiting: Waiting) {
    this.#ground = ground;
    this.#request = request;
    this.#frame = frame;
    this.#waiting = waiting;
    this.#bell = new BellLine(ground, request, frame, waiting);
  }

  /**
   * Gives back what was leased to a client that is gone. What cannot be told so ends with its lease, and so does what the
   * client has asked for again meanwhile with its attempt: it is on the way to it.
   */
  async release(): Promise<Received> {
    const receipts = this.messages.splice(0).map(({ receipt }) => receipt);
    const { attempt } = this.#frame;
    await this.#settle(receipts, {
      verb: "release",
      ...(attempt === undefined ? {} : { attempt }),
    });
    return { messages: [], paused: this.paused };
  }

  async #settle(
    receipts: readonly string[],
    how: HowToSettle | { readonly verb: "release"; readonly attempt?: string },
  ): Promise<void> {
    const { route, group } = this.#frame;
    const { namespace, topic } = route;
    const byQueue = Map.groupBy(receipts, (receipt) => parseReceipt(receipt)?.queue ?? 0);
    await Promise.all(
      Array.from(byQueue, ([queue, some]) =>
        this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
          object.settle({ stamp: stampOf(route), group: group.name, ...how, receipts: some }),
        ),
      ),
    );
  }

  /** Large bodies take their places; what is without one is not handed out. */
  async fetchBodies(): Promise<{ lost: number; away: number }> {
    if (largeBytesOf(this.messages) === 0) return { lost: 0, away: 0 };
    const settle = (receipts: readonly string[], how: HowToSettle) => this.#settle(receipts, how);
    const filled = await fillDeliveries(this.#ground.bodies, this.messages, settle);
    filled.end();
    this.messages = [...filled.messages];
    return filled;
  }

  async fromOne(): Promise<Refusal | undefined> {
    const { maxMessages } = this.#request;
    const waitMs = Math.max(0, this.#frame.deadline - this.#ground.nowMs());
    const { namespace, topic } = this.#frame.route;
    const ask = { queue: 0, maxMessages, waitMs, bytesMax: LIMITS.entriesBytesMax };
    const outcome = await this.#waiting.held({ namespace, topic, queue: 0 }, this.#ask(ask));
    return outcome.ok ? undefined : outcome;
  }

  async fromMany(memory: Memory): Promise<Refusal | undefined> {
    const refusal = await this.#fromMany(memory);
    // A repeat hears from the queues in another order than its first try did, and answers in the same.
    if (this.#frame.attempt !== undefined && this.#gave.size > 1)
      this.messages.sort((one, other) => one.queue - other.queue);
    return refusal;
  }

  async #fromMany(memory: Memory): Promise<Refusal | undefined> {
    const { route, group, attempt } = this.#frame;
    const name = `${route.namespace}/${route.incarnation}/${group.number}${this.#whose}`;
    const { repeat } = this.#request;
    if (attempt === undefined || repeat === false) return this.#lease(memory, name);
    const key = `${name}/${attempt}`;
    const isYoung = this.#ground.nowMs() - memory.bornAt < YOUNG_MS;
    const known = repeat === true ? undefined : memory.attempts.get(key);
    const holders = known ?? (isYoung || repeat === true ? queuesOf(route) : []);
    const refusal = await this.#replay(holders);
    if (this.messages.length > 0) return refusal;
    // Who says that it repeats is not kept from all queues by one that is down: what that one holds comes when its lease ends.
    if (refusal !== undefined && (repeat !== true || isFinal(refusal))) return refusal;
    const outcome = await this.#lease(memory, name);
    if (this.#gave.size > 0) memory.attempts.set(key, [...this.#gave]);
    return outcome;
  }

  /** What one consumer of a broadcast group is given says nothing of the others. */
  get #whose(): string {
    const { consumerId = "" } = this.#request;
    return this.#frame.group.settings.mode === "broadcast" ? `/${consumerId}` : "";
  }

  /** The attempt that this may be a repeat of, for all that the client says. */
  get #mayRepeat(): string | undefined {
    return this.#request.repeat === undefined ? this.#frame.attempt : undefined;
  }

  async #lease({ recent, heard }: Memory, name: string): Promise<Refusal | undefined> {
    const { route } = this.#frame;
    const attempt = this.#mayRepeat;
    const { queues: count } = route.settings;
    const known = heardOf(heard, `${name}/${count}`);
    const ask = async (one: Ask): Promise<Outcome<Delivered>> => {
      const asked = known.asks(one.queue);
      const outcome = await this.#ask(one);
      recent.note(name, one.queue, outcome.ok && outcome.value.more);
      known.left(one.queue, !outcome.ok || outcome.value.more, asked);
      return outcome;
    };
    const order = recent.order(name, count, this.#ground.random());
    const queues = attempt === undefined ? order.queues : homeFirst(attempt, order.queues);
    const likely = Math.max(1, Math.min(IN_TURN_MAX, order.likely, queues.length));
    const refusal = await this.#inTurn(queues.slice(0, likely), ask);
    if (this.#isDone(refusal)) return refusal;
    if (this.#request.waitMs === 0)
      return (await this.#inWaves(queues.slice(likely), ask)) ?? refusal;
    // What an attempt holds is asked for everywhere, as ever.
    if (attempt !== undefined || known.mark === undefined) return this.#asAll(queues, known, ask);
    return this.#asHeard(queues, known, ask);
  }

  /** The bell first, then every queue once, then whoever rings. */
  async #asAll(queues: readonly number[], known: Heard, ask: Asking): Promise<Refusal | undefined> {
    const bell = this.#bell.wait(this.#frame.deadline, this.#ground.nowMs());
    const holding = new Set<number>(queues);
    const refusal = await this.#inWaves(queues, async (one) => {
      const outcome = await ask(one);
      if (outcome.ok && !outcome.value.more) holding.delete(one.queue);
      return outcome;
    });
    if (this.#isDone(refusal)) {
      this.#bell.hangUp(bell);
      return refusal;
    }
    const rung = await bell;
    if (rung.ok && !this.#waiting.isOver) known.begin(rung.value, holding);
    return (await this.#untilRung(rung, queues, known, ask)) ?? refusal;
  }

  /** The queues that may hold something, then whoever rings: the others would say that they have nothing. */
  async #asHeard(
    queues: readonly number[],
    known: Heard,
    ask: Asking,
  ): Promise<Refusal | undefined> {
    const { mark } = known;
    const { maybe } = known;
    const likely = maybe.slice(0, IN_TURN_MAX);
    // Slow ones hold it no longer than it waits; those behind them are the first of the next poll.
    const untilMs = Math.max(this.#frame.deadline, this.#ground.nowMs() + ASKING_MS_MIN);
    let refusal = await this.#inTurn(likely, ask, untilMs);
    if (this.#isDone(refusal)) return refusal;
    refusal = (await this.#inWaves(maybe.slice(likely.length), ask, untilMs)) ?? refusal;
    if (this.#isDone(refusal)) return refusal;
    const rung = await this.#bell.wait(this.#frame.deadline, this.#ground.nowMs(), mark);
    return (await this.#untilRung(rung, queues, known, ask)) ?? refusal;
  }

  async #untilRung(
    first: Outcome<Rung>,
    all: readonly number[],
    known: Heard,
    ask: Asking,
  ): Promise<Refusal | undefined> {
    let rung = first;
    for (let rings = 0; rings < RINGS_MAX; rings++) {
      if (!rung.ok) return rung;
      this.#waiting.hasBegun = true;
      if (rung.value.isLost === true && !this.#waiting.isOver) {
        known.forget();
        return this.#asAll(all, known, ask);
      }
      const queues = known.hear(rung.value);
      if (queues.length === 0) return undefined;
      const askedAt = this.#ground.nowMs();
      const left = new Set(queues);
      const failed = await this.#inTurn(queues, async (one) => {
        const outcome = await ask(one);
        if (outcome.ok && !outcome.value.more) left.delete(one.queue);
        return outcome;
      });
      if (failed !== undefined || this.#waiting.isOver) this.#bell.passOn(rung, left);
      // What rang is in a bucket that is away, and would ring again and again.
      const isAway = failed?.code === "body_unavailable";
      if (failed !== undefined && (isAway || isFinal(failed))) return failed;
      if (this.messages.length > 0 || this.#left <= 0 || this.#waiting.isOver) return undefined;
      if (failed !== undefined) await this.#bell.rest(this.#left);
      rung = await this.#bell.wait(this.#frame.deadline, askedAt, rung.value.mark);
    }
    return undefined;
  }

  #isDone(refusal: Refusal | undefined): boolean {
    return this.messages.length > 0 || (refusal !== undefined && isFinal(refusal));
  }

  get #left(): number {
    return this.#frame.deadline - this.#ground.nowMs();
  }

  /** An attempt's batch ends with the first queue that gave, so that it is the same when it comes again. */
  get #isFull(): boolean {
    if (this.#mayRepeat !== undefined && this.messages.length > 0) return true;
    return (
      this.messages.length >= this.#request.maxMessages || this.#bytes >= LIMITS.entriesBytesMax / 2
    );
  }

  /** One after the other, each for all that is still missing. */
  async #inTurn(
    queues: readonly number[],
    ask: Asking,
    untilMs = Infinity,
  ): Promise<Refusal | undefined> {
    let refusal: Refusal | undefined;
    for (const queue of queues) {
      if (this.#isFull || this.#waiting.isOver) return undefined;
      if (this.#ground.nowMs() >= untilMs) return refusal;
      const maxMessages = this.#request.maxMessages - this.messages.length;
      const bytesMax = LIMITS.entriesBytesMax - this.#bytes;
      const outcome = await ask({ queue, maxMessages, bytesMax });
      if (outcome.ok) continue;
      refusal = outcome;
      if (isFinal(outcome)) return outcome;
    }
    return refusal;
  }

  /** As many at once as messages are missing, each for its share; ends with the first wave that gave something. */
  async #inWaves(
    queues: readonly number[],
    ask: Asking,
    untilMs = Infinity,
  ): Promise<Refusal | undefined> {
    let refusal: Refusal | undefined;
    let next = 0;
    const isNeeded = (): boolean =>
      this.messages.length === 0 && !this.#waiting.isOver && this.#ground.nowMs() < untilMs;
    while (next < queues.length && isNeeded()) {
      const missing = this.#request.maxMessages;
      const wave = queues.slice(next, next + Math.min(WAVE_MAX, missing));
      next += wave.length;
      const share = Math.floor(missing / wave.length);
      const bytesMax = Math.floor(LIMITS.entriesBytesMax / wave.length);
      const outcomes = await Promise.all(
        wave.map((queue, index) => {
          const maxMessages = share + (index < missing % wave.length ? 1 : 0);
          return ask({ queue, maxMessages, bytesMax });
        }),
      );
      for (const outcome of outcomes) if (!outcome.ok) refusal = worse(refusal, outcome);
      if (refusal !== undefined && isFinal(refusal)) return refusal;
    }
    return refusal;
  }

  /** What this attempt already holds, wherever it is. Without an answer of all, nobody knows: nothing is leased. */
  async #replay(queues: readonly number[]): Promise<Refusal | undefined> {
    const { maxMessages } = this.#request;
    const outcomes = await Promise.all(
      queues.map((queue) =>
        this.#ask({ queue, maxMessages, bytesMax: LIMITS.entriesBytesMax, replayOnly: true }),
      ),
    );
    let refusal: Refusal | undefined;
    for (const outcome of outcomes) if (!outcome.ok) refusal = worse(refusal, outcome);
    return refusal;
  }

  async #ask(ask: Ask): Promise<Outcome<Delivered>> {
    const { route, group, attempt } = this.#frame;
    const { namespace, topic } = route;
    const { consumerId, invisibleMs = group.settings.invisibleMs } = this.#request;
    const { queue, maxMessages, bytesMax, waitMs = 0, replayOnly } = ask;
    const { id } = this.#waiting;
    const outcome = await this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
      object.receive({
        stamp: stampOf(route),
        group: group.name,
        maxMessages,
        invisibleMs,
        waitMs,
        bytesMax,
        ...(waitMs === 0 || id === undefined ? {} : { waitId: id }),
        ...(attempt === undefined ? {} : { attempt }),
        ...(replayOnly === undefined ? {} : { replayOnly }),
        ...(consumerId === undefined ? {} : { consumerId }),
      }),
    );
    if (outcome.ok) this.#take(queue, outcome.value);
    return outcome;
  }

  #take(queue: number, delivered: Delivered): void {
    this.paused ||= delivered.paused;
    const messages = deliveriesOf(this.#frame.route, queue, delivered);
    this.#bytes += delivered.entries.length + largeBytesOf(messages);
    if (delivered.offsets.length > 0) this.#gave.add(queue);
    this.messages.push(...messages);
  }
}

/** Asks a queue, and notes what it has left. */
type Asking = (ask: Ask) => Promise<Outcome<Delivered>>;

/** A refusal that the next queue would give as well. */
const isFinal = (refusal: Refusal): boolean =>
  refusal.code !== "unavailable" &&
  refusal.code !== "overloaded" &&
  refusal.code !== "body_unavailable" &&
  refusal.code !== "storage_full";

const worse = (one: Refusal | undefined, other: Refusal): Refusal =>
  one === undefined || isFinal(other) ? other : one;
