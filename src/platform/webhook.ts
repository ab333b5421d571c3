/**
 * One signed POST to somebody else's endpoint, bounded in time and in bytes. It never throws, never follows a redirect,
 * never sends unsigned, and never reads more of an answer than it was told to: the count is of decoded bytes, so that
 * neither a drip nor a compressed flood gets through.
 */
import { type LiveSecret, sign } from "./signature.ts";
import { checkTarget, type TargetPolicy } from "./target.ts";

/** As much of `fetch` as is needed here, in workerd and in Node. */
export type Fetch = (
  url: string,
  init: {
    readonly method: "POST" | "OPTIONS";
    readonly headers: Record<string, string>;
    readonly body?: string;
    readonly redirect: "manual";
    readonly signal: AbortSignal;
  },
) => Promise<FetchAnswer>;

interface FetchAnswer {
  readonly status: number;
  readonly headers?: { get(name: string): string | null };
  readonly body: {
    getReader(): {
      read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
      cancel(reason?: unknown): Promise<void>;
    };
  } | null;
}

export interface SignedPost {
  readonly url: string;
  readonly secrets: readonly LiveSecret[];
  /** `webhook-id`; without a dot, and new for each attempt. */
  readonly id: string;
  /** Beside those of the signature. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Absent: application/json. */
  readonly contentType?: string;
  readonly body: string;
  /** Over the whole exchange, the answer's body included. */
  readonly timeoutMs: number;
  readonly responseBytesMax: number;
  readonly policy: TargetPolicy;
  readonly nowMs: number;
  readonly fetch: Fetch;
}

type PostFailure =
  | "timeout"
  | "network"
  | "redirect"
  | "too_large"
  | "target_not_allowed"
  | "no_secret";

export interface PostAnswer {
  /** 0 when no answer came. */
  readonly status: number;
  /** The whole body; absent on a failure. */
  readonly bodyText?: string;
  /** The header as it came. */
  readonly retryAfter?: string;
  readonly failure?: PostFailure;
}

const failed = (failure: PostFailure, status = 0): PostAnswer => ({ status, failure });

export async function postSigned(post: SignedPost): Promise<PostAnswer> {
  const target = checkTarget(post.url, post.policy);
  if (!target.ok) return failed("target_not_allowed");
  const timestamp = Math.floor(post.nowMs / 1_000);
  const signature = await sign(
    post.secrets,
    { id: post.id, timestamp, body: post.body },
    post.nowMs,
  );
  if (signature === undefined) return failed("no_secret");
  const headers = {
    ...post.headers,
    "content-type": post.contentType ?? "application/json",
    "user-agent": "HalfMQ",
    "webhook-id": post.id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signature,
  };
  // A fetch that does not heed its signal is left behind, so that it cannot hold the caller.
  const control = new AbortController();
  const late = Promise.withResolvers<PostAnswer>();
  const timer = setTimeout(() => {
    late.resolve(failed("timeout"));
    control.abort();
  }, post.timeoutMs);
  try {
    return await Promise.race([exchange(post, target.value, headers, control), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function exchange(
  { body, fetch, responseBytesMax }: SignedPost,
  url: URL,
  headers: Record<string, string>,
  control: AbortController,
): Promise<PostAnswer> {
  try {
    const { signal } = control;
    const answer = await fetch(url.href, {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      signal,
    });
    // Node answers 0 where a browser would hide a redirect.
    if (answer.status === 0 || (answer.status >= 300 && answer.status < 400)) {
      control.abort();
      return failed("redirect", answer.status);
    }
    const header = answer.headers?.get("retry-after");
    const said = typeof header === "string" ? { retryAfter: header } : {};
    const bodyText = await readText(answer, responseBytesMax);
    if (bodyText !== undefined) return { status: answer.status, bodyText, ...said };
    control.abort();
    return { ...failed("too_large", answer.status), ...said };
  } catch {
    return failed("network");
  }
}

/** The body as text, or undefined as soon as it is longer than `bytesMax`. */
async function readText(answer: FetchAnswer, bytesMax: number): Promise<string | undefined> {
  const reader = answer.body?.getReader();
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    if (value === undefined) continue;
    bytes += value.length;
    if (bytes > bytesMax) {
      void reader.cancel().catch(() => undefined);
      return undefined;
    }
    text += decoder.decode(value, { stream: true });
  }
}
