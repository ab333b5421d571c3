/** Publish: from the XML of a message to a message of HalfMQ, sent at once, at its time, or when its transaction commits. */
import { utf8Length } from "../../core/bytes.ts";
import type { Content } from "../../core/record.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { bodyOf } from "../text-body.ts";
import { type Answer, type Context, forbids, type Stored } from "./context.ts";
import { done, fault, faultOf, type Result } from "./faults.ts";
import { prepareHalf } from "./halves.ts";
import { md5Hex } from "./message-out.ts";
import { readProperties } from "./properties.ts";
import { leafDocument, readLeaves } from "./xml.ts";

interface Outgoing {
  readonly content: Content;
  /** Of a transactional message. */
  readonly checkMs?: number;
  readonly digest: string;
}

const PARTS = ["MessageBody", "MessageTag", "Properties"] as const;
type Parts = { readonly [P in (typeof PARTS)[number]]?: string };

export async function publish(context: Context, body: string): Promise<Result<Answer>> {
  const { edge, caller } = context;
  const parts = partsOf(body);
  if (!parts.ok) return parts;
  const outgoing = outgoingOf(context, parts.value);
  if (!outgoing.ok) return outgoing;
  const { content, checkMs, digest } = outgoing.value;
  const forbidden = forbids(context, checkMs === undefined ? "send" : "transact");
  if (forbidden !== undefined) return forbidden;
  const admitted = await edge.admit(caller, 1);
  if (!admitted.ok) return faultOf(admitted);
  const stored =
    checkMs === undefined
      ? await send(context, content)
      : await prepareHalf(context, content, checkMs);
  if (!stored.ok) return stored;
  const { id, handle } = stored.value;
  const text = leafDocument("Message", {
    MessageId: id,
    MessageBodyMD5: digest,
    ReceiptHandle: handle,
  });
  return done({ status: 201, text });
}

async function send({ edge, caller, address }: Context, content: Content): Promise<Result<Stored>> {
  const at = { namespace: caller.namespace, topic: address.topic };
  const outcome = await edge.broker.send(at, { messages: [content] });
  if (!outcome.ok) return faultOf(outcome);
  const id = outcome.value.messages[0]?.id;
  return id === undefined
    ? fault("InternalServerError", "The message was not stored; send it again")
    : done({ id });
}

function partsOf(text: string): Result<Parts> {
  const leaves = readLeaves(text, "Message");
  if (!leaves.ok) return leaves;
  const parts: Record<string, string> = {};
  for (const { name, text: value } of leaves.value) {
    if (!PARTS.some((part) => part === name) || name in parts)
      return fault("MalformedXML", `A Message holds ${PARTS.join(", ")}, each at most once`);
    parts[name] = value;
  }
  return done(parts);
}

function outgoingOf({ edge, requestId }: Context, parts: Parts): Result<Outgoing> {
  const { MessageBody: text = "", MessageTag: tag = "", Properties = "" } = parts;
  if (utf8Length(text) > LIMITS.bodyBytesMax)
    return fault("InvalidArgument", `MessageBody has at most ${LIMITS.bodyBytesMax} bytes`);
  if (utf8Length(tag) > LIMITS.wordBytesMax)
    return fault("InvalidArgument", `MessageTag has at most ${LIMITS.wordBytesMax} bytes`);
  const said = readProperties(Properties, edge.clock.nowMs());
  if (!said.ok) return said;
  const { content, checkMs } = said.value;
  return done({
    content: {
      // As the service has it: a message without a key is found by the id of its request.
      keys: [requestId],
      ...content,
      ...bodyOf(text),
      ...(tag === "" ? {} : { tag }),
    },
    ...(checkMs === undefined ? {} : { checkMs }),
    digest: md5Hex(text),
  });
}
