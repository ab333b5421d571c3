/**
 * The signature of Alibaba Cloud's MQ HTTP protocol: `Authorization: MQ id:signature`, an HMAC-SHA1 over method, three headers,
 * the `x-mq-` headers and the request's line, as their "request signatures" page has it. It judges one request by one secret,
 * and never knows whose the secret is.
 */
import { md5 } from "@noble/hashes/legacy.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { decodeBase64, encodeBase64 } from "../../core/base64.ts";
import { encodeText } from "../../core/bytes.ts";
import { equalDigests } from "../../platform/constant-time.ts";
import { done, fault, type Fault, type Result } from "./faults.ts";

export interface Claim {
  readonly accessKeyId: string;
  readonly signature: Uint8Array;
}

/** As far as both a request and a test have it. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query as they came. */
  readonly target: string;
  readonly headers: Headers;
}

const SCHEME = /^MQ ([^:\s]{1,256}):([A-Za-z0-9+/]{27}=)$/;
/** How far the clocks may be apart. */
const CLOCK_WINDOW_MS = 15 * 60_000;
const OWN_HEADERS = "x-mq-";

/** Who claims to have signed, and whether the request is of now. */
export function claimOf({ headers }: SignedRequest, nowMs: number): Result<Claim> {
  const authorization = headers.get("authorization");
  if (authorization === null) {
    return fault("MissingAuthorizationHeader", "Authorization: MQ {AccessKeyId}:{signature}");
  }
  const [, accessKeyId, text = ""] = SCHEME.exec(authorization) ?? [];
  const signature = decodeBase64(text);
  if (accessKeyId === undefined || signature === undefined) {
    const detail = "Authorization is MQ, an access key id, a colon and an HMAC-SHA1 in base64";
    return fault("InvalidAuthorizationHeader", detail);
  }
  return dateFault(headers.get("date"), nowMs) ?? done({ accessKeyId, signature });
}

function dateFault(date: string | null, nowMs: number): Fault | undefined {
  if (date === null) return fault("MissingDateHeader", "A Date header is required, and signed");
  const signedAt = Date.parse(date);
  if (Number.isNaN(signedAt)) return fault("InvalidDateHeader", "Date is an HTTP date in GMT");
  if (Math.abs(nowMs - signedAt) <= CLOCK_WINDOW_MS) return undefined;
  return fault("TimeExpired", "Date is more than 15 minutes away from the server's clock");
}

/**
 * The path and query that were signed, when the secret made this signature of this request. In a time that does not tell how
 * nearly it did.
 */
export async function signedTarget(
  secret: string,
  { signature }: Claim,
  { method, target, headers }: SignedRequest,
): Promise<string | undefined> {
  const name = { name: "HMAC", hash: "SHA-1" } as const;
  const bytes = encodeText(secret) as Uint8Array<ArrayBuffer>;
  const key = await crypto.subtle.importKey("raw", bytes, name, false, ["sign"]);
  const head = headOf(method, headers);
  for (const resource of resourcesOf(target)) {
    const text = encodeText(head + resource) as Uint8Array<ArrayBuffer>;
    const made = await crypto.subtle.sign("HMAC", key, text);
    if (equalDigests(new Uint8Array(made), signature)) return resource;
  }
  return undefined;
}

function headOf(method: string, headers: Headers): string {
  const own = [...headers]
    .filter(([name]) => name.startsWith(OWN_HEADERS))
    .map(([name, value]) => `${name}:${value}`)
    .toSorted();
  return [
    method,
    headers.get("content-md5") ?? "",
    headers.get("content-type") ?? "",
    headers.get("date") ?? "",
    ...own,
    "",
  ].join("\n");
}

/** What HTTP clients put into percent-encoding behind the back of an SDK that has signed the plain text. */
const QUOTED: Readonly<Record<string, string>> = {
  "%20": " ",
  "%22": '"',
  "%27": "'",
  "%3C": "<",
  "%3E": ">",
  "%7C": "|",
};

const unquoted = (text: string): string =>
  text.replaceAll(/%(?:2[027]|3[CE]|7C)/gi, (quoted) => QUOTED[quoted.toUpperCase()] ?? quoted);

/** An SDK escapes a tag itself before it signs, all of it but the apostrophe. */
const unquotedButTag = (target: string): string =>
  target
    .split("&")
    .map((part) => (/(?:^|\?)tag=/.test(part) ? part.replaceAll("%27", "'") : unquoted(part)))
    .join("&");

/** The texts that may have been signed for a target, the likeliest first: as it came, or as it was before it was quoted. */
function resourcesOf(target: string): readonly string[] {
  // An endpoint with a slash at its end is pasted before the path, and not signed.
  const plain = target.startsWith("//") ? target.slice(1) : target;
  return [...new Set([plain, unquotedButTag(plain), unquoted(plain), target])];
}

/** Whether the body is the one that Content-MD5 tells of: in base64, of the digest or, as SDKs have it, of its hexadecimal text. */
export function digestFault(headers: Headers, body: Uint8Array): Fault | undefined {
  const said = headers.get("content-md5");
  if (said === null) return undefined;
  const digest = md5(body);
  const hex = encodeBase64(encodeText(bytesToHex(digest)));
  if (said === hex || said === encodeBase64(digest)) return undefined;
  return fault("InvalidDigest", "Content-MD5 is not that of the body");
}
