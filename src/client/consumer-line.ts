/**
 * The stream of a consumer's group: a line whose messages are settled on it, acks together, and by HTTP while it is broken. It
 * settles a message only when the message is told to.
 */
import { isHalfmqError } from "./error.ts";
import type { Http } from "./http.ts";
import type { KeeperPort } from "./lease-keeper.ts";
import { Linger } from "./linger.ts";
import { type DeliveredData, Message, type MessagePort } from "./message.ts";
import { query } from "./path.ts";
import type { NackOptions, ReceiptResult, Receipts } from "./receipts.ts";
import { type LineRoom, runtimeSocket, type SocketMaker, StreamLine } from "./stream-line.ts";

type Settling = Promise<ReceiptResult | undefined>;

export interface ConsumerLineParts {
  /** The path of the stream. */
  readonly stream: string;
  readonly consumerId?: string;
  readonly webSocket?: SocketMaker;
  readonly room: LineRoom;
  readonly ackLingerMs: number;
  readonly signal: AbortSignal;
  /** The verbs of messages that come otherwise; of these ack and nack are replaced. */
  readonly port: MessagePort;
  /** The way by HTTP. */
  readonly receipts: Receipts;
  /** Keeps account of what is on its way, and hears of what was refused. */
  readonly settle: (message: Message, settling: Settling) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/** A line, and the acks that wait to be said on it. */
export interface ConsumerLine<T> {
  readonly line: StreamLine<Message<T>>;
  /** Prolongs leases. */
  readonly extend: KeeperPort["extend"];
  /** Sends the acks that wait, and is fulfilled when they were answered. Never rejects. */
  readonly flush: () => Promise<void>;
}

export function consumerLine<T>(http: Http, parts: ConsumerLineParts): ConsumerLine<T> {
  const { stream, consumerId, webSocket = runtimeSocket, signal, receipts } = parts;
  const { url, protocols } = http.socket(`${stream}${query({ consumerId })}`);
  const line: StreamLine<Message<T>> = new StreamLine(
    {
      clock: http.clock,
      retry: http.retry,
      open: () => webSocket(url, protocols),
      diagnose: () => whyNoStream(http, stream, signal),
      message: (data, bodyText) => new Message<T>(data as DeliveredData<T>, bodyText, port),
      onError: parts.onError,
    },
    parts.room,
    signal,
  );
  const acks = new Linger<string, ReceiptResult>(http.clock, {
    lingerMs: parts.ackLingerMs,
    weigh: () => 1 / ACKS_MAX,
    send: async (some) => {
      const results = (await line.settle("ack", some)) ?? (await receipts.ack(some));
      return results.map((value) => ({ status: "fulfilled", value }));
    },
  });
  const nack = async ({ receipt }: Message, { signal: until, ...how }: NackOptions) => {
    const said = await line.settle("nack", [receipt], how);
    const byHttp = { ...how, ...(until === undefined ? {} : { signal: until }) };
    const [result] = said ?? (await receipts.nack([receipt], byHttp));
    return result;
  };
  const port: MessagePort = {
    ...parts.port,
    ack: (message) => parts.settle(message, acks.add(message.receipt)),
    nack: (message, how) => parts.settle(message, nack(message, how)),
  };
  return {
    line,
    extend: async (some, invisibleMs) =>
      (await line.settle("extend", some, { invisibleMs })) ?? receipts.extend(some, invisibleMs),
    flush: () => acks.flush(),
  };
}

/** A frame of so many receipts of the longest kind is one that the broker still takes (256 Ki characters). */
const ACKS_MAX = 250;

/** A WebSocket does not say why it did not open: the same route without one does. */
async function whyNoStream(http: Http, path: string, signal: AbortSignal): Promise<void> {
  try {
    await http.call({ method: "GET", path, signal });
  } catch (error) {
    // Refused for not being a WebSocket: everything else was right.
    if (!isHalfmqError(error, "invalid_request")) throw error;
  }
}
