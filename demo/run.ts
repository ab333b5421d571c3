/**
 * `npm run demo`: sells the orders of orders.csv through a real broker with two real databases, while its services (and, with
 * --kill-broker, the broker) are killed, then compares what each of them believes. Exit 1 for any difference, and for a run
 * that does not end in time. It leaves no process behind, and its folder only when it failed.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Options, optionsFrom } from "./options.ts";
import { Play } from "./play.ts";
import { table } from "./table.ts";

async function main(options: Options): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "halfmq-demo-"));
  const startedAt = performance.now();
  const seconds = (): string => ((performance.now() - startedAt) / 1_000).toFixed(1);
  console.log(
    `${options.orders} orders, seed ${options.seed}${options.killBroker ? ", the broker is killed too" : ""}`,
  );
  const play = new Play(options, folder);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => play.fail(new Error(`stopped by ${signal}`)));
  }
  try {
    const { rows, faults } = await play.run();
    console.log(table([...rows, ["seconds", seconds()]]));
    if (faults.length === 0) {
      await rm(folder, { recursive: true, force: true });
      console.log("The databases agree.");
      return;
    }
    for (const fault of faults.slice(0, 20)) console.error(`DIFFERENCE: ${fault}`);
    console.error(`${faults.length} differences; all files are in ${folder}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.error(`demo: failed after ${seconds()} s: ${reason}`);
    console.error(`The files are in ${folder}; again with --seed ${options.seed}`);
    console.error(play.brokerLog());
  }
  process.exitCode = 1;
}

try {
  await main(optionsFrom(process.argv.slice(2)));
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
// A request of a run that was given up may still wait for its next try.
process.exit();
