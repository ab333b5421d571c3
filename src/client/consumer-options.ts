/** What a consumer, its receives and its loops may be told. */
import type { Gap } from "./gap-watch.ts";
import type { CallOptions } from "./http.ts";
import type { Message } from "./message.ts";
import type { GroupInput } from "./settings.ts";
import type { SocketMaker } from "./stream-line.ts";

/** How a consumer works. */
export interface ConsumerOptions {
  /**
   * Settings of the group, written by a `PUT` before the first receive: `{startFrom: "latest", ordered: true}`.
   * What is left out keeps its value; the key needs the scope `manage`. `startFrom` and `mode` of a group that exists cannot
   * change (`immutable_field`). Default none: the group is made by the first receive, with the broker's defaults.
   */
  readonly settings?: GroupInput;
  /** Who this is, in a group of `mode: "broadcast"` (there required) and in the stats. Default none. */
  readonly consumerId?: string;
  /**
   * How long an ack waits for company. Raising it saves requests and makes it likelier that a crash redelivers what was done.
   * It does not hold up a subscription's handlers. 0 sends with the next turn of the event loop. Default 5 ms.
   */
  readonly ackLingerMs?: number;
  /**
   * Hears of everything that a loop rides out, and of each handler's error, with its message where there is one.
   * Default: nothing; what ends a subscription is also in its `done`.
   */
  readonly onError?: (error: unknown, message?: Message) => void;
  /**
   * Hears of messages that the topic's audit cannot account for: offsets that are missing in the log, or that this group is done
   * with and nobody acked, buried, expired or filtered. While a loop or subscription runs the audit is asked every `auditMs`; others
   * of the group, retries and filters are accounted for, since the broker compares. Default: nothing is asked.
   */
  readonly onGap?: (gap: Gap) => void;
  /**
   * How often `onGap` has the audit asked; while nothing comes, once a second at most. Lowering it finds a gap sooner and costs a
   * request each time. Default 60,000 ms.
   */
  readonly auditMs?: number;
  /** How a stream's WebSocket is made. Default the runtime's own, which Node has from version 22 on. */
  readonly webSocket?: SocketMaker;
}

/** One raw receive. */
export interface ReceiveOptions extends CallOptions {
  /** The most messages, 1–1,000. Raising it saves requests; all of them must be done within their lease. Default 16. */
  readonly maxMessages?: number;
  /** How long the broker may wait for a first message, 0–20,000 ms. Raising it saves empty answers. Default 0: answers at once. */
  readonly waitMs?: number;
  /** The lease, 100 ms–12 h. Raising it gives slow work time; a crash then holds the message longer. Default the group's. */
  readonly invisibleMs?: number;
  /** The same one again gives the same batch while its lease lasts. Default: a new one for each call, kept across its retries. */
  readonly attemptId?: string;
  /**
   * Whether this `attemptId` was used before: true finds what a lost answer held, in whatever queue, and false saves the calls for looking.
   * Give it with an `attemptId` of your own. Default: known where the id is the client's; else the broker takes either for possible.
   */
  readonly repeat?: boolean;
}

/** How a loop over messages receives. */
export interface LoopOptions {
  /**
   * The most messages in hand, the ones being handled included, 1–1,000. Raising it saves requests; a crash then redelivers more.
   * At least `concurrency`. In an `ordered` group one message is fetched at a time, so that a failed one costs its followers no
   * attempt. Default 16.
   */
  readonly maxMessages?: number;
  /** How long the broker may wait for a first message, up to 20,000 ms. Lowering it makes more empty requests. Default 20,000 ms. */
  readonly waitMs?: number;
  /**
   * The lease, 100 ms–12 h; it is prolonged by itself each time half of it has passed, for as long as a handler runs.
   * Raising it saves requests; a crash then holds its messages longer. Default the group's `invisibleMs`.
   */
  readonly invisibleMs?: number;
}

/** How a subscription works. */
export interface SubscribeOptions extends LoopOptions {
  /**
   * Handlers at a time. Raising it helps handlers that wait for others; messages of no common `messageGroup`, and all of a group
   * that is not `ordered`, may then end in another order than they came. Default 1.
   */
  readonly concurrency?: number;
  /**
   * Over a WebSocket, on which messages come as soon as they are there and acks go back: fewer requests, less waiting; a line
   * is held open. `waitMs` and `invisibleMs` are of no use then: the lease is the group's. Default false: long polls.
   */
  readonly stream?: boolean;
}
