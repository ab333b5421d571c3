/** What a peer is to the benches: how it is started, and what one client connection of it does. */

/** Messages of a batch. */
export const BATCH = 100;
/** A body of 256 bytes, as JSON text. */
export const BODY = `"${"x".repeat(254)}"`;

export interface Peer {
  readonly name: string;
  /** What a client speaks, through which library. */
  readonly protocol: string;
  /** What an answer promises. */
  readonly durability: string;
  /** There is no receive: it counts what it delivered. */
  readonly pushes?: true;
  /** Why it cannot run on this machine; undefined when it can. */
  readonly missing: () => string | undefined;
  readonly start: () => Promise<RunningPeer>;
}

export interface RunningPeer {
  /** The server's process. */
  readonly pid: number;
  readonly connect: () => Promise<PeerClient>;
  /** Messages handed to consumers and done since the start, of a peer that pushes. */
  readonly delivered?: () => Promise<number>;
  readonly stop: () => Promise<void>;
}

/** One connection. Each call is fulfilled when the server has answered that it is done. */
export interface PeerClient {
  readonly send: () => Promise<unknown>;
  /** `BATCH` messages, all answered for. */
  readonly sendBatch: () => Promise<unknown>;
  /** Takes one message and settles it; absent where a peer only pushes. */
  readonly receiveAck?: () => Promise<unknown>;
  readonly close: () => Promise<unknown>;
}
