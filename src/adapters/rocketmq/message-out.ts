/** A message as a consumer is shown it, in the order of leaves that the protocol documents. Pure. */
import { md5 } from "@noble/hashes/legacy.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { encodeBase64 } from "../../core/base64.ts";
import { encodeText } from "../../core/bytes.ts";
import type { Content } from "../../core/record.ts";
import { textOf } from "../text-body.ts";
import { writeProperties } from "./properties.ts";
import { documentOf, element, isSayable } from "./xml.ts";

/** Upper case, as the service writes it. */
export const md5Hex = (text: string): string => bytesToHex(md5(encodeText(text))).toUpperCase();

export interface Shown {
  readonly id: string;
  readonly content: Content;
  readonly handle: string;
  readonly publishTime: number;
  readonly firstConsumeTime: number;
  readonly nextConsumeTime: number;
  readonly consumedTimes: number;
}

function messageXml(shown: Shown): string {
  const { content } = shown;
  const sent = textOf(content);
  const isBase64 = typeof sent !== "string" || !isSayable(sent);
  const text = isBase64 ? encodeBase64(typeof sent === "string" ? encodeText(sent) : sent) : sent;
  const isTagged = content.tag !== undefined && isSayable(content.tag);
  return element("Message", {
    MessageId: shown.id,
    MessageBodyMD5: md5Hex(text),
    MessageBody: text,
    ReceiptHandle: shown.handle,
    PublishTime: shown.publishTime,
    FirstConsumeTime: shown.firstConsumeTime,
    NextConsumeTime: shown.nextConsumeTime,
    ConsumedTimes: shown.consumedTimes,
    MessageTag: isTagged ? content.tag : undefined,
    Properties: writeProperties(content, isBase64),
  });
}

export const messagesDocument = (messages: readonly Shown[]): string =>
  documentOf("Messages", messages.map(messageXml).join(""));
