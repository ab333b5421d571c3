/**
 * The one queue of a topic that knows an Idempotency-Key whatever its request holds. The words of a request's messages may
 * lead to other queues, and those of another body under the same key to yet others; so the key is taken here first, with
 * the body's digest, and whoever comes with another body is refused before anything is stored.
 * It never keeps an answer: each queue remembers its own.
 */
import { frame } from "../core/record.ts";
import { queueOfWord } from "../core/route.ts";
import type { Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { Keyed, TopicRoute } from "../protocol/rpc.ts";
import type { Ground } from "./objects.ts";
import { stampOf } from "./routes.ts";

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** The key as a word that names a queue. */
export const wordOfKey = ({ key }: Keyed): string => Array.from(key, (byte) => HEX[byte]).join("");

export const homeOfKey = (keyed: Keyed, queues: number): number =>
  queueOfWord(wordOfKey(keyed), queues);

/** A send of nothing: the key is its body's from now on. Refused when it is another's. */
export async function claimKey(
  { objects }: Ground,
  route: TopicRoute,
  queue: number,
  keyed: Keyed,
): Promise<Refusal | undefined> {
  const { namespace, topic } = route;
  const outcome = await objects.queue({ namespace, topic, queue }, (object) =>
    object.send({ stamp: stampOf(route), records: frame([]), keyed }),
  );
  return outcome.ok ? undefined : outcome;
}

/** Nothing came of the request: its key may be used for something else. A lost call lets it expire with its window. */
export async function releaseKey(
  { objects }: Ground,
  route: TopicRoute,
  queue: number,
  keyed: Keyed,
): Promise<void> {
  const { namespace, topic } = route;
  await objects.queue({ namespace, topic, queue }, (object) =>
    object.releaseKey(stampOf(route), keyed),
  );
}

/** For one window after a growth, the key may have been taken where it was at home before. */
export async function refusedByFormerHome(
  ground: Ground,
  route: TopicRoute,
  keyed: Keyed,
): Promise<Refusal | undefined> {
  const { namespace, topic, settings, growths } = route;
  const since = ground.nowMs() - LIMITS.idempotencyWindowMs;
  const young = growths.filter(({ at }) => at >= since);
  const former = new Set(young.map(({ from }) => homeOfKey(keyed, from)));
  former.delete(homeOfKey(keyed, settings.queues));
  const outcomes = await Promise.all(
    Array.from(former, (queue) =>
      ground.objects.queue({ namespace, topic, queue }, (object) =>
        object.replay(stampOf(route), keyed),
      ),
    ),
  );
  return outcomes.find((outcome) => !outcome.ok);
}
