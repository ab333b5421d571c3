/**
 * Topics with `"durability": "memory"`: their sends are answered before the disk, so that a crash may lose the last of them.
 * What is received, waits for a time, or belongs to a transaction is on disk as everywhere.
 */
import { messageId } from "../core/ids.ts";
import { readRecordHead, unframe } from "../core/record.ts";
import type { SendCall, TopicRoute } from "../protocol/rpc.ts";
import type { Facts } from "./storage/facts.ts";

/** May the call be answered before its messages are on disk? */
export function mayBeLost(route: TopicRoute | undefined, call: SendCall): boolean {
  if (route?.settings.durability !== "memory") return false;
  return unframe(call.records).every((record) => {
    const { delayMs, deliverAt, bodyRef } = readRecordHead(record);
    return delayMs === undefined && deliverAt === undefined && bodyRef === undefined;
  });
}

/** Ids of messages that may be lost: an offset may be given again after a crash, so the object's life stands beside it. */
export class SoftIds {
  readonly #facts: Facts;
  #life: number | undefined;

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  /** The id of a message that gets the offset in this life. */
  at(incarnation: number, queue: number, offset: number): string {
    this.#life ??= this.#begin();
    return messageId({
      incarnation,
      queue,
      origin: "memory",
      position: offset,
      index: this.#life,
    });
  }

  #begin(): number {
    const life = Number(this.#facts.get("life") ?? 0) + 1;
    this.#facts.set("life", String(life));
    return life;
  }
}
