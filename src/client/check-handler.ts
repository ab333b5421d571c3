/**
 * The webhook form of the check-back: a function from Request to Response that any fetch-style server can mount.
 * It never runs the check for a request that the broker did not sign, and never lets an error mean commit or rollback.
 */
import { type Check, type CheckFunction, resolutionOf } from "./check.ts";
import { systemClock } from "./clock.ts";
import { verifyWebhook } from "./webhook.ts";

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
export type CheckHandler = (request: Request) => Promise<Response>;

/** A check holds up to 100 messages of 1 MiB in a request of 8 MiB, and Base64 adds a third. */
export const BODY_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Makes the handler. It answers 200 `{"resolution"}`; 401 for a missing, wrong or old signature; 400 for what is not a check; 405
 * for another method; 413 for more than 16 MiB; 500 when the check throws, which the broker counts as `unknown`.
 */
export function checkHandler<T = unknown>(options: CheckHandlerOptions<T>): CheckHandler {
  const { secret, check, onError, now = systemClock.now } = options;
  if (secret.length === 0) throw new TypeError("a check handler needs a secret");
  return async (request) => {
    if (request.method !== "POST") return refusal(405, "a check is a POST");
    const body = await textWithin(request, BODY_BYTES_MAX);
    if (body === undefined) return refusal(413, "larger than any check");
    const { headers } = request;
    if (!(await verifyWebhook({ body, headers, nowMs: now() }, secret))) {
      return refusal(401, "not signed by this producer group's secret, or too long ago");
    }
    const question = parseCheck<T>(body);
    if (question === undefined) return refusal(400, "not a transaction.check");
    try {
      return answer(200, { resolution: resolutionOf(await check(question)) });
    } catch (error) {
      onError?.(error, question);
      return refusal(500, "the check failed");
    }
  };
}

/** The request's text; undefined, and no more is read, when it is longer. Strangers send requests, too. */
async function textWithin(request: Request, bytesMax: number): Promise<string | undefined> {
  const reader = request.body?.getReader();
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    const chunk = value as Uint8Array;
    bytes += chunk.length;
    if (bytes > bytesMax) {
      await reader.cancel();
      return undefined;
    }
    text += decoder.decode(chunk, { stream: true });
  }
}

function parseCheck<T>(body: string): Check<T> | undefined {
  try {
    const event = JSON.parse(body) as { type?: unknown; data?: Check<T> };
    return event.type === "transaction.check" ? event.data : undefined;
  } catch {
    return undefined;
  }
}

function refusal(status: number, detail: string): Response {
  return answer(status, { status, detail });
}

function answer(status: number, json: unknown): Response {
  const headers = { "content-type": "application/json" };
  return new Response(JSON.stringify(json), { status, headers });
}
