#include "gateway/page/page_login.h"

#include "common/clock.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/http_client.h"
#include "common/json_in.h"
#include "common/parse.h"
#include "schema/issuers.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FORM_BYTES_MAX  (16u * 1024)
#define REPLY_BYTES_MAX (64u * 1024)
#define TURN_NS         (CLOCK_NS_PER_S / LOGIN_PER_S)
#define ALL_TURN_NS     (CLOCK_NS_PER_S / LOGIN_ALL_PER_S)
#define PEER_MAX        64
/* More than can be asking or have asked too recently to be forgotten: such a one has a turn of all's, at most LOGIN_BURST / LOGIN_PER_S seconds ago. */
#define PEERS_MAX 256u
_Static_assert(PEERS_MAX > LOGIN_ALL_AT_ONCE + LOGIN_ALL_BURST + LOGIN_ALL_PER_S * (LOGIN_BURST / LOGIN_PER_S + 1),
	"a place for everybody whom all's limits let in");

/* Where the issuer is. */
struct where {
	char *authorize_url, *token_url;
	char *ca; /* path; "" : the system's */
};

/* How often somebody has asked. */
struct turns {
	unsigned busy;    /* requests that wait for the issuer */
	uint64_t next_ns; /* when as many requests as there were would have been due, one each turn */
};

struct peer {
	char name[PEER_MAX]; /* "" : a free place */
	struct turns turns;
};

struct page_login {
	char *path; /* of the file of issuers */
	char *issuer, *client_id, *scopes, *authorize_url, *token_url;
	pthread_mutex_t lock;
	/* by lock */
	struct where where;
	struct turns all;
	struct peer peers[PEERS_MAX];
};

/* ---- where the issuer is ---- */

static void where_done(struct where *w)
{
	free(w->authorize_url);
	free(w->token_url);
	free(w->ca);
	*w = (struct where){0};
}

/* said, or UAA's path below base. */
static int take_url(const struct issuer *s, const char *key, const char *said, const char *base, const char *path,
	char **ret, struct err *err)
{
	if (!said[0] && (s->kind != ISSUER_UAA || !base[0]))
		return err_set(err, ERR_INPUT, "page.%s: must be said: of issuer \"%s\" it is not known", key, s->name);
	if (said[0] && strncmp(said, "https://", 8) != 0 && !(s->allow_http && strncmp(said, "http://", 7) == 0))
		return err_set(err, ERR_INPUT, "page.%s: \"%s\" does not begin with https://", key, said);
	if (strpbrk(said, "?#@ \"<>\\^`{|}"))
		return err_set(
			err, ERR_INPUT, "page.%s: \"%s\" has a user, a query, or what no URL can hold", key, said);
	*ret = said[0] ? strdup(said) : fs_path("%s%s", base, path);
	return *ret ? 0 : err_nomem(err);
}

