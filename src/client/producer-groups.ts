/** The admin verbs of producer groups, which say who is asked how a transaction ended: `mq.producerGroups`. */
import type { CallOptions, Http } from "./http.ts";
import { Listing, type ListOptions } from "./listing.ts";
import { path } from "./path.ts";
import type { CheckTargetInput, ProducerGroup } from "./settings.ts";

export class ProducerGroups {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /**
   * Names the target of the checks; without one they wait for a poller. The `secret` is in the answer when it was made now.
   * Rejects with `target_not_allowed` or `invalid_request`.
   */
  put(
    group: string,
    settings: { readonly check?: CheckTargetInput } = {},
    options: CallOptions = {},
  ): Promise<ProducerGroup> {
    return this.#http.call({ method: "PUT", path: base(group), json: settings, ...options });
  }

  /** Rejects with `producer_group_not_found`. */
  get(group: string, options: CallOptions = {}): Promise<ProducerGroup> {
    return this.#http.call({ method: "GET", path: base(group), ...options });
  }

  list(options: ListOptions = {}): Listing<ProducerGroup> {
    return new Listing(this.#http, "/v1/producer-groups", options);
  }

  async delete(group: string, options: CallOptions = {}): Promise<void> {
    await this.#http.call({ method: "DELETE", path: base(group), ...options });
  }

  /**
   * A new secret; the old one signs beside it for 24 h. Sent again only after a plain 429: a lost answer would otherwise rotate
   * twice and retire a secret that your handlers still hold.
   */
  rotateSecret(group: string, options: CallOptions = {}): Promise<ProducerGroup> {
    return this.#http.call({
      method: "POST",
      path: `${base(group)}/secret`,
      repeatable: false,
      ...options,
    });
  }
}

function base(group: string): string {
  return path`/v1/producer-groups/${group}`;
}
