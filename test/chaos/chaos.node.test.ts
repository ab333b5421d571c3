/** A short share of `npm run chaos`: the broker as `npm start` runs it, killed, frozen and cut off under load, keeps every promise. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { playChaos } from "./chaos.ts";

const SECONDS = 6;

test(
  "what clients saw of a broker that is struck all the time keeps every promise",
  { timeout: 900_000 },
  async () => {
    const dataFolder = await mkdtemp(join(tmpdir(), "halfmq-chaos-test-"));
    const { violations, ran, strikes } = await playChaos({ seed: 7, seconds: SECONDS, dataFolder });
    expect(violations).toEqual([]);
    expect(ran.events.length).toBeGreaterThan(0);
    expect(Object.keys(strikes).length).toBeGreaterThan(0);
    await rm(dataFolder, { recursive: true, force: true });
  },
);
