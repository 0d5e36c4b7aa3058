/**
 * Every fault of the proxy's fault table in words, in both languages, with advice where the
 * operator can do something. A test compares the names with the table.
 */

import type { Language } from "../state/preferences";

export interface FaultWords {
  says: string;
  advice?: string;
}

type Row = Record<Language, FaultWords>;

function row(en: string, zh: string, advice?: readonly [en: string, zh: string]): Row {
  if (advice === undefined) return { en: { says: en }, zh: { says: zh } };
  return { en: { says: en, advice: advice[0] }, zh: { says: zh, advice: advice[1] } };
}

const CHECK_ADDRESS = [
  "Check the upstream's address and whether this machine reaches it; llm-proxy check tells.",
  "检查上游地址以及本机能否访问；可运行 llm-proxy check。",
] as const;

export const FAULTS: Record<string, Row> = {
  connect_refused: row("connection refused", "连接被拒绝", CHECK_ADDRESS),
  connect_timeout: row("could not be reached in time", "连接超时", CHECK_ADDRESS),
  connect_failed: row("connection failed", "连接失败", CHECK_ADDRESS),
  dns_failed: row("name could not be resolved", "域名无法解析", [
    "Check the spelling of the upstream's address and this machine's name resolution.",
    "检查上游地址的拼写和本机的 DNS。",
  ]),
  tls_failed: row("no TLS connection", "TLS 连接失败", [
    "Check the upstream's certificate, this machine's clock, and http against https.",
    "检查上游证书、本机时间，以及地址该用 http 还是 https。",
  ]),
  proxy_failed: row("the outbound proxy refused", "出站代理拒绝连接", [
    "Check OUTBOUND_PROXY and whether that proxy is running.",
    "检查 OUTBOUND_PROXY，以及那个代理是否在运行。",
  ]),
  reset: row("closed without an answer", "未回答就断开连接"),
  garbage: row("the answer was not valid HTTP", "响应不是有效的 HTTP", [
    "Check that the address speaks HTTP on this port, and http against https.",
    "检查该端口是否提供 HTTP 服务，以及地址该用 http 还是 https。",
  ]),
  body_cut: row("the answer was cut off", "响应不完整"),
  not_json: row("the answer was not JSON", "响应不是 JSON", [
    "The address may lead to a web page: check its path.",
    "地址可能指向了网页，请检查路径。",
  ]),
  empty_answer: row("the answer was empty", "响应为空"),
  no_stream: row("answered late and without the stream asked for", "响应太晚且不是所请求的流", [
    "The upstream seems not to stream: ask it without stream.",
    "该上游似乎不支持流式输出：请不要用 stream 请求它。",
  ]),
  request_timeout: row("the upstream gave up waiting", "上游等待超时"),
  locked: row("could not take the request just then", "上游暂时无法处理"),
  server_error: row("the upstream failed", "上游出错"),
  overloaded: row("the upstream is overloaded", "上游过载"),
  head_late: row("no answer in time", "上游响应超时"),
  first_token_late: row("the first token came too late", "首 Token 太慢"),
  silent: row("fell silent", "上游没有动静"),
  rate_limited: row("rate limited", "触发限流"),
  quota: row("out of credit", "额度用尽", [
    "Top up the account behind this key, or add another key.",
    "给该密钥的账户充值，或增加其他密钥。",
  ]),
  key_rejected: row("key rejected", "密钥被拒", [
    "Check this key in API_KEY: it may be mistyped, expired or of another provider.",
    "检查 API_KEY 中的这个密钥：可能填错、过期，或属于别的服务商。",
  ]),
  permission: row("forbidden for this key", "密钥没有权限", [
    "The key's account may not use this model or function.",
    "该密钥的账户可能无权使用此模型或功能。",
  ]),
  model_not_found: row("unknown model", "模型不存在", [
    "Check the model's name, or map it with MODEL_MAP.",
    "检查模型名，或用 MODEL_MAP 做映射。",
  ]),
  unknown_id: row("nothing kept under this id", "上游没有这个 ID", [
    "It was made elsewhere, or deleted.",
    "它是在别处创建的，或已被删除。",
  ]),
  context_too_long: row("conversation too long for the model", "对话超出模型长度", [
    "Shorten the conversation or use a model with a longer context.",
    "缩短对话，或换用上下文更长的模型。",
  ]),
  content_filtered: row("refused by the content filter", "被内容审核拒绝"),
  client_fault: row("the request is faulty", "请求有误", [
    "Read the upstream's words; the client's request has to change.",
    "请看上游原话；需要修改客户端的请求。",
  ]),
  redirected: row("the upstream redirects", "上游要求跳转", [
    "Set PROXY_URL to the address it redirects to.",
    "把 PROXY_URL 改成跳转后的地址。",
  ]),
  head_too_large: row("answer head too large", "响应头过大"),
  stream_cut: row("the stream broke off", "流中途断开"),
  stream_stalled: row("the stream fell silent", "流中途停顿"),
  stream_error: row("error within the stream", "流中报错"),
  text_differs: row("the continuation was another text", "续写的内容对不上"),
  client_gone: row("the client hung up", "客户端离开"),
  deadline: row("the request's time was used up", "请求总时限已到", [
    "Raise REQUEST_TIMEOUT_S, or the client's own time limit.",
    "调大 REQUEST_TIMEOUT_S，或客户端自己的时限。",
  ]),
  cancelled: row("ended by the owner", "被所有者中止"),
  paused: row("every key is paused", "所有密钥均已暂停", [
    "Resume a key in the list of upstreams.",
    "请在上游列表中恢复密钥。",
  ]),
  keys_busy: row("every key is busy", "所有密钥都已满载", [
    "Raise max_concurrency of the upstream, or add a key.",
    "调大该上游的 max_concurrency，或增加密钥。",
  ]),
  shut_down: row("the proxy was shutting down", "代理正在停机"),
};

/** A fault this page does not know yet keeps its name. */
export function faultWords(name: string, language: Language): FaultWords {
  return FAULTS[name]?.[language] ?? { says: name.replaceAll("_", " ") };
}