static int find_where(const struct page_login *l, struct where *ret, struct err *err)
{
	const struct issuer *s = NULL;
	struct issuers all;
	int rc = -1;

	*ret = (struct where){0};
	if (issuers_load(l->path, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.n && !s; i++)
		s = strcmp(all.issuers[i].name, l->issuer) == 0 ? &all.issuers[i] : NULL;
	if (!s)
		err_set(err, ERR_INPUT, "page.issuer: \"%s\" does not stand in %s", l->issuer, l->path);
	else if (take_url(s, "authorize_url", l->authorize_url, s->login_url, "/oauth/authorize", &ret->authorize_url,
			 err) == 0 &&
		 take_url(s, "token_url", l->token_url, s->url, "/oauth/token", &ret->token_url, err) == 0)
		rc = (ret->ca = strdup(s->ca)) ? 0 : err_nomem(err);
	if (rc < 0)
		where_done(ret);
	issuers_done(&all);
	return rc;
}

/* ---- life ---- */

void page_login_free(struct page_login *l)
{
	if (!l)
		return;
	where_done(&l->where);
	pthread_mutex_destroy(&l->lock);
	free(l->path);
	free(l->issuer);
	free(l->client_id);
	free(l->scopes);
	free(l->authorize_url);
	free(l->token_url);
	free(l);
}

int page_login_new(const struct config_gateway *c, struct page_login **ret, struct err *err)
{
	struct page_login *l;

	*ret = NULL;
	if (!c->page_client_id[0])
		return 0;
	if (!(l = calloc(1, sizeof(*l))))
		return err_nomem(err);
	pthread_mutex_init(&l->lock, NULL);
	if (!(l->path = strdup(c->issuers_file)) || !(l->issuer = strdup(c->page_issuer)) ||
		!(l->client_id = strdup(c->page_client_id)) || !(l->scopes = strdup(c->page_scopes)) ||
		!(l->authorize_url = strdup(c->page_authorize_url)) || !(l->token_url = strdup(c->page_token_url)))
		err_nomem(err);
	else if (find_where(l, &l->where, err) == 0)
		*ret = l;
	if (!*ret)
		page_login_free(l);
	return *ret ? 0 : -1;
}

int page_login_reload(struct page_login *l, struct err *err)
{
	struct where fresh, was;

	if (!l)
		return 0;
	if (find_where(l, &fresh, err) < 0)
		return -1;
	pthread_mutex_lock(&l->lock);
	was = l->where;
	l->where = fresh;
	pthread_mutex_unlock(&l->lock);
	where_done(&was);
	return 0;
}

json_t *page_login_json(struct page_login *l, const char *redirect_uri)
{
	json_t *ret;

	pthread_mutex_lock(&l->lock);
	ret = json_pack("{s:s, s:s, s:s, s:s, s:s}", "issuer", l->issuer, "authorize_url", l->where.authorize_url,
		"client_id", l->client_id, "scopes", l->scopes, "redirect_uri", redirect_uri);
	pthread_mutex_unlock(&l->lock);
	return ret;
}

/* ---- the exchange ---- */

/* Who has a network of IPv6 has more addresses in it than anybody could count: the network is the peer. */
static void name_peer(const char *peer, char ret[PEER_MAX])
{
	struct in6_addr a;

	snprintf(ret, PEER_MAX, "%s", peer && peer[0] ? peer : "?");
	if (inet_pton(AF_INET6, ret, &a) != 1)
		return;
	memset(a.s6_addr + 8, 0, 8);
	inet_ntop(AF_INET6, &a, ret, PEER_MAX);
}

static bool is_idle(const struct turns *t, uint64_t now)
{
	return t->busy == 0 && t->next_ns <= now;
}

/* Its place, or one of somebody who may be forgotten, which there always is; the lock is held. */
static struct peer *find_peer(struct page_login *l, const char *name, uint64_t now)
{
	struct peer *place = NULL;

	for (size_t i = 0; i < PEERS_MAX; i++) {
		struct peer *p = &l->peers[i];

		if (strcmp(p->name, name) == 0)
			return p;
		if (!place && (!p->name[0] || is_idle(&p->turns, now)))
			place = p;
	}
	if (place) {
		memset(place, 0, sizeof(*place));
		snprintf(place->name, sizeof(place->name), "%s", name);
	}
	return place;
}

static bool may_ask(struct turns *t, unsigned at_once, uint64_t burst_ns, uint64_t now)
{
	if (t->next_ns < now)
		t->next_ns = now;
	return t->busy < at_once && t->next_ns - now < burst_ns;
}

static void count_turn(struct turns *t, uint64_t turn_ns)
{
	t->next_ns += turn_ns;
	t->busy++;
}

/* Anybody may ask, so that each is heard only so often, and the issuer asked only so often, and few threads wait for it. */
static int take_turn(struct page_login *l, const char *peer, struct peer **ret, struct err *err)
{
	uint64_t now = clock_mono_ns();
	char name[PEER_MAX];
	struct peer *p;
	int rc = 0;

	name_peer(peer, name);
	pthread_mutex_lock(&l->lock);
	p = find_peer(l, name, now);
	if (p && !may_ask(&p->turns, LOGIN_AT_ONCE, LOGIN_BURST * TURN_NS, now)) {
		rc = err_set(err, ERR_BUSY, "too many logins from %s just now; try again in a second", name);
	} else if (!p || !may_ask(&l->all, LOGIN_ALL_AT_ONCE, LOGIN_ALL_BURST * ALL_TURN_NS, now)) {
		rc = err_set(err, ERR_BUSY, "too many people log in just now; try again in a second");
	} else {
		count_turn(&p->turns, TURN_NS);
		count_turn(&l->all, ALL_TURN_NS);
	}
	pthread_mutex_unlock(&l->lock);
	*ret = p;
	return rc;
}

static void end_turn(struct page_login *l, struct peer *p)
{
	pthread_mutex_lock(&l->lock);
	p->turns.busy--;
	l->all.busy--;
	pthread_mutex_unlock(&l->lock);
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

static int form_add(struct buf *b, const char *name, const char *value, struct err *err)
{
	if (buf_addf(b, err, "%s%s=", b->len ? "&" : "", name) < 0)
		return -1;
	for (; *value; value++) {
		if (is_unreserved(*value) ? buf_add(b, value, 1, err) < 0
					  : buf_addf(b, err, "%%%02X", (unsigned char)*value) < 0)
			return -1;
	}
	return 0;
}

static int make_form(const struct page_login *l, const char *redirect_uri, const char *code, const char *verifier,
	struct buf *ret, struct err *err)
{
	if (form_add(ret, "grant_type", "authorization_code", err) < 0 ||
		form_add(ret, "client_id", l->client_id, err) < 0 ||
		form_add(ret, "redirect_uri", redirect_uri, err) < 0 || form_add(ret, "code", code, err) < 0 ||
		form_add(ret, "code_verifier", verifier, err) < 0)
		return -1;
	return 0;
}

/* The issuer's "no" (RFC 6749, 5.2), in its own words where it has some. */
static int refused(const struct http_call *c, struct err *err)
{
	const struct buf *body = http_call_body(c);
	json_t *said = body->len > 0 ? json_in_parse(body->data, body->len, NULL) : NULL;
	const char *why = json_string_value(json_object_get(said, "error_description"));
	char shown[200];

	err_set(err, ERR_AUTH, "the issuer does not take this login: %s",
		parse_printable(why ? why : "it does not say why", shown, sizeof(shown)));
	err_detail(err, "login_refused");
	json_decref(said);
	return -1;
}

static json_t *take_reply(const struct http_call *c, struct err *err)
{
	json_t *said = http_call_json(c, err), *life;
	const char *token = json_string_value(json_object_get(said, "access_token"));
	json_t *ret = NULL;

	if (!said) {
		if (err)
			err->code = ERR_NET;
		return NULL;
	}
	life = json_object_get(said, "expires_in");
	if (!token)
		err_set(err, ERR_NET, "the issuer's answer holds no access_token");
	else if (!(ret = json_pack("{s:s, s:s, s:O*}", "access_token", token, "token_type", "bearer", "expires_in",
			   json_is_integer(life) ? life : NULL)))
		err_nomem(err);
	json_decref(said);
	return ret;
}

static json_t *ask(const char *url, const char *ca, const struct buf *form, struct err *err)
{
	static const char *const headers[] = {"Accept: application/json", NULL};
	struct tls_files tls = {0};
	struct http_call_options o = {
		.method = "POST",
		.url = url,
		.tls = &tls,
		.headers = headers,
		.body = form->data,
		.body_len = form->len,
		.content_type = "application/x-www-form-urlencoded",
		.connect_timeout_ms = LOGIN_FETCH_MS,
		.total_timeout_ms = LOGIN_FETCH_MS,
		.body_bytes_max = REPLY_BYTES_MAX,
	};
	struct http_call *c = NULL;
	json_t *ret = NULL;
	int status;

	if (tls_files_load(&tls, NULL, NULL, ca[0] ? ca : NULL, err) < 0 || !(c = http_call_new(&o, err)) ||
		http_call_run(c, err) < 0) {
		if (err) {
			err->code = ERR_UNAVAILABLE;
			err_in(err, "the issuer does not answer");
			err_detail(err, "issuer_away");
		}
	} else if ((status = http_call_status(c)) == 400 || status == 401 || status == 403) {
		refused(c, err);
	} else if (status != 200) {
		err_set(err, ERR_UNAVAILABLE, "the issuer answers %d", status);
		err_detail(err, "issuer_away");
	} else {
		ret = take_reply(c, err);
	}
	http_call_free(c);
	tls_files_done(&tls);
	return ret;
}

json_t *page_login_exchange(struct page_login *l, const char *peer, const char *redirect_uri, const char *code,
	const char *verifier, struct err *err)
{
	struct peer *asking;
	char *url, *ca;
	json_t *ret = NULL;
	struct buf form;

	if (take_turn(l, peer, &asking, err) < 0)
		return NULL;
	buf_init(&form, FORM_BYTES_MAX);
	pthread_mutex_lock(&l->lock);
	url = strdup(l->where.token_url);
	ca = strdup(l->where.ca);
	pthread_mutex_unlock(&l->lock);
	if (!url || !ca)
		err_nomem(err);
	else if (make_form(l, redirect_uri, code, verifier, &form, err) == 0)
		ret = ask(url, ca, &form, err);
	if (form.data)
		digest_wipe(form.data, form.len);
	buf_done(&form);
	free(url);
	free(ca);
	end_turn(l, asking);
	return ret;
}
