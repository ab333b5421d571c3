/**
 * Transactions: a prepare goes to its home queue with every target resolved; a decision goes where the id points.
 * It never decides anything: after a commit the home queue forwards to the targets.
 */
import { parseTransactionId } from "../core/ids.ts";
import { frameContents } from "../core/record.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type {
  Decided,
  Keyed,
  PrepareCall,
  Prepared,
  Target,
  TopicRoute,
  TransactionMessage,
  TransactionView,
} from "../protocol/rpc.ts";
import type { ById, DecideRequest, PrepareRequest, TopicName } from "./broker.ts";
import { claimKey, homeOfKey } from "./key-claim.ts";
import type { Messages } from "./messages.ts";
import type { Lanes, Lot } from "./lanes.ts";
import { lodge } from "./lodge.ts";
import type { Ground } from "./objects.ts";
import { RecentMap } from "./route-cache.ts";
import { stampOf, type Routes } from "./routes.ts";
import { queueOf } from "./send.ts";

/** A producer group that was seen is not shown to the registry again for so long. */
const SEEN_AGE_MS = 60_000;

const notFound = (id: string) =>
  refuse("transaction_not_found", "No transaction has this id", {
    transactionId: id.slice(0, 128),
  });

export class Transactions {
  readonly #ground: Ground;
  readonly #routes: Routes;
  readonly #messages: Messages;
  readonly #lanes: Lanes;
  readonly #seen = new RecentMap<number>(2_000);

  constructor(ground: Ground, routes: Routes, parts: { messages: Messages; lanes: Lanes }) {
    this.#messages = parts.messages;
    this.#lanes = parts.lanes;
    this.#ground = ground;
    this.#routes = routes;
  }

  async prepare(at: TopicName, request: PrepareRequest): Promise<Outcome<Prepared>> {
    const producer = request.messages.findIndex((each) => each.content.producer !== undefined);
    if (producer >= 0) {
      const field = `messages[${producer}].producer`;
      return refuse("invalid_request", "A transaction takes no producer sequence", { field });
    }
    const seen = await this.#see(at.namespace, request.producerGroup);
    if (!seen.ok) return seen;
    const lot = this.#lanes.enter(at, request.keyed, this.#ground);
    try {
      return await this.#prepareAt(at, request, lot);
    } finally {
      this.#lanes.leave(lot);
    }
  }

