/** Which URLs the server may call, in every spelling that has fooled somebody's guard. */
import { expect, test } from "vitest";
import { forbiddenAddress } from "../../src/platform/address.ts";
import { checkTarget, isPrivate, targetPolicy, wrongTargets } from "../../src/platform/target.ts";

const PUBLIC_ONLY = targetPolicy({});
const ON_LOOPBACK = targetPolicy({ HALFMQ_LOOPBACK: "1" });

const reasonOf = (url: string, policy = PUBLIC_ONLY): unknown => {
  const outcome = checkTarget(url, policy, "check.url");
  if (outcome.ok) return "allowed";
  expect(outcome.code).toBe("target_not_allowed");
  expect(outcome.facts).toMatchObject({ field: "check.url" });
  return outcome.facts?.["reason"];
};

const REFUSED: readonly (readonly [url: string, reason: string])[] = [
  // Loopback, IPv4
  ["https://127.0.0.1/", "loopback"],
  ["https://127.0.0.1:8443/", "loopback"],
  ["https://127.1/", "loopback"],
  ["https://127.0.1/", "loopback"],
  ["https://127.255.255.254/", "loopback"],
  ["https://2130706433/", "loopback"],
  ["https://0x7f000001/", "loopback"],
  ["https://0x7f.0.0.1/", "loopback"],
  ["https://0x7F.1/", "loopback"],
  ["https://017700000001/", "loopback"],
  ["https://0177.0.0.1/", "loopback"],
  ["https://0177.0.0.0x1/", "loopback"],
  ["https://127.0.0.1./", "loopback"],
  ["https://%31%32%37.0.0.1/", "loopback"],
  ["https://127%2e0%2e0%2e1/", "loopback"],
  ["https://127。0。0。1/", "loopback"],
  ["https://１２７.0.0.1/", "loopback"],
  ["https://①②⑦.⓪.⓪.①/", "loopback"],
  // Loopback, by name
  ["https://localhost/", "loopback"],
  ["https://LOCALHOST/", "loopback"],
  ["https://localhost./", "loopback"],
  ["https://localhost../", "loopback"],
  ["https://a.localhost/", "loopback"],
  ["https://a.b.localhost./", "loopback"],
  ["https://ⓛocalhost/", "loopback"],
  ["https://local\u00adhost/", "loopback"],
  // Loopback, IPv6
  ["https://[::1]/", "loopback"],
  ["https://[0:0:0:0:0:0:0:1]/", "loopback"],
  ["https://[0000:0000:0000:0000:0000:0000:0000:0001]/", "loopback"],
  ["https://[::ffff:127.0.0.1]/", "loopback"],
  ["https://[::ffff:7f00:1]/", "loopback"],
  ["https://[0:0:0:0:0:ffff:7f00:0001]/", "loopback"],
  ["https://[::127.0.0.1]/", "reserved"],
  ["https://[64:ff9b::127.0.0.1]/", "translated"],
  ["https://[64:ff9b::8.8.8.8]/", "translated"],
  ["https://[64:ff9b:1::7f00:1]/", "translated"],
  ["https://[2002:7f00:1::]/", "translated"],
  ["https://[2001:0:7f00:1::]/", "translated"],
  ["https://[::ffff:0:127.0.0.1]/", "reserved"],
  // Unspecified
  ["https://0.0.0.0/", "unspecified"],
  ["https://0/", "unspecified"],
  ["https://0x0/", "unspecified"],
  ["https://0.1.2.3/", "unspecified"],
  ["https://[::]/", "unspecified"],
  ["https://[::ffff:0.0.0.0]/", "unspecified"],
  // Private and shared
  ["https://10.0.0.1/", "private"],
  ["https://10.1/", "private"],
  ["https://167772161/", "private"],
  ["https://172.16.0.1/", "private"],
  ["https://172.31.255.255/", "private"],
  ["https://192.168.1.1/", "private"],
  ["https://192.168.257/", "private"],
  ["https://0300.0250.1.1/", "private"],
  ["https://100.64.0.1/", "shared"],
  ["https://100.100.100.200/latest/meta-data", "shared"],
  ["https://[fc00::1]/", "private"],
  ["https://[fd00:ec2::254]/", "private"],
  ["https://[fec0::1]/", "private"],
  ["https://[::ffff:10.0.0.1]/", "private"],
  // Metadata and link-local
  ["https://169.254.169.254/latest/meta-data/", "link_local"],
  ["https://2852039166/", "link_local"],
  ["https://0xa9fea9fe/", "link_local"],
  ["https://0251.0376.0251.0376/", "link_local"],
  ["https://169.254.43518/", "link_local"],
  ["https://[::ffff:a9fe:a9fe]/", "link_local"],
  ["https://[fe80::1]/", "link_local"],
  ["https://168.63.129.16/", "metadata"],
  ["https://metadata.google.internal/", "private"],
  ["https://metadata.google.internal./", "private"],
  ["https://METADATA.google.Internal/", "private"],
  ["https://metadata/", "private"],
  // Other special ranges
  ["https://192.0.0.192/", "reserved"],
  ["https://198.18.0.1/", "reserved"],
  ["https://203.0.113.7/", "reserved"],
  ["https://224.0.0.1/", "multicast"],
  ["https://255.255.255.255/", "reserved"],
  ["https://[ff02::1]/", "multicast"],
  ["https://[2001:db8::1]/", "reserved"],
  ["https://[100::1]/", "reserved"],
  ["https://[4000::1]/", "reserved"],
  // Names of private networks
  ["https://db.internal/", "private"],
  ["https://printer.local/", "private"],
  ["https://router.lan/", "private"],
  ["https://nas.home.arpa/", "private"],
  ["https://redis/", "private"],
  // Schemes, user-info and parser tricks
  ["http://example.com/", "scheme"],
  ["HTTP://example.com/", "scheme"],
  ["ftp://example.com/", "scheme"],
  ["file:///etc/passwd", "scheme"],
  ["gopher://example.com:6379/_PING", "scheme"],
  ["data:application/json,{}", "scheme"],
  ["javascript:alert(1)", "scheme"],
  ["blob:https://example.com/x", "scheme"],
  ["ws://example.com/", "scheme"],
  ["https://user@example.com/", "user_info"],
  ["https://user:pass@example.com/", "user_info"],
  ["https://example.com@127.0.0.1/", "user_info"],
  ["https://127.0.0.1#@example.com/", "loopback"],
  ["https://127.0.0.1?@example.com/", "loopback"],
  ["https://127.0.0.1\\@example.com/", "not_a_url"],
  ["https:\\\\127.0.0.1/", "not_a_url"],
  ["https://example.com\t.evil/", "not_a_url"],
  ["https://example.com\r\nHost: x/", "not_a_url"],
  [" https://example.com/", "not_a_url"],
  ["//example.com/", "not_a_url"],
  ["example.com", "not_a_url"],
  ["https://", "not_a_url"],
  ["https://[::1", "not_a_url"],
  ["https://[fe80::1%25eth0]/", "not_a_url"],
  ["https://256.256.256.256/", "not_a_url"],
  ["https://exa mple.com/", "not_a_url"],
  ["", "not_a_url"],
  [`https://example.com/${"a".repeat(2_100)}`, "not_a_url"],
];

