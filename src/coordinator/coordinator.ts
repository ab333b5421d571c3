/**
 * The coordinator of one producer group: takes the transactions that queues offer as due, begins each check when its
 * turn comes, asks, and tells the queue the end. It never decides: the queue applies an answer, or ignores it.
 *
 * Nothing here must live on: what waits is offered again by its queue, what is open ends there at `openUntil`, and the
 * mailbox is on disk. [C1] A check is counted (begun) only when it can be sent or laid at once. [C2] At most OPEN_MAX
 * checks are open: a slow endpoint holds up only its own group, for each group has an object of its own.
 */
import { parseTransactionId } from "../core/ids.ts";
import type { Outcome } from "../protocol/errors.ts";
import type {
  CheckBegun,
  CheckOffer,
  CoordinatorRpc,
  ProducerGroupRecord,
} from "../protocol/rpc.ts";
import type { CheckTarget } from "../protocol/topic.ts";
import { type Answer, ask } from "./ask.ts";
import { GroupStore } from "./group-store.ts";
import { Mailbox, queueKey } from "./mailbox.ts";
import { isRetryable, Pollers, type PollQuery } from "./pollers.ts";
import type { Ports, Sql } from "./ports.ts";
import { type Seen, Sightings } from "./sightings.ts";
import { pause, within } from "../platform/clock.ts";

/** Checks open at a time. Workers hold six connections per request; two are left for the calls to queues. */
export const OPEN_MAX = 4;
export const WAITING_MAX = 10_000;
/** Checks laid in the mailbox by one call, so by one row. */
const LAY_MAX = 256;
/** How far a batch looks for more of the same queue. */
const SCAN_MAX = 1_024;
/** A begin that took longer is not asked any more: with MARGIN_MS, asking has its whole time. */
const BEGIN_MS_MAX = 5_000;
/** What a check is held open beyond its call's timeout: for beginning it and for telling its end. */
const MARGIN_MS = 10_000;
const END_TRIES = 5;
const END_MS_MAX = 5_000;
const END_BACKOFF_MS = 100;

interface Waiting extends CheckOffer {
  readonly namespace: string;
}

const keyOf = (offer: CheckOffer): string =>
  `${offer.incarnation}.${offer.queue}.${offer.position}`;

export class Coordinator implements CoordinatorRpc {
  readonly #ports: Ports;
  readonly #group: GroupStore;
  readonly #mailbox: Mailbox;
  readonly #pollers: Pollers;
  readonly #sightings = new Sightings();
  /** In the order of arrival. */
  readonly #waiting = new Map<string, Waiting>();
  /** Being begun, asked or ended, as `key#attempt`. */
  readonly #busy = new Set<string>();
  #open = 0;
  /** Falls to one when a begin fails: its content may be too large for one call. */
  #batchMax = OPEN_MAX;

  constructor(sql: Sql, ports: Ports) {
    this.#ports = ports;
    this.#group = new GroupStore(sql);
    this.#mailbox = new Mailbox(sql);
    this.#pollers = new Pollers(this.#mailbox, ports);
  }

  configure(record: ProducerGroupRecord | undefined): Promise<void> {
    this.#group.put(record);
    this.#pump();
    return Promise.resolve();
  }

  offer(namespace: string, producerGroup: string, offers: readonly CheckOffer[]): Promise<void> {
    let dropped = 0;
    for (const offer of offers) {
      const key = keyOf(offer);
      if (this.#busy.has(`${key}#${offer.attempt}`)) continue;
      const known = this.#waiting.get(key);
      if (known === undefined && this.#waiting.size >= WAITING_MAX) dropped++;
      else if ((known?.attempt ?? 0) < offer.attempt)
        this.#waiting.set(key, { ...offer, namespace });
    }
    if (dropped > 0) {
      this.#ports.log.error("check.offers_dropped", { namespace, producerGroup, dropped });
    }
    this.#pump();
    return Promise.resolve();
  }

  poll(
    namespace: string,
    _producerGroup: string,
    query: PollQuery & { readonly consumerId?: string },
  ): Promise<Outcome<{ checks: readonly CheckBegun[] }>> {
    this.#sightings.polled(this.#ports.clock.nowMs(), query.consumerId);
    return this.#pollers.poll(namespace, query);
  }

  cancelPoll(waitId: string): Promise<void> {
    this.#pollers.cancel(waitId);
    return Promise.resolve();
  }

  seen(): Promise<Seen & { waiting: number; open: number }> {
    const seen = this.#sightings.seen(this.#ports.clock.nowMs());
    return Promise.resolve({ ...seen, waiting: this.#waiting.size, open: this.#open });
  }

  /** Begins what waits, as far as slots are free. Returns at once. */
  #pump(): void {
    while (this.#open < OPEN_MAX && this.#waiting.size > 0) {
      const record = this.#group.record;
      const target = record?.check;
      const free = Math.min(OPEN_MAX - this.#open, this.#batchMax);
      const offers = this.#nextOfOneQueue(target === undefined ? LAY_MAX : free);
      for (const offer of offers) this.#busy.add(`${keyOf(offer)}#${offer.attempt}`);
      const task =
        record === undefined || target === undefined
          ? this.#layAll(offers)
          : this.#askAll(offers, record, target);
      void task.catch((error: unknown) => {
        this.#ports.log.error("check.bug", { message: String(error) });
      });
    }
  }

  #nextOfOneQueue(countMax: number): Waiting[] {
    const batch: Waiting[] = [];
    let scanned = 0;
    for (const [key, offer] of this.#waiting) {
      if (batch.length >= countMax || ++scanned > SCAN_MAX) break;
      const [first] = batch;
      if (first !== undefined && queueKey(first) !== queueKey(offer)) continue;
      batch.push(offer);
      this.#waiting.delete(key);
    }
    return batch;
  }

  /** Holds `slots` slots for as long as `work` takes. */
  async #holding(
    slots: number,
    offers: readonly Waiting[],
    work: () => Promise<unknown>,
  ): Promise<void> {
    this.#open += slots;
    try {
      await work();
    } finally {
      this.#open -= slots;
      for (const offer of offers) this.#busy.delete(`${keyOf(offer)}#${offer.attempt}`);
      this.#pump();
    }
  }

  async #layAll(offers: readonly Waiting[]): Promise<void> {
    await this.#holding(1, offers, () =>
      // A late one is laid late: it counts already.
      within(this.#ports.clock, BEGIN_MS_MAX, this.#lay(offers)),
    );
  }

  async #lay(offers: readonly Waiting[]): Promise<void> {
    const begun = await this.#begin(offers, 0);
    const begunAt = new Set(begun.map(positionOf));
    const laid = offers.filter(({ position }) => begunAt.has(position));
    const { dropped } = this.#mailbox.lay(laid);
    if (dropped > 0) this.#ports.log.error("check.mailbox_full", { dropped });
    this.#pollers.wake(laid.length);
  }

