#include "gateway/metrics/metrics.h"

#include <string.h>

#define N(list) (sizeof(list) / sizeof((list)[0]))

/* ---- requests ---- */

static const char *const classes[] = {"2xx", "3xx", "4xx", "5xx", "other"};
static _Atomic uint64_t requests[METRICS_ROUTES_MAX + 1][N(classes)];
static struct metrics_histogram request_durations[METRICS_ROUTES_MAX + 1];

void metrics_request(size_t route, int status, uint64_t ns)
{
	size_t class = status >= 200 && status < 600 ? (size_t)status / 100 - 2 : N(classes) - 1;

	route = route < METRICS_ROUTE_OTHER ? route : METRICS_ROUTE_OTHER;
	atomic_fetch_add_explicit(&requests[route][class], 1, memory_order_relaxed);
	metrics_observe(&request_durations[route], ns);
}

/* Rows without a request are left out: most routes have most classes never. */
void metrics_request_show(struct metrics_page *p, size_t route, const char *path, const char *method)
{
	for (size_t i = 0; i < N(classes); i++) {
		uint64_t n = atomic_load_explicit(&requests[route][i], memory_order_relaxed);

		if (n > 0)
			metrics_u64(p, n, "route", path, "method", method, "class", classes[i], METRICS_END);
	}
}

void metrics_request_durations_show(struct metrics_page *p, size_t route, const char *path, const char *method)
{
	uint64_t n = 0;

	for (size_t i = 0; i < N(classes); i++)
		n += atomic_load_explicit(&requests[route][i], memory_order_relaxed);
	if (n > 0)
		metrics_durations(p, &request_durations[route], "route", path, "method", method, METRICS_END);
}

/* ---- captures ---- */

static const char *const start_outcomes[] = {"live", "stored", "waiting", "bad_request", "unauthorized", "forbidden",
	"not_found", "conflict", "too_large", "limited", "agents_failed", "unavailable", "other"};
static const int start_status[] = {200, 202, METRICS_START_WAITS, 400, 401, 403, 404, 409, 413, 429, 502, 503};
static _Atomic uint64_t start_cells[N(start_outcomes)];
static struct metrics_counter starts = {
	.name = "pcapline_gateway_starts_total",
	.help = "Requests for a capture, by what became of them.",
	.labels = {{"outcome", METRICS_WORDS(start_outcomes)}},
	.cells = start_cells,
};
_Static_assert(N(start_status) + 1 == N(start_outcomes), "a word for each status, and one for the rest");

void metrics_start(int status)
{
	size_t i = 0;

	while (i < N(start_status) && start_status[i] != status)
		i++;
	metrics_count(&starts, i, 0, 1);
}

static const char *const modes[] = {"live", "store"};
static const char *const reasons[] = {"user_stop", "max_duration", "max_bytes", "max_packets", "client_gone",
	"instances_ended", "gateway_shutdown", "killed", "deleted", "storage_full", "spool_full", "storage_failed",
	"start_failed", "right_gone", "right_unknown", "target_gone", "switched_off", "quota", "policy_changed",
	"internal_error", "other"};
static _Atomic uint64_t ended_cells[N(modes) * N(reasons)];
static struct metrics_counter ended = {
	.name = "pcapline_gateway_captures_ended_total",
	.help = "Captures that ended, by mode and reason.",
	.labels = {{"mode", METRICS_WORDS(modes)}, {"reason", METRICS_WORDS(reasons)}},
	.cells = ended_cells,
};

static const char *const outcomes[] = {"ready", "streamed", "failed", "killed", "purged", "finishing", "other"};
static _Atomic uint64_t outcome_cells[N(modes) * N(outcomes)];
static struct metrics_counter outcome = {
	.name = "pcapline_gateway_captures_outcome_total",
	.help = "Captures that ended, by mode and state; finishing: what it left waits for the store.",
	.labels = {{"mode", METRICS_WORDS(modes)}, {"state", METRICS_WORDS(outcomes)}},
	.cells = outcome_cells,
};

void metrics_capture_ended(enum job_mode mode, enum job_state state, enum stop_reason reason)
{
	size_t m = metrics_word(&ended.labels[0], job_mode_name(mode));

	metrics_count(&ended, m, metrics_word(&ended.labels[1], stop_reason_name(reason)), 1);
	metrics_count(&outcome, m, metrics_word(&outcome.labels[1], job_state_name(state)), 1);
}

static const char *const kinds[] = {"input", "limit", "busy", "not_found", "auth", "perm", "state", "net", "timeout",
	"unavailable", "internal", "other"};
static _Atomic uint64_t stream_cells[N(kinds)];
static struct metrics_counter streams = {
	.name = "pcapline_gateway_agent_stream_errors_total",
	.help = "Streams of agents that could not be started or broke off, by the kind of failure.",
	.labels = {{"reason", METRICS_WORDS(kinds)}},
	.cells = stream_cells,
};

void metrics_stream_failed(enum err_code code)
{
	metrics_count(&streams, metrics_word(&streams.labels[0], err_code_name(code)), 0, 1);
}

/* ---- who asks, and who is asked ---- */

static const char *const token_reasons[] = {"missing", "invalid", "expired", "not_allowed", "unavailable", "other"};
static _Atomic uint64_t token_cells[N(token_reasons)];
static struct metrics_counter tokens = {
	.name = "pcapline_gateway_tokens_refused_total",
	.help = "Calls that were refused for who made them, by the reason.",
	.labels = {{"reason", METRICS_WORDS(token_reasons)}},
	.cells = token_cells,
};

