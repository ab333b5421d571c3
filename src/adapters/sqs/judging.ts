/** Whether an input is what its action takes; the fault names the parameter, as SQS does. It never says more than the first fault. */
import type { z } from "zod";
import { WORDS } from "../../protocol/words.ts";
import { done, fault, type Fault, type Result } from "./faults.ts";

export function judge<S extends z.ZodType>(schema: S, input: unknown): Result<z.output<S>> {
  const judged = schema.safeParse(input, WORDS);
  return judged.success ? done(judged.data) : inputFault(judged.error.issues[0], input);
}

function inputFault(issue: z.core.$ZodIssue | undefined, input: unknown): Fault {
  const path = issue?.path ?? [];
  const name = path.map(String).join(".");
  const value = path.reduce<unknown>(
    (found, key) =>
      typeof found === "object" && found !== null ? Reflect.get(found, key) : undefined,
    input,
  );
  if (path.length > 0 && value === undefined)
    return fault("MissingParameter", `The request must contain the parameter ${name}.`);
  const reason = issue?.message ?? "It is not what the action takes";
  return fault(
    "InvalidParameterValue",
    `Value for parameter ${name} is invalid. Reason: ${reason}`,
  );
}
