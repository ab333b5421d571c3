/**
 * What is said to and of the objects that deliver a group's messages by themselves. Plain data, private to one deployed
 * version.
 */
import type { GroupRoute, Stamp } from "./route.ts";

/** A group as an object knows it that delivers its messages over all queues of the topic. */
export interface GroupSeat {
  readonly namespace: string;
  readonly topic: string;
  readonly stamp: Stamp;
  readonly queues: number;
  readonly group: GroupRoute;
}

/** A group that pushes, with what signs; `version` rises with each change of the push, its secrets or its pause. */
export interface PushRecord extends GroupSeat {
  readonly version: number;
  readonly secrets: readonly { readonly secret: string; readonly untilAt?: number }[];
}

/** How a push is doing, as people are shown it. */
export interface PushState {
  /** `waiting`: the endpoint failed, and is tried again at `nextTryAt`. */
  readonly state: "active" | "waiting" | "paused" | "disabled";
  readonly openCalls: number;
  /** Calls that failed since the last one that did not. */
  readonly failures: number;
  readonly nextTryAt?: number;
  readonly lastCallAt?: number;
  readonly lastSuccessAt?: number;
  readonly lastFailure?: { readonly at: number; readonly reason: string; readonly status?: number };
}

/** RPC of `PusherObject`: one per group that pushes. It delivers; it never decides. */
export interface PusherRpc {
  /**
   * Written through by the registry before it answers. `undefined`: what was known up to `upTo` is over, and its storage
   * goes. Older news than the known is ignored. Idempotent.
   */
  configure(
    record: PushRecord | undefined,
    upTo: { incarnation: number; version: number },
  ): Promise<void>;
  /** A queue has something for the group. */
  ring(incarnation: number, group: number, queue: number): Promise<void>;
  state(): Promise<PushState | undefined>;
}

/** The subprotocol that a stream answers to a client that offers it. */
export const STREAM_PROTOCOL = "halfmq";

/** A key as it was when a socket was let in. */
export interface KeyMark {
  readonly name: string;
  /** Of its secret; the key that bears the name now has another one when it was made anew. */
  readonly hash: string;
  readonly expiresAt?: number;
}

/** What a gateway is told of a socket that was let in. */
export interface StreamOpening {
  readonly namespace: string;
  readonly topic: string;
  readonly group: string;
  readonly consumerId?: string;
  /** Absent: the root key. */
  readonly key?: KeyMark;
  /** The client offered the subprotocol. */
  readonly protocol?: boolean;
}

/** RPC of `GatewayObject`, one per group that is streamed; sockets come by its `fetch`. */
export interface GatewayRpc {
  /** A queue has something for the group. False: nobody listens any more. */
  ring(incarnation: number, group: number, queue: number): Promise<boolean>;
  /** The group or its topic is deleted. */
  ended(incarnation: number, group: number): Promise<void>;
}
