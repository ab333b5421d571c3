/**
 * What a client says on a stream, from text to a value or a refusal. Pure. One verb a frame, no field that it does not know,
 * so that a typing error never passes for a default.
 */
import { utf8Length } from "../core/bytes.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";

export type Frame =
  | { readonly verb: "credit"; readonly credit: number; readonly onePerMessageGroup?: boolean }
  | { readonly verb: "ack"; readonly receipts: readonly string[] }
  | {
      readonly verb: "nack";
      readonly receipts: readonly string[];
      readonly delayMs?: number;
      readonly reason?: string;
      readonly retry?: boolean;
    }
  | { readonly verb: "extend"; readonly receipts: readonly string[]; readonly invisibleMs: number };

const FIELDS: Readonly<Record<Frame["verb"], readonly string[]>> = {
  credit: ["credit", "onePerMessageGroup"],
  ack: ["ack"],
  nack: ["nack", "delayMs", "reason", "retry"],
  extend: ["extend", "invisibleMs"],
};
const VERBS = Object.keys(FIELDS) as Frame["verb"][];
const REASON_BYTES_MAX = 1_024;

export function parseFrame(text: string): Outcome<Frame> {
  const value = parseJson(text);
  if (!value.ok) return value;
  const said = value.value;
  if (typeof said !== "object" || said === null || Array.isArray(said))
    return invalid("A frame is a JSON object");
  const fields = said as Readonly<Record<string, unknown>>;
  const [verb, second] = VERBS.filter((each) => Object.hasOwn(fields, each));
  const known = verb === undefined ? [] : FIELDS[verb];
  const stranger = second ?? Object.keys(fields).find((field) => !known.includes(field));
  if (verb === undefined || second !== undefined)
    return invalid(`A frame says one of ${VERBS.join(", ")}`, named(stranger));
  if (stranger !== undefined)
    return invalid(`A frame with ${verb} has no such field`, named(stranger));
  return verb === "credit" ? creditOf(fields) : receiptFrame(verb, fields);
}

function parseJson(text: string): Outcome<unknown> {
  try {
    return accept(JSON.parse(text) as unknown);
  } catch {
    return refuse("invalid_json", "The frame is not JSON");
  }
}

function creditOf({
  credit,
  onePerMessageGroup: one,
}: Readonly<Record<string, unknown>>): Outcome<Frame> {
  const fault = wholeFault("credit", credit, 0, LIMITS.receiveMessagesMax);
  if (fault !== undefined) return fault;
  if (one !== undefined && typeof one !== "boolean")
    return invalid("onePerMessageGroup: true or false", { field: "onePerMessageGroup" });
  const how = one === undefined ? {} : { onePerMessageGroup: one };
  return accept({ verb: "credit", credit: credit as number, ...how });
}

function receiptFrame(
  verb: "ack" | "nack" | "extend",
  fields: Readonly<Record<string, unknown>>,
): Outcome<Frame> {
  const receipts = fields[verb];
  const fault = receiptsFault(verb, receipts);
  if (fault !== undefined) return fault;
  const frame = { verb, receipts: receipts as readonly string[] };
  if (verb === "extend") return extendOf(frame.receipts, fields["invisibleMs"]);
  return verb === "ack" ? accept({ ...frame, verb }) : nackOf(frame.receipts, fields);
}

function extendOf(receipts: readonly string[], invisibleMs: unknown): Outcome<Frame> {
  const { invisibleMsMin, invisibleMsMax } = LIMITS;
  const fault = wholeFault("invisibleMs", invisibleMs, invisibleMsMin, invisibleMsMax);
  return fault ?? accept({ verb: "extend", receipts, invisibleMs: invisibleMs as number });
}

function nackOf(
  receipts: readonly string[],
  { delayMs, reason, retry }: Readonly<Record<string, unknown>>,
): Outcome<Frame> {
  const late =
    delayMs === undefined ? undefined : wholeFault("delayMs", delayMs, 0, LIMITS.delayMsMax);
  if (late !== undefined) return late;
  const isText = typeof reason === "string" && reason !== "" && reason.isWellFormed();
  if (reason !== undefined && (!isText || utf8Length(reason) > REASON_BYTES_MAX))
    return invalid(`reason: text of 1 to ${REASON_BYTES_MAX} bytes`, { field: "reason" });
  if (retry !== undefined && typeof retry !== "boolean")
    return invalid("retry: true or false", { field: "retry" });
  return accept({
    verb: "nack",
    receipts,
    ...(delayMs === undefined ? {} : { delayMs: delayMs as number }),
    ...(reason === undefined ? {} : { reason }),
    ...(retry === undefined ? {} : { retry }),
  });
}

function receiptsFault(field: string, receipts: unknown): Refusal | undefined {
  const limit = LIMITS.requestReceiptsMax;
  if (!Array.isArray(receipts) || receipts.length === 0)
    return invalid(`${field}: a list of receipts`, { field });
  if (receipts.length > limit)
    return invalid(`${field}: at most ${limit} receipts`, {
      field,
      limit,
      actual: receipts.length,
    });
  const bad = receipts.findIndex(
    (receipt) => typeof receipt !== "string" || receipt.length > LIMITS.receiptCharsMax,
  );
  return bad < 0 ? undefined : invalid("A receipt is a text", { field: `${field}[${bad}]` });
}

function wholeFault(field: string, value: unknown, min: number, max: number): Refusal | undefined {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max)
    return undefined;
  const facts =
    typeof value === "number"
      ? { field, limit: value < min ? min : max, actual: value }
      : { field };
  return invalid(`${field}: a whole number from ${min} to ${max}`, facts);
}

const named = (field: string | undefined): { field?: string } =>
  field === undefined ? {} : { field: field.slice(0, 128) };

const invalid = (detail: string, facts: Record<string, string | number> = {}): Refusal =>
  refuse("invalid_request", detail, facts);
