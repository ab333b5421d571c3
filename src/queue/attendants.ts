/**
 * The objects that deliver a group's messages by themselves: they are told when the group has something. At queue 0, which
 * hears of every queue. It never waits for a delivery and never decides one.
 *
 * [A1] A group that pushes and has something visible is told of again until it has nothing: the queue's alarm is armed for
 * that (`watchAt`), so that neither a lost call nor a crash between the commit and the call leaves a message lying.
 */
import type { GroupRoute, TopicRoute } from "../protocol/rpc.ts";

/** When a group that still has something visible is told of anew; the alarm of its leases is armed later than that. */
const TELL_AGAIN_MS = 20_000;

export interface AttendantPorts {
  push(route: TopicRoute, group: GroupRoute, queue: number): Promise<void>;
}

const pushes = ({ settings: { push }, paused }: GroupRoute): boolean =>
  push !== undefined && push.disabled === undefined && !paused;

export class Attendants {
  readonly #ports: AttendantPorts;

  constructor(ports: AttendantPorts) {
    this.#ports = ports;
  }

  /** Is there somebody to be told of this group? */
  has(group: GroupRoute): boolean {
    return pushes(group);
  }

  /** Fulfilled when everybody who delivers for the group knows that this queue has something. */
  async tell(route: TopicRoute, group: GroupRoute, queue: number): Promise<void> {
    if (pushes(group)) await this.#ports.push(route, group, queue);
  }

  /** [A1] */
  watchAt(group: GroupRoute, mayHave: boolean, nowMs: number): number | undefined {
    return mayHave && pushes(group) ? nowMs + TELL_AGAIN_MS : undefined;
  }
}
