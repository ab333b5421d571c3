/** A schema of objects whose members have any names. It never leaves one out without a word. */
import { z } from "zod";

const ODD = "__proto__";

/**
 * As zod's record, which would drop a member that is called `__proto__`; here it is refused. Without `nonoptional` whatever is
 * preprocessed passes for optional, in the description, too.
 */
export const members = <V extends z.ZodType>(names: z.ZodString, values: V) =>
  z.nonoptional(
    z.preprocess(
      (value, context) => {
        const isOdd = typeof value === "object" && value !== null && Object.hasOwn(value, ODD);
        if (isOdd) {
          const message = "no member may have this name";
          context.issues.push({ code: "custom", message, path: [ODD], input: value });
        }
        return value;
      },
      z.record(names, values),
    ),
  );
