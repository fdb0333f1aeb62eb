#include "gateway/targets/agents.h"

#include "common/clock.h"
#include "common/http_client.h"
#include "common/parse.h"
#include "common/version.h"
#include "gateway/gateway.h"
#include "gateway/targets/targets.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX    64u
#define CALL_MS        2000u /* an agent that does not say in this time how it is, is not well */
#define INFO_BYTES_MAX (64u * 1024)
#define URL_MAX        512
#define TEXT_MAX       128
#define TARGETS_SHOWN  8u

/* Where an agent is; two ends are one agent when host, port and name are the same. */
struct agent_end {
	char host[256];
	uint16_t port;
	char name[256]; /* that its certificate bears */
};

/* Further addresses of its machine, see struct target_instance. */
struct agent_others {
	char address[TARGET_OTHERS_MAX][46];
	size_t n;
};

struct known {
	struct known *next;
	struct agent_end end;
	struct agent_others others; /* as it was dialled last */
	uint64_t noted_ns;          /* monotonic: when it was dialled last */
	uint64_t seen_ns;           /* wall: when it answered last; 0: never */
};

struct agents {
	pthread_mutex_t lock;
	struct known *all; /* by lock */
	size_t n;          /* by lock */
};

struct agents *agents_new(struct err *err)
{
	struct agents *a = calloc(1, sizeof(*a));

	if (!a || pthread_mutex_init(&a->lock, NULL) != 0) {
		free(a);
		err_nomem(err);
		return NULL;
	}
	return a;
}

