/**
 * DeleteMessage, ChangeMessageVisibility and their batches: acks, longer leases, and nacks for a visibility of 0. A receipt
 * handle is a receipt.
 */
import type { z } from "zod";
import type { SettleRequest } from "../../broker/broker.ts";
import type { Settled } from "../../protocol/rpc.ts";
import { entriesOf, failed } from "./batches.ts";
import { type Context, type Queue, queueAt } from "./context.ts";
import { done, fault, faultOf, type Fault, type Result } from "./faults.ts";
import { type BatchInput, ENTRIES, type Input } from "./inputs.ts";
import { INVISIBLE_MS_MIN } from "./settings.ts";

type Handle = z.output<typeof ENTRIES.DeleteMessageBatch>;
type Visibility = z.output<typeof ENTRIES.ChangeMessageVisibilityBatch>;

export async function deleteMessage(
  context: Context,
  input: Input<"DeleteMessage">,
): Promise<Result<object>> {
  const queue = await queueAt(context, input.QueueUrl, ["consume"]);
  if (!queue.ok) return queue;
  const faults = await deleteAll(context, queue.value, [input]);
  return faults.ok ? (faults.value[0] ?? done({})) : faults;
}

export async function changeMessageVisibility(
  context: Context,
  input: Input<"ChangeMessageVisibility">,
): Promise<Result<object>> {
  const queue = await queueAt(context, input.QueueUrl, ["consume"]);
  if (!queue.ok) return queue;
  const faults = await changeAll(context, queue.value, [input]);
  return faults.ok ? (faults.value[0] ?? done({})) : faults;
}

export const deleteMessageBatch = (context: Context, input: BatchInput) =>
  inBatch(context, ENTRIES.DeleteMessageBatch, input, deleteAll);
export const changeMessageVisibilityBatch = (context: Context, input: BatchInput) =>
  inBatch(context, ENTRIES.ChangeMessageVisibilityBatch, input, changeAll);

type Faults = readonly (Fault | undefined)[];

async function inBatch<S extends z.ZodType>(
  context: Context,
  schema: S,
  input: BatchInput,
  run: (context: Context, queue: Queue, good: readonly z.output<S>[]) => Promise<Result<Faults>>,
): Promise<Result<object>> {
  const queue = await queueAt(context, input.QueueUrl, ["consume"]);
  if (!queue.ok) return queue;
  const entries = entriesOf(schema, input);
  if (!entries.ok) return entries;
  const good = entries.value.flatMap(({ Id, said }) =>
    said.ok ? [{ Id, entry: said.value }] : [],
  );
  const Failed = entries.value.flatMap(({ Id, said }) => (said.ok ? [] : [failed(Id, said)]));
  const faults = await run(
    context,
    queue.value,
    good.map(({ entry }) => entry),
  );
  if (!faults.ok) return faults;
  const Successful: { readonly Id: string }[] = [];
  for (const [place, { Id }] of good.entries()) {
    const why = faults.value[place];
    if (why === undefined) Successful.push({ Id });
    else Failed.push(failed(Id, why));
  }
  return done({ Successful, Failed });
}

/** As SQS has it: an old handle of a standard queue deletes nothing and is no error, one of a FIFO queue is. */
async function deleteAll(
  context: Context,
  queue: Queue,
  entries: readonly Handle[],
): Promise<Result<Faults>> {
  const settled = await settle(context, queue, {
    verb: "ack",
    receipts: entries.map(({ ReceiptHandle }) => ReceiptHandle),
  });
  if (!settled.ok) return settled;
  return done(
    settled.value.map((each) => {
      if (each.ok) return undefined;
      if (each.code === "receipt_invalid") return INVALID;
      return queue.isFifo ? EXPIRED : undefined;
    }),
  );
}

/** Entries that want the same go together. */
async function changeAll(
  context: Context,
  queue: Queue,
  entries: readonly Visibility[],
): Promise<Result<Faults>> {
  const faults: (Fault | undefined)[] = entries.map(() => undefined);
  for (const seconds of new Set(entries.map((entry) => entry.VisibilityTimeout))) {
    const places = [...entries.keys()].filter(
      (place) => entries[place]?.VisibilityTimeout === seconds,
    );
    const receipts = places.map((place) => entries[place]?.ReceiptHandle ?? "");
    const settled = await settle(
      context,
      queue,
      seconds === 0
        ? { verb: "nack", receipts, delayMs: 0 }
        : { verb: "extend", receipts, invisibleMs: Math.max(seconds * 1_000, INVISIBLE_MS_MIN) },
    );
    if (!settled.ok) return settled;
    for (const [index, place] of places.entries()) {
      const each = settled.value[index];
      if (each?.ok === false)
        faults[place] = each.code === "receipt_invalid" ? INVALID : NOT_IN_FLIGHT;
    }
  }
  return done(faults);
}

async function settle(
  { edge }: Context,
  queue: Queue,
  request: SettleRequest,
): Promise<Result<readonly Settled[]>> {
  const outcome = await edge.broker.settle(queue.at, request);
  return outcome.ok ? done(outcome.value) : faultOf(outcome);
}

const INVALID = fault("ReceiptHandleIsInvalid", "The input receipt handle is invalid.");
const EXPIRED = fault("InvalidParameterValue", "The receipt handle has expired.");
const NOT_IN_FLIGHT = fault(
  "MessageNotInflight",
  "The message is not in flight under this receipt handle any more.",
);
