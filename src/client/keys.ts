/** The admin verbs of keys, for whoever holds the root key or the scope `manage`: `mq.keys`. */
import type { CallOptions, Http } from "./http.ts";
import { Listing, type ListOptions } from "./listing.ts";
import { path } from "./path.ts";

/** What a key may do. */
export type Scope = "send" | "transact" | "consume" | "manage";

/** What a new key shall be. */
export interface KeyInput {
  readonly scopes: readonly Scope[];
  /** Topics by prefix: `["orders.*"]`. Default all. */
  readonly topics?: readonly string[];
  /** Default the caller's. */
  readonly namespace?: string;
  /** Epoch milliseconds. Default never. */
  readonly expiresAt?: number;
  /**
   * Messages that the key sends or prepares, over all topics: a second in the long run, and at most at once (default: a second's
   * worth). Past it `rate_limited`; a request with more than `burst` messages is `request_too_large`. Default no limit.
   */
  readonly limits?: { readonly sendsPerSecond: number; readonly burst?: number };
}

/** A key as the broker shows it. */
export interface Key extends KeyInput {
  readonly name: string;
  /** The key itself: shown once, when it is made. */
  readonly key?: string;
}

export class Keys {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Makes a key, in force everywhere within 10 s. Not sent again after a lost answer: that key would have been shown to nobody. */
  put(name: string, input: KeyInput, options: CallOptions = {}): Promise<Key> {
    return this.#http.call({
      method: "PUT",
      path: path`/v1/keys/${name}`,
      json: input,
      repeatable: false,
      ...options,
    });
  }

  /** Without the key itself. Rejects with `key_not_found`. */
  get(name: string, options: CallOptions = {}): Promise<Key> {
    return this.#http.call({ method: "GET", path: path`/v1/keys/${name}`, ...options });
  }

  /** Without the keys themselves. */
  list(options: ListOptions = {}): Listing<Key> {
    return new Listing(this.#http, "/v1/keys", options);
  }

  /** Refused everywhere within 10 s. */
  async delete(name: string, options: CallOptions = {}): Promise<void> {
    await this.#http.call({ method: "DELETE", path: path`/v1/keys/${name}`, ...options });
  }
}
