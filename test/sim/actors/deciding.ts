/**
 * How whoever prepared a transaction ends it, in the simulator and with a real server: its local transaction commits, or does not, it
 * dies before it says so, is of two minds, or says both. How it says so is its own.
 */
import type { Beliefs } from "../world/beliefs.ts";
import type { Dice } from "../world/dice.ts";

export type Decision = "commit" | "rollback" | "unknown";

export interface Mind {
  readonly dice: Dice;
  readonly beliefs: Beliefs;
  /** Until the local transaction has ended, at most. */
  readonly endMsMax: number;
  /** The weight of a commit, among six others. */
  readonly commits: number;
  /** How likely it is that it says what became of it, once it knows. */
  readonly tells: number;
  pause(delayMs: number): Promise<void>;
  decide(transactionId: string, decision: Decision): Promise<unknown>;
}

export async function endTransaction(mind: Mind, transactionId: string): Promise<void> {
  const { dice, commits } = mind;
  await mind.pause(dice.roll() ** 3 * mind.endMsMax);
  const how = dice.weighted({ commits, rollsBack: 2, dies: 2, wavers: 1, contradicts: 1 });
  if (how === "dies") return;
  const wanted =
    how === "rollsBack" || (how !== "commits" && dice.chance(0.5)) ? "rollback" : "commit";
  // Its own belief may have been overtaken by a check that was told that nothing was there.
  const belief = mind.beliefs.end(transactionId, wanted);
  if (how === "wavers") await mind.decide(transactionId, "unknown");
  const other = belief === "commit" ? "rollback" : "commit";
  if (how === "contradicts")
    await Promise.all([mind.decide(transactionId, belief), mind.decide(transactionId, other)]);
  else if (dice.chance(mind.tells)) await mind.decide(transactionId, belief);
  if (dice.chance(0.1)) await mind.decide(transactionId, belief);
}
