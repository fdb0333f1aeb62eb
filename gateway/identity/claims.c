#include "gateway/identity/claims.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX   253402300799.0 /* the end of the year 9999 */
#define USER_ID_BYTES 200
#define NAME_BYTES    256
#define SCOPES_MAX    1000

static const char client_mark[] = "client:"; /* before the ids of clients */

static const char *text_of(json_t *claims, const char *member)
{
	json_t *v = json_object_get(claims, member);
	const char *s = json_string_value(v);

	return s && s[0] && strlen(s) == json_string_length(v) ? s : NULL;
}

const char *claims_issuer(json_t *claims)
{
	return text_of(claims, "iss");
}

/* ---- when ---- */

/* NumericDate, RFC 7519 section 2: seconds, perhaps with a fraction.  1: there, 0: absent, -1: no such number. */
static int date_of(json_t *claims, const char *member, double *ret_s)
{
	json_t *v = json_object_get(claims, member);

	if (!v)
		return 0;
	if (!json_is_number(v))
		return -1;
	*ret_s = json_number_value(v);
	return isfinite(*ret_s) && *ret_s >= 0 && *ret_s <= SECONDS_MAX ? 1 : -1;
}

static int check_dates(const struct issuer *s, json_t *claims, uint64_t now_ns, struct identity *ret, struct err *err)
{
	static const char *const begins[] = {"nbf", "iat"};
	double now_s = (double)now_ns / (double)CLOCK_NS_PER_S, leeway_s = (double)s->leeway_ms / 1000, at_s = 0;

	if (date_of(claims, "exp", &at_s) != 1)
		return err_set(err, ERR_AUTH, "the token does not say when it expires");
	if (at_s + leeway_s <= now_s) {
		err_set(err, ERR_AUTH, "the token has expired; log in again");
		return err_detail(err, "token_expired");
	}
	ret->expires_at = (uint64_t)((at_s + leeway_s) * (double)CLOCK_NS_PER_S);
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		int there = date_of(claims, begins[i], &at_s);

		if (there < 0)
			return err_set(err, ERR_AUTH, "the token's \"%s\" is no time", begins[i]);
		if (there > 0 && at_s - leeway_s > now_s)
			return err_set(err, ERR_AUTH,
				"the token is not valid yet; if it is new, its issuer's clock and this gateway's "
				"differ");
	}
	return 0;
}

/* ---- for whom ---- */

/* "bosh.*" takes "bosh" and "bosh.teams.red": UAA makes audiences of scopes. */
static bool audience_fits(const struct issuer *s, const char *aud)
{
	for (size_t i = 0; i < s->audience.n; i++) {
		const char *want = s->audience.items[i];
		size_t n = strlen(want);

		if (strcmp(want, aud) == 0)
			return true;
		if (n > 2 && strcmp(want + n - 2, ".*") == 0 && strncmp(want, aud, n - 2) == 0 &&
			(aud[n - 2] == '\0' || aud[n - 2] == '.'))
			return true;
	}
	return false;
}

/* Calls fits for each text of a member that is one text or a list of them. */
static bool any_of(json_t *v, bool (*fits)(const struct issuer *, const char *), const struct issuer *s)
{
	json_t *item;
	size_t n;

	if (json_is_string(v))
		return fits(s, json_string_value(v));
	json_array_foreach(v, n, item)
	{
		if (json_is_string(item) && fits(s, json_string_value(item)))
			return true;
	}
	return false;
}

static int check_audience(const struct issuer *s, json_t *claims, struct err *err)
{
	if (any_of(json_object_get(claims, "aud"), audience_fits, s))
		return 0;
	return err_set(
		err, ERR_AUTH, "the token is made for something else: its audience is none that this gateway takes");
}

/* ---- what it is ---- */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

static int refuse_kind(struct err *err, const char *what)
{
	return err_set(err, ERR_AUTH, "this is %s; an access token is needed", what);
}

/* UAA's ID tokens have the scope "openid" and no other, and none of the members by which others are known. */
static bool is_for_more_than_identity(json_t *claims)
{
	json_t *scope = json_object_get(claims, "scope"), *item;
	size_t n;

	if (json_is_string(scope))
		return strcmp(json_string_value(scope), "openid") != 0;
	if (scope && json_array_size(scope) == 0)
		return true;
	json_array_foreach(scope, n, item)
	{
		if (!json_is_string(item) || strcmp(json_string_value(item), "openid") != 0)
			return true;
	}
	return json_object_get(claims, "authorities") != NULL;
}

static int check_is_access_token(const struct issuer *s, json_t *claims, struct err *err)
{
	const char *jti = text_of(claims, "jti"), *typ = text_of(claims, "typ");

	if (s->kind == ISSUER_UAA && !jti)
		return err_set(err, ERR_AUTH, "the token has no id (\"jti\")");
	if (jti && ends_with(jti, "-r"))
		return refuse_kind(err, "a refresh token");
	if (typ && (strcmp(typ, "Refresh") == 0 || strcmp(typ, "Offline") == 0))
		return refuse_kind(err, "a refresh token");
	if (typ && strcmp(typ, "Bearer") == 0)
		return 0; /* Keycloak's word; until its version 25 these had the login's nonce too */
	if ((typ && strcmp(typ, "ID") == 0) || json_object_get(claims, "nonce") || json_object_get(claims, "at_hash") ||
		json_object_get(claims, "c_hash") || (s->kind == ISSUER_UAA && !is_for_more_than_identity(claims)))
		return refuse_kind(err, "an ID token");
	return 0;
}

