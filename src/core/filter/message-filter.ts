/**
 * A group's filter ready for use: what of a record it reads, and whether the message passes. Made once for each change of
 * the settings; it keeps nothing of the messages that it sees and never looks at a body.
 */
import type { Filter } from "../../protocol/topic.ts";
import { readRecordHead, readRecordWords } from "../record.ts";
import { passes } from "./evaluate.ts";
import { partsOf, type Expression } from "./expression.ts";
import { parseFilter } from "./parser.ts";

export interface MessageFilter {
  /** Work on a message, in messages that a plain scan would look at instead; at least 1. */
  readonly cost: number;
  matches(record: Uint8Array): boolean;
}

/** Expressions evaluated in about the time that a scan needs for a message anyway. */
const EXPRESSIONS_PER_COST = 8;

export function makeFilter(filter: Filter): MessageFilter {
  if ("tags" in filter) {
    const tags = new Set(filter.tags);
    return {
      cost: 1,
      matches(record) {
        const { tag } = readRecordHead(record);
        return tag !== undefined && tags.has(tag);
      },
    };
  }
  const parsed = parseFilter(filter.sql);
  // Settings hold only what was parsed before it was stored.
  if (!parsed.ok) throw new Error(`a stored filter does not parse: ${parsed.message}`);
  return sqlFilter(parsed.expression);
}

function sqlFilter(expression: Expression): MessageFilter {
  const names = new Set<string>();
  let expressions = 0;
  const open = [expression];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    expressions++;
    if (each.kind === "property") names.add(each.name);
    open.push(...partsOf(each));
  }
  return {
    cost: 1 + Math.floor(expressions / EXPRESSIONS_PER_COST),
    matches(record) {
      const { tag, keys, properties } = readRecordWords(record, names);
      return passes(expression, (name) => {
        // RocketMQ's names: the tag, and all keys with blanks between them, whatever a producer's properties are called.
        if (name === "TAGS") return tag;
        return name === "KEYS" ? keys?.join(" ") : properties.get(name);
      });
    },
  };
}
