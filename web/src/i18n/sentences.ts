/**
 * The proxy's own sentences in Chinese. It speaks English only; what it says about settings, faults
 * and refusals is recognised here by its words. Providers' words, and what is not recognised, stay
 * as they are. A test holds the table against the proxy's sources.
 */

import type { Language } from "../state/preferences";

/** Words of the fault table, `says` there. */
export const FAULT_SENTENCES: Record<string, string> = {
  "the upstream refused the connection": "上游拒绝了连接",
  "the upstream could not be reached in time": "无法及时连上上游",
  "the connection to the upstream failed": "与上游的连接失败",
  "the upstream's name could not be resolved": "上游的域名无法解析",
  "no TLS connection to the upstream": "与上游的 TLS 连接失败",
  "the outbound proxy refused the connection": "出站代理拒绝了连接",
  "the upstream closed the connection without an answer": "上游未回答就断开了连接",
  "the upstream's answer was not valid HTTP": "上游的响应不是有效的 HTTP",
  "the upstream's answer was cut off": "上游的响应不完整",
  "the upstream's answer was not JSON": "上游的响应不是 JSON",
  "the upstream's answer was empty": "上游的响应为空",
  "the upstream answered late and without the stream that was asked for": "上游响应太晚，且不是所请求的流",
  "the upstream gave up waiting": "上游等待超时",
  "the upstream could not take the request just then": "上游暂时无法处理请求",
  "the upstream failed": "上游出错",
  "the upstream is overloaded": "上游过载",
  "the upstream did not answer in time": "上游未及时响应",
  "the upstream's first token came too late": "上游的首 Token 太慢",
  "the upstream fell silent": "上游没有了动静",
  "the key is rate limited": "密钥触发限流",
  "the key is out of credit": "密钥额度用尽",
  "the upstream rejected the proxy's credentials": "上游拒绝了代理的密钥",
  "the upstream forbids this": "上游不允许这样做",
  "the upstream does not know the model": "上游没有这个模型",
  "the upstream keeps nothing under this id": "上游没有保存这个 ID 的内容",
  "the conversation is too long for the model": "对话超出了模型的长度",
  "the provider's content filter refused the request": "请求被上游的内容审核拒绝",
  "the upstream refused the request as faulty": "上游认为请求有误",
  "the upstream redirects; check its address": "上游要求跳转，请检查它的地址",
  "the upstream's answer head is too large": "上游的响应头过大",
  "the upstream's stream broke off": "上游的流中途断开",
  "the upstream's stream fell silent": "上游的流中途停顿",
  "the upstream reported an error within its stream": "上游在流中报错",
  "the stream that was to continue a broken one did not follow it": "续写中断的流时，内容对不上",
  "the client hung up": "客户端已离开",
  "the request's time is used up": "请求的总时限已到",
  "the proxy is shutting down": "代理正在停机",
  "the request was ended by the proxy's owner": "请求被代理的所有者终止",
  "every key that could serve this is paused by the proxy's owner": "能用的密钥都被代理的所有者暂停了",
  "every key that could serve this serves as many requests as it may": "能用的密钥都已达到并发上限",
  "an internal error": "内部错误",
};

