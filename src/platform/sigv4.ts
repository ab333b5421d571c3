/**
 * AWS Signature Version 4, read and checked: in the Authorization header or in the query, over the whole body. Rules from AWS's
 * "Signature Version 4 signing process". It judges one request by one secret; it never knows whose the secret is, and takes
 * no body that is not signed.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { equalDigests } from "./constant-time.ts";

/** What a request says of its signature. */
export interface Claim {
  readonly accessKeyId: string;
  /** `20260131`, of the scope; signed with it. */
  readonly day: string;
  readonly region: string;
  readonly service: string;
  /** Lower case, in the order in which they are signed. */
  readonly signedHeaders: readonly string[];
  readonly signature: Uint8Array;
  /** `20260131T235959Z`, as it is signed. */
  readonly signedAt: string;
  readonly signedAtMs: number;
  /** Of a signature in the query: how long it is good. */
  readonly expiresMs?: number;
}

/** As far as both a request and a test have it. */
export interface SignedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
}

const ALGORITHM = "AWS4-HMAC-SHA256";
/** How far the clocks may be apart. */
const CLOCK_WINDOW_MS = 15 * 60_000;
const EXPIRES_SECONDS_MAX = 7 * 24 * 3_600;
const INSTANT = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
const SIGNATURE = /^[0-9a-f]{64}$/;
/** Of `id/day/region/service/aws4_request`; an id holds no slash. */
const CREDENTIAL = /^([^/]{1,256})\/(\d{8})\/([^/]{1,64})\/([^/]{1,64})\/aws4_request$/;
const HEADER_NAMES = /^[a-z0-9-]{1,64}(?:;[a-z0-9-]{1,64}){0,63}$/;
const encoder = new TextEncoder();

/** Undefined without a signature, "malformed" for one that cannot be read. */
export function claimOf({ url, headers }: SignedRequest): Claim | "malformed" | undefined {
  const authorization = headers.get("authorization");
  if (authorization !== null) {
    if (!authorization.startsWith(`${ALGORITHM} `)) return undefined;
    const parts = new Map(
      authorization
        .slice(ALGORITHM.length + 1)
        .split(",")
        .map((part) => splitOnce(part.trim(), "=")),
    );
    return claim({
      credential: parts.get("Credential"),
      signedHeaders: parts.get("SignedHeaders"),
      signature: parts.get("Signature"),
      signedAt: headers.get("x-amz-date") ?? undefined,
    });
  }
  if (!url.includes("X-Amz-Signature=")) return undefined;
  const query = new URL(url).searchParams;
  if (query.get("X-Amz-Algorithm") !== ALGORITHM) return "malformed";
  const seconds = query.get("X-Amz-Expires") ?? "";
  if (!/^\d{1,6}$/.test(seconds) || Number(seconds) > EXPIRES_SECONDS_MAX) return "malformed";
  const found = claim({
    credential: query.get("X-Amz-Credential") ?? undefined,
    signedHeaders: query.get("X-Amz-SignedHeaders") ?? undefined,
    signature: query.get("X-Amz-Signature") ?? undefined,
    signedAt: query.get("X-Amz-Date") ?? undefined,
  });
  return found === "malformed" ? found : { ...found, expiresMs: Number(seconds) * 1_000 };
}

function claim(said: {
  readonly credential: string | undefined;
  readonly signedHeaders: string | undefined;
  readonly signature: string | undefined;
  readonly signedAt: string | undefined;
}): Claim | "malformed" {
  const [, accessKeyId, day, region, service] = CREDENTIAL.exec(said.credential ?? "") ?? [];
  const { signedHeaders = "", signature = "", signedAt = "" } = said;
  const signedAtMs = instantOf(signedAt);
  if (accessKeyId === undefined || day === undefined) return "malformed";
  if (region === undefined || service === undefined || signedAtMs === undefined) return "malformed";
  if (!HEADER_NAMES.test(signedHeaders) || !SIGNATURE.test(signature)) return "malformed";
  if (!signedAt.startsWith(day)) return "malformed";
  return {
    accessKeyId,
    day,
    region,
    service,
    signedHeaders: signedHeaders.split(";"),
    signature: hexToBytes(signature),
    signedAt,
    signedAtMs,
  };
}

