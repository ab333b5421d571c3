/**
 * The objects that deliver a group's messages by themselves: they are told when the group has something. At queue 0, which
 * hears of every queue. It never waits for a delivery and never decides one.
 *
 * [A1] A group that pushes and has something visible is told of again until it has nothing: the queue's alarm is armed for
 * that (`watchAt`), so that neither a lost call nor a crash between the commit and the call leaves a message lying.
 * [A2] A group's gateway is told as long as somebody listens there: that is on disk, and ends when the gateway says so.
 */
import { accept, type Outcome } from "../../protocol/errors.ts";
import type { GroupRoute, TopicRoute } from "../../protocol/rpc.ts";
import type { Group } from "../delivery/group.ts";
import type { QueueStore } from "../store.ts";

/** When a group that still has something visible is told of anew; the alarm of its leases is armed later than that. */
const TELL_AGAIN_MS = 20_000;
const STREAMS = "streams";

export interface AttendantPorts {
  push(route: TopicRoute, group: GroupRoute, queue: number): Promise<void>;
  /** False: nobody listens. */
  stream(route: TopicRoute, group: GroupRoute, queue: number): Promise<boolean>;
  streamEnded(route: TopicRoute, group: GroupRoute): Promise<void>;
}

interface Ground {
  readonly store: () => Pick<QueueStore, "facts">;
  run(command: () => Outcome<undefined>): Promise<unknown>;
}

const pushes = ({ settings: { push }, paused }: GroupRoute): boolean =>
  push !== undefined && push.disabled === undefined && !paused;

export class Attendants {
  readonly #ports: AttendantPorts;
  readonly #ground: Ground;
  /** Numbers of groups whose gateway listens, and which call said so last; read from the store when first needed. */
  #streams: Map<number, number> | undefined;
  /** Calls that said so. No two have a number, also where somebody went in between: what is said of the one holds not of the other. */
  #calls = 0;

  constructor(ports: AttendantPorts, ground: Ground) {
    this.#ports = ports;
    this.#ground = ground;
  }

  /** Is there somebody to be told of this group? */
  has(group: GroupRoute): boolean {
    return pushes(group) || this.#listening.has(group.number);
  }

  /** Fulfilled when everybody who delivers for the group knows that this queue has something. */
  async tell(route: TopicRoute, group: GroupRoute, queue: number): Promise<void> {
    const pushed = pushes(group) ? this.#ports.push(route, group, queue) : undefined;
    const call = this.#listening.get(group.number);
    const isHeard = call === undefined || (await this.#ports.stream(route, group, queue));
    if (!isHeard) await this.#ground.run(() => this.#unlisten(group.number, call));
    await pushed;
  }

  /** [A1] */
  watchAt(group: Pick<Group, "route" | "mayHave">, nowMs: number): number | undefined {
    return pushes(group.route) && group.mayHave ? nowMs + TELL_AGAIN_MS : undefined;
  }

  /** [A2] Inside a flush. */
  listen(group: number): void {
    const isNew = !this.#listening.has(group);
    this.#listening.set(group, ++this.#calls);
    if (isNew) this.#save();
  }

  /** The group is gone, inside a flush; the returned call tells who listened. */
  forget(route: TopicRoute, group: GroupRoute): () => void {
    if (!this.#listening.delete(group.number)) return () => undefined;
    this.#save();
    return () => void this.#ports.streamEnded(route, group).catch(() => undefined);
  }

  /** Another topic begins in this object. */
  clear(): void {
    this.#streams = undefined;
  }

  /** Unless somebody came while the last one was asked. */
  #unlisten(group: number, call: number): Outcome<undefined> {
    if (this.#listening.get(group) === call && this.#listening.delete(group)) this.#save();
    return accept(undefined);
  }

  get #listening(): Map<number, number> {
    if (this.#streams !== undefined) return this.#streams;
    const text = this.#ground.store().facts.get(STREAMS);
    const numbers = text === undefined ? [] : (JSON.parse(text) as number[]);
    this.#streams = new Map(numbers.map((number) => [number, 0]));
    return this.#streams;
  }

  #save(): void {
    const numbers = JSON.stringify([...this.#listening.keys()]);
    this.#ground.store().facts.set(STREAMS, numbers);
  }
}
