/** Requests that the SDK does not make: signed or not, with any header and any line, sent as they are. */
import { createHmac } from "node:crypto";
import { request } from "node:http";
import type { Door } from "./kit.ts";

export interface Raw {
  readonly method?: string;
  /** What is signed: path and query. */
  readonly target: string;
  /** What is sent in its place. */
  readonly sent?: string;
  readonly body?: string;
  /** Laid over those that are sent and signed; undefined takes one away. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly id?: string;
  readonly secret?: string;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export function raw(door: Door, wanted: Raw): Promise<RawAnswer> {
  const { method = "GET", target, sent = target, body = "", id = "root" } = wanted;
  const secret = wanted.secret ?? door.running.rootKey;
  const all: Readonly<Record<string, string | undefined>> = {
    date: new Date().toUTCString(),
    "x-mq-version": "2015-06-06",
    "content-type": "text/xml;charset=utf-8",
    ...wanted.headers,
  };
  const given = Object.entries(all).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const headers = Object.fromEntries(given);
  const own = given
    .filter(([name]) => name.startsWith("x-mq-"))
    .map(([name, value]) => `${name}:${value}\n`)
    .toSorted();
  const head = ["content-md5", "content-type", "date"].map((name) => `${headers[name] ?? ""}\n`);
  const text = `${method}\n${head.join("")}${own.join("")}${target}`;
  const signature = createHmac("sha1", secret).update(text).digest("base64");
  const authorization = `MQ ${id}:${signature}`;
  return exchange(door, { method, path: sent, headers: { authorization, ...headers }, body });
}

interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Nothing is escaped, added or left out on the way. */
function exchange(door: Door, { method, path, headers, body }: Exchange): Promise<RawAnswer> {
  const { hostname, port } = new URL(door.running.url);
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const { authorization = "", ...others } = headers;
  // An empty one stands for none.
  const sent = authorization === "" ? others : headers;
  const call = request({ hostname, port, method, path, headers: sent }, (answer) => {
    const chunks: Buffer[] = [];
    answer.on("data", (chunk: Buffer) => chunks.push(chunk));
    answer.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text });
    });
  });
  call.on("error", reject);
  call.end(body);
  return promise;
}

/** The text of a leaf of an answer. */
export const leafOf = ({ text }: RawAnswer, name: string): string | undefined =>
  new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];

/** Status and code of an error. */
export const told = (answer: RawAnswer): string => `${answer.status} ${leafOf(answer, "Code")}`;
