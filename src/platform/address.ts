/**
 * Which IP addresses are public. Pure; it reads addresses, never host names, and never resolves anything.
 * What it cannot read as an address is undefined, not public: the caller decides.
 */

/** An IPv4 address as 4 bytes, an IPv6 address as 16. */
type Bytes = readonly number[];

interface Range {
  readonly bytes: Bytes;
  readonly bits: number;
  readonly reason: string;
}

const range = (text: string, reason: string): Range => {
  const [address = "", bits = ""] = text.split("/");
  return { bytes: readIpv4(address) ?? readIpv6(address) ?? [], bits: Number(bits), reason };
};

// IANA special-purpose registries, and the metadata address that stands in public space.
const FORBIDDEN_IPV4: readonly Range[] = [
  range("0.0.0.0/8", "unspecified"),
  range("10.0.0.0/8", "private"),
  range("100.64.0.0/10", "shared"),
  range("127.0.0.0/8", "loopback"),
  range("168.63.129.16/32", "metadata"),
  range("169.254.0.0/16", "link_local"),
  range("172.16.0.0/12", "private"),
  range("192.0.0.0/24", "reserved"),
  range("192.0.2.0/24", "reserved"),
  range("192.88.99.0/24", "reserved"),
  range("192.168.0.0/16", "private"),
  range("198.18.0.0/15", "reserved"),
  range("198.51.100.0/24", "reserved"),
  range("203.0.113.0/24", "reserved"),
  range("224.0.0.0/4", "multicast"),
  range("240.0.0.0/4", "reserved"),
];

/** Where an IPv4 address stands inside an IPv6 one: it is judged by that address. */
const MAPPED: Range = range("::ffff:0:0/96", "mapped");

const FORBIDDEN_IPV6: readonly Range[] = [
  range("::/128", "unspecified"),
  range("::1/128", "loopback"),
  range("fc00::/7", "private"),
  range("fe80::/10", "link_local"),
  range("fec0::/10", "private"),
  range("ff00::/8", "multicast"),
  // Roads that lead on to an IPv4 address: none of them is how a public endpoint is named.
  range("64:ff9b::/96", "translated"),
  range("64:ff9b:1::/48", "translated"),
  range("2002::/16", "translated"),
  range("2001::/32", "translated"),
  range("2001::/23", "reserved"),
  range("2001:db8::/32", "reserved"),
  range("3fff::/20", "reserved"),
];
const GLOBAL_UNICAST: Range = range("2000::/3", "public");

/** Why an address must not be called; "" for a public one, undefined when the text is no address. */
export function forbiddenAddress(text: string): string | undefined {
  const ipv4 = readIpv4(text);
  if (ipv4 !== undefined) return within(ipv4, FORBIDDEN_IPV4);
  const ipv6 = readIpv6(text);
  if (ipv6 === undefined) return undefined;
  if (inside(ipv6, MAPPED)) return within(ipv6.slice(12), FORBIDDEN_IPV4);
  const reason = within(ipv6, FORBIDDEN_IPV6);
  return reason === "" && !inside(ipv6, GLOBAL_UNICAST) ? "reserved" : reason;
}

function within(bytes: Bytes, ranges: readonly Range[]): string {
  return ranges.find((each) => inside(bytes, each))?.reason ?? "";
}

function inside(bytes: Bytes, { bytes: base, bits }: Range): boolean {
  if (bytes.length !== base.length) return false;
  for (let bit = 0; bit < bits; bit += 8) {
    const mask = bits - bit >= 8 ? 0xff : (0xff << (8 - (bits - bit))) & 0xff;
    if (((bytes[bit >>> 3] ?? 0) & mask) !== ((base[bit >>> 3] ?? 0) & mask)) return false;
  }
  return true;
}

/** Four decimal numbers only: the other spellings are made into this by the URL parser before they come here. */
function readIpv4(text: string): Bytes | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const bytes = match?.slice(1).map(Number);
  return bytes?.every((byte) => byte <= 255) === true ? bytes : undefined;
}

function readIpv6(text: string): Bytes | undefined {
  if (!/^[0-9a-f:.]{2,45}$/i.test(text) || !text.includes(":")) return undefined;
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [before, after] = halves.map(readGroups);
  if (before === undefined || (halves.length === 2 && after === undefined)) return undefined;
  if (after === undefined) return before.length === 16 ? before : undefined;
  const gap = 16 - before.length - after.length;
  return gap < 2 ? undefined : [...before, ...Array.from({ length: gap }, () => 0), ...after];
}

function readGroups(text: string): Bytes | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    const ipv4 = index === groups.length - 1 ? readIpv4(group) : undefined;
    if (ipv4 !== undefined) {
      bytes.push(...ipv4);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
      const value = Number.parseInt(group, 16);
      bytes.push(value >>> 8, value & 0xff);
    }
  }
  return bytes;
}
