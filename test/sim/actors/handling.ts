/**
 * What a consumer does with what it was given, in the simulator and with a real server: it acks, gives back, prolongs, forgets,
 * or comes late. How it says so is its own.
 */
import type { Delivery } from "../history.ts";
import type { Dice } from "../world/dice.ts";

export type SettleVerb = "ack" | "nack" | "extend";
type Habit = "ack" | "nack" | "extend" | "forget" | "late";

export interface Hands {
  readonly dice: Dice;
  /** Weights. */
  readonly habits: Readonly<Record<Habit, number>>;
  /** The longest lease that it asks for; whoever is late is so by about that. */
  readonly invisibleMsMax: number;
  pause(delayMs: number): Promise<void>;
  settle(verb: SettleVerb, deliveries: readonly Delivery[]): Promise<unknown>;
}

export async function handle(hands: Hands, deliveries: readonly Delivery[]): Promise<void> {
  const { dice } = hands;
  const rest: Delivery[] = [];
  for (const delivery of deliveries) {
    const how = dice.weighted(hands.habits);
    if (how === "ack") rest.push(delivery);
    else if (how === "nack") await hands.settle("nack", [delivery]);
    else if (how === "extend") {
      await hands.settle("extend", [delivery]);
      rest.push(delivery);
    } else if (how === "late") {
      await hands.pause(hands.invisibleMsMax * (0.5 + dice.roll()));
      await hands.settle(dice.pick(["ack", "nack", "extend"]), [delivery]);
    }
  }
  if (rest.length > 0) await hands.settle("ack", rest);
}
