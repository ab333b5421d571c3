/** Bodies that tell whose they are and whether they are whole. */
import { crc32 } from "node:zlib";
import type { Content } from "../../../src/core/record.ts";
import type { SentMessage } from "../history.ts";

const sumOf = (mark: string, pad: string): number => crc32(`${mark}/${pad}`);

export function contentOf(message: SentMessage, padChars: number): Content {
  const { mark, messageGroup, tag, dedupId, deliverAt, ttlMs, expiresAt } = message;
  const pad = "p".repeat(padChars);
  const json = JSON.stringify({ mark, pad, sum: sumOf(mark, pad) });
  return {
    body: { json },
    properties: { mark },
    ...(messageGroup === undefined ? {} : { messageGroup }),
    ...(tag === undefined ? {} : { tag }),
    ...(dedupId === undefined ? {} : { dedupId }),
    ...(deliverAt === undefined ? {} : { deliverAt }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}

/** What a body says of itself; one that is damaged has no mark that anybody sent. */
export function read({ body, properties }: Content): { mark: string; isIntact: boolean } {
  try {
    const text = "json" in body ? body.json : "";
    const { mark, pad, sum } = JSON.parse(text) as { mark: string; pad: string; sum: number };
    return { mark, isIntact: sum === sumOf(mark, pad) && properties?.["mark"] === mark };
  } catch {
    return { mark: "unreadable", isIntact: false };
  }
}
