// The types of the page, from the OpenAPI document. `tests/clients/page` generates "baton-api" and checks the modules
// against it; no browser ever loads this file.

import type { components } from "baton-api";

type Schemas = components["schemas"];

export type Session = Schemas["GlobalSession"] | Schemas["Session"];
export type Selection = Schemas["ModelSelection"];
export type Message = Schemas["Message"];
export type UserMessage = Schemas["UserMessage"];
export type AssistantMessage = Schemas["AssistantMessage"];
export type Part = Schemas["MessagePart"];
export type TextPart = Schemas["TextPart"];
export type ToolPart = Schemas["ToolPart"];
export type FilePart = Schemas["FilePart"];
export type ModelHistory = Schemas["ModelHistory"];
export type ModelSwitch = Schemas["ModelSwitch"];
export type ModelUsage = Schemas["ModelUsage"];
export type ModelHandover = Schemas["ModelHandover"];
export type Transfer = Schemas["Transfer"];
export type BackendInfo = Schemas["BackendInfo"];
export type McpStatus = Schemas["McpServerStatus"];
export type SpendingLimit = Schemas["SpendingLimit"];
export type SpendingRefusal = Schemas["SpendingLimitData"];
export type NativeSession = Schemas["NativeSessionInfo"];
export type Provider = Schemas["Provider"];
export type ProviderList = Schemas["ProviderCatalog"];
export type Model = Schemas["Model"];
export type Agent = Schemas["Agent"];
export type PermissionRequest = Schemas["PermissionRequest"];
export type QuestionRequest = Schemas["QuestionRequest"];
export type Tokens = Schemas["Tokens"];
export type GlobalEvent = Schemas["GlobalEvent"];
export type Event = Schemas["ServerEvent"];

/** A message of the conversation that is shown. */
export interface Shown {
  info: Message;
  parts: Part[];
}

/** Something an agent waits for. */
export type Ask =
  | { kind: "permission"; request: PermissionRequest }
  | { kind: "question"; request: QuestionRequest };

/** A change that the server has refused, so that no trail has it. */
export interface Refused {
  key: string;
  text: string;
  time: number;
  /** Where a limit was reached: which, and what was spent. */
  spending?: SpendingRefusal | undefined;
}

/** The session that is shown. */
export interface View {
  info: Session;
  messages: Shown[];
  /** Leads on to older messages; null when all are there. */
  older: string | null;
  history: ModelHistory | null;
  asks: Ask[];
  refused: Refused[];
}

/** One row of the conversation. */
export type Row =
  | { key: string; kind: "older" }
  | { key: string; kind: "message"; message: Shown }
  | { key: string; kind: "switch"; entry: ModelSwitch; next: ModelSwitch | null; latest: boolean }
  | { key: string; kind: "refused"; refused: Refused }
  | { key: string; kind: "ask"; ask: Ask };
