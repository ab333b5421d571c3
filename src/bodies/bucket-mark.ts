/**
 * Which bucket this is: an object in it says so, in names that were drawn by chance when the first body came. A reference says
 * in which bucket its object was put, so that another one in its place, or an emptied one, is never taken for one that has lost
 * an object. The first line is the name that new references carry; whoever brings buckets together puts the names of all there,
 * a line each. It is never overwritten and never deleted here.
 */
import { randomBytes } from "../platform/random.ts";
import type { Bucket } from "../protocol/rpc.ts";

/** The object's name in the bucket. */
export const MARK_NAME = "halfmq/bucket-id";
const NAME_BYTES = 8;

export const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export class BucketMark {
  readonly #bucket: Pick<Bucket, "get" | "put">;
  /** The name, never the asking for it: that belongs to one request, and would end with it. */
  #own: string | undefined;

  constructor(bucket: Pick<Bucket, "get" | "put">) {
    this.#bucket = bucket;
  }

  /** What new references say. Throws when the bucket does; then it is asked again the next time. */
  async own(): Promise<string> {
    return (this.#own ??= await this.#readOrMake());
  }

  async #readOrMake(): Promise<string> {
    const [known] = await this.#names();
    if (known !== undefined) return known;
    const name = hexOf(randomBytes(NAME_BYTES));
    // Of those who come at once the first is kept.
    const onlyIf = new Headers({ "If-None-Match": "*" });
    await this.#bucket.put(MARK_NAME, new TextEncoder().encode(`${name}\n`), { onlyIf });
    const [made] = await this.#names();
    if (made === undefined) throw new Error("the bucket does not keep its name");
    return made;
  }

  /** Is it the bucket of the reference, as it is now? Throws when the bucket does. */
  async isOf(home: string): Promise<boolean> {
    return (await this.#names()).includes(home);
  }

  async #names(): Promise<string[]> {
    const object = await this.#bucket.get(MARK_NAME);
    if (object === null) return [];
    const text = new TextDecoder().decode(await object.arrayBuffer());
    return text.split(/\s+/u).filter((name) => /^[0-9a-f]{16}$/u.test(name));
  }
}