static const char *token_reason(const struct err *why, bool shown)
{
	if (why->code == ERR_PERM)
		return "not_allowed";
	if (why->code == ERR_UNAVAILABLE)
		return "unavailable";
	if (why->code != ERR_AUTH)
		return "other";
	if (!shown)
		return "missing";
	return strcmp(why->detail, "token_expired") == 0 ? "expired" : "invalid";
}

void metrics_token_refused(const struct err *why, bool shown)
{
	metrics_count(&tokens, metrics_word(&tokens.labels[0], token_reason(why, shown)), 0, 1);
}

static const char *const platforms[] = {"cf", "bosh", "issuer"};
static const char *const answers[] = {"ok", "refused", "busy", "failed", "timeout", "unreachable", "cancelled"};
static _Atomic uint64_t platform_cells[N(platforms) * N(answers)];
static struct metrics_counter platform_requests = {
	.name = "pcapline_gateway_platform_requests_total",
	.help = "Requests to Cloud Controller, the director and issuers of tokens, by what they said.",
	.labels = {{"platform", METRICS_WORDS(platforms)}, {"outcome", METRICS_WORDS(answers)}},
	.cells = platform_cells,
};
static struct metrics_histogram platform_durations[N(platforms)];

static const char *answer_kind(int status, const struct err *why)
{
	if (status == 0 && why->code == ERR_CANCELLED)
		return "cancelled";
	if (status == 0)
		return why->code == ERR_TIMEOUT ? "timeout" : "unreachable";
	if (status == 429)
		return "busy";
	if (status >= 200 && status < 300)
		return "ok";
	return status >= 400 && status < 500 ? "refused" : "failed";
}

void metrics_platform_asked(enum metrics_platform which, int status, const struct err *why, uint64_t ns)
{
	size_t a = metrics_word(&platform_requests.labels[1], answer_kind(status, why));

	metrics_count(&platform_requests, which, a, 1);
	metrics_observe(&platform_durations[which], ns);
}

static const char *const ways[] = {"gateway", "redirect"};
static _Atomic uint64_t download_cells[N(ways)];
static struct metrics_counter downloads = {
	.name = "pcapline_gateway_downloads_total",
	.help = "Downloads that began here, and those that were sent to a link.",
	.labels = {{"way", METRICS_WORDS(ways)}},
	.cells = download_cells,
};

void metrics_download(bool by_us)
{
	metrics_count(&downloads, by_us ? 0 : 1, 0, 1);
}

static _Atomic uint64_t audit_cells[1];
static struct metrics_counter audit_failures = {
	.name = "pcapline_gateway_audit_failures_total",
	.help = "Records that could not be written to the audit trail; what they were to tell of was refused.",
	.cells = audit_cells,
};

void metrics_audit_failed(void)
{
	metrics_count(&audit_failures, 0, 0, 1);
}

/* ---- limits ---- */

static const char *const limit_names[] = {"captures", "captures_per_user", "captures_per_space", "captures_per_org",
	"captures_per_app", "captures_per_agent", "captures_per_deployment", "instances", "duration", "bytes",
	"packets", "snaplen", "starts_per_hour", "starts_per_day", "starts_per_hour_org", "starts_per_day_org", "rate",
	"rate_per_capture", "quota_user", "quota_org", "spool", "storage", "viewers", "agent", "platform", "other"};
static _Atomic uint64_t limit_cells[N(limit_names)];
static struct metrics_counter limits = {
	.name = "pcapline_gateway_limits_hit_total",
	.help = "How often a limit refused something, by the limit.",
	.labels = {{"limit", METRICS_WORDS(limit_names)}},
	.cells = limit_cells,
};

void metrics_limit_hit(const char *limit)
{
	metrics_count(&limits, metrics_word(&limits.labels[0], limit), 0, 1);
}

/* Counted by limits.c, which knows which. */
static bool is_of_limits(const struct err *err)
{
	static const char *const codes[] = {"too_many_captures", "too_many_starts", "quota_exceeded"};

	for (size_t i = 0; i < N(codes); i++) {
		if (strcmp(codes[i], err->detail) == 0)
			return true;
	}
	return false;
}

/* Which limit is meant by a refusal's code or field, where neither is the limit's own name. */
static const struct {
	const char *said, *limit;
} said[] = {
	{"too_many_instances", "instances"},
	{"too_many_viewers", "viewers"},
	{"spool_full", "spool"},
	{"platform_busy", "platform"},
	{"options.max_duration_s", "duration"},
	{"options.max_bytes", "bytes"},
	{"options.max_packets", "packets"},
	{"options.snaplen", "snaplen"},
};

void metrics_refused(const struct err *err)
{
	const char *limit = err->detail;

	if ((err->code != ERR_BUSY && err->code != ERR_LIMIT && err->code != ERR_FULL) || is_of_limits(err))
		return;
	for (size_t i = 0; i < N(said); i++) {
		if (strcmp(said[i].said, err->detail) == 0 || strcmp(said[i].said, err->field) == 0)
			limit = said[i].limit;
	}
	metrics_limit_hit(limit);
}

/* ---- the page ---- */

void metrics_show(struct metrics_page *p)
{
	metrics_counter_show(p, &starts);
	metrics_counter_show(p, &ended);
	metrics_counter_show(p, &outcome);
	metrics_counter_show(p, &streams);
	metrics_counter_show(p, &tokens);
	metrics_counter_show(p, &limits);
	metrics_counter_show(p, &downloads);
	metrics_counter_show(p, &audit_failures);
	metrics_counter_show(p, &platform_requests);
	metrics_family(p, METRICS_HISTOGRAM, "pcapline_gateway_platform_request_duration_seconds",
		"How long these requests took.");
	for (size_t i = 0; i < N(platforms); i++)
		metrics_durations(p, &platform_durations[i], "platform", platforms[i], METRICS_END);
}
