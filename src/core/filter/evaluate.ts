/**
 * What a filter's expression says of a message, by the three-valued logic of SQL: an absent property is NULL, a comparison
 * with NULL is unknown, and only what is true passes. It never throws: a text that is not the number or the truth value
 * that it is compared with is unknown, too.
 */
import type { Expression, Order } from "./expression.ts";
import { contains } from "./needle.ts";
import { compareExact, negative, numberOf, type Exact } from "./numbers.ts";

/** NULL and unknown are undefined. */
type Value = string | Exact | boolean | undefined;
type Truth = boolean | undefined;

export type Properties = (name: string) => string | undefined;

/** Does the message with these properties pass? */
export function passes(expression: Expression, properties: Properties): boolean {
  return truthOf(expression, properties) === true;
}

/** A property alone is a text, which is neither true nor false. */
function truthOf(expression: Expression, properties: Properties): Truth {
  const value = valueOf(expression, properties);
  return typeof value === "boolean" ? value : undefined;
}

function valueOf(expression: Expression, properties: Properties): Value {
  switch (expression.kind) {
    case "number":
    case "text":
    case "truth":
      return expression.value;
    case "null":
      return undefined;
    case "property":
      return properties(expression.name);
    case "negative": {
      const value = asNumber(valueOf(expression.of, properties));
      return value === undefined ? undefined : negative(value);
    }
    case "not":
      return not(truthOf(expression.of, properties));
    case "and":
      return joined(expression.of, properties, false);
    case "or":
      return joined(expression.of, properties, true);
    case "equal": {
      const left = valueOf(expression.left, properties);
      return negatedIf(expression.negated, equal(left, valueOf(expression.right, properties)));
    }
    case "order": {
      const left = asNumber(valueOf(expression.left, properties));
      return ordered(left, expression.operator, asNumber(valueOf(expression.right, properties)));
    }
    case "between": {
      const value = asNumber(valueOf(expression.of, properties));
      const low = ordered(value, ">=", asNumber(valueOf(expression.low, properties)));
      const high = ordered(value, "<=", asNumber(valueOf(expression.high, properties)));
      return negatedIf(expression.negated, and(low, high));
    }
    case "in": {
      const value = valueOf(expression.of, properties);
      const is = typeof value === "string" ? expression.texts.has(value) : undefined;
      return negatedIf(expression.negated, is);
    }
    case "search":
      return negatedIf(expression.negated, found(expression, properties));
    case "isNull":
      return (valueOf(expression.of, properties) === undefined) !== expression.negated;
  }
}

/** AND, which one false decides, or OR, which one true decides. */
function joined(parts: readonly Expression[], properties: Properties, decisive: boolean): Truth {
  let result: Truth = !decisive;
  for (const part of parts) {
    const truth = truthOf(part, properties);
    if (truth === decisive) return decisive;
    if (truth === undefined) result = undefined;
  }
  return result;
}

function and(one: Truth, other: Truth): Truth {
  if (one === false || other === false) return false;
  return one === undefined || other === undefined ? undefined : true;
}

const not = (truth: Truth): Truth => (truth === undefined ? undefined : !truth);
const negatedIf = (negated: boolean, truth: Truth): Truth => (negated ? not(truth) : truth);

/** Two texts are compared as texts; else the text becomes what the other one is. */
function equal(left: Value, right: Value): Truth {
  if (left === undefined || right === undefined) return undefined;
  if (typeof left === "string" && typeof right === "string") return left === right;
  if (typeof left === "boolean" || typeof right === "boolean") {
    const one = asTruth(left);
    const other = asTruth(right);
    return one === undefined || other === undefined ? undefined : one === other;
  }
  return ordered(asNumber(left), "=", asNumber(right));
}

function ordered(left: Exact | undefined, operator: Order | "=", right: Exact | undefined): Truth {
  if (left === undefined || right === undefined) return undefined;
  const compared = compareExact(left, right);
  switch (operator) {
    case "=":
      return compared === 0;
    case ">":
      return compared > 0;
    case ">=":
      return compared >= 0;
    case "<":
      return compared < 0;
    case "<=":
      return compared <= 0;
  }
}

/** Looking for nothing has no answer. */
function found(
  { of, how, needle }: Extract<Expression, { kind: "search" }>,
  properties: Properties,
): Truth {
  const value = valueOf(of, properties);
  if (typeof value !== "string" || needle.text === "") return undefined;
  if (how === "contains") return contains(value, needle);
  return how === "startsWith" ? value.startsWith(needle.text) : value.endsWith(needle.text);
}

function asNumber(value: Value): Exact | undefined {
  if (typeof value === "string") return numberOf(value);
  return typeof value === "boolean" ? undefined : value;
}

function asTruth(value: Value): Truth {
  if (typeof value === "boolean") return value;
  if (typeof value !== "string" || value.length > "false".length) return undefined;
  const word = value.toLowerCase();
  return word === "true" || word === "false" ? word === "true" : undefined;
}
