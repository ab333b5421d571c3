/**
 * Lists that run over all queues of a topic: messages by offset, key or time, transactions, and what is blocked. Oldest
 * first, at most 8 MiB a page. It only looks: nothing here leases, moves or marks anything.
 */
import { parseTransactionId } from "../core/ids.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type {
  BlockedView,
  Page,
  TopicRoute,
  TransactionState,
  TransactionView,
} from "../protocol/rpc.ts";
import type { GroupName, Message, PageQuery, PeekQuery, TopicName } from "./broker.ts";
import { BAD_CURSOR, decodeCursor, encodeCursor, type Position } from "./cursor.ts";
import { mergePage, type Source } from "./merge.ts";
import { messagesOf } from "../core/message.ts";
import { bodyLength } from "../core/record.ts";
import type { Ground } from "./objects.ts";
import { stampOf, type Routes } from "./routes.ts";

/** A page that came out empty because queues were searched without finding is gone on with so often. */
const EMPTY_ROUNDS_MAX = 8;

export const queuesOf = (route: TopicRoute): number[] =>
  Array.from({ length: route.settings.queues }, (_, queue) => queue);

/** About what a message takes in an answer. */
export function bytesOf({ content: { body } }: Message): number {
  const length = bodyLength(body);
  const isJson = "ref" in body ? body.isJson : "json" in body;
  return 512 + (isJson ? length : Math.ceil(length / 3) * 4);
}

export class Lists {
  readonly #ground: Ground;
  readonly #routes: Routes;

  constructor(ground: Ground, routes: Routes) {
    this.#ground = ground;
    this.#routes = routes;
  }

  peek(at: TopicName, query: PeekQuery): Promise<Outcome<Page<Message>>> {
    return this.#routes.use(at, false, async (route) => {
      const { queues } = route.settings;
      if (query.queue !== undefined && query.queue >= queues) {
        const facts = { field: "queue", limit: queues - 1, actual: query.queue };
        return refuse("invalid_request", "The topic has no such queue", facts);
      }
      if (query.offset !== undefined && query.queue === undefined && queues > 1) {
        const detail = "An offset belongs to a queue: name it";
        return refuse("invalid_request", detail, { field: "queue" });
      }
      const asked = query.queue === undefined ? queuesOf(route) : [query.queue];
      return this.#filled(
        await this.#page(route, asked, query, this.#messages(route, query, asked.length)),
      );
    });
  }

  /** A body that cannot be had says so in its place. */
  async #filled(page: Outcome<Page<Message>>): Promise<Outcome<Page<Message>>> {
    if (!page.ok) return page;
    const { messages, end } = await this.#ground.bodies.complete(page.value.items);
    end();
    return accept({ ...page.value, items: messages });
  }

  transactions(
    at: TopicName,
    query: PageQuery & { readonly state?: TransactionState },
  ): Promise<Outcome<Page<TransactionView>>> {
    return this.#routes.use(at, false, (route) =>
      this.#page(route, queuesOf(route), query, this.#transactionsOf(route, query.state)),
    );
  }

  blocked(at: GroupName, query: PageQuery): Promise<Outcome<Page<BlockedView>>> {
    return this.#routes.useGroup(at, (route) =>
      this.#page(route, queuesOf(route), query, this.#blockedOf(route, at.group)),
    );
  }

  async #page<T>(
    route: TopicRoute,
    queues: readonly number[],
    query: PageQuery,
    source: Source<T>,
  ): Promise<Outcome<Page<T>>> {
    const cursor = decodeCursor(query.cursor, route.incarnation);
    if (!cursor.ok) return cursor;
    // A list of one queue goes on with its own cursor only; one of all may have got more queues since.
    if ([...cursor.value.keys()].some((queue) => !queues.includes(queue))) return BAD_CURSOR;
    const bounds = { limit: query.limit, bytesMax: LIMITS.answerBytesMax };
    let positions: ReadonlyMap<number, Position> = cursor.value;
    for (let round = 1; ; round++) {
      const merged = await mergePage(source, queues, positions, bounds);
      if (!merged.ok) return merged;
      const { items, more } = merged.value;
      positions = merged.value.positions;
      if (!more) return accept({ items });
      if (items.length > 0 || round === EMPTY_ROUNDS_MAX) {
        return accept({ items, nextCursor: encodeCursor(route.incarnation, positions) });
      }
    }
  }

  #messages(route: TopicRoute, query: PeekQuery, asked: number): Source<Message> {
    const { namespace, topic } = route;
    const bytesMax = Math.max(64 * 1024, Math.floor(LIMITS.entriesBytesMax / asked));
    const { key, from, to } = query;
    const filter = {
      ...(key === undefined ? {} : { key }),
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
    };
    return {
      orderOf: (message) => message.storedAt,
      positionAfter: (message) => message.offset + 1,
      bytesOf,
      fetch: async (queue, position, limit) => {
        const offset = typeof position === "number" ? position : query.offset;
        const outcome = await this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
          object.peek({
            stamp: stampOf(route),
            limit,
            bytesMax,
            ...filter,
            ...(offset === undefined ? {} : { offset }),
          }),
        );
        if (!outcome.ok) return outcome;
        const items = messagesOf(route, queue, outcome.value);
        const { nextOffset } = outcome.value;
        return accept(nextOffset === undefined ? { items } : { items, next: nextOffset });
      },
    };
  }

  #blockedOf(route: TopicRoute, group: string): Source<BlockedView> {
    const { namespace, topic } = route;
    return {
      orderOf: (view) => view.storedAt,
      positionAfter: (view) => view.cursor,
      bytesOf: () => 1_024,
      fetch: (queue, position, limit) => {
        const query = typeof position === "string" ? { after: position, limit } : { limit };
        return this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
          object.blocked(stampOf(route), group, query),
        );
      },
    };
  }

  #transactionsOf(route: TopicRoute, state: TransactionState | undefined): Source<TransactionView> {
    const { namespace, topic } = route;
    return {
      orderOf: (view) => view.preparedAt,
      positionAfter: (view) => (parseTransactionId(view.transactionId)?.position ?? 0) + 1,
      bytesOf: (view) => 512 + view.messages.length * 128,
      fetch: async (queue, position, limit) => {
        const from = typeof position === "number" ? position : 0;
        const outcome = await this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
          object.transactions(stampOf(route), {
            from,
            limit,
            ...(state === undefined ? {} : { state }),
          }),
        );
        return outcome;
      },
    };
  }
}
