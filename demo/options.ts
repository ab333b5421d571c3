/** What the command line of the demo says: `--orders 200 --seed 7 --kill-broker`. It refuses what it does not know. */
import { parseArgs } from "node:util";

export interface Options {
  readonly orders: number;
  readonly seed: number;
  readonly killBroker: boolean;
  /** After so long the demo has failed. */
  readonly deadlineMs: number;
}

const ORDERS_MAX = 200;

export function optionsFrom(args: readonly string[]): Options {
  const values = valuesOf(args);
  const seed = values.seed ?? String(Math.floor(Math.random() * 1_000_000));
  return {
    orders: whole("--orders", values.orders, ORDERS_MAX),
    seed: whole("--seed", seed, 2 ** 32 - 1),
    killBroker: values["kill-broker"],
    deadlineMs: whole("--deadline-ms", values["deadline-ms"], 3_600_000),
  };
}

function valuesOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        orders: { type: "string", default: String(ORDERS_MAX) },
        seed: { type: "string" },
        "kill-broker": { type: "boolean", default: false },
        "deadline-ms": { type: "string", default: "300000" },
      },
    }).values;
  } catch (cause) {
    const wrong = cause instanceof Error ? cause.message : String(cause);
    const known = "--orders N, --seed N, --kill-broker and --deadline-ms N";
    throw new Error(`${wrong}; known are ${known}`, { cause });
  }
}

function whole(name: string, text: string, max: number): number {
  const value = Number(text);
  if (!/^\d+$/u.test(text) || value > max) {
    throw new Error(`${name} must be a whole number up to ${max}, but is "${text}"`);
  }
  return value;
}
