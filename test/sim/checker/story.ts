/** A history, sorted for the checker: operations with their ends, and what happened to each message and transaction. */
import {
  type Answer,
  type Delivery,
  type Event,
  type GroupPlan,
  type History,
  nameOf,
  type Request,
  type SentMessage,
} from "../history.ts";
import { LATE_MS_MAX } from "../plan.ts";

/** No commit takes longer. */
const COMMIT_MS_MAX = 100;

type Of<T, K> = Extract<T, { readonly is: K }>;

export interface Op<K extends Request["is"] = Request["is"]> {
  readonly op: number;
  readonly client: string;
  readonly request: Of<Request, K>;
  readonly invokedAt: number;
  readonly invokedWall: number;
  /** Places in the history, which tell what came first within one millisecond. */
  readonly invokedPlace: number;
  endedPlace: number;
  /** Infinity while nobody knows whether it was done, or will be. */
  endedAt: number;
  /** Of the answer. */
  endedWall: number;
  ended: "ok" | "refused" | "lost";
  answer?: Answer;
  /** What was asked before may have been done after the answer. */
  isRepeated: boolean;
  code?: string;
}

/** One delivery as a consumer saw it. */
export interface Given {
  readonly op: Op<"receive">;
  readonly delivery: Delivery;
  /** Place in the batch. */
  readonly place: number;
  /** The server's clock when it was leased. */
  readonly grantedWall: number;
  /** It was not leased before that. */
  readonly leasedAt: number;
}

export interface Settling {
  readonly op: Op<"settle">;
  readonly verb: "ack" | "nack" | "extend";
  /** Undefined: nobody knows. */
  readonly ok: boolean | undefined;
  readonly invisibleUntil?: number;
}

export interface MessageStory {
  readonly message: SentMessage;
  readonly op: Op<"send"> | Op<"prepare">;
}

export interface TransactionStory {
  readonly prepare: Op<"prepare">;
  readonly transactionId: string;
  readonly decides: Op<"decide">[];
  readonly begun: Of<Event, "begun">[];
  readonly asked: Of<Event, "asked">[];
  /** Place in the history at which it was committed for good, where queues tell. */
  committedPlace: number | undefined;
}

const NONE: readonly never[] = [];

export class Story {
  readonly history: History;
  readonly ops = new Map<number, Op>();
  readonly messages = new Map<string, MessageStory>();
  readonly transactions = new Map<string, TransactionStory>();
  /** By the group's name, then by mark, in the order in which answers came. */
  readonly given = new Map<string, Map<string, Given[]>>();
  readonly settlings = new Map<string, Settling[]>();
  /** Of groups that were moved, and so began anew, or got dead letters back. Only what may have been done. */
  readonly sought = new Map<string, Op<"seek">[]>();
  readonly redriven = new Map<string, Op<"redrive">[]>();
  readonly #retimed = new Map<string, Op<"retime">[]>();
  readonly #clockSteps: number[] = [];
  readonly #strikes: number[] = [];
  readonly #checks: Of<Event, "begun">[] = [];
  readonly #asked: Of<Event, "asked">[] = [];
  readonly #committedPlaces = new Map<string, number>();