/* ---- whose ---- */

static bool is_id(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	}
	return n > 0 && n <= USER_ID_BYTES;
}

static bool is_word(json_t *claims, const char *member, const char *word)
{
	const char *s = text_of(claims, member);

	return s && strcmp(s, word) == 0;
}

/* Issuers do not agree on a mark for these. */
static bool is_client(const struct issuer *s, json_t *claims)
{
	const char *grant = text_of(claims, "grant_type"), *sub = text_of(claims, "sub");
	const char *client = text_of(claims, "client_id"), *name = text_of(claims, "preferred_username");

	if (!client)
		client = text_of(claims, "azp");
	if (grant && strcmp(grant, "client_credentials") == 0)
		return true;
	if (s->kind == ISSUER_UAA)
		return !json_object_get(claims, "user_id") && client;
	if (client && sub && strcmp(client, sub) == 0) /* RFC 9068, section 5 */
		return true;
	return is_word(claims, "gty", "client-credentials") || (sub && ends_with(sub, "@clients")) || /* Auth0 */
	       is_word(claims, "idtyp", "app") ||                                                     /* Entra ID */
	       (name && strncmp(name, "service-account-", strlen("service-account-")) == 0);          /* Keycloak */
}

/* What a person is called: the issuer's words, but nothing that could not be shown. */
static const char *name_of(json_t *claims, const char *otherwise)
{
	static const char *const members[] = {"user_name", "preferred_username", "email", "name"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const char *s = text_of(claims, members[i]);

		if (s && strlen(s) <= NAME_BYTES && parse_is_text(s, strlen(s), false))
			return s;
	}
	return otherwise;
}

static int take_who(const struct issuer *s, json_t *claims, struct identity *ret, struct err *err)
{
	bool client = is_client(s, claims);
	const char *sub = text_of(claims, "sub"), *id = sub, *user_id = text_of(claims, "user_id");

	if (client && !id)
		id = text_of(claims, "client_id");
	if (s->kind == ISSUER_UAA && !client) {
		if (!user_id || (sub && strcmp(sub, user_id) != 0))
			return err_set(err, ERR_AUTH, "the token does not say whose it is");
		id = user_id;
	}
	/* A person of that id would be taken for a client of ours. */
	if (!is_id(id) || (!client && strncmp(id, client_mark, strlen(client_mark)) == 0))
		return err_set(err, ERR_AUTH, "the token does not say whose it is");
	if (client && !s->clients) {
		err_set(err, ERR_PERM, "tokens of clients are not taken here, only those of people");
		return err_detail(err, "client_token");
	}
	ret->user_id = fs_path("%s:%s%s", s->name, client ? client_mark : "", id);
	ret->user_name = strdup(client ? id : name_of(claims, id));
	ret->org = strdup("");
	ret->space = strdup("");
	ret->issuer = strdup(s->name);
	return ret->user_id && ret->user_name && ret->org && ret->space && ret->issuer ? 0 : err_nomem(err);
}

/* ---- with which scopes ---- */

static int add_scope(json_t *scopes, const char *text, size_t n, struct err *err)
{
	if (n == 0)
		return 0;
	if (json_array_size(scopes) >= SCOPES_MAX)
		return err_set(err, ERR_AUTH, "the token has more than %d scopes", SCOPES_MAX);
	return json_array_append_new(scopes, json_stringn(text, n)) == 0 ? 0 : err_nomem(err);
}

/* A list (UAA), or one text with spaces between (RFC 8693, 4.2); "scp" is what some issuers call it. */
static int take_scopes(json_t *claims, struct identity *ret, struct err *err)
{
	json_t *v = json_object_get(claims, "scope"), *item;
	size_t n;

	if (!v)
		v = json_object_get(claims, "scp");
	if (!(ret->scopes = json_array()))
		return err_nomem(err);
	if (json_is_string(v)) {
		for (const char *s = json_string_value(v); *s; s += strspn(s, " ")) {
			size_t len = strcspn(s, " ");

			if (add_scope(ret->scopes, s, len, err) < 0)
				return -1;
			s += len;
		}
	}
	json_array_foreach(v, n, item)
	{
		if (json_is_string(item) &&
			add_scope(ret->scopes, json_string_value(item), json_string_length(item), err) < 0)
			return -1;
	}
	return 0;
}

static int check_scopes(const struct issuer *s, struct identity *ret, struct err *err)
{
	for (size_t i = 0; i < s->required_scopes.n; i++) {
		if (identity_has_scope(ret, s->required_scopes.items[i]))
			continue;
		err_set(err, ERR_PERM, "the token lacks the scope \"%s\", which captures need here",
			s->required_scopes.items[i]);
		return err_detail(err, "scope_missing");
	}
	for (size_t i = 0; i < s->operator_scopes.n && !ret->is_operator; i++)
		ret->is_operator = identity_has_scope(ret, s->operator_scopes.items[i]);
	return 0;
}

int claims_take(const struct issuer *s, json_t *claims, uint64_t now_ns, struct identity *ret, struct err *err)
{
	const char *iss = claims_issuer(claims);

	if (!iss || strcmp(iss, s->issuer) != 0)
		return err_set(err, ERR_AUTH, "the token is not valid here");
	if (check_dates(s, claims, now_ns, ret, err) < 0 || check_is_access_token(s, claims, err) < 0 ||
		check_audience(s, claims, err) < 0 || take_who(s, claims, ret, err) < 0 ||
		take_scopes(claims, ret, err) < 0)
		return -1;
	return check_scopes(s, ret, err);
}
