/** Simulation of where messages land: message groups by HalfMQ's own hash, with some groups busier than others. */
import { queueOfSlot, queueOfWord } from "../../src/core/route.ts";
import { LIMITS } from "../../src/protocol/limits.ts";

/** The busiest queue's share, in even shares: 1 is even, 2 is twice as much as an even one. */
export function busiest(groups: number, queues: number, exponent: number): number {
  const load = new Float64Array(queues);
  let all = 0;
  for (let rank = 1; rank <= groups; rank++) {
    const weight = rank ** -exponent;
    const queue = queueOfWord(`group-${rank}`, queues);
    load[queue] = (load[queue] ?? 0) + weight;
    all += weight;
  }
  return (Math.max(...load) / all) * queues;
}

/** The largest group's share of all messages: no number of queues takes it apart. */
export function largestGroup(groups: number, exponent: number): number {
  let all = 0;
  for (let rank = 1; rank <= groups; rank++) all += rank ** -exponent;
  return 1 / all;
}

/** Slots that go to another queue when a topic grows, as a share; those that go to an old queue must be none. */
export function moved(from: number, to: number): { share: number; toOld: number } {
  let count = 0;
  let toOld = 0;
  for (let slot = 0; slot < LIMITS.slots; slot++) {
    const after = queueOfSlot(slot, to);
    if (after === queueOfSlot(slot, from)) continue;
    count++;
    if (after < from) toOld++;
  }
  return { share: count / LIMITS.slots, toOld };
}
