/**
 * A request's bytes, bounded while they come. Over HTTP a small Content-Length is the frame, or the runtime shows none; one that
 * another Worker of the account, which calls by a binding, makes up decides only how its body is read: what counts is what came. It
 * waits for no body that stalls once another request comes, and looks at nothing that is in them.
 */
import { type Clock, within } from "./clock.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";

const NOTHING = new Uint8Array();

/** The client went away in the middle: nobody hears of it, and it is no bug. */
const BROKEN_OFF = refuse("invalid_request", "The body broke off", { field: "body" });

/** Longer than any line needs between two pieces; a sender that stalls would else hold its request for ever. */
export const BODY_WAIT_MS = 30_000;
const STALLED = refuse("invalid_request", "The body stopped coming", {
  field: "body",
  limit: BODY_WAIT_MS,
});

export const tooLarge = (actual: number): Refusal =>
  refuse("request_too_large", `A request holds at most ${LIMITS.requestBytesMax} bytes`, {
    field: "body",
    limit: LIMITS.requestBytesMax,
    actual,
  });

/** Empty without a body; refused when it is too large, encoded, or broke off. */
export async function readBytes(request: Request, clock: Clock): Promise<Outcome<Uint8Array>> {
  const { headers } = request;
  // What the transport has framed at this length is read in one go; everything else is counted as it comes. To look at
  // `body` makes a stream of it, which costs more than a small body itself.
  const announced = Number(headers.get("content-length") ?? Number.NaN);
  const isSmall = announced <= ONE_GO_BYTES_MAX;
  const stream = isSmall ? undefined : request.body;
  if (stream === null) return accept(NOTHING);
  // Who asks first need not send it (RFC 9110, 10.1.1). Who sends already is read to the end, or would not see the answer.
  if (announced > LIMITS.requestBytesMax && headers.get("expect") !== null)
    return tooLarge(announced);
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    return refuse("unsupported_media_type", "The body must come without a content encoding", {
      field: "Content-Encoding",
      actual: encoding,
    });
  }
  const whole = stream === undefined ? inOneGo(request, clock.nowMs()) : counted(stream, clock);
  const read = await whole.catch(() => BROKEN_OFF);
  if ("ok" in read) return read;
  return read.byteLength > LIMITS.requestBytesMax
    ? tooLarge(read.byteLength)
    : accept(new Uint8Array(read));
}

interface Reading {
  readonly sinceMs: number;
  readonly giveUp: () => void;
}

/** Small bodies under way, the oldest first. */
const underWay = new Set<Reading>();

/**
 * A body that is nearly always there with its headers. A timer would cost as much as the reading, so whoever reads next ends what
 * has stalled; until then it holds up nobody.
 */
function inOneGo(request: Request, nowMs: number): Promise<ArrayBuffer | Refusal> {
  for (const { sinceMs, giveUp } of underWay) {
    if (nowMs - sinceMs < BODY_WAIT_MS) break;
    giveUp();
  }
  return new Promise((resolve, reject) => {
    const end = (): void => void underWay.delete(reading);
    const reading: Reading = {
      sinceMs: nowMs,
      giveUp: () => {
        end();
        resolve(STALLED);
      },
    };
    underWay.add(reading);
    request.arrayBuffer().then(
      (body) => {
        end();
        resolve(body);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
  });
}

async function counted(
  body: ReadableStream<Uint8Array>,
  clock: Clock,
): Promise<ArrayBuffer | Refusal> {
  const reader = body.getReader();
  let chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const piece = await within(clock, BODY_WAIT_MS, reader.read());
    if (piece === undefined) {
      void reader.cancel().catch(() => undefined);
      return STALLED;
    }
    const { done, value } = piece;
    if (done) break;
    length += value.length;
    if (length <= LIMITS.requestBytesMax) chunks.push(value);
    else chunks = [];
    if (length > DISCARDED_BYTES_MAX) {
      await reader.cancel().catch(() => undefined);
      break;
    }
  }
  return length > LIMITS.requestBytesMax ? tooLarge(length) : joined(chunks, length);
}

/**
 * A request that is too large is read to its end and thrown away, so that its sender, still writing, gets the refusal and
 * not a broken connection; but only up to here.
 */
const DISCARDED_BYTES_MAX = 8 * LIMITS.requestBytesMax;
const ONE_GO_BYTES_MAX = 256 * 1024;

function joined(chunks: readonly Uint8Array[], length: number): ArrayBuffer {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes.buffer;
}
