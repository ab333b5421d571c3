/**
 * Which queues gave something last, per group, as this isolate has seen it: where a receive begins. A guess that saves
 * calls; it never keeps a queue from being asked, because every second receive begins with the next queue in turn.
 */
import { RecentMap } from "./route-cache.ts";

/** So many queues are kept in mind per group. */
const QUEUES_MAX = 8;

interface Memory {
  /** Next to be asked first. */
  giving: number[];
  /** The next queue in turn, whether it gave or not. */
  turn: number;
  receives: number;
}

export class RecentQueues {
  readonly #groups = new RecentMap<Memory>(2_000);

  /** Every queue once, the likeliest first. `draw` starts the turn where nothing is known. */
  order(
    group: string,
    queues: number,
    draw: number,
  ): { readonly queues: number[]; readonly likely: number } {
    const memory = this.#groups.get(group) ?? {
      giving: [],
      turn: Math.floor(draw * queues),
      receives: 0,
    };
    this.#groups.set(group, memory);
    const turn = memory.turn % queues;
    const inTurn = Array.from({ length: queues }, (_, step) => (turn + step) % queues);
    const giving = memory.giving.filter((queue) => queue < queues);
    const explores = giving.length === 0 || memory.receives % 2 === 1;
    memory.receives++;
    if (explores) memory.turn = (turn + 1) % queues;
    const first = explores ? [turn, ...giving] : giving;
    const order = [...new Set([...first, ...inTurn])];
    return { queues: order, likely: new Set(first).size };
  }

  /** A queue that gave and has more goes behind the others that have; one that has no more is dropped. */
  note(group: string, queue: number, more: boolean): void {
    const memory = this.#groups.get(group);
    if (memory === undefined) return;
    memory.giving = memory.giving.filter((each) => each !== queue);
    if (!more) return;
    memory.giving.push(queue);
    if (memory.giving.length > QUEUES_MAX) memory.giving.shift();
  }
}
