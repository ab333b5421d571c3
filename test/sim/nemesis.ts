/** Strikes while the clients work: evictions, crashes, disks that refuse, clocks that step. It stops when all is drained. */
import type { Scene } from "./clients/client.ts";
import type { Dice } from "./world/dice.ts";

const STEP_MS_MAX = 2 * 3_600_000;
const STATEMENTS_MAX = 60;

export async function strike(scene: Scene, dice: Dice): Promise<void> {
  const { plan, host, deployment } = scene;
  if (plan.strikeEveryMs === Infinity) return;
  while (!scene.isDraining) {
    await host.clock.pause(-Math.log(1 - dice.roll()) * plan.strikeEveryMs);
    if (scene.isDraining) return;
    const fault = dice.weighted(plan.strikes);
    const awake = host.names(true);
    if (awake.length === 0) continue;
    const name = dice.pick(awake);
    if (fault === "evict") host.evict(name);
    else if (fault === "crash") deployment.crash();
    else if (fault === "disk") host.failIn(name, dice.int(1, STATEMENTS_MAX));
    else host.step(Math.floor((dice.roll() * 2 - 1) ** 3 * STEP_MS_MAX));
    scene.events.push({
      at: host.clock.nowMs(),
      wall: host.wallMs(),
      is: "fault",
      fault: fault === "crash" || fault === "clock" ? fault : `${fault} ${name}`,
    });
  }
}