/** Whole sentences; `*` stands for anything and is kept, in order. A setting's name comes before the colon. */
export const SENTENCES: readonly (readonly [english: string, chinese: string])[] = [
  // values that were repaired
  ["*: a duplicate removed", "*：去掉了重复项"],
  ["*: a duplicate of one address removed", "*：去掉了同一地址的重复密钥"],
  ["*: everything from # on removed", "*：去掉了 # 之后的内容"],
  ["*: http(s):// written properly", "*：改正了 http(s):// 的写法"],
  ["*: *:// added", "*：补上了 *://"],
  ["*: the endpoint * cut off", "*：去掉了末尾的接口路径 *"],
  ["*: doubled /* removed", "*：去掉了重复的 /*"],
  ["*: * written as 0.0.0.0", "*：* 改写为 0.0.0.0"],
  ["*: full-width or invisible characters replaced", "*：替换了全角或不可见字符"],
  ["*: its own name removed from the value", "*：去掉了值里的变量名"],
  ["*: quotes removed", "*：去掉了引号"],
  ["*: list separated by commas now", "*：列表改为用逗号分隔"],
  ["*: header words such as Bearer removed", "*：去掉了 Bearer 之类的请求头用词"],
  ["*: blanks or backslashes inside an address removed", "*：去掉了地址里的空格或反斜杠"],
  // probable mistakes
  ["*: * is an example of the documentation; anyone knows it", "*：* 是文档里的示例密钥，人人都知道"],
  ["*: * is short (under * characters), easy to guess", "*：* 太短（不足 * 个字符），容易被猜到"],
  ["[[upstream]]: not used, PROXY_URL of the environment replaces the tables", "[[upstream]]：未使用，已被环境变量 PROXY_URL 取代"],
  ["MY_ACCESS_KEY: the generated key could not be kept, it lasts one run", "MY_ACCESS_KEY：生成的密钥无法保存，重启后失效"],
  ["*: cannot be written; records live in memory and are lost at restart", "*：无法写入；记录只在内存里，重启后丢失"],
  ["*: not used, every [[upstream]] has keys", "*：未使用，每个 [[upstream]] 都有自己的密钥"],
  ["*: * looks like an outbound proxy; if it is one, set OUTBOUND_PROXY to it and * to the provider's address", "*：* 像是出站代理；若是如此，请把它填到 OUTBOUND_PROXY，并把 * 设为服务商的地址"],
  ["*: is not a setting; was * meant?", "*：没有这个设置项，是想写 * 吗？"],
  // the record store
  ["records live in memory and are lost at restart: *", "记录只在内存里，重启后丢失：*"],
  ["records cannot be written: *", "记录无法写入：*"],
  ["DATA_DIR is not writable", "DATA_DIR 无法写入"],
  // refusals of the proxy itself
  ["unknown path *; did you mean *?", "路径 * 不存在，是不是 *？"],
  ["send the access key in a header, not in the address", "请把访问密钥放在请求头里，不要放在地址里"],
  ["The model '*' does not exist: no upstream serves it. GET /v1/models lists those that are served.", "模型“*”不存在：没有上游提供它。可用的模型见 GET /v1/models。"],
  ["The model '*' does not exist: no upstream serves it.", "模型“*”不存在：没有上游提供它。"],
  ["no upstream speaks the format of * (PROXY_FORMATS)", "没有上游支持 * 的格式（PROXY_FORMATS）"],
  ["too many requests in flight (MAX_CONCURRENCY); try again shortly", "进行中的请求太多（MAX_CONCURRENCY），请稍后再试"],
  ["the request body's content-encoding cannot be read here; send it plain", "请求正文的压缩格式无法识别，请不压缩发送"],
  ["'*' occurs twice in the request body", "请求正文里 '*' 出现了两次"],
  ["The request body cannot be used: *", "请求正文无法使用：*"],
  ["x-llm-proxy-timeout-ms must be a positive number of milliseconds, for example 30000", "x-llm-proxy-timeout-ms 必须是正的毫秒数，例如 30000"],
  // why an attempt was given up
  ["no sign of an answer in time", "未及时收到响应"],
  ["no sign of the end of the answer in time", "未及时收到完整响应"],
  ["no content within *", "* 内没有内容"],
  ["no event for *", "* 内没有任何事件"],
  ["no byte for *", "* 内没有任何数据"],
  ["the stream ended without content", "流在出现内容之前就结束了"],
  ["the stream ended without its terminal event", "流结束时缺少结束事件"],
  ["a kept connection was closed by the upstream", "上游关闭了保持的连接"],
  ["while connecting", "在建立连接时"],
  ["an event is too large", "流中的事件过大"],
  ["undecodable body", "正文无法解码"],
  ["connection refused", "连接被拒绝"],
  ["answered *", "返回了 *"],
  // a key's test
  ["*: accepted, but rate limited just now", "*：被接受，但目前正被限流"],
  ["*: accepted, *", "*：被接受，*"],
  ["*: not refused (no model list)", "*：未被拒绝（没有模型列表）"],
  ["*: refused by the upstream (*)", "*：被上游拒绝（*）"],
  ["*: the model list answers *", "*：模型列表返回 *"],
  ["*: no endpoint answers here; is the path right?", "*：这里没有接口应答，路径对吗？"],
  ["*: the model list is no JSON; is this the address of the API?", "*：模型列表不是 JSON，这是 API 的地址吗？"],
  // the page's own addresses
  ["there is no such key", "没有这个密钥"],
  ["no such request is under way", "没有这个进行中的请求"],
  ["only the owner may do this: use the first access key", "只有所有者可以这样做：请用第一个访问密钥"],
  ["the records cannot be read right now; requests are served all the same", "记录暂时无法读取，但请求照常处理"],
];

function patternOf(english: string): RegExp {
  const parts = english.split("*").map((part) => part.replace(/[.?+^$()[\]{}|\\/]/g, "\\$&"));
  return new RegExp(`^${parts.join("(.*?)")}$`, "s");
}

let patterns: readonly (readonly [RegExp, string])[] | null = null;

function recognised(sentence: string): string | null {
  patterns ??= SENTENCES.map(([english, chinese]) => [patternOf(english), chinese] as const);
  for (const [pattern, chinese] of patterns) {
    const found = pattern.exec(sentence);
    if (found === null) continue;
    let at = 0;
    return chinese.replaceAll("*", () => found[(at += 1)] ?? "");
  }
  return null;
}

/** What the proxy said, in the page's language where it is known. */
export function saidByProxy(sentence: string, language: Language): string {
  if (language === "en") return sentence;
  const whole = FAULT_SENTENCES[sentence];
  if (whole !== undefined) return whole;
  // `the key is rate limited: <the provider's words>`
  const colon = sentence.indexOf(": ");
  const begins = colon === -1 ? undefined : FAULT_SENTENCES[sentence.slice(0, colon)];
  if (begins !== undefined) return `${begins}：${sentence.slice(colon + 2)}`;
  return recognised(sentence) ?? sentence;
}
