/** Tags: the topic's labels, but for those that the door keeps for itself. */
import { OWN_LABEL, type Queue } from "./context.ts";
import { fault, type Fault } from "./faults.ts";

const KEY_CHARS_MAX = 128;
const VALUE_CHARS_MAX = 256;

export const tagsOf = ({ route }: Queue): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(route.settings.labels ?? {}).filter(([name]) => !name.startsWith(OWN_LABEL)),
  );

/** Why these are no tags. How many a queue may have together is the broker's to say. */
export function tagFault(tags: Readonly<Record<string, string>>): Fault | undefined {
  for (const [key, value] of Object.entries(tags)) {
    if (key === "" || key.length > KEY_CHARS_MAX || !key.isWellFormed())
      return fault("InvalidParameterValue", `A tag's key has 1 to ${KEY_CHARS_MAX} characters.`);
    if (value.length > VALUE_CHARS_MAX || !value.isWellFormed())
      return fault(
        "InvalidParameterValue",
        `A tag's value has at most ${VALUE_CHARS_MAX} characters.`,
      );
    if (key.startsWith(OWN_LABEL))
      return fault(
        "InvalidParameterValue",
        `Tags that begin with ${OWN_LABEL} belong to the broker.`,
      );
  }
  return undefined;
}