  #prepareAt(at: TopicName, request: PrepareRequest, lot: Lot): Promise<Outcome<Prepared>> {
    const contents = request.messages.map(({ content }) => content);
    return this.#routes.use(at, request.overdue === undefined, async (route) => {
      const targets = await this.#targets(route, request, lot);
      if (!targets.ok) return targets;
      const { keyed, producerGroup, overdue } = request;
      const { namespace, topic } = at;
      const queue = homeOf(route, request, lot);
      const isNew = overdue === undefined;
      const claim =
        keyed === undefined || !isNew ? undefined : await this.#claim(route, queue, keyed);
      if (claim !== undefined) return claim;
      const lodged = isNew ? await lodge(this.#ground, route, queue, contents) : accept(contents);
      if (!lodged.ok) return lodged;
      const call: PrepareCall = {
        stamp: stampOf(route),
        producerGroup,
        check: policyOf(route, request),
        records: frameContents(lodged.value),
        targets: targets.value,
        ...(keyed === undefined ? {} : { keyed }),
        ...(overdue === undefined ? {} : { overdue }),
      };
      return this.#ground.objects.queue(
        { namespace, topic, queue },
        (home) => home.prepare(call),
        keyed === undefined ? "never" : "safe",
      );
    });
  }

  /** Takes the key where any body under it would find it, as transactions do: by the topic's first size. */
  async #claim(route: TopicRoute, home: number, keyed: Keyed): Promise<Refusal | undefined> {
    const queue = homeOfKey(keyed, firstSizeOf(route));
    return queue === home ? undefined : claimKey(this.#ground, route, queue, keyed);
  }

  decide(at: ById, request: DecideRequest): Promise<Outcome<Decided>> {
    const address = parseTransactionId(at.id);
    return this.#routes.useId(at, address, notFound(at.id), (route) => {
      const { namespace, topic } = route;
      return this.#ground.objects.queue({ namespace, topic, queue: address?.queue ?? 0 }, (queue) =>
        queue.decide({ stamp: stampOf(route), position: address?.position ?? 0, ...request }),
      );
    });
  }

  async view(at: ById): Promise<Outcome<TransactionView>> {
    const home = await this.#home(at);
    if (!home.ok) return home;
    const { queue } = home.value;
    const messages = await Promise.all(
      home.value.messages.map(async (message) => {
        const isElsewhere = message.topic !== undefined || message.queue !== queue;
        return isElsewhere && message.deliverAt !== undefined
          ? this.#lookedUp(at.namespace, message)
          : message;
      }),
    );
    return accept({ ...home.value, messages });
  }

  /** The home does not hear when another queue delivers a delayed message, or when it is recalled or re-timed there. */
  async #lookedUp(namespace: string, message: TransactionMessage): Promise<TransactionMessage> {
    const found = await this.#messages.view({ namespace, id: message.id, permit: () => undefined });
    if (!found.ok) return message;
    const { deliverAt: _, ...place } = message;
    const { queue, offset, deliverAt } = found.value;
    return {
      ...place,
      queue,
      ...(offset === undefined ? {} : { offset }),
      ...(deliverAt === undefined ? {} : { deliverAt }),
    };
  }

  #home(at: ById): Promise<Outcome<TransactionView>> {
    const address = parseTransactionId(at.id);
    return this.#routes.useId(at, address, notFound(at.id), (route) => {
      const { namespace, topic } = route;
      return this.#ground.objects.queue({ namespace, topic, queue: address?.queue ?? 0 }, (queue) =>
        queue.transaction(stampOf(route), address?.position ?? 0),
      );
    });
  }

  /** Makes a producer group known at its first prepare. */
  async #see(namespace: string, group: string): Promise<Outcome<undefined>> {
    const key = `${namespace}/${group}`;
    const nowMs = this.#ground.nowMs();
    if (nowMs - (this.#seen.get(key) ?? -SEEN_AGE_MS) < SEEN_AGE_MS) return accept(undefined);
    const outcome = await this.#ground.objects.registry(namespace, (registry) =>
      registry.seeProducerGroup(group),
    );
    if (!outcome.ok) return outcome;
    this.#seen.set(key, nowMs);
    return accept(undefined);
  }

  /** The home queue checks its own topic's stamp and no other, so those of other topics are read fresh. */
  async #targets(
    home: TopicRoute,
    request: PrepareRequest,
    lot: Lot,
  ): Promise<Outcome<readonly Target[]>> {
    const routes = new Map([[home.topic, home]]);
    for (const { topic = home.topic } of request.messages) {
      if (routes.has(topic)) continue;
      const route = await this.#routes.recent({ namespace: home.namespace, topic }, true);
      if (!route.ok) return route;
      routes.set(topic, route.value);
    }
    return accept(
      request.messages.map(({ topic = home.topic, content }) => {
        const { incarnation, settings } = routes.get(topic) ?? home;
        return { topic, incarnation, queue: queueOf(content, lot, settings.queues) };
      }),
    );
  }
}

/**
 * The queue that decides: the one of the first message in the path's topic, so that it need not be forwarded. A prepare
 * with an Idempotency-Key is at home where it would have been at the topic's first size, so that its repeat finds it
 * however the topic has grown since.
 */
function homeOf(route: TopicRoute, request: PrepareRequest, lot: Lot): number {
  const own = request.messages.find((each) => (each.topic ?? route.topic) === route.topic);
  const content = (own ?? request.messages[0])?.content;
  if (content === undefined) return 0;
  const { queues } = route.settings;
  return queueOf(content, lot, request.keyed === undefined ? queues : firstSizeOf(route));
}

const firstSizeOf = ({ growths, settings }: TopicRoute): number =>
  growths[0]?.from ?? settings.queues;

function policyOf(route: TopicRoute, request: PrepareRequest) {
  const { transaction } = route.settings;
  return {
    timeoutMs: request.check?.timeoutMs ?? transaction.timeoutMs,
    intervalMs: request.check?.intervalMs ?? transaction.intervalMs,
    maxChecks: request.check?.maxChecks ?? transaction.maxChecks,
  };
}
