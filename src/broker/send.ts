/**
 * Sending: each message to the queue of its word, one object call per queue, answers in request order.
 * It never sends twice what a queue has already stored, neither when a route turns out stale nor when a request with an
 * Idempotency-Key comes again after the topic has grown.
 */
import { sentBy } from "../core/message.ts";
import { frameContents, type Content } from "../core/record.ts";
import { queueOfWord } from "../core/route.ts";
import { accept, ERRORS, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { Keyed, SendCall, Sent, SentMessage, TopicRoute } from "../protocol/rpc.ts";
import type { SendRequest, TopicName } from "./broker.ts";
import { claimKey, homeOfKey, refusedByFormerHome, releaseKey } from "./key-claim.ts";
import type { Lanes, Lot } from "./lanes.ts";
import { lodge } from "./lodge.ts";
import type { Ground } from "./objects.ts";
import { formerSeats, refusesWhole } from "./producers.ts";
import { stampOf, type Routes } from "./routes.ts";

/** The messages of one request for one queue, by their place in the request. */
interface Part {
  readonly queue: number;
  readonly indexes: readonly number[];
}

/** The queue of a message, of so many. */
export function queueOf(content: Content, lot: Lot, queues: number): number {
  if (queues === 1) return 0;
  const word = content.messageGroup ?? content.producer?.id ?? content.dedupId ?? lot.word;
  return word === undefined ? Math.floor(lot.draw * queues) : queueOfWord(word, queues);
}

export class Sender {
  readonly #ground: Ground;
  readonly #routes: Routes;
  readonly #lanes: Lanes;

  constructor(ground: Ground, routes: Routes, lanes: Lanes) {
    this.#ground = ground;
    this.#routes = routes;
    this.#lanes = lanes;
  }

  async send(at: TopicName, request: SendRequest): Promise<Outcome<Sent>> {
    const lot = this.#lanes.enter(at, request.keyed, this.#ground);
    try {
      const sending = new Sending(this.#ground, request, lot);
      const mayMake = request.onlyKnownTopic !== true && request.overdue === undefined;
      const outcome = await this.#routes.use(at, mayMake, (route) => sending.round(route));
      return sending.answer(outcome);
    } finally {
      this.#lanes.leave(lot);
    }
  }
}

/** One request on its way: what is stored, what is refused, what is still to be sent. */
class Sending {
  readonly #ground: Ground;
  readonly #contents: readonly Content[];
  readonly #keyed: Keyed | undefined;
  readonly #overdue: Refusal | undefined;
  readonly #lot: Lot;
  readonly #sent: (SentMessage | undefined)[];
  readonly #refused: (Refusal | undefined)[];
  #replayed = true;
  /** The queue that took the request's key without a message. */
  #claimedAt: number | undefined;

  constructor(ground: Ground, request: SendRequest, lot: Lot) {
    this.#ground = ground;
    this.#contents = request.messages;
    this.#keyed = request.keyed;
    this.#overdue = request.overdue;
    this.#lot = lot;
    const { length } = request.messages;
    this.#sent = Array<undefined>(length).fill(undefined);
    this.#refused = Array<undefined>(length).fill(undefined);
  }

  /** Sends what is not yet answered. A stale route leaves its part for the next round. */
  async round(route: TopicRoute): Promise<Outcome<undefined>> {
    if (this.#overdue !== undefined && this.#keyed !== undefined)
      return this.#onlyReplay(route, this.#keyed, this.#overdue);
    const refusal = this.#isSimple(route) ? undefined : await this.#beforehand(route);
    if (refusal !== undefined) return refusal;
    const parts = this.#partition(route.settings.queues);
    const [first] = parts;
    const refusals =
      first !== undefined && parts.length === 1
        ? [await this.#settlePart(route, first)]
        : await Promise.all(parts.map((part) => this.#settlePart(route, part)));
    const stale = refusals.find((refusal) => refusal?.code === "stale_route");
    if (this.#keyed !== undefined && this.#claimedAt !== undefined && this.#cameToNothing) {
      await releaseKey(this.#ground, route, this.#claimedAt, this.#keyed);
    }
    return stale ?? accept(undefined);
  }

  /** Nobody need be asked first, as for most requests. */
  #isSimple({ growths }: TopicRoute): boolean {
    const isPlain = this.#keyed === undefined && growths.length === 0;
    return isPlain && this.#contents.every(({ producer }) => producer === undefined);
  }

  /** What was stored under the key, wherever it is; what was not is refused. */
  async #onlyReplay(route: TopicRoute, keyed: Keyed, why: Refusal): Promise<Outcome<undefined>> {
    const former = await this.#askFormer(route, keyed);
    if (former !== undefined) return former;
    const parts = this.#partition(route.settings.queues);
    const refusals = await Promise.all(parts.map((part) => this.#replay(route, part, keyed)));
    const refusal = refusals.find((each) => each !== undefined);
    if (refusal !== undefined) return refusal;
    for (const index of this.#contents.keys()) if (this.#isOpen(index)) this.#refused[index] = why;
    return accept(undefined);
  }

  /** What must be known, or refused, before anything is sent. */
  async #beforehand(route: TopicRoute): Promise<Refusal | undefined> {
    const keyed = this.#keyed;
    const former = keyed === undefined ? undefined : await this.#askFormer(route, keyed);
    if (former !== undefined) return former;
    const unasked = await this.#askDuplicates(route);
    if (unasked !== undefined) return unasked;
    const torn = await this.#refusedWhole(route);
    if (torn !== undefined) return torn;
    return keyed === undefined ? undefined : this.#claim(route, keyed);
  }

  /**
   * Takes the key where it is at home, before anything is sent elsewhere: with the part that goes there anyway, or with
   * none. A part that is the only one needs nothing before it.
   */
  async #claim(route: TopicRoute, keyed: Keyed): Promise<Refusal | undefined> {
    const { queues } = route.settings;
    const parts = this.#partition(queues);
    const home = homeOfKey(keyed, queues);
    if (parts.length === 0 || queues === 1) return undefined;
    const former = await refusedByFormerHome(this.#ground, route, keyed);
    if (former !== undefined) return former;
    const own = parts.find((part) => part.queue === home);
    if (own !== undefined) return parts.length === 1 ? undefined : this.#settlePart(route, own);
    const refusal = await claimKey(this.#ground, route, home, keyed);
    if (refusal === undefined) this.#claimedAt = home;
    return refusal;
  }

  /** All of it was refused for good, so that not even its key is to be remembered. */
  get #cameToNothing(): boolean {
    return this.#refused.every((refusal) => refusal !== undefined && isForGood(refusal));
  }

  /** Sends a part and notes what came of it. A stale route leaves it for the next round. */
  async #settlePart(route: TopicRoute, part: Part): Promise<Refusal | undefined> {
    const outcome = await this.#sendPart(route, part);
    if (outcome.ok && this.#take(part, outcome.value)) return undefined;
    const refusal = outcome.ok ? TORN : outcome;
    if (refusal.code === "stale_route") return refusal;
    for (const index of part.indexes) this.#refused[index] = refusal;
    return refusal;
  }

  answer(outcome: Outcome<undefined>): Outcome<Sent> {
    const messages: (SentMessage | { error: string })[] = [];
    let first: Refusal | undefined;
    let stored = 0;
    for (const [index, sent] of this.#sent.entries()) {
      if (sent === undefined) {
        const refusal = this.#refused[index] ?? (outcome.ok ? UNSENT : outcome);
        first ??= refusal;
        messages.push({ error: refusal.code });
      } else {
        stored++;
        messages.push(sent);
      }
    }
    if (first === undefined) {
      return accept({ messages: messages as SentMessage[], replayed: this.#replayed });
    }
    if (stored === 0) return first;
    const again = first.code !== "stale_route" && !ERRORS[first.code].retryable;
    const detail = `${stored} of ${messages.length} messages are stored; ${first.detail}`;
    const refusal = refuse(again ? first.code : "unavailable", detail, {
      ...first.facts,
      messages,
    });
    const { retryAfterMs } = first;
    return retryAfterMs === undefined ? refusal : { ...refusal, retryAfterMs };
  }

  /** A hole in the part of one queue would come too late for what others have stored. */
  async #refusedWhole(route: TopicRoute): Promise<Refusal | undefined> {
    if (!this.#contents.some(({ producer }) => producer !== undefined)) return undefined;
    const parts = this.#partition(route.settings.queues);
    if (parts.length < 2) return undefined;
    const indexes = parts.flatMap((part) => part.indexes).toSorted((a, b) => a - b);
    const refusal = await refusesWhole(this.#ground, route, this.#contentsAt(indexes));
    return refusal === undefined ? undefined : inRequest(refusal, indexes);
  }

  /** `indexes` in rising order. */
  #contentsAt(indexes: readonly number[]): readonly Content[] {
    if (indexes.length === this.#contents.length) return this.#contents;
    return indexes.flatMap((index) => this.#contents[index] ?? []);
  }

  async #sendPart(route: TopicRoute, part: Part): Promise<Outcome<Sent>> {
    const contents = this.#contentsAt(part.indexes);
    const lodged = await lodge(this.#ground, route, part.queue, contents);
    if (!lodged.ok) return lodged;
    const records = frameContents(lodged.value);
    let outcome = await this.#callSend(route, part, records);
    if (outcome.ok && outcome.value.formerFirst === true) {
      const former = await formerSeats(this.#ground, route, contents);
      if (!former.ok) return former;
      outcome = await this.#callSend(route, part, records, former.value);
    }
    return outcome.ok ? outcome : inRequest(outcome, part.indexes);
  }

  async #callSend(
    route: TopicRoute,
    part: Part,
    records: Uint8Array,
    former?: NonNullable<SendCall["former"]>,
  ): Promise<Outcome<Sent>> {
    const { namespace, topic } = route;
    const keyed = this.#keyed;
    const outcome = await this.#ground.objects.queue(
      { namespace, topic, queue: part.queue },
      (queue) =>
        queue.send({
          stamp: stampOf(route),
          records,
          ...(keyed === undefined ? {} : { keyed }),
          ...(former === undefined ? {} : { former }),
        }),
      keyed === undefined ? "never" : "safe",
    );
    return outcome.ok ? accept(sentBy(route.incarnation, part.queue, outcome.value)) : outcome;
  }

  /** Answers whether it is an answer to this part: one of another length is not. */
  #take(part: Part, { messages, replayed }: Sent): boolean {
    if (messages.length !== part.indexes.length) return false;
    for (const [place, index] of part.indexes.entries()) this.#sent[index] = messages[place];
    this.#replayed &&= replayed;
    return true;
  }

  #isOpen(index: number): boolean {
    return this.#sent[index] === undefined && this.#refused[index] === undefined;
  }

  /** What is neither stored nor refused, by queue. */
  #partition(queues: number): readonly Part[] {
    return this.#parts(queues, (index) => this.#isOpen(index));
  }

  #parts(queues: number, has: (index: number) => boolean): readonly Part[] {
    const parts = new Map<number, Part & { readonly indexes: number[] }>();
    for (const [index, content] of this.#contents.entries()) {
      if (!has(index)) continue;
      const queue = queueOf(content, this.#lot, queues);
      const part = parts.get(queue);
      if (part === undefined) parts.set(queue, { queue, indexes: [index] });
      else part.indexes.push(index);
    }
    return [...parts.values()];
  }

  /**
   * For one window after a growth, a key's first request may have gone to the queues of before it. Oldest growth first,
   * so that what was stored between two growths is asked for in the same parts in which it was sent: with what this request
   * has stored already, or the rest would pass for another part that is as long.
   */
  async #askFormer(route: TopicRoute, keyed: Keyed): Promise<Refusal | undefined> {
    const since = this.#ground.nowMs() - LIMITS.idempotencyWindowMs;
    for (const growth of route.growths) {
      if (growth.at < since) continue;
      const now = new Map(
        this.#parts(route.settings.queues, all).map((part) => [part.queue, part]),
      );
      const moved = this.#parts(growth.from, all).filter(
        ({ queue, indexes }) =>
          now.get(queue)?.indexes.length !== indexes.length &&
          indexes.some((index) => this.#isOpen(index)),
      );
      const refusals = await Promise.all(moved.map((part) => this.#replay(route, part, keyed)));
      const refusal = refusals.find((each) => each !== undefined);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** For one dedup window after a growth, a dedup id may be known to the queue that its slot came from. */
  async #askDuplicates(route: TopicRoute): Promise<Refusal | undefined> {
    const { queues, dedupWindowMs } = route.settings;
    const since = this.#ground.nowMs() - dedupWindowMs;
    for (const growth of route.growths) {
      if (growth.at < since) continue;
      const former = this.#partition(growth.from).map(({ queue, indexes }) => ({
        queue,
        indexes: indexes.filter((index) => this.#dedupMovedFrom(queue, index, queues)),
      }));
      const parts = former.filter(({ indexes }) => indexes.length > 0);
      const refusals = await Promise.all(parts.map((part) => this.#findFirst(route, part)));
      const refusal = refusals.find((each) => each !== undefined);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  #dedupMovedFrom(queue: number, index: number, queues: number): boolean {
    const content = this.#contents[index];
    return content?.dedupId !== undefined && queueOf(content, this.#lot, queues) !== queue;
  }

  async #findFirst(route: TopicRoute, part: Part): Promise<Refusal | undefined> {
    const { namespace, topic } = route;
    const asked = part.indexes.map((index) => {
      const { messageGroup, dedupId = "" } = this.#contents[index] ?? {};
      return { dedupId, ...(messageGroup === undefined ? {} : { messageGroup }) };
    });
    const outcome = await this.#ground.objects.queue(
      { namespace, topic, queue: part.queue },
      (queue) => queue.duplicates(stampOf(route), asked),
    );
    if (!outcome.ok) return outcome;
    for (const [place, index] of part.indexes.entries()) {
      const first = outcome.value[place];
      if (first === undefined) continue;
      this.#sent[index] = first;
      this.#replayed = false;
    }
    return undefined;
  }

  async #replay(route: TopicRoute, part: Part, keyed: Keyed): Promise<Refusal | undefined> {
    const { namespace, topic } = route;
    const outcome = await this.#ground.objects.queue(
      { namespace, topic, queue: part.queue },
      (queue) => queue.replay(stampOf(route), keyed),
    );
    if (!outcome.ok) return outcome;
    if (outcome.value === undefined) return undefined;
    // An answer of another length is that of a later part: a queue's parts only shrink as the topic grows.
    this.#take(part, sentBy(route.incarnation, part.queue, { ...outcome.value, replayed: true }));
    return undefined;
  }
}

const all = (): boolean => true;

/** A refusal names a message by its place in the part that was asked; the client knows the request's. */
function inRequest(refusal: Refusal, indexes: readonly number[]): Refusal {
  const index = refusal.facts?.["index"];
  if (typeof index !== "number") return refusal;
  return { ...refusal, facts: { ...refusal.facts, index: indexes[index] ?? index } };
}

/** Nothing was stored; of a 503 nobody knows. */
const isForGood = ({ code }: Refusal): boolean =>
  code !== "stale_route" && ERRORS[code].status < 500;

const UNSENT: Refusal = refuse("unavailable", "A queue did not answer");
const TORN: Refusal = refuse(
  "unavailable",
  "A part of this request went to a queue before the topic grew",
);
