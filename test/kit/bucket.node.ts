/** A bucket of large bodies in memory, which can be out of reach, lose what it has, or damage it. */
import { hash } from "node:crypto";
import { BODY_UNAVAILABLE, type BodyStore } from "../../src/bodies/bucket.ts";
import type { BodyFault, BodyRef } from "../../src/core/record.ts";
import { accept, type Outcome } from "../../src/protocol/errors.ts";

const digestOf = (body: Uint8Array): Uint8Array => Uint8Array.from(hash("sha256", body, "buffer"));

/** How a test names an object. */
export const named = (key: Uint8Array): string => Buffer.from(key).toString("hex");

export class TestBucket implements BodyStore {
  readonly objects = new Map<string, Uint8Array>();
  isDown = false;
  /** What every read finds instead of a body. */
  fault: BodyFault | undefined;
  #keys = 0;

  newKey(): Uint8Array {
    const key = new Uint8Array(16);
    new DataView(key.buffer).setUint32(12, ++this.#keys);
    return key;
  }

  put(key: Uint8Array, body: Uint8Array): Promise<Outcome<BodyRef>> {
    if (this.isDown) return Promise.resolve(BODY_UNAVAILABLE);
    this.objects.set(named(key), body.slice());
    return Promise.resolve(accept({ key, bytes: body.length, digest: digestOf(body) }));
  }

  get(ref: BodyRef): Promise<Uint8Array | BodyFault> {
    if (this.fault !== undefined) return Promise.resolve(this.fault);
    if (this.isDown) return Promise.resolve("body_unavailable");
    const body = this.objects.get(named(ref.key));
    if (body === undefined) return Promise.resolve("body_missing");
    const isIntact = Buffer.from(digestOf(body)).equals(Buffer.from(ref.digest));
    return Promise.resolve(isIntact ? body : "body_damaged");
  }

  delete(keys: readonly Uint8Array[]): Promise<boolean> {
    if (this.isDown) return Promise.resolve(false);
    for (const key of keys) this.objects.delete(named(key));
    return Promise.resolve(true);
  }
}
