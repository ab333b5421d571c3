/** `GET /v1/changes` as an async iterator, taken up again where it was when the line breaks. */
import { expectArgument } from "./argument.ts";
import { eventJson, serverEvents } from "./event-stream.ts";
import type { CallOptions, Http } from "./http.ts";

/** Something changed: a topic, a group, a producer group or a route. */
export interface Change<T = unknown> {
  /** The event's name; "message" when it has none. */
  readonly event: string;
  /** The event's JSON. */
  readonly data: T;
  readonly id: string | undefined;
}

/** How changes are followed. */
export interface ChangesOptions extends CallOptions {
  /** Hears of each break of the line before it is taken up again. Default: nothing. */
  readonly onError?: (error: unknown) => void;
}

/** Endless until the loop is left or the signal aborted. Throws what is not passing: `unauthenticated`, `forbidden`… */
export async function* changes<T>(
  http: Http,
  options: ChangesOptions = {},
): AsyncGenerator<Change<T>, void, undefined> {
  expectArgument("options", options, "object");
  for await (const each of serverEvents(http, "/v1/changes", options)) {
    yield { event: each.event, id: each.id, data: eventJson(each) as T };
  }
}