test.each(REFUSED)("%s is refused", (url, reason) => {
  expect(reasonOf(url)).toBe(reason);
});

test.each([
  "https://example.com/hook?x=1",
  "https://example.com:8443/",
  "https://EXAMPLE.com./",
  "https://8.8.8.8/",
  "https://[2606:4700:4700::1111]/",
  "https://172.32.0.1/",
  "https://100.128.0.1/",
  "https://localhost.example.com/",
  "https://internal.example.com/",
  "https://notlocalhost.com/",
  "https://bücher.example/",
])("%s is allowed", (url) => {
  expect(reasonOf(url)).toBe("allowed");
});

test("a server on loopback may call loopback, by http too, and nothing else more", () => {
  for (const url of [
    "http://127.0.0.1:3000/x",
    "http://localhost:1/",
    "http://[::1]:9/",
    "http://a.localhost/",
    "https://127.1/",
  ]) {
    expect(reasonOf(url, ON_LOOPBACK)).toBe("allowed");
  }
  expect(reasonOf("http://10.0.0.1/", ON_LOOPBACK)).toBe("scheme");
  expect(reasonOf("https://10.0.0.1/", ON_LOOPBACK)).toBe("private");
  expect(reasonOf("http://0.0.0.0/", ON_LOOPBACK)).toBe("scheme");
  expect(reasonOf("http://user@127.0.0.1/", ON_LOOPBACK)).toBe("user_info");
  expect(reasonOf("http://localhost/", targetPolicy({ HALFMQ_LOOPBACK: "true" }))).toBe("scheme");
});

