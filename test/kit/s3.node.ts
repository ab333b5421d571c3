/**
 * An S3 bucket in memory, as far as workerd's cluster asks for one: get, put, delete and list, with conditions on the ETag.
 * It counts what it is asked. It checks the key's id, no signature, and keeps nothing past its end.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { wholeBody } from "./request-body.node.ts";

export const S3_CREDENTIALS = {
  AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
  AWS_SECRET_ACCESS_KEY: "an-example-of-a-secret-key",
};

const LIST_MAX = 1_000;

interface Stored {
  readonly etag: string;
  readonly body: Buffer;
}

export interface S3 {
  readonly endpoint: string;
  /** Requests so far, by method; a list counts as `LIST`. */
  readonly counts: Readonly<Record<string, number>>;
  readonly bytesPut: () => number;
  /** What a name holds, as text. */
  readonly read: (name: string) => string | undefined;
  readonly names: () => string[];
  readonly stop: () => Promise<void>;
}

/** Each answer comes after `delayMs`, as from a store that is not on this machine. */
export async function startS3({ delayMs = 0 } = {}): Promise<S3> {
  const bucket = new Bucket();
  const server = createServer((request, response) => {
    void bucket.answer(request, response, delayMs);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    counts: bucket.counts,
    bytesPut: () => bucket.bytesPut,
    read: (name) => bucket.objects.get(name)?.body.toString(),
    names: () => [...bucket.objects.keys()],
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

class Bucket {
  /** By path without the leading slash: bucket and key. */
  readonly objects = new Map<string, Stored>();
  readonly counts: Record<string, number> = {};
  bytesPut = 0;

  async answer(request: IncomingMessage, response: ServerResponse, delayMs: number): Promise<void> {
    const body = await wholeBody(request);
    if (body === undefined) return;
    if (delayMs > 0) await pause(delayMs);
    // From here on in one stretch: a condition and its write are one step, as in a real store.
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://s3");
    const isList = request.method === "GET" && searchParams.has("list-type");
    const verb = isList ? "LIST" : (request.method ?? "");
    this.counts[verb] = (this.counts[verb] ?? 0) + 1;
    if (!isSigned(request)) return fail(response, 403, "AccessDenied");
    const name = decodeURIComponent(pathname.slice(1));
    if (isList) return this.#list(response, name.replace(/\/$/u, ""), searchParams);
    const stored = this.objects.get(name);
    switch (verb) {
      case "GET":
        return stored === undefined ? fail(response, 404, "NoSuchKey") : give(response, stored);
      case "PUT":
      case "DELETE":
        if (!isMet(request, stored)) return fail(response, 412, "PreconditionFailed");
        return verb === "PUT" ? this.#put(response, name, body) : this.#delete(response, name);
      default:
        return fail(response, 501, "NotImplemented");
    }
  }

  #put(response: ServerResponse, name: string, body: Buffer): void {
    const etag = `"${createHash("md5").update(body).digest("hex")}"`;
    this.objects.set(name, { etag, body });
    this.bytesPut += body.byteLength;
    response.writeHead(200, { etag }).end();
  }

  #delete(response: ServerResponse, name: string): void {
    this.objects.delete(name);
    response.writeHead(204).end();
  }

  #list(response: ServerResponse, bucket: string, query: URLSearchParams): void {
    const prefix = query.get("prefix") ?? "";
    const after = query.get("continuation-token") ?? query.get("start-after") ?? "";
    const limit = Math.min(Number(query.get("max-keys") ?? LIST_MAX), LIST_MAX);
    const keys = [...this.objects.keys()]
      .filter((name) => name.startsWith(`${bucket}/`))
      .map((name) => name.slice(bucket.length + 1))
      .filter((key) => key.startsWith(prefix) && key > after)
      .toSorted();
    const page = keys.slice(0, limit);
    const isTruncated = page.length < keys.length;
    const contents = page.map((key) => {
      const { etag, body } = this.objects.get(`${bucket}/${key}`) as Stored;
      return `<Contents><Key>${escaped(key)}</Key><ETag>${escaped(etag)}</ETag><Size>${body.byteLength}</Size></Contents>`;
    });
    const next = isTruncated
      ? `<NextContinuationToken>${escaped(page.at(-1) ?? "")}</NextContinuationToken>`
      : "";
    response
      .writeHead(200, { "content-type": "application/xml" })
      .end(
        `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>${bucket}</Name><KeyCount>${page.length}</KeyCount><IsTruncated>${isTruncated}</IsTruncated>${next}${contents.join("")}</ListBucketResult>`,
      );
  }
}

function isSigned({ headers }: IncomingMessage): boolean {
  const credential = `Credential=${S3_CREDENTIALS.AWS_ACCESS_KEY_ID}/`;
  return headers.authorization?.startsWith(`AWS4-HMAC-SHA256 ${credential}`) === true;
}

function isMet({ headers }: IncomingMessage, stored: Stored | undefined): boolean {
  if (headers["if-none-match"] === "*" && stored !== undefined) return false;
  const wanted = headers["if-match"];
  return wanted === undefined || wanted === stored?.etag;
}

function give(response: ServerResponse, { etag, body }: Stored): void {
  response.writeHead(200, { etag, "content-length": body.byteLength }).end(body);
}

function fail(response: ServerResponse, status: number, code: string): void {
  response
    .writeHead(status, { "content-type": "application/xml" })
    .end(`<Error><Code>${code}</Code></Error>`);
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
