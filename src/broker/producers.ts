/**
 * Producers that count, as a request over several queues sees them: what the queues that had them before the topic grew
 * know of them, and whether the request has a hole anywhere, before any of it is sent. It never remembers anything.
 */
import { judgeProducer, laterSeat, producerRefusal } from "../core/producer.ts";
import type { Content } from "../core/record.ts";
import { queueOfWord } from "../core/route.ts";
import { accept, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { ProducerOf, ProducerSeat, TopicRoute } from "../protocol/rpc.ts";
import type { Ground } from "./objects.ts";
import { stampOf } from "./routes.ts";

type Seats = readonly (ProducerSeat | undefined)[];

/** By content: the last that any queue of before the growths of the window has taken of its producer. */
export async function formerSeats(
  ground: Ground,
  route: TopicRoute,
  contents: readonly Content[],
): Promise<Outcome<Seats>> {
  const since = ground.nowMs() - LIMITS.producerWindowMs;
  let seats: Seats = contents.map(() => undefined);
  for (const growth of route.growths) {
    if (growth.at < since) continue;
    const before = await seatsAmong(ground, route, contents, growth.from);
    if (!before.ok) return before;
    seats = seats.map((seat, index) => laterSeat(seat, before.value[index]));
  }
  return accept(seats);
}

/**
 * Why a request that goes to several queues is refused whole; undefined when it has no hole as far as is known now. The
 * queues judge again: another request of the same producer may come between.
 */
export async function refusesWhole(
  ground: Ground,
  route: TopicRoute,
  contents: readonly Content[],
): Promise<Refusal | undefined> {
  const now = await seatsAmong(ground, route, contents, route.settings.queues);
  if (!now.ok) return now;
  const former = await formerSeats(ground, route, contents);
  if (!former.ok) return former;
  const taken = new Map<string, ProducerSeat>();
  for (const [index, { producer: mark, messageGroup }] of contents.entries()) {
    if (mark === undefined) continue;
    const key = JSON.stringify([messageGroup, mark.id]);
    const seat = taken.get(key) ?? laterSeat(now.value[index], former.value[index]);
    const verdict = judgeProducer(seat, mark);
    if (verdict.is === "next") taken.set(key, mark);
    else if (verdict.is !== "repeat")
      return producerRefusal(verdict, { ...mark, messageGroup, index });
  }
  return undefined;
}

/** Asks each producer's queue among so many, one call per queue. */
async function seatsAmong(
  ground: Ground,
  route: TopicRoute,
  contents: readonly Content[],
  queues: number,
): Promise<Outcome<Seats>> {
  const asked = new Map<number, { readonly indexes: number[]; readonly producers: ProducerOf[] }>();
  for (const [index, { producer, messageGroup }] of contents.entries()) {
    if (producer === undefined) continue;
    const queue = queueOfWord(messageGroup ?? producer.id, queues);
    const part = asked.get(queue) ?? { indexes: [], producers: [] };
    asked.set(queue, part);
    part.indexes.push(index);
    part.producers.push({
      id: producer.id,
      ...(messageGroup === undefined ? {} : { messageGroup }),
    });
  }
  const seats: (ProducerSeat | undefined)[] = contents.map(() => undefined);
  const { namespace, topic } = route;
  const answers = await Promise.all(
    Array.from(asked, async ([queue, { indexes, producers }]) => {
      const outcome = await ground.objects.queue({ namespace, topic, queue }, (object) =>
        object.producers(stampOf(route), producers),
      );
      if (outcome.ok)
        for (const [place, index] of indexes.entries()) seats[index] = outcome.value[place];
      return outcome;
    }),
  );
  return answers.find((answer) => !answer.ok) ?? accept(seats);
}
