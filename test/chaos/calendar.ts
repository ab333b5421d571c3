/** Schedules of a chaos run: set before the strikes, paused and resumed meanwhile, and read at the end. It judges nothing. */
import type { SeenSchedule } from "../sim/checker/calendar.ts";
import { http } from "./clients/caller.ts";
import type { Scene } from "./scene.ts";

export const CALENDAR_TOPIC = "calendar";

export interface ChaosSchedule extends SeenSchedule {
  readonly isPaused: boolean;
  readonly pauses: SeenSchedule["pauses"][number][];
  set: SeenSchedule["set"];
}

const schedule = (
  name: string,
  seconds: number,
  own: Partial<ChaosSchedule> = {},
): ChaosSchedule => ({
  name,
  stepMs: seconds * 1_000,
  missed: "skip",
  isPaused: false,
  pauses: [],
  set: { from: 0, to: 0 },
  ...own,
});

export const drawSchedules = (): ChaosSchedule[] => [
  schedule("each", 1),
  schedule("once", 2, { missed: "once" }),
  schedule("paused", 1, { isPaused: true }),
];

export async function setSchedules(scene: Scene, waitMs: number): Promise<void> {
  for (const seen of scene.schedules) {
    const { name, stepMs, missed } = seen;
    const path = `/v1/schedules/${name}`;
    const body = {
      topic: CALENDAR_TOPIC,
      cron: `*/${stepMs / 1_000} * * * * *`,
      message: { body: { of: name } },
      missed,
    };
    const { createdAt } = await http<{ createdAt: number }>(scene, "PUT", path, { body, waitMs });
    seen.set = { from: createdAt, to: createdAt };
  }
}
