/**
 * Brings dead letters into the queue that a redrive policy names. HalfMQ keeps them with the group that they died in; whoever
 * looks into a dead letter queue has its sources' letters moved there first. Sent under an id of each death, then deleted: what
 * breaks off in between is completed by the next look, and doubled only when that comes after the dedup window.
 */
import type { DeadLetter } from "../../broker/broker.ts";
import type { Content } from "../../core/record.ts";
import { arnOf, type Context, findTopic, type Queue, queueOf } from "./context.ts";
import { done, faultOf, type Result } from "./faults.ts";
import { OWN_PROPERTY } from "./message-attributes.ts";
import { linkSource, policyOf, sourcesOf } from "./redrive-policy.ts";

/** Letters that are moved at a time, how often for one look, and how often when the source goes. */
const LETTERS_MAX = 100;
const ROUNDS_MAX = 20;
const LAST_ROUNDS_MAX = 2_000;

const GONE: ReadonlySet<string> = new Set(["topic_not_found", "group_not_found"]);

/** A queue that is nobody's dead letter queue costs nothing. */
export async function gather(context: Context, queue: Queue): Promise<Result<undefined>> {
  for (const name of sourcesOf(queue)) {
    const route = await findTopic(context, name);
    if (!route.ok) return route;
    const source = route.value === undefined ? undefined : queueOf(route.value);
    if (source === undefined || policyOf(source)?.target !== queue.name) continue;
    const moved = await gatherFrom(context, source, queue);
    if (!moved.ok) return moved;
  }
  return done(undefined);
}

async function gatherFrom(
  context: Context,
  source: Queue,
  target: Queue,
  roundsMax = ROUNDS_MAX,
): Promise<Result<undefined>> {
  const { broker } = context.edge;
  for (let round = 0; round < roundsMax; round++) {
    const page = await broker.deadLetters(source.at, { limit: LETTERS_MAX });
    // It was deleted a moment ago, with its letters: that is no fault of who looks into the target.
    if (!page.ok) return GONE.has(page.code) ? done(undefined) : faultOf(page);
    // One whose body cannot be had stays where it can be looked at, and redriven once it is put right.
    const letters = page.value.items.filter(({ content }) => !("ref" in content.body));
    if (letters.length === 0) break;
    const messages = letters.map((letter) => copyOf(letter, arnOf(context, source.name)));
    const sent = await broker.send(target.at, { messages });
    if (!sent.ok) return faultOf(sent);
    const purged = await broker.purgeDeadLetters(source.at, { ids: letters.map(({ id }) => id) });
    if (!purged.ok) return faultOf(purged);
    if (page.value.nextCursor === undefined) break;
  }
  return done(undefined);
}

/** The queue's policy ends, or the queue: what died under it stays, with the queue that was to take it. */
export async function leaveTarget(context: Context, queue: Queue): Promise<Result<undefined>> {
  const target = policyOf(queue)?.target;
  const route = target === undefined ? done(undefined) : await findTopic(context, target);
  if (!route.ok) return route;
  const taker = route.value === undefined ? undefined : queueOf(route.value);
  if (taker === undefined) return done(undefined);
  const moved = await gatherFrom(context, queue, taker, LAST_ROUNDS_MAX);
  if (!moved.ok) return moved;
  return (await linkSource(context, taker.name, queue.name, false)) ?? done(undefined);
}

/** With what SQS shows of a message that was moved: its first id, its first time, and where it died. */
function copyOf({ id, sentAt, deadAt, content }: DeadLetter, sourceArn: string): Content {
  const { properties = {}, dedupId } = content;
  const first = {
    MessageId: id,
    SentTimestamp: String(sentAt),
    DeadLetterQueueSourceArn: sourceArn,
    ...(dedupId === undefined ? {} : { MessageDeduplicationId: dedupId }),
  };
  const own = Object.entries(first).map(([name, value]) => [OWN_PROPERTY + name, value] as const);
  return {
    ...lasting(content),
    // Its own properties win: what died twice keeps its first id, but not the queue that it died in first.
    properties: {
      ...Object.fromEntries(own),
      ...properties,
      [`${OWN_PROPERTY}DeadLetterQueueSourceArn`]: sourceArn,
    },
    dedupId: `${id}.${deadAt}`,
  };
}

/** What of a message is true of it in another queue, too. */
export function lasting(content: Content): Content {
  const { body, contentType, tag, keys, properties, messageGroup, traceparent } = content;
  return {
    body,
    ...(contentType === undefined ? {} : { contentType }),
    ...(tag === undefined ? {} : { tag }),
    ...(keys === undefined ? {} : { keys }),
    ...(properties === undefined ? {} : { properties }),
    ...(messageGroup === undefined ? {} : { messageGroup }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}
