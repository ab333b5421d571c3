/** What a command was called with. What it does not know, or cannot count by, ends it with a line that says so, and code 2. */
import { parseArgs, type ParseArgsConfig } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;
type Values<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>["values"];

export function argumentsOf<T extends Options>(options: T): Values<T> {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    const known = Object.keys(options).map((name) => `--${name}`);
    return refuse(
      `${error instanceof Error ? error.message : String(error)}; known are ${known.join(", ")}`,
    );
  }
}

/** A run of "abc" seeds would pass without playing one. */
export function whole(name: string, text: string, min: number): number {
  const value = Number(text);
  if (/^\d+$/u.test(text) && Number.isSafeInteger(value) && value >= min) return value;
  return refuse(`--${name} must be a whole number from ${min} on, but is "${text}"`);
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}
