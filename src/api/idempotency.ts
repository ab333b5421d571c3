/**
 * Idempotency-Key: from the header to the digests that a queue remembers. It never remembers anything itself.
 */
import { encodeText } from "../core/bytes.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { Keyed } from "../protocol/rpc.ts";
import { pathOf } from "./path.ts";
import type { Call } from "./operation.ts";

const KEY_BYTES = 16;
const BODY_BYTES = 8;

export const REPLAYED: Readonly<Record<string, string>> = { "idempotent-replayed": "true" };

const NO_KEY = accept(undefined);

/** What a queue needs to know an earlier request with this key again; undefined without a key. */
export function keyedOf(
  call: Call,
): Outcome<Keyed | undefined> | Promise<Outcome<Keyed | undefined>> {
  const key = call.request.headers.get("idempotency-key");
  return key === null ? NO_KEY : digestsOf(call, key);
}

async function digestsOf(call: Call, key: string): Promise<Outcome<Keyed>> {
  const most = LIMITS.idempotencyKeyCharsMax;
  const limit = Math.min(Math.max(key.length, 1), most);
  if (key.length !== limit) {
    return refuse("invalid_request", `An idempotency key has 1 to ${most} characters`, {
      field: "Idempotency-Key",
      limit,
      actual: key.length,
    });
  }
  const { method, url } = call.request;
  const scope = [call.caller.namespace, method, pathOf(url), key].join("\0");
  const [keyDigest, bodyDigest] = await Promise.all([
    crypto.subtle.digest("SHA-256", encodeText(scope)),
    crypto.subtle.digest("SHA-256", call.sent.bytes),
  ]);
  return accept({
    key: new Uint8Array(keyDigest).slice(0, KEY_BYTES),
    body: new Uint8Array(bodyDigest).slice(0, BODY_BYTES),
  });
}