test("the allow-list takes exact hosts of any kind, without ports, and nothing around them", () => {
  const policy = targetPolicy({
    HALFMQ_ALLOWED_TARGETS:
      " orders.internal, 10.0.0.5 ,fd00::7,[fd00::8],HOOK.lan,redis,0x7f.2,bad/host,a:80,,",
  });
  for (const url of [
    "http://orders.internal/",
    "https://orders.internal:8443/x",
    "http://orders.internal./",
    "http://10.0.0.5:8080/",
    "http://[fd00::7]/",
    "http://[fd00:0::8]:80/",
    "http://hook.lan/",
    "http://redis:6379/",
    "http://127.0.0.2/",
  ]) {
    expect(reasonOf(url, policy)).toBe("allowed");
  }
  for (const url of [
    "https://x.orders.internal/",
    "https://10.0.0.6/",
    "https://[fd00::9]/",
    "https://internal/",
    "https://bad/host",
    "https://127.0.0.1/",
    "https://a/",
  ]) {
    expect(reasonOf(url, policy)).not.toBe("allowed");
  }
  expect(reasonOf("ftp://orders.internal/", policy)).toBe("scheme");
  expect(reasonOf("http://u@orders.internal/", policy)).toBe("user_info");
});

test("an entry of the allow-list that is no bare host is told of, and an empty list is none", () => {
  expect(wrongTargets("hook.lan, 10.0.0.5,fd00::7,[fd00::8],redis")).toEqual([]);
  expect([wrongTargets(undefined), wrongTargets(""), wrongTargets(" ")]).toEqual([[], [], []]);
  const wrong = ["http://x:80/", "a b", "bad/host", "a:80", "u@h", "*.lan"];
  expect(wrongTargets(["hook.lan", ...wrong].join(","))).toEqual(wrong);
  expect(wrongTargets("a,,b,")).toEqual(["", ""]);
});

test("only what is allowed by name or as loopback goes through the open network", () => {
  const policy = targetPolicy({ HALFMQ_ALLOWED_TARGETS: "hook.lan", HALFMQ_LOOPBACK: "1" });
  expect(isPrivate(new URL("http://hook.lan:1/"), policy)).toBe(true);
  expect(isPrivate(new URL("http://[::1]:1/"), policy)).toBe(true);
  expect(isPrivate(new URL("https://example.com/"), policy)).toBe(false);
  expect(isPrivate(new URL("https://10.0.0.1/"), policy)).toBe(false);
});

test("addresses that a resolver answers are judged likewise", () => {
  expect(forbiddenAddress("93.184.216.34")).toBe("");
  expect(forbiddenAddress("2606:4700::1")).toBe("");
  expect(forbiddenAddress("::ffff:192.168.0.1")).toBe("private");
  expect(forbiddenAddress("fe80::1")).toBe("link_local");
  for (const text of [
    "example.com",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    ":::",
    "1::2::3",
    "12345::",
    "",
    "1:2:3:4:5:6:7:8:9",
    "::1:2:3:4:5:6:7:8",
  ]) {
    expect(forbiddenAddress(text)).toBeUndefined();
  }
});
