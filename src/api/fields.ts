/**
 * The kinds of fields that requests are made of, each with its limit. The numbers stand in protocol/limits.ts.
 */
import { z } from "zod";
import { utf8Length } from "../core/bytes.ts";
import { NAME, nameFault } from "../core/name.ts";
import { LIMITS } from "../protocol/limits.ts";
import { addFault } from "./parse.ts";

/** The last instant that a Date can hold. */
const INSTANT_MAX = 8_640_000_000_000_000;

export const name = z
  .string()
  .check((payload) => {
    const fault = nameFault(payload.value);
    if (fault !== undefined) addFault(payload, fault);
  })
  .meta({ maxLength: LIMITS.nameCharsMax, pattern: NAME.source });

/** Text of 1 to `bytesMax` bytes in UTF-8, without lone surrogates. */
export const words = (bytesMax: number) =>
  z
    .string()
    .check((payload) => {
      const text = payload.value;
      if (!text.isWellFormed()) {
        addFault(payload, { message: "text is well-formed Unicode, without lone surrogates" });
        return;
      }
      const actual = text.length * 3 <= bytesMax ? text.length : utf8Length(text);
      if (text.length === 0)
        addFault(payload, { message: "text is not empty", limit: 1, actual: 0 });
      else if (actual > bytesMax) {
        addFault(payload, {
          message: `at most ${bytesMax} bytes in UTF-8`,
          limit: bytesMax,
          actual,
        });
      }
    })
    .meta({ minLength: 1, maxLength: bytesMax });

export const word = words(LIMITS.wordBytesMax);

export const whole = (min: number, max: number) => z.int().min(min).max(max);
export const instant = whole(0, INSTANT_MAX);
export const invisibleMs = whole(LIMITS.invisibleMsMin, LIMITS.invisibleMsMax);
export const delayMs = whole(0, LIMITS.delayMsMax);

/** A whole number in a query, where everything is text. */
export const queryWhole = (min: number, max: number) =>
  z.preprocess(
    (value) => (typeof value === "string" && /^-?\d{1,16}$/.test(value) ? Number(value) : value),
    z
      .int({ error: ({ code }) => (code === "invalid_type" ? "a whole number" : undefined) })
      .min(min)
      .max(max),
  );

export const page = {
  limit: queryWhole(1, LIMITS.listItemsMax).default(LIMITS.listItemsDefault),
  cursor: z.string().min(1).max(16_384).optional(),
};

/** A request without fields. */
export const nothing = z.strictObject({});
