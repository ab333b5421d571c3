/**
 * A check as it goes out: the body of the webhook and the argument of the call to a Worker. It never sends anything.
 */
import { checkDataJson, checkedHalves, checkFields } from "../core/check-data.ts";
import type { CheckBegun } from "../protocol/rpc.ts";

/** New for each attempt; `beganAt` tells the first attempt from the first after a resume. Standard Webhooks allows no dot. */
export const webhookId = (check: CheckBegun, beganAt: number): string =>
  `chk_${check.transactionId}_${check.attempt}_${beganAt.toString(36)}`;

/** The webhook's body. */
export function checkEnvelope(check: CheckBegun, nowMs: number): string {
  const timestamp = new Date(nowMs).toISOString();
  return `{"type":"transaction.check","timestamp":"${timestamp}","data":${checkDataJson(check)}}`;
}

/**
 * The argument of `checkTransaction`: the fields of the webhook's `data` as an object. A JSON body comes twice:
 * parsed as `body`, and as `bodyJson` exactly as it was sent, for numbers that a parser would round.
 */
export function checkArgument(check: CheckBegun): Readonly<Record<string, unknown>> {
  const messages: Readonly<Record<string, unknown>>[] = [];
  for (const { fields, body } of checkedHalves(check)) {
    if ("json" in body) {
      messages.push({ ...fields, body: JSON.parse(body.json) as unknown, bodyJson: body.json });
    } else if ("base64" in body) {
      messages.push({ ...fields, bodyBase64: body.base64 });
    } else {
      messages.push({ ...fields, bodyError: body.error });
    }
  }
  return { ...checkFields(check), messages };
}
