/** The text of a body is kept exactly as it came, whatever stands around it. */
import { array, assert, constantFrom, jsonValue, property, tuple } from "../kit/properties.node.ts";
import { expect, test } from "vitest";
import { decodeText, encodeText } from "../../src/core/bytes.ts";
import * as rawBody from "../../src/core/raw-body.ts";

const sent = (text: string): rawBody.SentText => ({ text, bytes: encodeText(text) });

/** The text that was found; the bytes beside it, which all but texts in ASCII lack, are the same. */
function textOf(found: rawBody.JsonText | undefined): string | undefined {
  if (found?.utf8 !== undefined) expect(decodeText(found.utf8)).toBe(found.json);
  return found?.json;
}

const bodyOf = (text: string) => textOf(rawBody.bodyOf(sent(text)));
const bodyUnder = (text: string, name: string) => textOf(rawBody.bodyUnder(sent(text), name));
const bodiesUnder = (text: string, name: string) =>
  rawBody.bodiesUnder(sent(text), name).map((found) => textOf(found));

const TEXTS = [
  "null",
  "1",
  "-0",
  "1.0",
  "1E+400",
  "12345678901234567890123456789",
  "0.1000000000000000055511151231257827",
  '""',
  '"\\u0041\\n\\"\\\\"',
  '"}],{\\"body\\":1}"',
  '"\\ud800"',
  "[ 1 , 2 ]",
  '{ "b" : 1, "a" : 2, "b" : 3 }',
  '{"body":{"body":[{"body":"x"}]}}',
  "true",
  '"é😀"',
];

test.each(TEXTS)("%s", (body) => {
  for (const space of ["", " ", "\n\t\r "]) {
    const one = `${space}{${space}"tag"${space}:${space}"a\\"b"${space},${space}"body"${space}:${space}${body}${space},"z":[{"body":7}]${space}}${space}`;
    JSON.parse(one);
    expect(bodyOf(one)).toBe(body);
    expect(bodyUnder(`{"x":1,"message":${one}}`, "message")).toBe(body);
    const batch = `{"a":[{"body":0}],"messages"${space}:${space}[${space}${one}${space},${one},{"bodyBase64":""},${one}${space}]${space}}`;
    JSON.parse(batch);
    expect(bodiesUnder(batch, "messages")).toEqual([body, body, undefined, body]);
  }
});

test("of members with the same name the last counts, as for JSON.parse, escaped or not", () => {
  const text = '{"body":1,"b\\u006fdy":2,"Body":3,"body ":4,"bodyBase64":"5"}';
  expect(bodyOf(text)).toBe("2");
  expect((JSON.parse(text) as { body: number }).body).toBe(2);
  expect(
    bodiesUnder('{"messages":[{"body":1}],"messages":[{"body":2},{"body":3}]}', "messages"),
  ).toEqual(["2", "3"]);
  expect(bodiesUnder('{"messages":[]}', "messages")).toEqual([]);
});

test("a text in ASCII comes with its bytes, any other without", () => {
  const [ascii, other] = ['{"body":"a"}', '{"body":"a","tag":"é"}'].map((text) =>
    rawBody.bodyOf(sent(text)),
  );
  expect(ascii).toEqual({ json: '"a"', utf8: encodeText('"a"') });
  expect(other).toEqual({ json: '"a"' });
});

test("depth is no matter", () => {
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  expect(bodyOf(`{"body":${deep}}`)).toBe(deep);
});

test("for any JSON the found text means what JSON.parse read", () => {
  const member = tuple(constantFrom("body", "tag", "a", "messages", "\\", '"'), jsonValue());
  assert(
    property(
      array(array(member, { maxLength: 5 }), { maxLength: 5 }),
      constantFrom("", " ", 2),
      (objects, indent) => {
        const written = objects.map((members) => {
          const inner = members.map(
            ([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value, null, indent)}`,
          );
          return `{${inner.join(" , ")}}`;
        });
        const text = `{"messages" : [${written.join(" ,\n")}]}`;
        const parsed = JSON.parse(text) as { messages: Record<string, unknown>[] };
        const texts = bodiesUnder(text, "messages");
        expect(texts).toHaveLength(parsed.messages.length);
        for (const [index, message] of parsed.messages.entries()) {
          const found = texts[index];
          expect(found === undefined).toBe(!Object.hasOwn(message, "body"));
          if (found !== undefined) expect(JSON.parse(found)).toEqual(message["body"]);
        }
      },
    ),
  );
});