  constructor(history: History) {
    this.history = history;
    for (const [place, event] of history.events.entries()) this.#take(event, place);
    for (const op of this.ops.values()) this.#sort(op);
    // A check may come before the answer to its prepare.
    for (const event of this.#checks) this.transactions.get(event.transactionId)?.begun.push(event);
    for (const event of this.#asked) this.transactions.get(event.transactionId)?.asked.push(event);
    for (const [transactionId, transaction] of this.transactions)
      transaction.committedPlace = this.#committedPlaces.get(transactionId);
  }

  of<K extends Request["is"]>(kind: K): Op<K>[] {
    return [...this.ops.values()].filter((op) => op.request.is === kind) as unknown as Op<K>[];
  }

  /** Did the wall clock step in between? */
  stepped(fromAt: number, toAt: number): boolean {
    return this.#clockSteps.some((at) => at >= fromAt && at <= toAt);
  }

  /** Was anything struck so soon after the instant that what a queue did then may not have reached its disk? */
  maybeUndone(at: number): boolean {
    return this.#strikes.some((strikeAt) => strikeAt >= at && strikeAt <= at + COMMIT_MS_MAX);
  }

  /** A clock that leaps over a key's window makes it forgotten: a late repeat of the request is a new one. */
  isForgotten(mark: string): boolean {
    const op = this.messages.get(mark)?.op;
    return op !== undefined && this.stepped(op.invokedAt, op.endedAt + LATE_MS_MAX);
  }

  /** The earliest instant that a delayed message may come at; undefined of one that is not delayed. */
  dueAt(mark: string): number | undefined {
    const deliverAt = this.messages.get(mark)?.message.deliverAt;
    const retimed = this.#retimed.get(mark);
    if (deliverAt === undefined || retimed === undefined) return deliverAt;
    const last = retimed.at(-1);
    if (last !== undefined && retimed.every(({ ended }) => ended === "ok"))
      return last.request.deliverAt;
    return Math.min(deliverAt, ...retimed.map(({ request }) => request.deliverAt));
  }

  /** The furthest that the server's clock had been by then. */
  wallMax(at: number): number {
    let latest = 0;
    for (const event of this.history.events) {
      if (event.at > at) break;
      latest = Math.max(latest, event.wall);
    }
    return latest;
  }

  /** May messages of the topic go before everybody has read them? */
  isFleeting(topic: string): boolean {
    return this.history.fleeting?.includes(topic) === true;
  }

  /** Acks of a message in a group that were, or may have been, taken. */
  acks(group: string, mark: string): Settling[] {
    return this.settled(group, mark).filter(({ verb, ok }) => verb === "ack" && ok !== false);
  }

  /** Was it given after that instant, and that delivery acked? */
  isDoneSince(group: string, mark: string, sinceAt: number): boolean {
    const given = this.given.get(group)?.get(mark) ?? [];
    return given.some(
      ({ op, delivery }) =>
        op.endedAt > sinceAt &&
        this.settlings
          .get(delivery.receipt)
          ?.some(({ verb, ok }) => verb === "ack" && ok !== false),
    );
  }

  /** What was done with the receipts of a message in a group. */
  settled(group: string, mark: string): readonly Settling[] {
    const given = this.given.get(group)?.get(mark) ?? [];
    const [only] = given;
    if (only === undefined) return NONE;
    if (given.length === 1) return this.settlings.get(only.delivery.receipt) ?? NONE;
    const receipts = new Set(given.map(({ delivery }) => delivery.receipt));
    return [...receipts].flatMap((receipt) => this.settlings.get(receipt) ?? []);
  }

  #take(event: Event, place: number): void {
    switch (event.is) {
      case "invoke":
        return this.#begin(event, place);
      case "ok":
      case "refused":
      case "lost":
        return this.#end(event, place);
      case "begun":
        this.#checks.push(event);
        return;
      case "asked":
        this.#asked.push(event);
        return;
      // Whatever was committed once more had been taken back.
      case "committed":
        this.#committedPlaces.set(event.transactionId, place);
        return;
      case "fault":
        if (event.fault === "clock") this.#clockSteps.push(event.at);
        else this.#strikes.push(event.at);
    }
  }

  #begin({ op: number, client, request, at, wall }: Of<Event, "invoke">, place: number): void {
    const op: Op = {
      op: number,
      client,
      request,
      invokedAt: at,
      invokedWall: wall,
      invokedPlace: place,
      endedPlace: Infinity,
      endedAt: Infinity,
      endedWall: Infinity,
      ended: "lost",
      isRepeated: false,
    };
    this.ops.set(number, op);
    if (request.is === "send" || request.is === "prepare")
      for (const message of request.messages)
        this.messages.set(message.mark, { message, op: op as MessageStory["op"] });
  }

