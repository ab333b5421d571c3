/** Large bodies and old segments at the end of a run: what is given up leaves the bucket, and what is then left is read. */
import { named } from "../kit/bucket.node.ts";
import type { Scene } from "./clients/client.ts";
import type { Rest } from "./history.ts";

type Answered = Rest["answered"];

/** An upload is expected for an hour; the rest is for deleting. */
const BIN_MS = 80 * 60_000;
/** The cron trigger pokes every object so often. */
export const WATCHDOG_MS = 300_000;

/** Uploads that led to nothing are given up, also those that never arrived, and what nobody needs leaves the bucket. */
export async function emptyBin(scene: Pick<Scene, "deployment" | "host">): Promise<void> {
  const { deployment, host } = scene;
  if (deployment.bucket.objects.length === 0 && answeredFor(scene).length === 0) return;
  for (let passedMs = 0; passedMs < BIN_MS; passedMs += WATCHDOG_MS) {
    await host.clock.pause(WATCHDOG_MS);
    await deployment.watchdog();
  }
}

/** What each queue answers for. Read from the disks, since no verb tells it. */
export function answeredFor({ host }: Pick<Scene, "host">): Answered {
  return host.names(false).flatMap((queue) => {
    const disk = host.disk(queue);
    const [table] = disk?.exec("SELECT 1 FROM sqlite_master WHERE name = 'large_body'") ?? [];
    if (disk === undefined || table === undefined) return [];
    return disk.exec("SELECT state, key FROM large_body").map((row) => ({
      queue,
      state: Number(row["state"]),
      key: named(row["key"] as Uint8Array),
    }));
  });
}
