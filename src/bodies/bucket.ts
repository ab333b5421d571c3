/**
 * Large bodies, and blocks of old messages, in an R2 bucket: put whole under a name that nobody guesses, known again by its digest, deleted in bulk. It
 * never throws, and never lists: which objects there are is the queues' to know (src/queue/bodies).
 */
import type { BodyFault, BodyRef } from "../core/record.ts";
import { systemClock, within } from "../platform/clock.ts";
import { log } from "../platform/log.ts";
import { randomBytes } from "../platform/random.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type { Bucket } from "../protocol/rpc.ts";

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
  return {
    newKey: () => randomBytes(KEY_BYTES),
    put: (key, body) => put(bucket, key, body),
    get: (ref) => get(bucket, ref),
    delete: async (keys) => {
      const done = bucket.delete(keys.map(nameOf)).then(() => true as const);
      return (await attempt("delete", DELETE_MS, done)) ?? false;
    },
  };
}

/** The object's name in the bucket. */
export const nameOf = (key: Uint8Array): string =>
  `bodies/${Array.from(key, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;

const digestOf = async (body: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", body));

async function put(bucket: Bucket, key: Uint8Array, body: Uint8Array): Promise<Outcome<BodyRef>> {
  const digest = await digestOf(body);
  // R2 refuses what does not have this digest.
  const done = bucket.put(nameOf(key), body, { sha256: digest }).then(() => true as const);
  const stored = await attempt("put", PUT_MS, done);
  return stored === undefined ? BODY_UNAVAILABLE : accept({ key, bytes: body.length, digest });
}

async function get(bucket: Bucket, ref: BodyRef): Promise<Uint8Array | BodyFault> {
  const read = async (): Promise<Uint8Array | BodyFault> => {
    const object = await bucket.get(nameOf(ref.key));
    if (object === null) return "body_missing";
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
