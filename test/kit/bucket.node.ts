/** A bucket in memory, which can be out of reach, take its time, lose what it has, or damage it. */
import { hash } from "node:crypto";
import { BODY_UNAVAILABLE, type BodyStore } from "../../src/bodies/bucket.ts";
import type { BodyFault, BodyRef } from "../../src/core/record.ts";
import { accept, type Outcome } from "../../src/protocol/errors.ts";

const digestOf = (body: Uint8Array): Uint8Array => Uint8Array.from(hash("sha256", body, "buffer"));

const HOME = "00000000000000ff";

/** How a test names an object. */
export const named = (key: Uint8Array): string => Buffer.from(key).toString("hex");

export class TestBucket implements BodyStore {
  readonly objects = new Map<string, Uint8Array>();
  isDown = false;
  /** Which bucket stands there; another one has nothing of the first. */
  home = HOME;
  /** What every read finds instead of a body. */
  fault: BodyFault | undefined;
  /** What every call waits for first. */
  before: (verb: "put" | "get" | "delete") => Promise<void> = () => Promise.resolve();
  /** Calls that were made, and of reads how many were under way at a time, in all and for one object. */
  readonly calls = { put: 0, get: 0, delete: 0 };
  getsAtOnceMax = 0;
  getsOfOneMax = 0;
  readonly #gets: string[] = [];
  #keys = 0;

  newKey(): Uint8Array {
    const key = new Uint8Array(16);
    new DataView(key.buffer).setUint32(12, ++this.#keys);
    return key;
  }

  async put(key: Uint8Array, body: Uint8Array): Promise<Outcome<BodyRef>> {
    this.calls.put++;
    await this.before("put");
    if (this.isDown) return BODY_UNAVAILABLE;
    this.objects.set(named(key), body.slice());
    return accept({ key, bytes: body.length, digest: digestOf(body), home: this.home });
  }

  async get(ref: BodyRef): Promise<Uint8Array | BodyFault> {
    const name = named(ref.key);
    this.calls.get++;
    this.#gets.push(name);
    this.getsAtOnceMax = Math.max(this.getsAtOnceMax, this.#gets.length);
    const ofOne = this.#gets.filter((other) => other === name).length;
    this.getsOfOneMax = Math.max(this.getsOfOneMax, ofOne);
    await this.before("get");
    this.#gets.splice(this.#gets.indexOf(name), 1);
    if (this.fault !== undefined) return this.fault;
    if (this.isDown) return "body_unavailable";
    const body = this.home === ref.home ? this.objects.get(name) : undefined;
    if (body === undefined) return this.home === ref.home ? "body_missing" : "body_unavailable";
    const isIntact = Buffer.from(digestOf(body)).equals(Buffer.from(ref.digest));
    return isIntact ? body : "body_damaged";
  }

  async delete(keys: readonly Uint8Array[]): Promise<boolean> {
    this.calls.delete++;
    await this.before("delete");
    if (this.isDown) return false;
    for (const key of keys) this.objects.delete(named(key));
    return true;
  }
}
