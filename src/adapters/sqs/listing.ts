/** ListQueues and ListDeadLetterSourceQueues: pages of the namespace's topics, as far as they are queues. */
import { ANY, type Context, forbids, type Queue, queueAt, queueOf, urlOf } from "./context.ts";
import { done, faultOf, type Result } from "./faults.ts";
import type { Input } from "./inputs.ts";
import { policyOf } from "./redrive-policy.ts";

/** Without MaxResults a list shows so many. */
const LIST_MAX = 1_000;
/** Pages of topics that one list looks through; then it says where it goes on. */
const PAGES_MAX = 100;

interface ListQuery {
  readonly MaxResults?: number | undefined;
  readonly NextToken?: string | undefined;
}

interface Listed {
  readonly names: readonly string[];
  readonly NextToken?: string;
}

export async function listQueues(
  context: Context,
  { QueueNamePrefix: prefix = "", ...page }: Input<"ListQueues">,
): Promise<Result<object>> {
  const found = await queuesThat(
    context,
    page,
    (queue) => queue.name.startsWith(prefix) && isReached(context, queue),
  );
  if (!found.ok) return found;
  const { names, ...next } = found.value;
  const QueueUrls = names.map((name) => urlOf(context, name));
  return done(names.length === 0 ? next : { QueueUrls, ...next });
}

export async function listDeadLetterSourceQueues(
  context: Context,
  { QueueUrl, ...page }: Input<"ListDeadLetterSourceQueues">,
): Promise<Result<object>> {
  const queue = await queueAt(context, QueueUrl, ANY);
  if (!queue.ok) return queue;
  const { name: target } = queue.value;
  const found = await queuesThat(
    context,
    page,
    (each) => policyOf(each)?.target === target && isReached(context, each),
  );
  if (!found.ok) return found;
  const { names, ...next } = found.value;
  return done({ queueUrls: names.map((name) => urlOf(context, name)), ...next });
}

/** All queues whose dead letters go to one of this name, whoever may see them. */
export async function sourcesThere(
  context: Context,
  target: string,
): Promise<Result<readonly string[]>> {
  const found = await queuesThat(context, {}, (each) => policyOf(each)?.target === target);
  return found.ok ? done(found.value.names) : found;
}

const isReached = (context: Context, { name }: Queue): boolean =>
  forbids(context, ANY, name) === undefined;

/** Oldest first. A page may be short, or empty, and go on. */
async function queuesThat(
  { edge, caller }: Context,
  { MaxResults: most = LIST_MAX, NextToken: first }: ListQuery,
  wanted: (queue: Queue) => boolean,
): Promise<Result<Listed>> {
  const names: string[] = [];
  let cursor = first;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    // Never more than there is room for, so that the registry's cursor is the list's.
    const query = { limit: most - names.length, ...(cursor === undefined ? {} : { cursor }) };
    const page = await edge.broker.topics(caller.namespace, query);
    if (!page.ok) return faultOf(page);
    for (const route of page.value.items) {
      const queue = queueOf(route);
      if (queue !== undefined && wanted(queue)) names.push(queue.name);
    }
    cursor = page.value.nextCursor;
    if (cursor === undefined || names.length >= most) break;
  }
  return done(cursor === undefined ? { names } : { names, NextToken: cursor });
}
