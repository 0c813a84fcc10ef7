// How a model's provider says that it does not want to now, in the words and shapes of each wire API. The texts are what
// the vendors' APIs answered in 2026, shortened.

/**
 * `brief` is a 429 that is over after a second.
 * @typedef {"brief" | "rate" | "quota" | "credit" | "overloaded" | "outage" | "signin"} Kind
 * @typedef {{status: number, headers?: Object<string, string>, body: object}} Refusal
 */

const anthropic = (type, message) => ({ type: "error", error: { type, message } });
const openai = (message, type, code = null, more = {}) => ({ error: { message, type, param: null, code, ...more } });
const google = (code, status, message, details = []) => ({ error: { code, status, message, details } });

const OPENAI = {
  brief: {
    status: 429,
    headers: { "retry-after": "1" },
    body: openai("Rate limit reached for requests. Please try again in 1s.", "requests", "rate_limit_exceeded"),
  },
  rate: {
    status: 429,
    headers: { "retry-after": "20" },
    body: openai("Rate limit reached for this model on tokens per min (TPM): Limit 30000, Used 30000. Please try again in 20s.", "tokens", "rate_limit_exceeded"),
  },
  quota: { status: 429, body: openai("You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", "insufficient_quota") },
  credit: { status: 402, body: openai("Insufficient credits. Add more using the settings page.", "payment_required", "402") },
  overloaded: { status: 503, body: openai("The server is currently overloaded with other requests. Please retry later.", "server_error", "server_overloaded") },
  outage: { status: 502, body: openai("Bad gateway", "server_error") },
  signin: { status: 401, body: openai("Incorrect API key provided.", "invalid_request_error", "invalid_api_key") },
};

/** @type {Object<string, Object<Kind, Refusal>>} by the adapter's name */
const BY_API = {
  "anthropic-messages": {
    brief: {
      status: 429,
      headers: { "retry-after": "1" },
      body: anthropic("rate_limit_error", "Number of requests has exceeded your rate limit. Please try again in 1s."),
    },
    rate: {
      status: 429,
      headers: { "retry-after": "20" },
      body: anthropic("rate_limit_error", "This request would exceed your organization's rate limit of 50,000 input tokens per minute."),
    },
    quota: { status: 429, headers: { "retry-after": "3600" }, body: anthropic("rate_limit_error", "You have reached your specified API usage limits.") },
    credit: { status: 400, body: anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.") },
    overloaded: { status: 529, body: anthropic("overloaded_error", "Overloaded") },
    outage: { status: 502, body: anthropic("api_error", "Bad gateway") },
    signin: { status: 401, body: anthropic("authentication_error", "invalid x-api-key") },
  },
  "openai-chat": OPENAI,
  "openai-responses": {
    ...OPENAI,
    quota: { status: 429, body: openai("The usage limit has been reached", "usage_limit_reached", null, { plan_type: "plus", resets_in_seconds: 3600 }) },
  },
  gemini: {
    brief: { status: 429, body: google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted. Please retry in 1s.") },
    rate: {
      status: 429,
      body: google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota). Please retry in 20s.", [
        { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "20s" },
      ]),
    },
    quota: { status: 429, body: google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details.") },
    credit: { status: 402, body: google(402, "FAILED_PRECONDITION", "Billing account is not active.") },
    overloaded: { status: 503, body: google(503, "UNAVAILABLE", "The model is overloaded. Please try again later.") },
    outage: { status: 502, body: google(502, "UNAVAILABLE", "Bad gateway") },
    signin: { status: 401, body: google(401, "UNAUTHENTICATED", "API key not valid. Please pass a valid API key.") },
  },
};

/** @returns {Refusal} @param {string} api @param {Kind} kind */
export function refusal(api, kind) {
  const found = BY_API[api]?.[kind];
  if (!found) throw new Error(`${api} has no refusal "${kind}"`);
  return found;
}
