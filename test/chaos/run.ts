/**
 * `npm run chaos -- --seconds S --seed N [--keep]`: a real broker under load and strikes, checked, with a report of it. The
 * seed rules what is planned, not the exact moments. Where a tmpfs can be mounted the broker's disk is one, and is filled
 * now and then. Exit code 1 when a promise is broken; then the history and the log are kept.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argumentsOf, whole } from "../kit/arguments.node.ts";
import { playChaos } from "./chaos.ts";
import { report } from "./report.ts";
import { SmallDisk } from "./small-disk.ts";

const DISK_MB = 512;

const values = argumentsOf({
  seed: { type: "string", default: "1" },
  seconds: { type: "string", default: "60" },
  keep: { type: "boolean", default: false },
});
const seed = whole("seed", values.seed, 0);
const seconds = whole("seconds", values.seconds, 1);
const folder = await mkdtemp(join(tmpdir(), "halfmq-chaos-"));
const disk = await SmallDisk.mount(DISK_MB);
if (typeof disk === "string") console.log(disk);
const dataFolder = join(typeof disk === "string" ? folder : disk.folder, "data");
let isKept = values.keep;
const tidy = async (): Promise<void> => {
  if (typeof disk !== "string") await disk.unmount();
  if (isKept) console.log(`kept: ${folder}`);
  else await rm(folder, { recursive: true, force: true });
};
// The broker ends with this process; a mounted disk would stay.
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void tidy().finally(() => process.exit(1)));
try {
  const chaos = await playChaos({
    seed,
    seconds,
    dataFolder,
    ...(typeof disk === "string" ? {} : { disk }),
  });
  const { ran, log, violations } = chaos;
  console.log(report(chaos, `npm run chaos -- --seconds ${seconds} --seed ${seed}`));
  if (violations.length > 0) {
    isKept = true;
    process.exitCode = 1;
  }
  await writeFile(join(folder, "history.json"), JSON.stringify({ ...ran, violations }));
  await writeFile(join(folder, "broker.log"), log);
} finally {
  await tidy();
}