  #end(event: Of<Event, "ok" | "refused" | "lost">, place: number): void {
    const op = this.ops.get(event.op);
    if (op === undefined) return;
    op.ended = event.is;
    op.endedPlace = place;
    if (event.is !== "lost") [op.endedAt, op.endedWall] = [event.at, event.wall];
    if (event.is === "refused") op.code = event.code;
    if (event.is !== "ok") return;
    op.answer = event.answer;
    op.isRepeated = event.isRepeated === true;
    if (event.answer.is !== "prepared") return;
    const { transactionId } = event.answer;
    const prepare = op as Op<"prepare">;
    this.transactions.set(transactionId, {
      prepare,
      transactionId,
      decides: [],
      begun: [],
      asked: [],
      committedPlace: undefined,
    });
  }

  #sort(op: Op): void {
    const { request, answer } = op;
    if (request.is === "decide")
      this.transactions.get(request.transactionId)?.decides.push(op as Op<"decide">);
    if (request.is === "receive" && answer?.is === "received")
      this.#give(op as Op<"receive">, answer.deliveries);
    if (request.is === "settle") this.#settle(op as Op<"settle">);
    if (op.ended === "refused") return;
    if (request.is === "seek")
      for (const name of this.#namesIn(request)) push(this.sought, name, op as Op<"seek">);
    if (request.is === "redrive")
      for (const name of this.#namesIn(request)) push(this.redriven, name, op as Op<"redrive">);
    if (request.is === "retime") push(this.#retimed, request.mark, op as Op<"retime">);
  }

  /** The group, and each of its consumers where it is broadcast. */
  #namesIn({ topic, group }: Pick<GroupPlan, "topic" | "group">): Set<string> {
    const plans = this.history.groups.filter(
      (plan) => plan.topic === topic && plan.group === group,
    );
    return new Set([nameOf({ topic, group }), ...plans.map(nameOf)]);
  }

  #give(op: Op<"receive">, deliveries: readonly Delivery[]): void {
    const { invisibleMs } = op.request;
    const name = nameOf(op.request);
    const marks = this.given.get(name) ?? new Map<string, Given[]>();
    this.given.set(name, marks);
    for (const [place, delivery] of deliveries.entries()) {
      const grantedWall = delivery.invisibleUntil - invisibleMs;
      const leasedAt = this.#leasedAt(op, grantedWall);
      push(marks, delivery.mark, { op, delivery, place, grantedWall, leasedAt });
    }
  }

  /** What comes by a line was on its way for some time, in which the clock may have stepped. */
  #leasedAt(
    { request, invokedAt, endedAt, endedWall }: Op<"receive">,
    grantedWall: number,
  ): number {
    if (request.isLine !== true || request.invisibleMs === 0) return invokedAt;
    if (this.stepped(endedAt - LATE_MS_MAX, endedAt)) return -Infinity;
    return endedAt - (endedWall - grantedWall);
  }

  #settle(op: Op<"settle">): void {
    const { verb, receipts } = op.request;
    const results = op.answer?.is === "settled" ? op.answer.results : undefined;
    for (const [index, receipt] of receipts.entries()) {
      const result = results?.[index];
      const settling: Settling = {
        op,
        verb,
        ok: wasDone(op, result?.ok),
        ...(result?.invisibleUntil === undefined ? {} : { invisibleUntil: result.invisibleUntil }),
      };
      push(this.settlings, receipt, settling);
    }
  }
}

/** By the answer; undefined: nobody knows. Of what was asked before, a refusal may tell only that it came too late. */
function wasDone(
  { ended, isRepeated }: Pick<Op, "ended" | "isRepeated">,
  ok: boolean | undefined,
): boolean | undefined {
  if (ended === "refused") return false;
  return isRepeated && ok === false ? undefined : ok;
}

function push<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
