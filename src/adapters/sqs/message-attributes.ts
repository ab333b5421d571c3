/**
 * Message attributes: judged by SQS's rules, kept as properties with their types beside them, and given back as they came. What
 * a native program put into the properties is shown as String attributes. Also the MD5 that SDKs compare.
 */
import { md5 } from "@noble/hashes/legacy.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { decodeBase64 } from "../../core/base64.ts";
import { encodeText, utf8Length } from "../../core/bytes.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { done, fault, type Fault, type Result } from "./faults.ts";

/** As JSON writes it: bytes in Base64. */
interface Attribute {
  readonly DataType: string;
  readonly StringValue?: string | undefined;
  readonly BinaryValue?: string | undefined;
}

export type Attributes = Readonly<Record<string, Attribute>>;
type Properties = Readonly<Record<string, string>>;

/** Begins the names of properties that the door keeps for itself: no attribute's name holds a colon. */
export const OWN_PROPERTY = "sqs:";
const TYPES = `${OWN_PROPERTY}types`;
const ATTRIBUTES_MAX = 10;
const NAME = /^(?!(?:aws|amazon)\.)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/i;
const NAME_CHARS_MAX = 256;
const TYPE = /^(String|Number|Binary)(?:\..+)?$/;
const TYPE_CHARS_MAX = 256;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$/;
/** What XML 1.0 cannot say is in no message of SQS. */
export const FOREIGN_SIGNS = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu;

export const holdsForeignSign = (text: string): boolean => text.search(FOREIGN_SIGNS) >= 0;

export const md5Hex = (text: string): string => bytesToHex(md5(encodeText(text)));

const isBinary = ({ DataType }: Attribute): boolean => DataType.startsWith("Binary");

/** What attributes count towards the size of their message. */
export const attributesSize = (attributes: Attributes): number =>
  Object.entries(attributes).reduce(
    (sum, [name, attribute]) =>
      sum + utf8Length(name) + utf8Length(attribute.DataType) + valueBytes(attribute).length,
    0,
  );

const valueBytes = (attribute: Attribute): Uint8Array =>
  isBinary(attribute)
    ? (decodeBase64(attribute.BinaryValue ?? "") ?? new Uint8Array())
    : encodeText(attribute.StringValue ?? "");

/** By AWS's "Calculating the MD5 message digest for message attributes". */
export function attributesMd5(attributes: Attributes): string {
  const hash = md5.create();
  const add = (bytes: Uint8Array): void => {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length);
    hash.update(length).update(bytes);
  };
  for (const name of Object.keys(attributes).toSorted()) {
    const attribute = attributes[name];
    if (attribute === undefined) continue;
    add(encodeText(name));
    add(encodeText(attribute.DataType));
    hash.update(Uint8Array.of(isBinary(attribute) ? 2 : 1));
    add(valueBytes(attribute));
  }
  return bytesToHex(hash.digest());
}

/** The properties that keep attributes, or why they are none. */
export function propertiesOf(attributes: Attributes): Result<Properties> {
  const names = Object.keys(attributes);
  if (names.length > ATTRIBUTES_MAX) {
    return fault("InvalidParameterValue", `A message has at most ${ATTRIBUTES_MAX} attributes.`);
  }
  const properties: [string, string][] = [];
  const types = new Map<string, string>();
  for (const [name, attribute] of Object.entries(attributes)) {
    const wrong = nameFault(name) ?? valueFault(name, attribute);
    if (wrong !== undefined) return wrong;
    properties.push([name, attribute.BinaryValue ?? attribute.StringValue ?? ""]);
    if (attribute.DataType !== "String") types.set(name, attribute.DataType);
  }
  if (types.size > 0) properties.push([TYPES, JSON.stringify(Object.fromEntries(types))]);
  const size = properties.flat().reduce((sum, text) => sum + utf8Length(text), 0);
  if (size > LIMITS.propertiesBytesMax) {
    const detail = `The message's attributes take at most ${LIMITS.propertiesBytesMax} bytes here.`;
    return fault("InvalidParameterValue", detail);
  }
  return done(Object.fromEntries(properties));
}

function nameFault(name: string): Fault | undefined {
  if (name.length <= NAME_CHARS_MAX && NAME.test(name)) return undefined;
  return fault("InvalidParameterValue", `The message attribute name '${name}' is invalid.`);
}

function valueFault(name: string, attribute: Attribute): Fault | undefined {
  const { DataType: type, StringValue: text, BinaryValue: bytes } = attribute;
  const wrong = (reason: string): Fault =>
    fault("InvalidParameterValue", `The message attribute '${name}' ${reason}.`);
  const [, kind] = TYPE.exec(type) ?? [];
  if (kind === undefined || type.length > TYPE_CHARS_MAX) {
    return wrong("has an invalid type; one is String, Number or Binary, with a label or without");
  }
  if (kind === "Binary") {
    return bytes === undefined || bytes === "" || decodeBase64(bytes) === undefined
      ? wrong("must contain a non-empty BinaryValue in Base64")
      : undefined;
  }
  if (text === undefined || text === "") return wrong("must contain a non-empty StringValue");
  if (holdsForeignSign(text)) {
    return fault(
      "InvalidMessageContents",
      `The message attribute '${name}' holds an invalid character.`,
    );
  }
  return kind === "Number" && !NUMBER.test(text) ? wrong("is no number") : undefined;
}

/** What a message's properties are as attributes, but for those that the answer cannot say. */
export function attributesOf(
  properties: Properties = {},
  says: (text: string) => boolean,
): Attributes {
  const types = typesOf(properties);
  const found: [string, Attribute][] = [];
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith(OWN_PROPERTY) || nameFault(name) !== undefined || !says(value)) continue;
    const DataType = types.get(name) ?? "String";
    found.push([
      name,
      DataType.startsWith("Binary")
        ? { DataType, BinaryValue: value }
        : { DataType, StringValue: value },
    ]);
  }
  return Object.fromEntries(found);
}

/** A native program may have written anything there. */
function typesOf(properties: Properties): ReadonlyMap<string, string> {
  try {
    const types: unknown = JSON.parse(properties[TYPES] ?? "{}");
    if (typeof types !== "object" || types === null) return new Map();
    return new Map(
      Object.entries(types).filter(
        (entry): entry is [string, string] => typeof entry[1] === "string" && TYPE.test(entry[1]),
      ),
    );
  } catch {
    return new Map();
  }
}

/** Those that a receive asks for: `All` or `.*`, a name, or `prefix.*`. */
export function chosen(attributes: Attributes, asked: readonly string[]): Attributes {
  if (asked.includes("All") || asked.includes(".*")) return attributes;
  const wants = (name: string): boolean =>
    asked.some((each) =>
      each.endsWith(".*") ? name.startsWith(each.slice(0, -1)) : each === name,
    );
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => wants(name)));
}
