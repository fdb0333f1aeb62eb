/* identity.c - see identity.h. */
#include "cli/login/identity.h"

#include "cli/talk.h"
#include "cli/target.h"
#include "cli/text.h"
#include "common/parse.h"

#include <stdlib.h>
#include <string.h>

#define DIRECTOR_PORT 25555u

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

int identity_init(struct identity *id, const struct identity_options *o, struct err *err)
{
	*id = (struct identity){.o = *o};
	if (!o->cacert)
		return 0;
	if (tls_files_load(&id->also, NULL, NULL, o->cacert, err) < 0) {
		if (err)
			err->code = ERR_INPUT; /* a local file, not something the gateway refused */
		return err_in(err, "CA file");
	}
	id->has_also = true;
	return 0;
}

void identity_done(struct identity *id)
{
	login_free(id->first);
	login_free(id->second);
	cf_config_done(&id->cf);
	bosh_config_done(&id->bosh);
	free(id->bosh_name);
	free(id->bosh_url);
	if (id->has_also)
		tls_files_done(&id->also);
	tls_files_done(&id->bosh_ca);
	*id = (struct identity){0};
}

static void warn_readable(const char *path)
{
	char clean[300];

	talk_say("warning: everybody on this machine can read %s, which holds your login",
		text_clean(path, clean, sizeof(clean)));
}

int identity_config(struct identity *id, struct err *err)
{
	char *path;
	int rc;

	if (id->has_cf)
		return 0;
	path = cf_config_path();
	rc = cf_config_load(path, &id->cf, err);
	if (rc == 0 && id->cf.is_there && id->cf.is_readable)
		warn_readable(path);
	free(path);
	id->has_cf = rc == 0;
	return rc;
}

/* ---- cf ---- */

static int check_cf(const struct cf_config *c, struct err *err)
{
	if (!*c->target) {
		err_set(err, ERR_AUTH, "No API endpoint set.");
		return err_detail(err, LOGIN_NO_API);
	}
	if (!*c->access_token && !*c->refresh_token && strcmp(c->grant_type, "client_credentials")) {
		err_set(err, ERR_AUTH, "Not logged in.");
		return err_detail(err, LOGIN_NO_CF);
	}
	return 0;
}

static int take(struct login **place, struct login *l, struct err *err)
{
	*place = l;
	return l ? login_ready(l, err) : -1;
}

static int from_cf(struct identity *id, struct err *err)
{
	if (identity_config(id, err) < 0 || check_cf(&id->cf, err) < 0)
		return -1;
	id->is_cf = true;
	return take(&id->first, login_cf(&id->cf, id->has_also ? &id->also : NULL, err), err);
}

int identity_place(struct identity *id, json_t *targets, struct err *err)
{
	if (!target_has_names(targets))
		return 0;
	if (identity_config(id, err) < 0)
		return -1;
	if (!*id->cf.space_guid) {
		err_set(err, ERR_AUTH, "No space targeted.");
		return err_detail(err, LOGIN_NO_SPACE);
	}
	target_set_space(targets, id->cf.space_guid);
	return 0;
}

/* ---- bosh ---- */

/* "lab.example.org", "192.0.2.6:25555", "[2001:db8::1]" as the authority of a URL; NULL: it can be none. */
static char *join(const char *authority, size_t n)
{
	char *text = strndup(authority, n), host[256], joined[300], *ret = NULL;
	uint16_t port = 0;

	if (text && n && !strpbrk(text, "?#@\\\" \t") && parse_is_text(text, n, false) &&
		parse_host_port(text, DIRECTOR_PORT, host, &port, NULL) == 0 &&
		asprintf(&ret, "https://%s", parse_join_host_port(host, port, joined, sizeof(joined))) < 0)
		ret = NULL;
	free(text);
	return ret;
}

char *identity_director(const char *text)
{
	const char *authority = text;
	size_t n;

	if (!strncasecmp(text, "https://", 8))
		authority = text + 8;
	else if (strstr(text, "://"))
		return NULL;
	n = strcspn(authority, "/");
	if (authority[n + strspn(authority + n, "/")]) /* a path */
		return NULL;
	return join(authority, n);
}

/* A path, or the certificate itself. */
static int take_ca(struct identity *id, const char *text, bool is_pem, struct err *err)
{
	if (!text || !*text)
		return 0;
	if (is_pem) {
		if (strlen(text) > TLS_FILE_BYTES_MAX || !strstr(text, "-----BEGIN CERTIFICATE-----"))
			return err_set(err, ERR_INPUT, "the director's CA is not a certificate in PEM");
		return (id->bosh_ca.ca_pem = strdup(text)) ? 0 : err_nomem(err);
	}
	if (tls_files_load(&id->bosh_ca, NULL, NULL, text, err) == 0)
		return 0;
	if (err)
		err->code = ERR_INPUT;
	return err_in(err, "CA of the director");
}

static int find_ca(struct identity *id, struct err *err)
{
	const char *variable = environment("BOSH_CA_CERT");

	if (id->o.ca_cert)
		return take_ca(id, id->o.ca_cert, false, err);
	if (variable)
		return take_ca(id, variable, strstr(variable, "-----BEGIN") != NULL, err);
	return take_ca(id, id->bosh.ca_cert, true, err);
}