/** Whether it was signed now, within what clocks may be apart, or is not over yet. */
export function isTimely({ signedAtMs, expiresMs }: Claim, nowMs: number): boolean {
  if (signedAtMs > nowMs + CLOCK_WINDOW_MS) return false;
  return nowMs <= signedAtMs + (expiresMs ?? CLOCK_WINDOW_MS);
}

/** The host and what AWS calls its own must be signed, else another could put them there. */
export function signsEnough({ signedHeaders }: Claim, headers: Headers): boolean {
  if (!signedHeaders.includes("host")) return false;
  for (const name of headers.keys())
    if (name.startsWith("x-amz-") && !signedHeaders.includes(name)) return false;
  return true;
}

/** Whether the secret made this signature, of this request with this body. In a time that does not tell how nearly. */
export function isSignedBy(
  secret: string,
  found: Claim,
  request: SignedRequest,
  body: Uint8Array,
): boolean {
  const canonical = canonicalRequest(found, request, body);
  if (canonical === undefined) return false;
  const { day, region, service, signedAt } = found;
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = `${ALGORITHM}\n${signedAt}\n${scope}\n${hexDigest(encoder.encode(canonical))}`;
  let key: Uint8Array = encoder.encode(`AWS4${secret}`);
  for (const part of [day, region, service, "aws4_request"]) key = mac(key, part);
  return equalDigests(mac(key, text), found.signature);
}

const mac = (key: Uint8Array, text: string): Uint8Array => hmac(sha256, key, encoder.encode(text));
const hexDigest = (bytes: Uint8Array): string => bytesToHex(sha256(bytes));

/** Undefined when a header says another digest of the body than it has, as `UNSIGNED-PAYLOAD`. */
function canonicalRequest(
  { signedHeaders }: Claim,
  { method, url, headers }: SignedRequest,
  body: Uint8Array,
): string | undefined {
  const digest = hexDigest(body);
  if ((headers.get("x-amz-content-sha256") ?? digest) !== digest) return undefined;
  const { pathname, search, host } = new URL(url);
  const query = canonicalQuery(search.slice(1));
  if (query === undefined) return undefined;
  const values = new Map([
    ["host", host],
    // Some runtimes do not show what they have read the body by.
    ["content-length", String(body.length)],
  ]);
  const lines = signedHeaders.map((name) => {
    const value = headers.get(name) ?? values.get(name) ?? "";
    return `${name}:${value.trim().replaceAll(/\s+/g, " ")}\n`;
  });
  const path = encode(pathname).replaceAll("%2F", "/");
  return [method, path, query, lines.join(""), signedHeaders.join(";"), digest].join("\n");
}

/** Undefined when it is not in percent-encoding. */
function canonicalQuery(query: string): string | undefined {
  if (query === "") return "";
  try {
    const pairs = query.split("&").map((pair) => {
      const [name, value] = splitOnce(pair, "=");
      return [encode(decodeURIComponent(name)), encode(decodeURIComponent(value))] as const;
    });
    return pairs
      .filter(([name]) => name !== "X-Amz-Signature")
      .toSorted(([one, a], [other, b]) => compare(one, other) || compare(a, b))
      .map(([name, value]) => `${name}=${value}`)
      .join("&");
  } catch {
    return undefined;
  }
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

/** What RFC 3986 does not reserve stays. */
const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );

function splitOnce(text: string, by: string): [string, string] {
  const at = text.indexOf(by);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + by.length)];
}

function instantOf(text: string): number | undefined {
  const [year, month, day, hour, minute, second] = (INSTANT.exec(text) ?? []).slice(1).map(Number);
  if (year === undefined || month === undefined) return undefined;
  const at = Date.UTC(year, month - 1, day, hour, minute, second);
  return Number.isNaN(at) ? undefined : at;
}
