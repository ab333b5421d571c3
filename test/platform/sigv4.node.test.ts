/** Signature Version 4 against AWS's own published example, and what a change of anything signed does to it. */
import { describe, expect, it } from "vitest";
import {
  type Claim,
  claimOf,
  isSignedBy,
  isTimely,
  signsEnough,
} from "../../src/platform/sigv4.ts";

const SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SIGNED_AT_MS = Date.UTC(2015, 7, 30, 12, 36);
const NOTHING = new Uint8Array();
const CREDENTIAL = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";

const get = (url: string, signature: string, more: Record<string, string> = {}) => ({
  method: "GET",
  url,
  headers: new Headers({
    host: "example.amazonaws.com",
    "x-amz-date": "20150830T123600Z",
    authorization: `AWS4-HMAC-SHA256 Credential=${CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature=${signature}`,
    ...more,
  }),
});

/** `get-vanilla` and `get-vanilla-query-order-key-case` of AWS's test suite. */
const VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
const QUERY = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
const plain = get("https://example.amazonaws.com/", VANILLA);

function claimed(request: ReturnType<typeof get>): Claim {
  const claim = claimOf(request);
  if (claim === undefined || claim === "malformed") throw new Error("no claim");
  return claim;
}

describe("a signature in the header", () => {
  it("is the one that AWS published", () => {
    expect(isSignedBy(SECRET, claimed(plain), plain, NOTHING)).toBe(true);
    const query = get("https://example.amazonaws.com/?Param2=value2&Param1=value1", QUERY);
    expect(isSignedBy(SECRET, claimed(query), query, NOTHING)).toBe(true);
  });

  it("is worth nothing for anything else", () => {
    const others = [
      { ...plain, method: "POST" },
      get("https://example.amazonaws.com/other", VANILLA),
      get("https://example.amazonaws.com/?a=1", VANILLA),
      get("https://example.amazonaws.com/?a=%", VANILLA),
      get("https://example.amazonaws.com/", VANILLA, { host: "example.com" }),
      get("https://example.amazonaws.com/", VANILLA, {
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
      }),
      get("https://example.amazonaws.com/", VANILLA.replace("5", "6")),
    ];
    for (const other of others)
      expect(isSignedBy(SECRET, claimed(other), other, NOTHING)).toBe(false);
    expect(isSignedBy(`${SECRET}x`, claimed(plain), plain, NOTHING)).toBe(false);
    expect(isSignedBy(SECRET, claimed(plain), plain, Uint8Array.of(1))).toBe(false);
  });

  it("must sign the host and what AWS calls its own", () => {
    expect(signsEnough(claimed(plain), plain.headers)).toBe(true);
    const more = get("https://example.amazonaws.com/", VANILLA, { "x-amz-target": "x" });
    expect(signsEnough(claimed(more), more.headers)).toBe(false);
    const hostless = get("https://example.amazonaws.com/", VANILLA, {
      authorization: `AWS4-HMAC-SHA256 Credential=${CREDENTIAL}, SignedHeaders=x-amz-date, Signature=${VANILLA}`,
    });
    expect(signsEnough(claimed(hostless), hostless.headers)).toBe(false);
  });

  it("is timely for a quarter of an hour on both sides", () => {
    const claim = claimed(plain);
    for (const minutes of [-15, 0, 15])
      expect(isTimely(claim, SIGNED_AT_MS + minutes * 60_000)).toBe(true);
    for (const minutes of [-16, 16])
      expect(isTimely(claim, SIGNED_AT_MS + minutes * 60_000)).toBe(false);
  });

  it("is malformed when a part is missing or of another day, and absent with another scheme", () => {
    const withHeader = (authorization: string, date = "20150830T123600Z") =>
      claimOf({ ...plain, headers: new Headers({ authorization, "x-amz-date": date }) });
    const whole = plain.headers.get("authorization") ?? "";
    for (const broken of [
      "AWS4-HMAC-SHA256 x",
      whole.replace(VANILLA, "zz"),
      whole.replace("us-east-1/", ""),
      whole.replace("host;x-amz-date", "Host"),
    ])
      expect(withHeader(broken)).toBe("malformed");
    expect(withHeader(whole, "20150831T123600Z")).toBe("malformed");
    expect(withHeader(whole, "yesterday")).toBe("malformed");
    expect(withHeader("Bearer x")).toBeUndefined();
    expect(claimOf({ ...plain, headers: new Headers() })).toBeUndefined();
  });
});

const at = (expires: string, signature = VANILLA) => ({
  method: "GET",
  url:
    `https://example.amazonaws.com/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(CREDENTIAL)}` +
    `&X-Amz-Date=20150830T123600Z&X-Amz-Expires=${expires}&X-Amz-SignedHeaders=host&X-Amz-Signature=${signature}`,
  headers: new Headers({ host: "example.amazonaws.com" }),
});

describe("a signature in the query", () => {
  it("is good for as long as it says", () => {
    const claim = claimed(at("60"));
    expect(isTimely(claim, SIGNED_AT_MS + 60_000)).toBe(true);
    expect(isTimely(claim, SIGNED_AT_MS + 60_001)).toBe(false);
    for (const expires of ["", "-1", "604801", "x"]) expect(claimOf(at(expires))).toBe("malformed");
  });

  it("is judged over all the rest of the query", () => {
    const request = at("60", "ff4f668def1029a233d80421e3457840cfcd816fcbefa7af042f2ca8f117547c");
    expect(isSignedBy(SECRET, claimed(request), request, NOTHING)).toBe(true);
    const longer = { ...request, url: request.url.replace("Expires=60", "Expires=600") };
    expect(isSignedBy(SECRET, claimed(longer), longer, NOTHING)).toBe(false);
  });
});