static int find_url(struct identity *id, const char *path, struct err *err)
{
	const char *name = id->bosh_name;

	if (!id->bosh.is_known && !strpbrk(name, ".:")) {
		err_set(err, ERR_INPUT, "environment \"%.100s\" is no URL, and no alias in %.200s", name,
			path ? path : "the bosh CLI's configuration");
		return err_detail(err, LOGIN_NO_BOSH);
	}
	id->bosh_url = identity_director(id->bosh.is_known && *id->bosh.url ? id->bosh.url : name);
	if (!id->bosh_url)
		return err_set(err, ERR_INPUT,
			"environment \"%.100s\": not the URL of a director (https://HOST[:PORT])",
			id->bosh.is_known ? id->bosh.url : name);
	return 0;
}

static int load_bosh(struct identity *id, const char *name, struct err *err)
{
	char *path = bosh_config_path();
	int rc = -1;

	id->bosh_name = strdup(name);
	if (!id->bosh_name)
		err_nomem(err);
	else if (bosh_config_load(path, name, &id->bosh, err) == 0 && find_url(id, path, err) == 0)
		rc = find_ca(id, err);
	if (rc == 0 && id->bosh.is_there && id->bosh.is_readable)
		warn_readable(path);
	free(path);
	return rc;
}

/* By -e, or by --login bosh:ENVIRONMENT. */
static const char *named_environment(const struct identity *id)
{
	if (id->o.environment)
		return id->o.environment;
	if (id->o.login && !strncmp(id->o.login, "bosh:", 5) && id->o.login[5])
		return id->o.login + 5;
	return NULL;
}

static const char *bosh_environment(const struct identity *id)
{
	const char *name = named_environment(id);

	return name ? name : environment("BOSH_ENVIRONMENT");
}

static int from_bosh(struct identity *id, struct login **place, struct err *err)
{
	const char *name = bosh_environment(id);
	struct login_bosh o = {
		.config = &id->bosh,
		.client = environment("BOSH_CLIENT"),
		.secret = environment("BOSH_CLIENT_SECRET"),
		.also = id->has_also ? &id->also : NULL,
	};

	if (!name)
		return err_set(err, ERR_INPUT, "which director? give -e ENVIRONMENT or set BOSH_ENVIRONMENT");
	if (load_bosh(id, name, err) < 0)
		return -1;
	o.name = name;
	o.url = id->bosh_url;
	o.ca = id->bosh_ca.ca_pem ? &id->bosh_ca : NULL;
	return take(place, login_bosh(&o, err), err);
}

/* ---- which one ---- */

/* PCAP_TOKEN, unless --login names another one.  1: taken, 0: there is none. */
static int from_token(struct identity *id, const char *instead_of, struct err *err)
{
	const char *token = environment("PCAP_TOKEN");

	if (!token || (id->o.login && strcmp(id->o.login, "token")))
		return 0;
	if (id->o.verbose && instead_of)
		talk_say("PCAP_TOKEN is set: it is used instead of the %s login", instead_of);
	return take(&id->first, login_new(token, NULL, err), err) < 0 ? -1 : 1;
}

static int no_token(struct err *err)
{
	return err_set(err, ERR_AUTH, "not logged in: set PCAP_TOKEN");
}

/* --login beside a command that names its platform. */
static int check_login(const struct identity *id, bool fits, const char *command, struct err *err)
{
	const char *login = id->o.login;

	if (!login || fits)
		return 0;
	if (!strcmp(login, "token"))
		return no_token(err);
	return err_set(err, ERR_INPUT, "option --login: \"%.40s\" does not go with pcap %s", login, command);
}

static bool is_cf_login(const char *login)
{
	return login && !strcmp(login, "cf");
}

static bool is_bosh_login(const char *login)
{
	return login && (!strcmp(login, "bosh") || !strncmp(login, "bosh:", 5));
}

int identity_cf(struct identity *id, struct err *err)
{
	int rc = from_token(id, "cf", err);

	id->is_cf = true; /* the user named cf: a token of PCAP_TOKEN is meant for its platform */
	if (rc)
		return rc < 0 ? -1 : 0;
	return check_login(id, is_cf_login(id->o.login), "cf", err) < 0 ? -1 : from_cf(id, err);
}

static int as_bosh(struct identity *id, struct err *err)
{
	const char *name = named_environment(id);

	if (from_bosh(id, &id->first, err) < 0)
		return -1;
	snprintf(id->hint, sizeof(id->hint), " --login bosh%s%.100s", name ? ":" : "", name ? name : "");
	return 0;
}

int identity_bosh(struct identity *id, struct err *err)
{
	int rc = from_token(id, "bosh", err);

	if (rc)
		return rc < 0 ? -1 : 0;
	return check_login(id, is_bosh_login(id->o.login), "bosh", err) < 0 ? -1 : as_bosh(id, err);
}

int identity_second(struct identity *id, struct err *err)
{
	return from_bosh(id, &id->second, err);
}

static int from_named(struct identity *id, struct err *err)
{
	const char *login = id->o.login;

	if (is_cf_login(login))
		return from_cf(id, err);
	if (is_bosh_login(login))
		return from_bosh(id, &id->first, err);
	if (!strcmp(login, "token"))
		return no_token(err);
	return err_set(err, ERR_INPUT, "option --login: \"%.40s\" is none of cf, bosh, bosh:ENVIRONMENT, token", login);
}

int identity_default(struct identity *id, struct err *err)
{
	int rc = from_token(id, NULL, err);

	if (rc)
		return rc < 0 ? -1 : 0;
	if (id->o.login)
		return from_named(id, err);
	if (identity_config(id, err) < 0)
		return -1;
	if (check_cf(&id->cf, NULL) == 0)
		return from_cf(id, err);
	if (environment("BOSH_ENVIRONMENT"))
		return from_bosh(id, &id->first, err);
	return err_set(err, ERR_AUTH, "not logged in: set PCAP_TOKEN, or log in with cf or bosh");
}
