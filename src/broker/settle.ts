/**
 * Ack, nack and extend: receipts to the queues that gave them, results in the order of the receipts. Also the seek, which
 * ends them all. It judges only what no queue could: a text that is no receipt, or one of another topic.
 */
import { parseReceipt, type ReceiptAddress } from "../core/ids.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import type { Settled, TopicRoute } from "../protocol/rpc.ts";
import type { GroupName, SeekTarget, SettleRequest } from "./broker.ts";
import { queuesOf } from "./lists.ts";
import type { Ground } from "./objects.ts";
import { stampOf, type Routes } from "./routes.ts";

/** So many former topics are asked after for one request; the rest counts as nonsense. */
const OLDER_MAX = 4;

export class Settler {
  readonly #ground: Ground;
  readonly #routes: Routes;

  constructor(ground: Ground, routes: Routes) {
    this.#ground = ground;
    this.#routes = routes;
  }

  settle(at: GroupName, request: SettleRequest): Promise<Outcome<readonly Settled[]>> {
    const addresses = request.receipts.map(parseReceipt);
    return this.#routes.useGroup(at, async (known) => {
      const route = await this.#routeOf(at, known, addresses);
      if (!route.ok) return route;
      return this.#settleAt(route.value, at.group, request, addresses);
    });
  }

  seek(
    at: GroupName,
    to: SeekTarget,
    consumerId?: string,
  ): Promise<Outcome<{ queue: number; offset: number }[]>> {
    return this.#routes.useGroup(at, async (route) => {
      const targets = targetsOf(route, to);
      const stranger = targets.find((target) => target.queue >= route.settings.queues);
      if (stranger !== undefined) {
        const facts = { field: "to", limit: route.settings.queues - 1, actual: stranger.queue };
        return refuse("invalid_request", "The topic has no such queue", facts);
      }
      const { namespace, topic } = at;
      const moved = await Promise.all(
        targets.map(async (target) => ({
          queue: target.queue,
          outcome: await this.#ground.objects.queue(
            { namespace, topic, queue: target.queue },
            (queue) => queue.seek(stampOf(route), at.group, target.to, consumerId),
          ),
        })),
      );
      const offsets: { queue: number; offset: number }[] = [];
      for (const { queue, outcome } of moved) {
        if (!outcome.ok) return outcome;
        offsets.push({ queue, offset: outcome.value.offset });
      }
      return accept(offsets);
    });
  }

  /** A receipt of a younger incarnation than the known one means that the topic was made again meanwhile. */
  async #routeOf(
    at: GroupName,
    known: TopicRoute,
    addresses: readonly (ReceiptAddress | undefined)[],
  ): Promise<Outcome<TopicRoute>> {
    const isOld = addresses.some(
      (address) =>
        address !== undefined &&
        (address.incarnation > known.incarnation ||
          (address.incarnation === known.incarnation && address.queue >= known.settings.queues)),
    );
    return isOld ? this.#routes.read(at, false) : accept(known);
  }

  async #settleAt(
    route: TopicRoute,
    group: string,
    request: SettleRequest,
    addresses: readonly (ReceiptAddress | undefined)[],
  ): Promise<Outcome<readonly Settled[]>> {
    const gone = await this.#gone(route, addresses);
    const results = request.receipts.map((receipt, index): Settled => ({
      receipt,
      ok: false,
      code: gone.has(addresses[index]?.incarnation ?? 0) ? "receipt_expired" : "receipt_invalid",
    }));
    const refusals = await Promise.all(
      Array.from(byQueue(route, addresses), async ([queue, indexes]) => {
        const outcome = await this.#settlePart(route, group, queue, {
          ...request,
          receipts: indexes.map((index) => request.receipts[index] ?? ""),
        });
        if (!outcome.ok) return outcome;
        for (const [place, index] of indexes.entries()) {
          const settled = outcome.value[place];
          if (settled !== undefined) results[index] = settled;
        }
        return undefined;
      }),
    );
    // All of it may be repeated: an ack that was taken is `ok` again.
    return refusals.find((refusal) => refusal !== undefined) ?? accept(results);
  }

  /** Incarnations that the receipts name and that are no more: a topic's delete ends its leases. */
  async #gone(
    { namespace, incarnation }: TopicRoute,
    addresses: readonly (ReceiptAddress | undefined)[],
  ): Promise<ReadonlySet<number>> {
    const older = new Set<number>();
    for (const address of addresses) {
      if (address === undefined || address.incarnation >= incarnation) continue;
      if (older.size < OLDER_MAX) older.add(address.incarnation);
    }
    const gone = new Set<number>();
    await Promise.all(
      Array.from(older, async (each) => {
        const found = await this.#ground.objects.registry(namespace, (registry) =>
          registry.topicByIncarnation(each),
        );
        if (!found.ok && found.code === "topic_not_found") gone.add(each);
      }),
    );
    return gone;
  }

  #settlePart(
    route: TopicRoute,
    group: string,
    queue: number,
    request: SettleRequest,
  ): Promise<Outcome<readonly Settled[]>> {
    const { namespace, topic } = route;
    return this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
      object.settle({ stamp: stampOf(route), group, ...request }),
    );
  }
}

function byQueue(
  route: TopicRoute,
  addresses: readonly (ReceiptAddress | undefined)[],
): Map<number, number[]> {
  const parts = new Map<number, number[]>();
  for (const [index, address] of addresses.entries()) {
    if (address === undefined || address.incarnation !== route.incarnation) continue;
    if (address.queue >= route.settings.queues) continue;
    const indexes = parts.get(address.queue);
    if (indexes === undefined) parts.set(address.queue, [index]);
    else indexes.push(index);
  }
  return parts;
}

function targetsOf(route: TopicRoute, to: SeekTarget) {
  if (typeof to === "object" && "offsets" in to) {
    return to.offsets.map(({ queue, offset }) => ({ queue, to: { offset } as const }));
  }
  return queuesOf(route).map((queue) => ({ queue, to }));
}
