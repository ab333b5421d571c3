/**
 * Large bodies, and blocks of old messages, in an R2 bucket: put whole under a name that nobody guesses, known again by its digest, deleted in bulk. It
 * never throws, and never lists: which objects there are is the queues' to know (src/queue/bodies). What is not there counts as
 * missing only in the bucket that it was put into; in another one, or an emptied one, it is out of reach.
 */
import type { BodyFault, BodyRef } from "../core/record.ts";
import { systemClock, within } from "../platform/clock.ts";
import { log } from "../platform/log.ts";
import { randomBytes } from "../platform/random.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type { Bucket } from "../protocol/rpc.ts";
import { BucketMark, hexOf, MARK_NAME } from "./bucket-mark.ts";

const KEY_BYTES = 16;
/** An upload is given up after this; the queue that expects it does so later (src/queue/bodies/bodies.ts). */
const PUT_MS = 10 * 60_000;
const GET_MS = 8_000;
const DELETE_MS = 20_000;

export const BODY_UNAVAILABLE: Refusal = refuse(
  "body_unavailable",
  "A large body is in a bucket that cannot be reached now; come again",
);

/** The same for who needs old messages. */
export const COLD_UNAVAILABLE: Refusal = refuse(
  "body_unavailable",
  "Old messages are in a bucket that cannot be reached now; come again",
);

/** Where large bodies and old messages are. */
export interface BodyStore {
  newKey(): Uint8Array;
  /** Stores it, or says why not; then nobody knows whether it is there. */
  put(key: Uint8Array, body: Uint8Array): Promise<Outcome<BodyRef>>;
  get(ref: BodyRef): Promise<Uint8Array | BodyFault>;
  /** Whether none of them is there any more. */
  delete(keys: readonly Uint8Array[]): Promise<boolean>;
}

export function bodyStore(bucket: Bucket): BodyStore {
  const mark = new BucketMark(bucket);
  return {
    newKey: () => randomBytes(KEY_BYTES),
    put: (key, body) => put({ bucket, mark }, key, body),
    get: (ref) => get({ bucket, mark }, ref),
    delete: async (keys) => {
      const done = bucket.delete(keys.map(nameOf)).then(() => true as const);
      return (await attempt("delete", DELETE_MS, done)) ?? false;
    },
  };
}

/** The object's name in the bucket. */
export const nameOf = (key: Uint8Array): string => `bodies/${hexOf(key)}`;

const digestOf = async (body: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", body));

interface Marked {
  readonly bucket: Bucket;
  readonly mark: BucketMark;
}

async function put(
  { bucket, mark }: Marked,
  key: Uint8Array,
  body: Uint8Array,
): Promise<Outcome<BodyRef>> {
  const digest = await digestOf(body);
  const write = async (): Promise<string> => {
    const home = await mark.own();
    // R2 refuses what does not have this digest.
    await bucket.put(nameOf(key), body, { sha256: digest });
    return home;
  };
  const home = await attempt("put", PUT_MS, write());
  if (home === undefined) return BODY_UNAVAILABLE;
  return accept({ key, bytes: body.length, digest, home });
}

async function get({ bucket, mark }: Marked, ref: BodyRef): Promise<Uint8Array | BodyFault> {
  const read = async (): Promise<Uint8Array | BodyFault> => {
    const object = await bucket.get(nameOf(ref.key));
    if (object === null) {
      const isHere = await mark.isOf(ref.home);
      const object = nameOf(ref.key);
      if (isHere) log.error("bucket.missing", { object });
      else log.error("bucket.foreign", { object, expected: ref.home, mark: MARK_NAME });
      return isHere ? "body_missing" : "body_unavailable";
    }
    if (object.size !== ref.bytes) return "body_damaged";
    const body = new Uint8Array(await object.arrayBuffer());
    const digest = await digestOf(body);
    return digest.every((byte, index) => byte === ref.digest[index]) ? body : "body_damaged";
  };
  return (await attempt("get", GET_MS, read())) ?? "body_unavailable";
}

/** What the bucket answers within the time; undefined when it fails. */
async function attempt<T>(
  verb: string,
  limitMs: number,
  answer: Promise<T>,
): Promise<T | undefined> {
  try {
    const value = await within(systemClock, limitMs, answer);
    if (value === undefined) log.error("bucket.failed", { verb, reason: "timeout" });
    return value;
  } catch (error) {
    log.error("bucket.failed", { verb, reason: String(error) });
    return undefined;
  }
}
