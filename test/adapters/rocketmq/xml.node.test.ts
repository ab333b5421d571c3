/** How the XML of a request is read. */
import { expect, test } from "vitest";
import { leafDocument, readLeaves } from "../../../src/adapters/rocketmq/xml.ts";

const leaves = (inner: string): string[][] => {
  const read = readLeaves(`<?xml version="1.0"?>\r\n<M a="1">${inner}</M>\r\n`, "M");
  if (!read.ok) throw new Error(read.detail);
  return read.value.map(({ name, text }) => [name, text]);
};

test("text is the same whether it is escaped, CDATA or both", () => {
  expect(leaves("<a>&lt;&#13;\n&amp;&#x1F600;</a>")).toEqual([["a", "<\r\n&\u{1F600}"]]);
  expect(leaves("<a><![CDATA[<\r\n&\u{1F600}]]></a>")).toEqual([["a", "<\r\n&\u{1F600}"]]);
  expect(leaves("<a>1<![CDATA[2]]>3<![CDATA[]]><![CDATA[<![CDATA[4]]></a>")).toEqual([
    ["a", "123<![CDATA[4"],
  ]);
  expect(leaves("<a><![CDATA[x]]]]><![CDATA[>y]]></a>")).toEqual([["a", "x]]>y"]]);
  expect(leaves("<a/><b></b><c><![CDATA[]]></c>").map(([, text]) => text)).toEqual(["", "", ""]);
});

test("carriage returns of a text stay, and those between elements are nothing", () => {
  expect(leaves("\r\n  <a>1\r\n2\r3</a>\r\n<b>&amp;\r</b>\r")).toEqual([
    ["a", "1\r\n2\r3"],
    ["b", "&\r"],
  ]);
  expect(leaves("<!-- \r> <![CDATA[ --><?p \r?><a\r\n x='1'\r>t\r<!-- c --></a>")).toEqual([
    ["a", "t\r"],
  ]);
});

test("what is not well formed is refused with and without carriage returns", () => {
  for (const inner of [
    "<a>x]]>y</a>",
    "<a><![CDATA[x]]>y]]></a>",
    "<a><![CDATA[x</a>",
    "<a",
    "<a></b>",
    "<!-- x",
    "<a>&b;</a>",
    "<a>&#0;</a>",
    "<a>\u0001</a>",
    "<a x='1' x='2'/>",
    "<0>x</0>",
    "x",
    "<a><b/></a>",
    "<a/>".repeat(1_001),
    `<a ${Array.from({ length: 101 }, (_, index) => `x${index}="1"`).join(" ")}/>`,
  ])
    for (const end of ["", "\r"])
      expect(() => leaves(inner + end), inner.slice(0, 20)).toThrow("The body is not the XML");
});

test("a document is one whatever it shall say: signs that XML has not are U+FFFD, markup is escaped", () => {
  const text = leafDocument("M", { a: "\u0007<&>\r\n\uD800\u{1F600}", b: undefined, c: 1 });
  const read = readLeaves(text, "M");
  expect(read.ok && read.value).toEqual([
    { name: "a", text: "\uFFFD<&>\r\n\uFFFD\u{1F600}" },
    { name: "c", text: "1" },
  ]);
});

test("a byte order mark before a document is not a part of it", () => {
  const read = readLeaves("\uFEFF<M>\r<a>\uFEFFx</a></M>", "M");
  expect(read.ok && read.value).toEqual([{ name: "a", text: "\uFEFFx" }]);
});
