/**
 * Takes the bodies of messages that are too large for a record to the bucket, before the messages go to their queue. The
 * queue answers for each object from before it is there: what becomes of a message that never arrives, src/queue/bodies says.
 */
import { encodeText, utf8Length } from "../core/bytes.ts";
import type { Body, Content } from "../core/record.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import type { TopicRoute } from "../protocol/rpc.ts";
import type { Ground } from "./objects.ts";
import { stampOf } from "./routes.ts";

function isLarger(body: Body, limit: number): boolean {
  if ("bytes" in body) return body.bytes.length > limit;
  if (!("json" in body) || body.json.length * 3 <= limit) return false;
  return body.json.length > limit || utf8Length(body.json) > limit;
}

/** The contents as the queue is to have them. Whatever comes of that call, these are of no use in another one. */
export async function lodge(
  { bodies: { store, inlineBytesMax }, objects }: Ground,
  route: TopicRoute,
  queue: number,
  contents: readonly Content[],
): Promise<Outcome<readonly Content[]>> {
  const large = contents.filter(({ body }) => isLarger(body, inlineBytesMax));
  if (large.length === 0) return accept(contents);
  if (store === undefined) {
    const facts = { limit: inlineBytesMax };
    return refuse("message_too_large", "There is no bucket for a body of this size", facts);
  }
  let keys = new Map<Content, Uint8Array>();
  const { namespace, topic } = route;
  const expected = await objects.queue({ namespace, topic, queue }, (object) => {
    // New ones for each attempt: a key that is expected twice would be given up once its message has it.
    keys = new Map(large.map((content) => [content, store.newKey()]));
    return object.expectBodies(stampOf(route), [...keys.values()]);
  });
  if (!expected.ok) return expected;
  const lodged = await Promise.all(
    contents.map(async (content): Promise<Outcome<Content>> => {
      const { body } = content;
      const key = keys.get(content);
      if (key === undefined || "ref" in body) return accept(content);
      const isJson = "json" in body;
      const put = await store.put(key, isJson ? encodeText(body.json) : body.bytes);
      return put.ok ? accept({ ...content, body: { isJson, ref: put.value } }) : put;
    }),
  );
  const failed = lodged.find((each) => !each.ok);
  if (failed !== undefined && !failed.ok) return failed;
  return accept(lodged.flatMap((each) => (each.ok ? [each.value] : [])));
}
