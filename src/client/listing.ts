/** A list of the broker, page by page or item by item. It never holds more than one page. */
import type { CallOptions, Http } from "./http.ts";
import { query } from "./path.ts";

/** One answer of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Absent on the last page. */
  readonly nextCursor?: string;
}

/** What a list may be told. */
export interface ListOptions extends CallOptions {
  /** Items a page, 1–1,000. Raising it saves requests and costs memory. Default 100, the broker's. */
  readonly limit?: number;
  /** Where to begin: the `nextCursor` of an earlier page. Default the oldest. */
  readonly cursor?: string;
}

/** Iterate it with `for await`, or read it whole with `all()`, or a page at a time with `page()`. Oldest first. */
export class Listing<T> implements AsyncIterable<T> {
  readonly #http: Http;
  readonly #path: string;
  readonly #filter: Readonly<Record<string, string | undefined>>;
  readonly #options: ListOptions;

  constructor(
    http: Http,
    path: string,
    options: ListOptions = {},
    filter: Readonly<Record<string, string | undefined>> = {},
  ) {
    this.#http = http;
    this.#path = path;
    this.#options = options;
    this.#filter = filter;
  }

  /** One page: the first, or the one that an earlier page's `nextCursor` names. */
  page(cursor: string | undefined = this.#options.cursor): Promise<Page<T>> {
    const { limit, signal } = this.#options;
    const path = this.#path + query({ ...this.#filter, limit, cursor });
    return this.#http.call({ method: "GET", path, ...(signal === undefined ? {} : { signal }) });
  }

  /** Every item. */
  async all(): Promise<T[]> {
    const items: T[] = [];
    for await (const item of this) items.push(item);
    return items;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let cursor = this.#options.cursor;
    do {
      const page = await this.page(cursor);
      yield* page.items;
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }
}
