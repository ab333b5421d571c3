/**
 * A filter's expression as a tree: plain data that the parser makes and the evaluator reads. It says nothing of how the
 * text was written; parentheses and signs before literals are gone.
 */
import type { Needle } from "./needle.ts";
import type { Exact } from "./numbers.ts";

/** What the order operators compare by. */
export type Order = ">" | ">=" | "<" | "<=";

export type Search = "contains" | "startsWith" | "endsWith";

export type Expression =
  | { readonly kind: "number"; readonly value: Exact }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "truth"; readonly value: boolean }
  | { readonly kind: "null" }
  | { readonly kind: "property"; readonly name: string }
  | { readonly kind: "negative"; readonly of: Expression }
  | { readonly kind: "not"; readonly of: Expression }
  /** Two parts or more, none of them of the same kind unless it stood in parentheses. */
  | { readonly kind: "and" | "or"; readonly of: readonly Expression[] }
  | {
      readonly kind: "equal";
      readonly left: Expression;
      readonly right: Expression;
      readonly negated: boolean;
    }
  | {
      readonly kind: "order";
      readonly operator: Order;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: "between";
      readonly of: Expression;
      readonly low: Expression;
      readonly high: Expression;
      readonly negated: boolean;
    }
  | {
      readonly kind: "in";
      readonly of: Expression;
      readonly texts: ReadonlySet<string>;
      readonly negated: boolean;
    }
  | {
      readonly kind: "search";
      readonly how: Search;
      readonly of: Expression;
      readonly needle: Needle;
      readonly negated: boolean;
    }
  | { readonly kind: "isNull"; readonly of: Expression; readonly negated: boolean };

/** The expressions right below one, in the order of the text. */
export function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case "number":
    case "text":
    case "truth":
    case "null":
    case "property":
      return [];
    case "and":
    case "or":
      return expression.of;
    case "equal":
    case "order":
      return [expression.left, expression.right];
    case "between":
      return [expression.of, expression.low, expression.high];
    case "negative":
    case "not":
    case "in":
    case "search":
    case "isNull":
      return [expression.of];
  }
}