void agents_free(struct agents *a)
{
	struct known *k;

	if (!a)
		return;
	while ((k = a->all)) {
		a->all = k->next;
		free(k);
	}
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* ---- the table; all with the lock held ---- */

static bool end_is(const struct agent_end *a, const struct agent_end *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0 && strcmp(a->name, b->name) == 0;
}

static struct known *find(const struct agents *a, const struct agent_end *end)
{
	for (struct known *k = a->all; k; k = k->next) {
		if (end_is(&k->end, end))
			return k;
	}
	return NULL;
}

static void forget_oldest(struct agents *a)
{
	struct known **oldest = &a->all, *gone;

	for (struct known **at = &a->all; *at; at = &(*at)->next) {
		if ((*at)->noted_ns < (*oldest)->noted_ns)
			oldest = at;
	}
	if (!(gone = *oldest))
		return;
	*oldest = gone->next;
	free(gone);
	a->n--;
}

static struct known *remember(struct agents *a, const struct agent_end *end)
{
	struct known *k = find(a, end);

	if (k)
		return k;
	if (a->n >= AGENTS_MAX)
		forget_oldest(a);
	if (!(k = calloc(1, sizeof(*k))))
		return NULL;
	k->end = *end;
	k->next = a->all;
	a->all = k;
	a->n++;
	return k;
}

static void note(struct agents *a, const struct agent_end *end, const struct agent_others *others, bool answered)
{
	struct known *k;

	pthread_mutex_lock(&a->lock);
	k = remember(a, end);
	if (k) {
		k->others = *others;
		k->noted_ns = clock_mono_ns();
	}
	if (k && answered)
		k->seen_ns = clock_wall_ns();
	pthread_mutex_unlock(&a->lock);
}

void agents_note(struct agents *a, const struct target_instance *i, bool answered)
{
	struct agent_others others = {.n = i->others_n};
	struct agent_end end = {.port = i->port};

	if (!a || !i->host[0])
		return;
	snprintf(end.host, sizeof(end.host), "%s", i->host);
	snprintf(end.name, sizeof(end.name), "%s", i->agent_name);
	memcpy(others.address, i->others, sizeof(others.address));
	note(a, &end, &others, answered);
}

/* ---- a list ---- */

struct asked {
	struct agent_end end;
	struct agent_others others;
	uint64_t seen_ns;
	bool listed; /* in the inventory */
	json_t *entry;
};

struct list {
	struct gateway *gw;
	struct asked *agents;
	size_t n, more;
	atomic_size_t next; /* to be asked */
	uint64_t deadline_ns;
};

static struct asked *list_add(struct list *l, const struct agent_end *end)
{
	for (size_t i = 0; i < l->n; i++) {
		if (end_is(&l->agents[i].end, end))
			return &l->agents[i];
	}
	if (l->n >= AGENTS_ASKED_MAX) {
		l->more++;
		return NULL;
	}
	l->agents[l->n].end = *end;
	return &l->agents[l->n++];
}

static void add_listed(void *ctx, const char *host, uint16_t port, const char *name)
{
	struct agent_end end = {.port = port};
	struct asked *one;

	snprintf(end.host, sizeof(end.host), "%s", host);
	snprintf(end.name, sizeof(end.name), "%s", name);
	if ((one = list_add(ctx, &end)))
		one->listed = true;
}

static void add_known(struct list *l)
{
	struct agents *a = l->gw->agents;
	struct asked *one;

	pthread_mutex_lock(&a->lock);
	for (const struct known *k = a->all; k; k = k->next) {
		if (!(one = list_add(l, &k->end)))
			continue;
		one->seen_ns = k->seen_ns;
		one->others = k->others;
	}
	pthread_mutex_unlock(&a->lock);
}

/* Who answered lately comes first: should time run out, it is on those that are not there. */
static int by_seen(const void *x, const void *y)
{
	const struct asked *a = x, *b = y;

	return a->seen_ns < b->seen_ns ? 1 : a->seen_ns > b->seen_ns ? -1 : 0;
}

static int by_host(const void *x, const void *y)
{
	const struct asked *a = x, *b = y;
	int order = strcmp(a->end.host, b->end.host);

	return order ? order : (int)a->end.port - (int)b->end.port;
}

/* ---- what an agent says ---- */

static void take_text(const json_t *info, const char *key, json_t *entry)
{
	const char *text = json_string_value(json_object_get(info, key));
	char shown[TEXT_MAX];

	if (text)
		json_object_set_new(entry, key, json_string(parse_printable(text, shown, sizeof(shown))));
}

static void take_count(const json_t *info, const char *key, json_t *entry)
{
	json_t *v = json_object_get(info, key);

	if (json_is_integer(v) && json_integer_value(v) >= 0)
		json_object_set(entry, key, v);
}

static void take_targets(const json_t *info, json_t *entry)
{
	json_t *list = json_array(), *one;
	char shown[32];
	size_t i;

	json_array_foreach(json_object_get(info, "targets"), i, one)
	{
		if (i < TARGETS_SHOWN && json_is_string(one))
			json_array_append_new(
				list, json_string(parse_printable(json_string_value(one), shown, sizeof(shown))));
	}
	json_object_set_new(entry, "targets", list);
}

/* How its version stands to ours; NULL: the same. */
static const char *skew_of(const json_t *entry)
{
	const char *version = json_string_value(json_object_get(entry, "version"));
	json_int_t level = json_integer_value(json_object_get(entry, "api_level"));

	if (!version)
		return NULL;
	if (level != PCAPLINE_API_LEVEL)
		return level < PCAPLINE_API_LEVEL ? "older" : "newer";
	return strcmp(version, PCAPLINE_VERSION) == 0 ? NULL : "version";
}

void agents_read_info(const json_t *info, json_t *entry)
{
	const char *skew;

	take_text(info, "version", entry);
	take_text(info, "instance", entry);
	take_count(info, "api_level", entry);
	take_count(info, "captures", entry);
	take_count(info, "captures_max", entry);
	take_targets(info, entry);
	if ((skew = skew_of(entry)))
		json_object_set_new(entry, "skew", json_string(skew));
}

/* ---- asking ---- */

static int ask_at(struct list *l, struct asked *one, const char *host, unsigned ms, struct err *err)
{
	char url[URL_MAX], dial[288];
	const struct http_call_options o = {
		.method = "GET",
		.url = url,
		.dial = dial,
		.tls = &l->gw->agents_tls,
		.connect_timeout_ms = ms,
		.total_timeout_ms = ms,
		.body_bytes_max = INFO_BYTES_MAX,
	};
	struct http_call *call;
	json_t *info = NULL;

	parse_join_host_port(host, one->end.port, dial, sizeof(dial));
	snprintf(url, sizeof(url), "https://%s:%u/v1/info", one->end.name, (unsigned)one->end.port);
	if (!(call = http_call_new(&o, err)))
		return -1;
	if (http_call_run(call, err) == 0 && http_call_error(call, err) == 0)
		info = http_call_json(call, err);
	http_call_free(call);
	if (!info)
		return -1;
	agents_read_info(info, one->entry);
	json_decref(info);
	return 0;
}

static unsigned left_ms(const struct list *l)
{
	uint64_t now = clock_mono_ns();
	uint64_t left = l->deadline_ns > now ? (l->deadline_ns - now) / CLOCK_NS_PER_MS : 0;

	return left < CALL_MS ? (unsigned)left : CALL_MS;
}

static int ask(struct list *l, struct asked *one, struct err *err)
{
	unsigned ms = left_ms(l);
	int rc;

	if (ms == 0) {
		err_set(err, ERR_TIMEOUT, "was not asked: others took too long to answer");
		return err_detail(err, "not_asked");
	}
	rc = ask_at(l, one, one->end.host, ms, err);
	for (size_t i = 0; rc < 0 && i < one->others.n && (ms = left_ms(l)) > 0; i++) {
		*err = (struct err){0};
		rc = ask_at(l, one, one->others.address[i], ms, err);
	}
	return rc;
}

static void ask_one(struct list *l, struct asked *one)
{
	struct err err = {0};

	if (ask(l, one, &err) == 0) {
		one->seen_ns = clock_wall_ns();
		note(l->gw->agents, &one->end, &one->others, true);
		return;
	}
	json_object_set_new(
		one->entry, "error", json_pack("{s:s, s:s}", "code", err_api_code(&err), "message", err.msg));
}

static void *ask_all(void *arg)
{
	struct list *l = arg;
	size_t i;

	pthread_setname_np(pthread_self(), "agents-list");
	while ((i = atomic_fetch_add(&l->next, 1)) < l->n)
		ask_one(l, &l->agents[i]);
	return NULL;
}

static void run_workers(struct list *l)
{
	pthread_t workers[WORKERS_MAX];
	size_t n = 0;

	while (n < WORKERS_MAX && n < l->n && pthread_create(&workers[n], NULL, ask_all, l) == 0)
		n++;
	if (n == 0)
		ask_all(l);
	while (n > 0)
		pthread_join(workers[--n], NULL);
}

static json_t *new_entry(const struct asked *one)
{
	char where[288];

	parse_join_host_port(one->end.host, one->end.port, where, sizeof(where));
	return json_pack("{s:s, s:s, s:b, s:n, s:n, s:n, s:n, s:n, s:[], s:n, s:n, s:n}", "agent", where, "name",
		one->end.name, "listed", one->listed, "last_seen_at", "version", "api_level", "skew", "instance",
		"targets", "captures", "captures_max", "error");
}

static json_t *list_json(struct list *l)
{
	json_t *ret = json_array();
	char text[CLOCK_TEXT_MAX];

	qsort(l->agents, l->n, sizeof(*l->agents), by_host);
	for (size_t i = 0; i < l->n; i++) {
		struct asked *one = &l->agents[i];

		if (one->seen_ns > 0)
			json_object_set_new(one->entry, "last_seen_at", json_string(clock_rfc3339(one->seen_ns, text)));
		json_array_append_new(ret, one->entry);
		one->entry = NULL;
	}
	return ret;
}

json_t *agents_list(struct gateway *gw, size_t *ret_more, struct err *err)
{
	struct list l = {.gw = gw, .agents = calloc(AGENTS_ASKED_MAX, sizeof(*l.agents))};
	json_t *ret = NULL;
	size_t i;

	if (!l.agents) {
		err_nomem(err);
		return NULL;
	}
	targets_each_agent(gw->targets, add_listed, &l);
	add_known(&l);
	qsort(l.agents, l.n, sizeof(*l.agents), by_seen);
	for (i = 0; i < l.n; i++) {
		if (!(l.agents[i].entry = new_entry(&l.agents[i])))
			break;
	}
	if (i == l.n) {
		l.deadline_ns = clock_mono_ns() + AGENTS_LIST_MS * CLOCK_NS_PER_MS;
		run_workers(&l);
		ret = list_json(&l);
	}
	if (!ret)
		err_nomem(err);
	for (i = 0; i < l.n; i++)
		json_decref(l.agents[i].entry);
	free(l.agents);
	*ret_more = l.more;
	return ret;
}