  async #askAll(
    offers: readonly Waiting[],
    record: ProducerGroupRecord,
    target: CheckTarget,
  ): Promise<void> {
    const asked = Promise.withResolvers<Map<number, CheckBegun>>();
    const each = offers.map((offer) =>
      this.#holding(1, [offer], async () => {
        const check = (await asked.promise).get(offer.position);
        if (check !== undefined) await this.#askOne(offer, check, record, target);
      }),
    );
    const openUntil = this.#ports.clock.nowMs() + target.timeoutMs + MARGIN_MS;
    const call = this.#begin(offers, openUntil);
    const begun = await within(this.#ports.clock, BEGIN_MS_MAX, call);
    asked.resolve(new Map(begun?.map((check) => [positionOf(check), check])));
    await Promise.all(each);
    // It came too late to be asked in time, but it counts: its end must not be waited for in vain.
    if (begun === undefined) await this.#endUnasked(offers, await call);
  }

  async #endUnasked(offers: readonly Waiting[], begun: readonly CheckBegun[]): Promise<void> {
    for (const check of begun) {
      const offer = offers.find(({ position }) => position === positionOf(check));
      if (offer !== undefined) await this.#end(offer, { resolution: "unknown", failure: "late" });
    }
  }

  async #askOne(
    offer: Waiting,
    check: CheckBegun,
    { secrets }: ProducerGroupRecord,
    target: CheckTarget,
  ): Promise<void> {
    const { clock, log } = this.#ports;
    const { namespace } = offer;
    const { transactionId, producerGroup, topic, attempt } = check;
    this.#sightings.called(clock.nowMs());
    const answer = await ask(this.#ports, check, target, { secrets, timeoutMs: target.timeoutMs });
    this.#sightings.answered(answer.failure ?? answer.resolution);
    const { failure, status } = answer;
    if (failure !== undefined) {
      const fields = { namespace, producerGroup, topic, transactionId, attempt, failure };
      log.info("check.unanswered", status === undefined ? fields : { ...fields, status });
    }
    await this.#end(offer, answer);
  }

  /** Nothing when the call fails: the queue offers again what it has not begun, and ends what it has. */
  async #begin(offers: readonly Waiting[], openUntil: number): Promise<readonly CheckBegun[]> {
    const [first] = offers;
    if (first === undefined) return [];
    const { namespace, topic, incarnation, queue } = first;
    const checks = offers.map(({ position, attempt }) => ({ position, attempt, openUntil }));
    try {
      const outcome = await this.#ports
        .queue(namespace, topic, queue)
        .beginChecks(incarnation, checks, openUntil > 0);
      this.#batchMax = Math.min(OPEN_MAX, this.#batchMax * 2);
      if (outcome.ok) return outcome.value;
      this.#ports.log.info("check.begin_refused", { namespace, topic, queue, code: outcome.code });
    } catch {
      this.#batchMax = 1;
      this.#ports.log.error("check.begin_failed", { namespace, topic, queue });
    }
    return [];
  }

  /** Tells the queue how a check ended. When that is lost in the end, the queue ends it as unknown by itself. */
  async #end(offer: Waiting, { resolution, failure, status = 0 }: Answer): Promise<void> {
    const answered = status === 0 ? {} : { status };
    const why = failure === undefined ? [] : [{ failure, ...answered }];
    const { clock, log } = this.#ports;
    const { namespace, topic, incarnation, queue, position, attempt } = offer;
    const fields = { namespace, topic, queue, position, attempt, resolution };
    for (let tries = 0; tries < END_TRIES; tries++) {
      if (tries > 0) await pause(clock, END_BACKOFF_MS * 2 ** (tries - 1));
      try {
        const port = this.#ports.queue(namespace, topic, queue);
        const call = port.endCheck(incarnation, position, attempt, resolution, ...why);
        const outcome = await within(clock, END_MS_MAX, call);
        if (outcome?.ok === true) return;
        if (outcome !== undefined && !isRetryable(outcome)) {
          log.info("check.end_refused", { ...fields, code: outcome.code });
          return;
        }
      } catch {
        // The transport failed: again, after a while.
      }
    }
    log.error("check.end_lost", fields);
  }
}

const positionOf = (check: CheckBegun): number =>
  parseTransactionId(check.transactionId)?.position ?? -1;
