/**
 * The webhook form of the check-back: a function from Request to Response that any fetch-style server can mount.
 * It never runs the check for a request that the broker did not sign, and never lets an error mean commit or rollback.
 */
import { expectArgument, expectArguments } from "./argument.ts";
import { type Check, type CheckFunction, resolutionOf } from "./check.ts";
import { systemClock } from "./clock.ts";
import { answer, type FetchHandler, readSigned, refusal } from "./signed-request.ts";

/** What a check handler needs. */
export interface CheckHandlerOptions<T = unknown> {
  /**
   * The producer group's secret (`whsec_…`), shown when the group was made or its secret rotated; several while a rotation goes
   * on (24 h). Any one of them that signed is enough. No default: an unsigned handler would tell strangers about your orders.
   */
  readonly secret: string | readonly string[];
  /** Looks into the database. An error, or anything but the two words, leaves the transaction undecided. */
  readonly check: CheckFunction<T>;
  /** Hears of the check's errors. Default: nothing; the broker sees a 500 and asks again. */
  readonly onError?: (error: unknown, check: Check<T>) => void;
  /** The clock that a signature's age is measured by. Default the machine's. */
  readonly now?: () => number;
}

/** A fetch-style handler. Its `Request` and `Response` are the runtime's own. */
export type CheckHandler = FetchHandler;

/**
 * Makes the handler. It answers 200 `{"resolution"}`; 401 for a missing, wrong or old signature; 400 for what is not a check; 405
 * for another method; 413 for more than 16 MiB; 500 when the check throws, which the broker counts as `unknown`.
 */
export function checkHandler<T = unknown>(options: CheckHandlerOptions<T>): CheckHandler {
  expectArgument("options", options, "object");
  const { secret, check, onError, now = systemClock.now } = options;
  expectArguments({ secret: [secret, "secret"], check: [check, "function"] });
  return async (request) => {
    const read = await readSigned(request, { secret, nowMs: now() });
    if (!read.ok) return read.response;
    const question = parseCheck<T>(read.body);
    if (question === undefined) return refusal(400, "not a transaction.check");
    try {
      return answer(200, { resolution: resolutionOf(await check(question)) });
    } catch (error) {
      onError?.(error, question);
      return refusal(500, "the check failed");
    }
  };
}

function parseCheck<T>(body: string): Check<T> | undefined {
  try {
    const event = JSON.parse(body) as { type?: unknown; data?: Check<T> };
    return event.type === "transaction.check" ? event.data : undefined;
  } catch {
    return undefined;
  }
}
