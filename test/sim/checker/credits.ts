/** S4: a socket is not given more than its credit while it holds what came before: unsettled, with a lease that lives. */
import type { Answer, Event } from "../history.ts";
import type { Report } from "./check.ts";
import type { Op, Story } from "./story.ts";

interface Socket {
  /** Receipts and the ends of their leases. */
  readonly held: Map<string, number>;
  /**
   * What it settled, or prolonged, of what it no longer held. A gateway that lost its memory knows how many a socket holds and
   * not which: each may count for one of those.
   */
  late: number;
}

export function checkCredits(story: Story, report: Report): void {
  // By a clock that steps nobody knows which leases live.
  if (story.stepped(0, Infinity)) return;
  const hands = new Hands(report);
  for (const event of story.history.events) {
    if (event.is !== "ok") continue;
    const op = story.ops.get(event.op);
    if (op?.request.is === "receive") hands.give(op as Op<"receive">, event);
    if (op?.request.is === "settle") hands.settle(op as Op<"settle">, event);
  }
}

/** All sockets. */
class Hands {
  readonly #report: Report;
  readonly #sockets = new Map<number, Socket>();
  /** By receipt. */
  readonly #holders = new Map<string, Socket>();

  constructor(report: Report) {
    this.#report = report;
  }

  give({ request, answer }: Op<"receive">, { wall }: Event): void {
    if (request.socket === undefined || answer?.is !== "received") return;
    const { id, credit } = request.socket;
    const socket = this.#sockets.get(id) ?? { held: new Map<string, number>(), late: 0 };
    this.#sockets.set(id, socket);
    const { held } = socket;
    for (const [receipt, until] of held) if (until <= wall) held.delete(receipt);
    for (const { receipt, invisibleUntil } of answer.deliveries) {
      held.set(receipt, invisibleUntil);
      this.#holders.set(receipt, socket);
    }
    if (held.size > credit + socket.late)
      this.#report("S4", `socket ${id} has ${held.size} in hand, and a credit of ${credit}`);
  }

  settle({ request, answer }: Op<"settle">, { wall }: Event): void {
    const results: Results = answer?.is === "settled" ? answer.results : [];
    for (const { ok, receipt, invisibleUntil } of results) {
      const socket = this.#holders.get(receipt);
      if (socket === undefined) continue;
      const until = socket.held.get(receipt) ?? -Infinity;
      socket.held.delete(receipt);
      // A lease that is over may be prolonged all the same: it gave its credit back.
      if (until <= wall && (request.verb !== "extend" || ok)) socket.late++;
      const isLonger = request.verb === "extend" && ok && until > wall;
      if (isLonger && invisibleUntil !== undefined) socket.held.set(receipt, invisibleUntil);
    }
  }
}

type Results = Extract<Answer, { readonly is: "settled" }>["results"];
