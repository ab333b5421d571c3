/**
 * Standard Webhooks signatures (HMAC SHA-256) over `id.timestamp.body`. It never compares a signature with `===`: the runtime's
 * own `verify` takes the same time for every wrong one.
 */
import { expectArguments } from "./argument.ts";
import { fromBase64, toBase64 } from "./base64.ts";

/** The three headers of a signed request. */
export interface WebhookHeaders {
  readonly "webhook-id": string;
  readonly "webhook-timestamp": string;
  readonly "webhook-signature": string;
}

/** What is signed, and when it is checked. */
export interface SignedWebhook {
  /** The body as it came, not parsed and written again. */
  readonly body: string;
  readonly headers: { get(name: string): string | null };
  readonly nowMs: number;
}

/** A signature is good for so long before and after its timestamp. */
const TOLERANCE_MS = 5 * 60_000;
const SECRET_PREFIX = "whsec_";
/** More signatures than rotations can explain are not looked at. */
const SIGNATURES_MAX = 16;
const HMAC = { name: "HMAC", hash: "SHA-256" } as const;

/** Whether any of the secrets (`whsec_…`) signed this, less than five minutes ago. */
export async function verifyWebhook(
  webhook: SignedWebhook,
  secrets: string | readonly string[],
): Promise<boolean> {
  expectArguments({ webhook: [webhook, "object"], secrets: [secrets, "secret"] });
  const { body, headers, nowMs } = webhook;
  const id = headers.get("webhook-id");
  const timestamp = headers.get("webhook-timestamp") ?? "";
  const signature = headers.get("webhook-signature");
  if (id === null || signature === null || !/^\d{1,12}$/u.test(timestamp)) return false;
  if (Math.abs(nowMs - Number(timestamp) * 1_000) > TOLERANCE_MS) return false;
  const content = new TextEncoder().encode(`${id}.${timestamp}.${body}`);
  const signatures = signature.split(" ").slice(0, SIGNATURES_MAX).flatMap(version1);
  for (const secret of typeof secrets === "string" ? [secrets] : secrets) {
    const key = await hmacKey(secret, "verify");
    for (const candidate of signatures) {
      if (await crypto.subtle.verify(HMAC, key, candidate, content)) return true;
    }
  }
  return false;
}

/** Signs as the broker does: to try a mounted handler without a broker. Several secrets sign side by side. */
export async function signWebhook(
  webhook: { readonly id: string; readonly timestampMs: number; readonly body: string },
  secrets: string | readonly string[],
): Promise<WebhookHeaders> {
  expectArguments({ webhook: [webhook, "object"], secrets: [secrets, "secret"] });
  const timestamp = String(Math.floor(webhook.timestampMs / 1_000));
  const content = new TextEncoder().encode(`${webhook.id}.${timestamp}.${webhook.body}`);
  const signatures: string[] = [];
  for (const secret of typeof secrets === "string" ? [secrets] : secrets) {
    const signed = await crypto.subtle.sign(HMAC, await hmacKey(secret, "sign"), content);
    signatures.push(`v1,${toBase64(new Uint8Array(signed))}`);
  }
  return {
    "webhook-id": webhook.id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signatures.join(" "),
  };
}

function hmacKey(
  secret: string,
  use: "sign" | "verify",
): ReturnType<typeof crypto.subtle.importKey> {
  const text = secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : secret;
  return crypto.subtle.importKey("raw", fromBase64(text), HMAC, false, [use]);
}

function version1(signature: string): Uint8Array<ArrayBuffer>[] {
  const [version, text = ""] = signature.split(",");
  if (version !== "v1") return [];
  try {
    return [fromBase64(text)];
  } catch {
    return [];
  }
}
