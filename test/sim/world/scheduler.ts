/** The scheduler over the invented platform, as its shell makes it for Cloudflare: its disk, its alarm, and a Worker that sends. */
import type { Log } from "../../../src/platform/log.ts";
import { callObject } from "../../../src/platform/stub.ts";
import type { Outcome } from "../../../src/protocol/errors.ts";
import type { Firing, SentMessage } from "../../../src/protocol/rpc.ts";
import { Scheduler } from "../../../src/scheduler/scheduler.ts";
import type { Dice } from "./dice.ts";
import type { Host, Wake } from "./host.ts";
import { NAMESPACE } from "./wakes.ts";

const SEND_TIMEOUT_MS = 30_000;
const quiet: Log = { info: () => undefined, error: () => undefined };

/** `send`: what the Worker does; it rejects when that dies. */
export function schedulerWake(
  host: Host,
  dice: Dice,
  send: (firing: Firing) => Promise<Outcome<SentMessage>>,
): Wake {
  return (name, life) => {
    const { disk } = life;
    const scheduler = new Scheduler(
      { sql: disk, transactionSync: (body) => disk.transaction(body) },
      {
        namespace: NAMESPACE,
        send: (firing) =>
          callObject(
            () => send,
            (sender) => host.reach(life, () => sender(firing)),
            {
              attemptsMax: 1,
              timeoutMs: SEND_TIMEOUT_MS,
              clock: life.clock,
              random: dice.roll,
              log: quiet,
            },
          ),
        armedAt: disk.alarmAt,
        setAlarm: (atMs) => {
          disk.setAlarm(atMs);
          host.armed(name);
        },
        newId: () => String(dice.int(0, 2 ** 40)),
        clock: life.clock,
        log: quiet,
      },
    );
    const verbs = {
      admits: scheduler.admits.bind(scheduler),
      put: scheduler.put.bind(scheduler),
      get: scheduler.get.bind(scheduler),
      list: scheduler.list.bind(scheduler),
      pause: scheduler.pause.bind(scheduler),
      delete: scheduler.delete.bind(scheduler),
      poke: () => Promise.resolve(scheduler.poke(disk.alarmAt)),
    };
    return { verbs, alarm: () => Promise.resolve(scheduler.alarm()) };
  };
}
