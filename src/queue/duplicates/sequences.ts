/**
 * Producer sequences at one queue: what a request's marks mean before anything of it is stored, and what is remembered
 * of it afterwards. Run inside a flush; the rule itself is core/producer.ts's.
 */
import {
  judgeProducer,
  laterSeat,
  producerRefusal,
  type ProducerMark,
} from "../../core/producer.ts";
import type { RecordHead } from "../../core/record.ts";
import { queueOfWord } from "../../core/route.ts";
import { accept, refuse, type Outcome } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { ProducerOf, ProducerSeat } from "../../protocol/rpc.ts";
import type { Placed } from "../halves/page.ts";
import { placeCode, type ProducerName, type ProducerPlace } from "./producer-page.ts";
import { producerKey } from "./producers.ts";
import type { QueueStore } from "../store.ts";

/** A message that its producer counts. */
export interface Counted {
  readonly key: string;
  readonly mark: ProducerMark;
  readonly messageGroup: string | undefined;
  readonly isRepeat: boolean;
}

export type Judged =
  /** By message; undefined for those without a producer. */
  | { readonly is: "known"; readonly counted: readonly (Counted | undefined)[] }
  /** Some producer is new here since the topic grew: its former queues must be asked first. */
  | { readonly is: "formerFirst" };

const NOBODY: Judged = { is: "known", counted: [] };

/** `former`: by message, what former queues said; absent before they were asked. */
export function judgeProducers(
  store: QueueStore,
  heads: readonly RecordHead[],
  former: readonly (ProducerSeat | undefined)[] | undefined,
  nowMs: number,
): Outcome<Judged> {
  if (!heads.some(({ producer }) => producer !== undefined)) return accept(NOBODY);
  const seats = new Map<string, ProducerSeat>();
  const counted: (Counted | undefined)[] = [];
  let news = 0;
  for (const [index, { producer: mark, messageGroup }] of heads.entries()) {
    if (mark === undefined) {
      counted.push(undefined);
      continue;
    }
    const key = producerKey(mark, messageGroup);
    const known = seats.get(key) ?? store.producers.find(key, nowMs);
    if (
      known === undefined &&
      former === undefined &&
      hasFormer(store, messageGroup ?? mark.id, nowMs)
    )
      return accept({ is: "formerFirst" });
    const seat = seats.has(key) ? known : laterSeat(known, former?.[index]);
    const verdict = judgeProducer(seat, mark);
    if (verdict.is === "fenced" || verdict.is === "gap")
      return producerRefusal(verdict, { ...mark, messageGroup, index });
    if (known === undefined) news++;
    if (verdict.is === "next") seats.set(key, mark);
    counted.push({ key, mark, messageGroup, isRepeat: verdict.is === "repeat" });
  }
  const { count, max } = store.producers;
  if (news > 0 && count + news > max)
    return refuse("rate_limited", "The queue remembers as many producers as it can.", {
      limit: max,
      actual: count + news,
    });
  return accept({ is: "known", counted });
}

/** May another queue have had the word within the window? */
function hasFormer(store: QueueStore, word: string, nowMs: number): boolean {
  const since = nowMs - LIMITS.producerWindowMs;
  return store.route.growths.some(
    ({ from, at }) => at >= since && queueOfWord(word, from) !== store.queue,
  );
}

/** Remembers what was stored, in the flush under way. `placed` is undefined where the message was a duplicate. */
export function rememberProducers(
  store: QueueStore,
  counted: readonly (Counted | undefined)[],
  placed: readonly (Placed | undefined)[],
  nowMs: number,
): void {
  const runs: Run[] = [];
  for (const [index, one] of counted.entries()) {
    if (one === undefined || one.isRepeat) continue;
    const place = placeCode(placeOf(placed[index]));
    const run = runs.at(-1);
    if (run !== undefined && goesOn(run, one, place)) {
      run.sequence = one.mark.sequence;
      run.count++;
    } else {
      const { id, epoch, sequence } = one.mark;
      const name = { id, messageGroup: one.messageGroup };
      runs.push({ key: one.key, name, epoch, sequence, count: 1, place });
    }
  }
  for (const { key, name, ...taken } of runs)
    store.producers.take(key, name, { ...taken, atMs: nowMs });
}

/** Consecutive messages of a producer at consecutive places. */
interface Run {
  readonly key: string;
  readonly name: ProducerName;
  readonly epoch: number;
  sequence: number;
  count: number;
  readonly place: number;
}

const goesOn = (run: Run, { key, mark }: Counted, place: number): boolean =>
  run.key === key &&
  run.epoch === mark.epoch &&
  place === (run.place === 0 ? 0 : run.place + 2 * run.count);

function placeOf(placed: Placed | undefined): ProducerPlace | undefined {
  if (placed?.at === "log") return { at: "log", offset: placed.offset };
  return placed?.at === "delayed" ? { at: "delayed", position: placed.position } : undefined;
}

/** What this queue remembers of each producer; for queues that took over its word. */
export const producerSeats = (
  store: QueueStore,
  asked: readonly ProducerOf[],
  nowMs: number,
): (ProducerSeat | undefined)[] =>
  asked.map(({ id, messageGroup }) => {
    const found = store.producers.find(producerKey({ id }, messageGroup), nowMs);
    return found === undefined ? undefined : { epoch: found.epoch, sequence: found.sequence };
  });
